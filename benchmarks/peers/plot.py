#!/usr/bin/env python3
"""Draws the figures of simdnorm_peers, and simdnorm_accuracy's error of y by mean ÷ deviation, as SVG.

Legible on light and on dark pages: no background, grey axes, text as text. The same figures give the same bytes.
"""
import argparse
import csv
import json
import math
import os
import sys

try:
    import matplotlib
except ImportError:
    print("No pictures: Python's matplotlib is not installed (Debian: python3-matplotlib)", file=sys.stderr)
    sys.exit(0)
matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator  # noqa: E402

GREY = "#808080"  # contrast 4:1 on white, 5:1 on black
# Told apart by a colour-blind reader, and neither near white nor near black (after Okabe and Ito).
COLORS = {"simdnorm": "#D55E00", "torch": "#CC79A7", "oneDNN": "#3A8FC7", "ONNX Runtime": "#009E73",
          "eigen_array": "#B08A00", "naive": GREY}
OTHER_COLORS = ["#7F6FD0", "#A0522D", "#4FA3A5"]  # of libraries that come later
MARKERS = {"simdnorm": "o", "torch": "s", "oneDNN": "^", "ONNX Runtime": "D", "eigen_array": "v", "naive": "x"}
# Nothing but the bytes moved, in one way and the other; nothing but simdnorm's innermost loops.
FLOORS = {"bytes moved": ("moves", "moves (past caches)"), "simdnorm's loops": ("loops",)}
FLOOR = [candidate for ways in FLOORS.values() for candidate in ways]
SHORT_ROWS = 256  # below, rows stand by themselves: they are another problem of the same size
TITLES = {"layer_norm_forward": "LayerNorm forward", "layer_norm_backward": "LayerNorm backward",
          "rms_norm_forward": "RMSNorm forward", "rms_norm_backward": "RMSNorm backward",
          "layer_norm_residual": "LayerNorm of x + residual", "rms_norm_residual": "RMSNorm of x + residual",
          "layer_norm_forward_bf16": "LayerNorm forward", "layer_norm_backward_bf16": "LayerNorm backward"}

plt.rcParams.update({
    "svg.fonttype": "none", "svg.hashsalt": "simdnorm", "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": GREY, "axes.labelcolor": GREY, "axes.edgecolor": GREY, "xtick.color": GREY, "ytick.color": GREY,
    "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
})


def library_of(candidate):
    """torch of "torch (kernel)", "torch 1.13" and "RMSNorm of torch"."""
    for name in COLORS:
        if candidate.split(" of ")[-1].startswith(name):
            return name
    return candidate.split(" (")[0]


def style_of(candidate, seen):
    library = library_of(candidate)
    if library not in COLORS:
        COLORS[library] = OTHER_COLORS[len(COLORS) % len(OTHER_COLORS)]
    variant = sum(library_of(other) == library for other in seen)
    return {"color": COLORS[library], "marker": MARKERS.get(library, "P"),
            "linestyle": ["-", "--", ":"][min(variant, 2)], "linewidth": 2 if library == "simdnorm" else 1.2,
            "markersize": 5}


def axes(title, x, y):
    figure, ax = plt.subplots(figsize=(7.6, 4.2))
    ax.set_title(title, fontsize=11, loc="left")
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.grid(True, which="major", color=GREY, alpha=0.25, linewidth=0.6)
    return figure, ax


def save(figure, ax, path):
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    figure.savefig(path, transparent=True, bbox_inches="tight",
                   metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    plt.close(figure)
    print(path, file=sys.stderr)


def of_bytes(value, _=None):
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g} B"


def places(rows):
    """Where each shape stands: at its bytes; shapes of the same bytes side by side, the shorter rows first."""
    shapes = {(int(row["bytes_moved"]), int(row["hidden"])) for row in rows}
    together = {size: sorted(hidden for other, hidden in shapes if other == size) for size, _ in shapes}
    return {(size, hidden): size * 1.2 ** (together[size].index(hidden) - (len(together[size]) - 1) / 2)
            for size, hidden in shapes}


def draw_floors(ax, rows, place):
    """The fastest way of each floor, at each shape; some operations have but one, and a CSV of an older program none."""
    for (floor, ways), line in zip(FLOORS.items(), ((0, (4, 2)), (0, (1, 1)))):
        least = {}
        for row in rows:
            if row["candidate"] in ways:
                size, time = place[int(row["bytes_moved"]), int(row["hidden"])], float(row["x_memcpy"])
                least[size] = min(time, least.get(size, time))
        if least:
            ax.plot(*zip(*sorted(least.items())), color=GREY, linewidth=1.2, linestyle=line, label=floor)


def draw_times(rows, operation, threads, out):
    kind = "bfloat16" if operation.endswith("_bf16") else "float"
    figure, ax = axes(f"{TITLES.get(operation, operation)}, {kind}, {threads} thread{'s' * (threads != '1')}",
                      "bytes that must move", "time ÷ memcpy's")
    place = places(rows)
    draw_floors(ax, rows, place)
    seen = []
    for candidate in dict.fromkeys(row["candidate"] for row in rows):
        if candidate == "memcpy" or candidate in FLOOR:
            continue
        style = style_of(candidate, seen)
        seen.append(candidate)
        label = candidate
        for short in (False, True):
            points = sorted((place[int(r["bytes_moved"]), int(r["hidden"])],
                             *(float(r["x_memcpy" + part]) for part in ("", "_q1", "_q3"))) for r in rows
                            if r["candidate"] == candidate and (int(r["hidden"]) < SHORT_ROWS) == short)
            if not points:
                continue
            size, middle, low, high = zip(*points)
            error = [[m - l for m, l in zip(middle, low)], [h - m for m, h in zip(middle, high)]]
            look = dict(style)
            if short:
                look["linestyle"] = "none"
                if style["marker"] != "x":
                    look["markerfacecolor"] = "none"
            ax.errorbar(size, middle, yerr=error, elinewidth=0.8, label=label, **look)
            label = "_nolegend_"
    ax.axhline(1, color=GREY, linewidth=1, linestyle=(0, (1, 2)))
    ax.set_ylim(bottom=min(0.8, 0.9 * min(float(row["x_memcpy_q1"]) for row in rows)))
    ax.text(0.005, 1, "memcpy", transform=ax.get_yaxis_transform(), ha="left", va="bottom", fontsize=9)
    sizes = [float(row["bytes_moved"]) for row in rows]
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_locator(LogLocator(base=4, numticks=max(2, int(math.log(max(sizes) / min(sizes), 4)) + 3)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(of_bytes))
    ax.tick_params(axis="x", labelrotation=30)
    ax.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if any(int(row["hidden"]) < SHORT_ROWS for row in rows):
        ax.text(0.995, 0.98, f"hollow: hidden below {SHORT_ROWS}", transform=ax.transAxes, ha="right", va="top",
                fontsize=9)
    save(figure, ax, os.path.join(out, operation + ".svg"))


def draw_errors(table, out):
    quantity = next(iter(table["rows"][0]))
    columns = dict.fromkeys(name for row in table["rows"] for name in row if name != quantity)
    figure, ax = axes("Error of y by the mean of a row", "|mean| ÷ deviation",
                      "units of 2⁻²⁴·(|gamma|·max(1, |xhat|) + |beta|)")
    kappas = [float(row[quantity]) for row in table["rows"]]
    smallest = min(kappa for kappa in kappas if kappa > 0)
    seen = []
    for name in columns:
        points = [(kappa or smallest / 10, row[name]) for kappa, row in zip(kappas, table["rows"]) if row.get(name)]
        ax.plot(*zip(*points), label=name, **style_of(name, seen))
        seen.append(name)
    at = [kappa or smallest / 10 for kappa in kappas]
    ax.set_xticks(at, ["0" if kappa == 0 else f"{kappa:g}" if kappa < 1e4 else f"10{superscript(kappa)}"
                       for kappa in kappas])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(
        lambda value, _: f"{value:g}" if 1 <= value < 1e4 else f"10{superscript(value)}"))
    save(figure, ax, os.path.join(out, "error_of_y.svg"))


def superscript(value):
    return str(round(math.log10(value))).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--csv", help="of simdnorm_peers --csv")
    parser.add_argument("--accuracy", help="of simdnorm_accuracy --json")
    parser.add_argument("--out", default=".", help="the folder of the pictures")
    options = parser.parse_args()
    if options.csv:
        with open(options.csv, encoding="utf-8") as file:
            lines = file.read().splitlines()
        about = dict(line[2:].split(": ", 1) for line in lines if line.startswith("# "))
        rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
        for operation in dict.fromkeys(row["operation"] for row in rows):
            draw_times([row for row in rows if row["operation"] == operation], operation, about["threads"], options.out)
    if options.accuracy:
        with open(options.accuracy, encoding="utf-8") as file:
            tables = json.load(file)["tables"]
        draw_errors(next(t for t in tables if t["title"] == "Forward: error of y by mean ÷ deviation"), options.out)


main()
