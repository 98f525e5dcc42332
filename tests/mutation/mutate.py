#!/usr/bin/env python3
"""Do the tests notice a mistake in the kernels? Changes the headers in one place at a time ("mutants") and
counts the changes that some test notices ("killed").

  tests/mutation/mutate.py --list                  the mutants
  tests/mutation/mutate.py --sample 100 --seed 1   a random part of them
  tests/mutation/mutate.py                         all that killed.txt does not know; after an interruption, --resume
  tests/mutation/mutate.py --survivors             again those that survived, with new tests
  tests/mutation/mutate.py --again                 all

A mutant is tried in three stages, each dearer than the one before, until something notices it:
  1. The four operators are compiled without optimization and run on battery.cpp, whose hash must be that of the
     unchanged headers. The quickest tests of stage 3 run here already.
  2. The tests that include the changed header themselves are compiled with it and run: those of simd*.hpp, of
     cache.hpp and of row.hpp for SSE2 too, and for AVX-512 where this processor has it; those of simd*.hpp by g++ too.
     Then those that ALSO names for it.
  3. The tests that call the operators through support/operators_*.cpp were compiled once, and are run with the
     operators of the mutant.
Of headers that the operators hardly use, stage 2 comes first. dispatch/call.hpp and dispatch/kernels.hpp are left out.
Where operators compile to the same bytes as without the change, what only looks at them is left out. A test that
fails, crashes, or takes ten times its time has noticed. A mutant that does not compile is not counted.

survivors.txt lists the mutants that survive for a reason; the others must die, but for 2 %. killed.txt, which this program
writes, lists those that were seen to die (or not to compile): they need not be tried again as long as their line is the same and
no test has been taken away.

Needs clang 14 (it compiles unoptimized code fastest), g++, GoogleTest, xsimd, and a CPU with AVX2 and FMA.
"""
import argparse
import concurrent.futures
import hashlib
import itertools
import json
import pathlib
import queue
import re
import resource
import shutil
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True  # nothing is left beside the sources
import mutants  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
KNOWN = pathlib.Path(__file__).with_name("survivors.txt")
KILLED = pathlib.Path(__file__).with_name("killed.txt")

AVX2 = ["-mavx2", "-mfma"]
SSE2 = []
AVX512 = ["-mavx512f", "-mavx512dq", "-mavx512cd", "-mavx512bw", "-mavx512vl", "-mfma"]
GCC = ["-mavx2", "-mfma"]  # clang 14 would not contract what SIMDNORM_ROUND keeps apart
OF_EACH_WIDTH = [AVX2, SSE2]
try:
    if {flag[2:] for flag in AVX512} <= set(pathlib.Path("/proc/cpuinfo").read_text().split()):
        OF_EACH_WIDTH.append(AVX512)
except OSError:
    pass
CLANG = ["clang++-14", "-std=c++17", "-w", "-pthread"]
# A library uses its own functions, and not those of the same name that a test program may have compiled; but variables,
# such as the streaming threshold, are the program's.
SHARED = ["-shared", "-Wl,--build-id=none", "-Wl,-Bsymbolic-functions"]
PRECOMPILED = """#include <gtest/gtest.h>
#include <xsimd/xsimd.hpp>
#include <algorithm>
#include <atomic>
#include <cfloat>
#include <cmath>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>
"""
# Unoptimized code is compiled in half the time where no function has to be inlined.
NOT_INLINED = "#define always_inline unused\n"
# Tests of what the operators of stage 3 do not have, which reach the header by way of others.
OF_TYPES = ["types/parameters", "types/own_type", "types/forward_bfloat16", "types/forward_float16"]
OF_CODES = ["types/quantized_int8", "types/quantized_e4m3", "types/quantized_e5m2", "types/errors"]
OF_RESIDUALS = ["fusion/residual_float", "fusion/residual_narrow", "fusion/memory_float", "fusion/memory_bfloat16", "fusion/errors"]
ALSO = {
    "check.hpp": ["fusion/errors"],
    "cache.hpp": ["types/memory"],
    "simd_random.hpp": ["fusion/dropout"],
    "kernel/dropout.hpp": ["fusion/dropout", "fusion/dropout_types"],
    "kernel/branch.hpp": ["fusion/branch", "fusion/branch_types"],
    "kernel/two_norms.hpp": ["fusion/two_norms"],
    "kernel/double_backward.hpp": ["double_backward", "double_backward_arguments", "double_backward_types"],
    "kernel/factors.hpp": ["fusion/branch", "fusion/branch_types"],
    "kernel/values.hpp": ["fusion/two_norms"],
    "kernel/rotary.hpp": ["fusion/rotary", "fusion/rotary_types"],
    "kernel/rotated.hpp": ["fusion/rotary", "fusion/rotary_types"],
    "kernel/unrotated.hpp": ["fusion/rotary", "fusion/rotary_types"],
    "simd_pairs.hpp": ["fusion/rotary", "fusion/rotary_types"],
    "simd_silu.hpp": ["fusion/gated"],
    "grouped_norm.hpp": ["fusion/grouped"],
    "double_backward.hpp": ["double_backward", "double_backward_arguments", "double_backward_types"],
    "partial_rms_norm.hpp": ["partial_rms_norm", "fusion/partial_rms_norm"],
    "kernel/first_columns.hpp": ["partial_rms_norm", "fusion/partial_rms_norm"],
    "scale_norm.hpp": ["scale_norm"],
    "kernel/statistic.hpp": ["scale_norm"],
    "kernel/parameter_gradient.hpp": ["scale_norm"],
    "kernel/gate.hpp": ["fusion/gated", "fusion/gated_types"],
    "kernel/gated.hpp": ["fusion/gated", "fusion/gated_types", "fusion/gated_sum"],
    "kernel/mapped.hpp": ["fusion/mapped", "fusion/dropout"],
    "kernel/gathered.hpp": ["fusion/mapped", "fusion/gathered"],
    "simd_words.hpp": OF_TYPES + OF_CODES,
    "simd_narrow.hpp": OF_TYPES + OF_CODES,
    "simd_number.hpp": OF_TYPES,
    "operands.hpp": OF_TYPES,
    "extended.hpp": ["types/threads", "types/parameters"],
    "kernel/forward.hpp": ["types/quantized_int8", "fusion/residual_float"],
    "kernel/writer.hpp": ["types/own_type"],
    "kernel/row.hpp": ["types/quantized_int8"],
    "kernel/sink.hpp": ["types/quantized_int8"],
    "kernel/epilogue.hpp": ["types/round_xhat", "types/one_plus_gamma"],
    "kernel/quantize.hpp": OF_CODES + ["types/memory", "quantize"],
    "kernel/residual_sum.hpp": OF_RESIDUALS,
    "kernel/residual_add.hpp": ["fusion/added", "fusion/memory_float", "fusion/memory_bfloat16", "fusion/errors"],
    "modulated_norm.hpp": ["fusion/modulated", "fusion/modulated_arguments", "fusion/dropout"],
    "kernel/partial.hpp": ["split/norm", "split/memory", "split/neighbours"],
    "kernel/merged.hpp": ["split/norm"],
    "split_norm.hpp": ["split/memory", "split/norm"],
}
# What the operators of stages 1 and 3 hardly use: stage 2 comes first.
NOT_OF_OPERATORS = {"simd_words.hpp", "simd_narrow.hpp", "simd_number.hpp", "self_test.hpp", "kernel/quantize.hpp",
                    "kernel/residual_sum.hpp", "kernel/residual_add.hpp", "kernel/writer.hpp", "cache.hpp", "quantize.hpp",
                    "modulated_norm.hpp", "simd_random.hpp", "kernel/dropout.hpp", "kernel/mapped.hpp", "kernel/gathered.hpp",
                    "kernel/factors.hpp", "kernel/branch.hpp", "kernel/two_norms.hpp", "kernel/gate.hpp", "kernel/gated.hpp",
                    "kernel/rotary.hpp", "kernel/rotated.hpp", "kernel/unrotated.hpp", "simd_pairs.hpp", "simd_silu.hpp",
                    "grouped_norm.hpp", "kernel/double_backward.hpp", "double_backward.hpp",
                    "kernel/partial.hpp", "kernel/merged.hpp", "split_norm.hpp"}
OPERATORS = ["layer_float", "layer_double", "rms_float", "rms_double"]
LEAST_RATE = 98


# --- programs ---


def run(command, cpu_seconds, directories=()):
    """Exit status and output; a negative status where a signal ended it. Time is counted as the CPU's, so that a busy
    machine kills nothing; a program that only waits is ended later."""
    limits = f'ulimit -c 0; ulimit -t {cpu_seconds}; ulimit -d 8000000; exec "$@"'
    path = ":".join(map(str, directories))
    try:
        done = subprocess.run(["env", f"LD_LIBRARY_PATH={path}", "sh", "-c", limits, "sh", *map(str, command)],
                              capture_output=True, text=True, errors="replace", timeout=20 * cpu_seconds + 60)
        return done.returncode, done.stdout + done.stderr
    except subprocess.TimeoutExpired:
        return -9, "waited too long"


def must(command, directories=()):
    status, output = run(command, 600, directories)
    if status != 0:
        sys.exit(f"mutate.py: with unchanged headers:\n{' '.join(map(str, command))}\n{output}")
    return output


def precompiled(base, level, variant):
    """The compiler, with the header that is compiled beforehand."""
    return [*CLANG, *variant, f"-{level}", "-fPIC", "-include-pch", base / f"{level}{suffix(variant)}.pch"]


def suffix(variant):
    return "" if variant is AVX2 else ".sse2" if variant is SSE2 else ".gcc" if variant is GCC else ".avx512"


def includes_operators(text):
    """A test that includes support/operators.hpp, itself or by another of support/."""
    included = re.findall(r'#include "(support/.*)"', text)
    return "support/operators.hpp" in included or any(includes_operators((TESTS / i).read_text()) for i in included)


class Test:
    """A program of tests/."""

    def __init__(self, source):
        self.source = source
        self.name = str(source.relative_to(TESTS))[: -len("_test.cpp")]
        text = source.read_text()
        self.headers = re.findall(r"#include <simdnorm/(.*)>", text)
        self.by_operators = includes_operators(text)
        self.seconds = {}  # of the CPU, by what the operators are compiled with

    def program(self, folder, variant):
        return folder / ("test_" + self.name.replace("/", ".") + suffix(variant))

    def compile_command(self, include, libraries, program, variant):
        operators = [f"{libraries}/lib{o}.so" for o in OPERATORS] if variant is AVX2 else []
        compiler = (["g++", "-std=c++17", "-w", "-pthread", "-O2", *variant] if variant is GCC else
                    precompiled(libraries.parent, "O0", variant))
        return [*compiler, f"-I{include}", f"-I{TESTS}",
                f'-DSIMDNORM_TEST_DATA="{TESTS}/data"', self.source, "-o", program, *operators, "-lgtest",
                "-lgtest_main"]

    def command(self, program):
        return [program, "--gtest_brief=1", "--gtest_fail_fast", "--gtest_filter=-*Nightly*"]

    def limit(self, level="O1"):
        return int(10 * self.seconds[level]) + 3


class Bench:
    """What is built once from the unchanged headers, and how one mutant is tried against it."""

    def __init__(self, build, seconds, say):
        self.build, self.longest, self.say = build, seconds, say
        self.base = build / "base"
        self.include = self.base / "include"
        for folder in (build, self.base, self.base / "O0", self.base / "O1"):
            folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.include, ignore_errors=True)
        shutil.copytree(ROOT / "include", self.include)
        self.tests = [Test(s) for s in sorted(TESTS.rglob("*_test.cpp"))
                      if not {"eigen", "nightly", "package", "support"} & set(s.relative_to(TESTS).parts)]

    def prepare(self):
        self.stamps_path = self.base / "stamps.json"
        self.stamps = json.loads(self.stamps_path.read_text()) if self.stamps_path.exists() else {}
        for level, variant in (*(("O0", variant) for variant in OF_EACH_WIDTH), ("O1", AVX2)):
            header = self.base / f"{level}{suffix(variant)}.hpp"
            text = PRECOMPILED + (NOT_INLINED if level == "O0" else "")
            if not header.exists() or header.read_text() != text:
                header.write_text(text)
                must([*CLANG, *variant, f"-{level}", "-fPIC", "-x", "c++-header", header, "-o",
                      header.with_suffix(".pch")])
        for level, operator in itertools.product(("O0", "O1"), OPERATORS):
            self.once(self.base / f"{level}/lib{operator}.so",
                      self.operator_command(self.include, operator, level, self.base / level),
                      sorted(self.include.rglob("*.hpp")))
        battery = pathlib.Path(__file__).with_name("battery.cpp")
        program = self.base / "battery"
        libraries = [self.base / "O1" / f"lib{o}.so" for o in OPERATORS]
        self.once(program, [*precompiled(self.base, "O1", AVX2), f"-I{self.include}", f"-I{TESTS}", battery, "-o",
                            program, *libraries], [battery])
        built = hashlib.sha256(b"".join(library.read_bytes() for library in libraries)).hexdigest()
        self.battery_hashes = {o: must(self.battery_command(o), [self.base / "O0"]) for o in OPERATORS}
        self.forward_hash = must([*self.battery_command("layer_float"), "forward"], [self.base / "O0"])
        for test in self.tests:
            for variant in self.variants(test):
                program = test.program(self.base, variant)
                self.once(program, test.compile_command(self.include, self.base / "O1", program, variant),
                          [test.source, *(self.include / "simdnorm" / h for h in test.headers)])
                if test.by_operators and run([program, "--gtest_list_tests"], 10)[0] == 0:
                    sys.exit(f"mutate.py: {program} runs without operators: it would not see a mutant's")
                key = " ".join(["seconds of", program.name, self.stamps[program.name], built])
                if key not in self.stamps:
                    test.seconds["O1"] = self.seconds(test.command(program), "O1", 600)
                    if test.by_operators and test.seconds["O1"] < 1:
                        test.seconds["O0"] = self.seconds(test.command(program), "O0", 2)
                    self.remember(key, test.seconds)
                test.seconds = self.stamps[key]
            self.say(f"  {test.name}: " + ", ".join(f"{s:.2f} s at {level}" for level, s in test.seconds.items()))
        self.tests.sort(key=lambda test: test.seconds["O1"])
        # So fast that they run as soon as one operator is compiled, without optimization.
        self.quick = [test for test in self.tests if test.seconds.get("O0", 1) < 0.1]

    def seconds(self, command, level, limit):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        status, output = run(command, limit, [self.base / level])
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if status != 0 and limit > 2:
            sys.exit(f"mutate.py: with unchanged headers, {command[0]} fails:\n{output}")
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    def once(self, program, command, sources):
        """Compiles what has changed since the last time."""
        words = [*map(str, command), *(p.read_text() for p in [*sources, *sorted(TESTS.glob("support/*.hpp"))])]
        stamp, name = hashlib.sha256("\n".join(words).encode()).hexdigest(), str(program.relative_to(self.base))
        if not program.exists() or self.stamps.get(name) != stamp:
            must(command)
            self.remember(name, stamp)

    def remember(self, key, value):
        self.stamps[key] = value
        self.stamps_path.write_text(json.dumps(self.stamps))

    def variants(self, test):
        of_width = OF_EACH_WIDTH if test.name.startswith(("simd", "cache", "kernel/row")) else [AVX2]
        return [*of_width, GCC] if test.name.startswith("simd") else of_width

    def operator_command(self, include, operator, level, folder, source=None):
        return [*precompiled(self.base, level, AVX2), *SHARED,
                f"-Wl,-soname,lib{operator}.so", f"-I{include}", f"-I{TESTS}",
                source or TESTS / f"support/operators_{operator}.cpp", "-o", folder / f"lib{operator}.so"]

    def battery_command(self, operator):
        return [self.base / "battery", *operator.split("_")]

    def is_same(self, folder, level, operator):
        name = f"{level}/lib{operator}.so"
        return (folder / name).read_bytes() == (self.base / name).read_bytes()

    def try_mutant(self, mutant, folder):
        """("killed", by what), ("stillborn", by what) or ("survived", "")."""
        for level in ("O0", "O1"):
            (folder / level).mkdir(parents=True, exist_ok=True)
        if not (folder / "include").exists():
            shutil.copytree(self.include, folder / "include")
        path = folder / "include/simdnorm" / mutant.file
        path.write_text(mutant.text())
        try:
            return self.try_stages(mutant, folder)
        finally:
            shutil.copyfile(self.include / "simdnorm" / mutant.file, path)
            for library in folder.glob("O?/*.so"):
                library.unlink()

    def try_stages(self, mutant, folder):
        if mutant.file in NOT_OF_OPERATORS:  # nearly always noticed by its own tests alone
            outcome = self.try_tests_of(mutant, folder)
            if outcome:
                return outcome
        if not mutant.file.endswith(("backward.hpp", "parameter_gradient.hpp")):
            status, _ = run(self.operator_command(folder / "include", "layer_float", "O0", folder / "O0",
                                                  pathlib.Path(__file__).with_name("forward.cpp")), 60)
            if status != 0:
                return "stillborn", "forward"
            status, hash_of_outputs = run([*self.battery_command("layer_float"), "forward"], 5,
                                          [folder / "O0", self.base / "O0"])
            if status != 0 or hash_of_outputs != self.forward_hash:
                return "killed", "battery layer_float forward"
        changed = []
        for operator in OPERATORS:
            status, _ = run(self.operator_command(folder / "include", operator, "O0", folder / "O0"), 60)
            if status != 0:
                return "stillborn", operator
            if self.is_same(folder, "O0", operator):
                continue
            changed.append(operator)
            libraries = [folder / "O0", self.base / "O0"]
            status, hash_of_outputs = run(self.battery_command(operator), 5, libraries)
            if status != 0 or hash_of_outputs != self.battery_hashes[operator]:
                return "killed", f"battery {operator}"
            for test in self.quick:
                status, _ = run(test.command(test.program(self.base, AVX2)), test.limit("O0"), libraries)
                if status != 0:
                    return "killed", test.name

        if mutant.file not in NOT_OF_OPERATORS:
            outcome = self.try_tests_of(mutant, folder)
            if outcome:
                return outcome

        rest = [t for t in self.tests if t.by_operators and t not in self.quick and t.seconds["O1"] <= self.longest]
        for operator in changed if rest else []:
            status, _ = run(self.operator_command(folder / "include", operator, "O1", folder / "O1"), 120)
            if status != 0:
                return "stillborn", operator
        if all(self.is_same(folder, "O1", operator) for operator in changed if rest):
            return "survived", ""
        for test in rest:
            status, _ = run(test.command(test.program(self.base, AVX2)), test.limit(), [folder / "O1", self.base / "O1"])
            if status != 0:
                return "killed", test.name
        return "survived", ""

    def try_tests_of(self, mutant, folder):
        """Stage 2: as try_mutant, but None where nothing has noticed."""
        direct = [test for test in self.tests if mutant.file in test.headers]
        direct.sort(key=lambda test: (test.by_operators, test.seconds["O1"]))
        for test in [*direct, *(test for test in self.tests if test.name in ALSO.get(mutant.file, []))]:
            for variant in self.variants(test):
                program = test.program(folder, variant)
                status, errors = run(test.compile_command(folder / "include", self.base / "O1", program, variant), 300)
                if status != 0:
                    noticed = re.search(rf"^{TESTS}/.*error: static.assert", errors, re.M)
                    return "killed" if noticed else "stillborn", f"{test.name} does not compile"
                status, _ = run(test.command(program), test.limit(), [self.base / "O1"])
                program.unlink()
                if status != 0:
                    return "killed", test.name + suffix(variant)
        return None


# --- what is known of survivors ---


def read_known():
    """Of survivors.txt: {(file, line, mutated line): "equivalent" or "judged"}."""
    known, file, pairs = {}, None, []
    for number, line in enumerate(KNOWN.read_text().splitlines(), 1):
        word, _, rest = line.partition(" ")
        if word == "file":
            file = rest
        elif word == "-":
            pairs.append([rest, None])
        elif word == "+" and pairs and pairs[-1][1] is None:
            pairs[-1][1] = rest
        elif word == "+" and pairs:
            pairs.append([pairs[-1][0], rest])
        elif word in ("equivalent:", "judged:") and rest and pairs:
            known.update({(file, *pair): word[:-1] for pair in pairs})
            pairs = []
        elif line and word != "#" and not (line.startswith("  ") and not pairs):
            sys.exit(f"{KNOWN}:{number}: what is '{line}'?")
    return known


# --- what is known of the others ---

DIGITS = 10  # of a mutant's id


def read_killed():
    """Of killed.txt: {first digits of an id: "killed" or "stillborn"}."""
    words = [line.split() for line in KILLED.read_text().splitlines()] if KILLED.exists() else []
    return {i: line[0] for line in words if line and line[0] in ("killed", "stillborn") for i in line[1:]}


def write_killed(found, outcomes):
    """`outcomes`: {first digits of an id: outcome}. Of mutants that there are no more, nothing is kept."""
    lines = ["# Mutants that were seen to die, or that do not compile, by the first digits of their ids: of mutate.py, for",
             "# mutate.py. To try all again: mutate.py --again."]
    for file in sorted({m.file for m in found}):
        lines += ["", f"file {file}"]
        for outcome in ("killed", "stillborn"):
            ids = sorted(m.id[:DIGITS] for m in found if m.file == file and outcomes.get(m.id[:DIGITS]) == outcome)
            lines += [" ".join([outcome, *ids[i:i + 10]]) for i in range(0, len(ids), 10)]
    KILLED.write_text("\n".join(lines) + "\n")


# --- all of them ---


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/mutation", help="scratch folder")
    parser.add_argument("-j", "--jobs", type=int, default=2)
    parser.add_argument("--file", action="append", help="kernel/row.hpp, for example; may be repeated")
    parser.add_argument("--sample", type=int, help="so many mutants, drawn at random")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1000, help="leave out tests of stage 3 that take longer")
    parser.add_argument("--list", action="store_true", help="print the mutants and do nothing")
    parser.add_argument("--resume", action="store_true", help="keep the results that the scratch folder holds")
    parser.add_argument("--survivors", action="store_true", help="the same, and try again what survived")
    parser.add_argument("--known", action="store_true", help="also try what survivors.txt lists")
    parser.add_argument("--again", action="store_true", help="also try what killed.txt lists")
    options = parser.parse_args()

    def say(words):
        print(words, flush=True)

    bench = Bench(options.build.resolve(), options.seconds, say)
    found = mutants.of_headers(bench.include / "simdnorm", [[*CLANG, *AVX2], [*CLANG, *SSE2]])
    known = read_known()
    for file, line, mutated in known.keys() - {m.key() for m in found}:
        say(f"survivors.txt: there is no such mutant any more: {file}\n  - {line}\n  + {mutated}")
    everything, killed = found, {} if options.again else read_killed()
    if options.file:
        found = [m for m in found if m.file in options.file]
    # At random, but so that a mutant keeps its place when other lines of the headers change.
    found.sort(key=lambda m: hashlib.sha256(f"{options.seed} {m.id}".encode()).digest())
    if options.sample:
        found = found[: options.sample]
    if options.list:
        for m in sorted(found, key=lambda m: (m.file, m.begin)):
            say(f"{m.file}:{m.line_number}: {m.operator}\n  - {m.line}\n  + {m.mutated_line}")
        say(f"{len(found)} mutants")
        return 0

    results_path = options.build / "results.jsonl"
    results = {}
    if (options.resume or options.survivors) and results_path.exists():
        for line in results_path.read_text().splitlines():
            result = json.loads(line)
            results[result["id"]] = result
    wanted = {m.id for m in found}
    results = {i: r for i, r in results.items()
               if i in wanted and not (options.survivors and r["outcome"] == "survived")}
    todo = []
    for m in found:
        if m.key() in known and not options.known:
            results[m.id] = m.result(known[m.key()], "")
        elif m.id[:DIGITS] in killed:
            results[m.id] = m.result(killed[m.id[:DIGITS]], "")
        elif m.id not in results:
            todo.append(m)

    say(f"{len(found)} mutants, {len(todo)} to try. The programs, with unchanged headers:")
    bench.prepare()
    folders = queue.Queue()
    for i in range(options.jobs):
        shutil.rmtree(options.build / f"worker{i}", ignore_errors=True)
        folders.put(options.build.resolve() / f"worker{i}")
    lock, start, done, last = threading.Lock(), time.monotonic(), 0, 0.0

    def counts():
        by = {outcome: 0 for outcome in ("killed", "stillborn", "equivalent", "judged", "survived")}
        for result in results.values():
            by[result["outcome"]] += 1
        counted = by["killed"] + by["judged"] + by["survived"]
        return by, 100 * by["killed"] / counted if counted else 100.0

    def one(m, log):
        nonlocal done, last
        folder = folders.get()
        began = time.monotonic()
        try:
            outcome, what = bench.try_mutant(m, folder)
        finally:
            folders.put(folder)
        outcome = known.get(m.key(), outcome) if outcome == "survived" else outcome
        with lock:
            result = results[m.id] = m.result(outcome, what) | {"seconds": round(time.monotonic() - began, 1)}
            log.write(json.dumps(result) + "\n")
            log.flush()
            done += 1
            if outcome == "survived":
                say(f"survived: {m.file}:{m.line_number}\n  - {m.line}\n  + {m.mutated_line}")
            if outcome == "killed" and m.key() in known:
                say(f"survivors.txt lists what {what} kills: {m.file}\n  - {m.line}\n  + {m.mutated_line}")
            now = time.monotonic()
            if now - last > 30 or done == len(todo):
                last = now
                by, rate = counts()
                left = (now - start) / done * (len(todo) - done) / 60
                say(f"{done} of {len(todo)}: " + ", ".join(f"{n} {o}" for o, n in by.items()) +
                    f"; {rate:.1f} %; {left:.0f} minutes left")

    with open(results_path, "a" if options.resume or options.survivors else "w") as log:
        pool = concurrent.futures.ThreadPoolExecutor(options.jobs)
        try:
            for future in [pool.submit(one, m, log) for m in todo]:
                future.result()
        except KeyboardInterrupt:
            say("interrupted; --resume goes on")
        finally:
            pool.shutdown(cancel_futures=True)

    write_killed(everything, read_killed() | {i[:DIGITS]: r["outcome"] for i, r in results.items()})

    by, rate = counts()
    say("\nfile: killed, stillborn, equivalent, judged, survived")
    for file in sorted({m.file for m in found}):
        of_file = [r["outcome"] for r in results.values() if r["file"] == file]
        say(f"{file}: " + ", ".join(str(of_file.count(outcome)) for outcome in by))
    for m in sorted(found, key=lambda m: (m.file, m.begin)):
        if results.get(m.id, {}).get("outcome") == "survived":
            say(f"survived: {m.file}:{m.line_number} ({m.operator})\n  - {m.line}\n  + {m.mutated_line}")
    say(", ".join(f"{n} {o}" for o, n in by.items()) + f": {rate:.2f} % killed, of those that are not equivalent")
    return 0 if rate >= LEAST_RATE and len(results) == len(found) else 1


if __name__ == "__main__":
    sys.exit(main())
