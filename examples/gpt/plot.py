#!/usr/bin/env python3
"""Draws the tables of `gpt study`: the loss by step, and the norm of the gradient by layer, as SVG. Legible on light and dark.

  plot.py FOLDER     reads FOLDER/losses.csv and gradients.csv, writes FOLDER/losses.svg and gradients.svg
"""
import collections
import csv
import math
import pathlib
import sys

try:
    import matplotlib
except ImportError:
    print("No pictures: Python's matplotlib is not installed (Debian: python3-matplotlib)", file=sys.stderr)
    sys.exit(0)
matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

GREY = "#808080"  # contrast 4:1 on white, 5:1 on black
# Colours tell the places and what stands there, dashes tell the kinds (after Okabe and Ito).
COLORS = {"pre": "#D55E00", "post": "#3A8FC7", "sandwich": "#009E73", "deep": "#CC79A7"}
KINDS = {"none": GREY, "batch_norm": "#B08A00", "switchable_norm": "#7F6FD0", "dynamic_tanh": "#A0522D"}
plt.rcParams.update({
    "svg.fonttype": "none", "svg.hashsalt": "simdnorm", "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": GREY, "axes.labelcolor": GREY, "axes.edgecolor": GREY, "xtick.color": GREY, "ytick.color": GREY,
    "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
})


def read(path, by):
    """{layers: {(placement, kind, warm_up): {the numbers of `by`: the last number}}}"""
    found = collections.defaultdict(lambda: collections.defaultdict(dict))
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            run = row["placement"], row["kind"], row["warm_up"] == "1"
            value = float(row["norm"] if "norm" in row else row["loss"])
            found[int(row["layers"])][run][tuple(int(row[name]) for name in by)] = value
    return found


def style(run):
    placement, kind, warm_up = run
    dashes = ":" if warm_up else "--" if kind == "rms_norm" else "-"
    return {"color": KINDS.get(kind, COLORS[placement]), "linestyle": dashes, "linewidth": 1.4,
            "label": f"{placement if kind not in KINDS else 'pre'}, {kind}" + (", warm-up" if warm_up else "")}


def draw(tables, path, of_run, x, y, log):
    figure, panels = plt.subplots(1, len(tables), figsize=(9.6, 4.4), sharey=not log, squeeze=False)
    for ax, (layers, runs) in zip(panels[0], sorted(tables.items())):
        ax.set_title(f"{layers} layers", fontsize=11, loc="left")
        ax.set_xlabel(x)
        for run, numbers in runs.items():
            ax.plot(*of_run(numbers), **style(run))
        if log:
            ax.set_yscale("log")
        else:
            ax.set_ylim(top=5)  # a little above not knowing anything; what is not trained leaves the picture
        ax.grid(True, color=GREY, alpha=0.25, linewidth=0.6)
    panels[0][0].set_ylabel(y)
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="center right", fontsize=8)
    figure.tight_layout(rect=(0, 0, 0.8, 1))
    figure.savefig(path, transparent=True, metadata={"Date": None})
    print(path)


def smooth(numbers):
    """At each fifth step the mean loss of the last ten, as far as they are numbers."""
    steps = sorted(step for (step,) in numbers)[4::5]
    means = []
    for step in steps:
        near = [numbers[(s,)] for s in range(max(1, step - 9), step + 1)]
        means.append(sum(near) / len(near) if all(map(math.isfinite, near)) else math.nan)
    return steps, means


def first_step(numbers):
    layers = sorted(layer for step, layer in numbers if step == 1 and layer > 0)
    return layers, [numbers[1, layer] for layer in layers]


folder = pathlib.Path(sys.argv[1])
draw(read(folder / "losses.csv", ["step"]), folder / "losses.svg", smooth, "step", "loss, nats a character", False)
draw(read(folder / "gradients.csv", ["step", "layer"]), folder / "gradients.svg", first_step, "layer",
     "norm of the gradient at the first step", True)
