#!/bin/sh
# count.sh SCRATCH COMPILER FLAGS...: compiles calls.cpp with `COMPILER FLAGS`, counts the instructions of its calls under
# callgrind, prints them, and compares them with expected.txt. Ends with 1 where one differs by more than 3 %, and with 77
# where there is no valgrind, or not the compiler that made the table.
#
# Instructions are not time, but unlike time they are the same today and tomorrow: a loop that has lost its vectors, its
# registers or its inlining shows at once. Whoever means a change puts the new line into expected.txt.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
scratch=$1 compiler=$2
shift 2
command -v valgrind >/dev/null || { echo "no valgrind"; exit 77; }
grep -qw avx2 /proc/cpuinfo || { echo "no AVX2"; exit 77; }
[ "$("$compiler" -dumpversion)" = 12 ] || { echo "the table is of g++ 12"; exit 77; }
rm -rf "$scratch"
mkdir -p "$scratch"
cd "$scratch"
"$compiler" -std=c++17 -O2 -DNDEBUG -mavx2 -mfma "$@" "$here/calls.cpp" -o calls
valgrind --quiet --tool=callgrind --callgrind-out-file=out --collect-atstart=no --toggle-collect=counted \
  --dump-after=counted ./calls >names

number=0
while read -r name; do
  number=$((number + 1))
  echo "$name $(awk '$1 == "totals:" || $1 == "summary:" { print $2; exit }' "out.$number")"
done <names >counts
awk '
  FILENAME == ARGV[1] && !/^#/ && NF { expected[$1] = $2 }
  FILENAME == ARGV[1] { next }
  {
    seen[$1] = 1
    change = $1 in expected ? ($2 / expected[$1] - 1) * 100 : 100
    wrong = change > 3 || change < -3
    faults += wrong
    printf "%-45s %9d %+6.1f %%%s\n", $1, $2, change, wrong ? "  WRONG" : ""
  }
  END {
    for (name in expected) if (!(name in seen)) { print name " is not counted"; faults++ }
    exit faults > 0
  }' "$here/expected.txt" counts
