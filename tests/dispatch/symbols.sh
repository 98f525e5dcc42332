#!/bin/sh
# symbols.sh OBJECT...: whether what is compiled for one instruction set stays with it, in the objects of `dispatched`: the
# kernels of each, by their names, and the callers, which are compiled as the baseline is. No function or variable that a
# linker could take for another of its name may be in the objects of two sets, and no object may have instructions of a set
# that is not its own. Ends with 77 without nm and objdump.
set -eu
command -v nm >/dev/null && command -v objdump >/dev/null || { echo "skipped: no nm or no objdump"; exit 77; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for set in baseline avx2 avx512; do : >"$scratch/$set"; done

status=0
fault() { echo "$*"; status=1; }
for object; do
  case ${object##*/} in
    avx2_*) set=avx2 own='%ymm' foreign='%zmm|%k[0-7]' ;;
    avx512_*) set=avx512 own='%zmm' foreign='' ;;
    baseline_*) set=baseline own='%xmm' foreign='	v[a-z0-9]+ .*%[xyz]mm' ;;
    *) set=baseline own='' foreign='	v[a-z0-9]+ .*%[xyz]mm' ;;
  esac
  # All but a pointer to the routine of the C++ library that exceptions need.
  nm --defined-only --extern-only --format=posix "$object" | cut -d' ' -f1 | grep -v '^DW\.ref\.' >>"$scratch/$set"
  objdump -d --no-show-raw-insn "$object" >"$scratch/code"
  [ -z "$own" ] || grep -qE -- "$own" "$scratch/code" || fault "$object: no instruction of $set"
  [ -z "$foreign" ] || ! grep -m3 -E -- "$foreign" "$scratch/code" || fault "$object: instructions that $set has not"
done
for set in baseline avx2 avx512; do
  sort -u -o "$scratch/$set" "$scratch/$set"
  echo "$set: $(wc -l <"$scratch/$set") names"
  [ -s "$scratch/$set" ] || fault "no object of $set"
done
for pair in "baseline avx2" "baseline avx512" "avx2 avx512"; do
  set -- $pair
  comm -12 "$scratch/$1" "$scratch/$2" >"$scratch/both"
  [ ! -s "$scratch/both" ] || fault "in $1 and in $2: $(c++filt <"$scratch/both")"
done
exit $status
