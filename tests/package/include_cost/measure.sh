#!/usr/bin/env bash
# What including simdnorm costs at compile time: CPU seconds of `g++ -O2`, the least of RUNS interleaved runs.
# usage: measure.sh [compiler [flags that find Eigen and xsimd...]]       (by default what pkg-config says)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
compiler=${1:-g++}
shift || true
if (($#)); then directories=("$@"); else read -ra directories < <(pkg-config --cflags eigen3 xsimd); fi
object=$(mktemp)
trap 'rm -f "$object"' EXIT

cpu_seconds() { # of one compilation
  local TIMEFORMAT='%U %S'
  { time "$compiler" -std=c++17 -O2 -c -o "$object" -I"$here/../../../include" "${directories[@]}" "$@"; } 2>&1 |
    awk 'NF == 2 { print $1 + $2; next } { print > "/dev/stderr" }'
}

for ((run = 0; run < ${RUNS:-5}; run++)); do
  alone=$(cpu_seconds -DSTEP=0 "$here/includes.cpp")
  included=$(cpu_seconds -DSTEP=1 "$here/includes.cpp")
  used=$(cpu_seconds "$here/operators.cpp")
  echo "$alone $included $used"
done | awk '
  { for (i = 1; i <= 3; i++) if (NR == 1 || $i < least[i]) least[i] = $i }
  END {
    if (!least[3]) exit 1
    printf "Eigen Tensor and xsimd alone             %6.2f s\n", least[1]
    printf "including simdnorm.hpp adds              %6.2f s   (at most 0.5)\n", least[2] - least[1]
    printf "forward and backward of both norms add   %6.2f s   (at most 5)\n", least[3] - least[2]
  }'
