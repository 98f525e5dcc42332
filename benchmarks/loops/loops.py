#!/usr/bin/env python3
"""The innermost loops of the kernels of contiguous float rows: what is in them, and what LLVM's model of a processor makes of that.

    python3 benchmarks/loops/loops.py [--cpu znver3] g++ -std=c++17 -O3 -DNDEBUG -march=znver3 -Iinclude

compiles operators.cpp by that command and prints a table in Markdown. Needs llvm-mca and c++filt, of an x86-64 or, by a cross
compiler, of an aarch64 (--triple aarch64-linux-gnu).
"""
import argparse
import os
import re
import shutil
import subprocess
import sys

KERNELS = ("sum_about_zero", "normalize", "sum_gradients", "differentiate")
JUMP = re.compile(r"\s(?:j(?!mp)[a-z]+|b\.?[a-z]{2}|cbnz\s+\w+,|cbz\s+\w+,|tbn?z\s.*,)\s+(\.L\w+)$")


def assembly_of(command):
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "operators.cpp")
    done = subprocess.run(command + ["-S", "-o", "-", source], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def functions_of(lines):
    """Of each function its lines, without directives; of the parts that it is in the first."""
    name, body = None, []
    for line in lines:
        label = re.match(r"([A-Za-z_]\S*):", line)
        if label:
            name, body = label.group(1), []
        elif name and re.match(r"\s+\.size\s+" + re.escape(name), line):
            yield name, body
            name = None
        elif re.match(r"\s+\.section", line):
            if name:
                yield name, body
            name = None
        elif name and not re.match(r"\s+\.", line):
            body.append(line.split("#")[0].split("//")[0].rstrip())


def innermost_loops(body):
    places = {line[:-1]: i for i, line in enumerate(body) if line.startswith(".L")}
    loops = []
    for i, line in enumerate(body):
        jump = JUMP.search(line)
        start = places.get(jump.group(1), i) if jump else i
        if start < i and not any(re.match(r"\s+ret\b", inside) for inside in body[start:i]):  # else what is rare jumps back to the end
            loops.append((start, i))
    return [body[a:b + 1] for a, b in loops if not any(a <= c and d <= b and (a, b) != (c, d) for c, d in loops)]


def bytes_of(line):
    for register, size in (("zmm", 64), ("ymm", 32), ("xmm", 16)):
        if register in line:
            return size
    return 16 if re.search(r"\bq\d+\b|\bv\d+\.", line) else 8 if re.search(r"\bd\d+\b", line) else 0


def is_memory(operand):
    return "(" in operand or "[" in operand


def describe(loop):
    """Instructions, calls, accesses to the stack, and bytes of vectors stored and loaded."""
    code = [line.strip() for line in loop if not line.startswith(".L")]
    counts = {"instructions": len(code), "calls": 0, "stack": 0, "loaded": 0, "stored": 0}
    for line in code:
        mnemonic, _, operands = line.partition("\t")
        counts["calls"] += mnemonic in ("call", "bl")
        counts["stack"] += bool(re.search(r"%r[sb]p|\bsp\b|x29", operands))
        if "prefetch" in mnemonic or mnemonic == "prfm" or not is_memory(operands):
            continue
        size = bytes_of(operands) // (2 if mnemonic.startswith("vcvtps2pd") else 1)  # what it makes of them is wider
        stores = mnemonic.startswith("st") or operands.rstrip().endswith(")") and "mov" in mnemonic
        counts["stored" if stores else "loaded"] += size * (2 if mnemonic in ("stp", "ldp") else 1)
    return counts


def cycles_of(loop, options):
    code = "\n".join(line for line in loop)
    command = [options.mca, "-iterations=200", "-mcpu=" + options.cpu] + (["-mtriple=" + options.triple] if options.triple else [])
    out = subprocess.run(command, input=code, capture_output=True, text=True, check=True).stdout
    total = float(re.search(r"Total Cycles:\s+(\S+)", out).group(1)) / 200
    return total, float(re.search(r"Block RThroughput:\s+(\S+)", out).group(1))


def rows_of(name):
    """`2 rows, past the caches` of the arguments of a kernel's template."""
    shape = "side by side" if "RowsAcross" in name else "block" if "BlockAlong" in name else \
        re.search(r"RowsAlong<float, [^,]*(?:<[^>]*>\s*)?, (\d)", name).group(1) + " at once"
    how = "past the caches" if "StreamedLines" in name else "fetching" if "Fetched" in name else ""
    sums = "" if "differentiate" not in name else "dx alone" if "NoParameterGradient" in name else "with sums"
    return ", ".join(part for part in (shape, sums, how) if part)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cpu", default="znver3", help="of llvm-mca")
    parser.add_argument("--triple", default="", help="of llvm-mca, if not this machine's")
    parser.add_argument("--mca", default=next((p for p in ("llvm-mca", "llvm-mca-19", "llvm-mca-14") if shutil.which(p)), "llvm-mca"))
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the compiler and its options")
    options = parser.parse_args()
    if not options.command:
        parser.error("no compiler")
    if not shutil.which(options.mca):
        parser.error("no llvm-mca (Debian: llvm)")
    print(f"`{' '.join(options.command)}`, llvm-mca -mcpu={options.cpu}\n")
    print("| kernel | norm | rows | instructions | calls | stack | bytes loaded | stored | cycles | if only its throughput counted |")
    print("|---|---|---|" + "---:|" * 7)
    found = []
    for mangled, body in functions_of(assembly_of(options.command)):
        name = subprocess.run(["c++filt", mangled], capture_output=True, text=True, check=True).stdout
        kernel = re.search(r"simdnorm::(\w+)<", name)
        # Rare rows, and those side by side, are other loops.
        if not kernel or kernel.group(1) not in KERNELS or re.search(r"Canonical|RowsAcross|\d, true>", name):
            continue
        loops = [loop for loop in innermost_loops(body) if describe(loop)["loaded"] >= 32]
        if not loops:
            continue
        loop = max(loops, key=lambda l: describe(l)["loaded"])
        norm = "LayerNorm" if "Variance" in name else "RMSNorm"
        found.append((norm, KERNELS.index(kernel.group(1)), kernel.group(1), rows_of(name), describe(loop), cycles_of(loop, options)))
    for norm, _, kernel, rows, d, (total, throughput) in sorted(found, key=lambda f: f[:4]):
        print(f"| {kernel} | {norm} | {rows} | {d['instructions']} | {d['calls']} | {d['stack']} | {d['loaded']} | {d['stored']} | "
              f"{total:.1f} | {throughput:.1f} |")
    return 0 if found else 1


sys.exit(main())
