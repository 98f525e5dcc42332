#!/bin/sh
# compiled.sh HEADERS PROGRAM...: what the compiler made of the kernels (SIMDNORM_KERNEL) in the programs.
#   Each is one function: no loop (SIMDNORM_LOOP), and no lambda of a kernel, is a function by itself that would be called for
#   each vector, as g++ leaves it where something in between is always inlined.
#   On x86 each that is to fetch rows ahead (FetchedRows, FetchedAsRead) does so: g++ takes away a call that does nothing else, if
#   it comes to it before it has inlined it.
#   There none of those that loop over contiguous rows copies by a wide load, where it begins, what it has just stored in parts: the
#   load would have to wait until the stores have left the processor's queue, some twenty cycles for each call. (Not of a sink with
#   a DropoutMask, of more than two cache lines: it is copied twice at -O1, but not at -O2.)
# Ends with 77 without nm and objdump.
set -eu
headers=$1
shift
[ $# -gt 0 ] || { echo "no program"; exit 1; }
command -v nm >/dev/null && command -v objdump >/dev/null || { echo "skipped: no nm or no objdump"; exit 77; }
# The names that are declared with a macro, as alternatives of a regular expression.
declared() {
  grep -rhE "$1 .*\(" --include=*.hpp --exclude=config.hpp "$headers" | sed -E "s/.*$1 [^(]* ([a-z_]+)\(.*/\1/" |
    sort -u | paste -sd'|'
}
loops=$(declared SIMDNORM_LOOP) kernels=$(declared SIMDNORM_KERNEL)
echo "loops: $loops"
echo "kernels: $kernels"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
status=0
fault() { echo "$*"; status=1; }
for program; do
  # Without template arguments, then without parameters: `simdnorm::normalize`, and of a lambda in it
  # `simdnorm::normalize::{lambda#1}::operator`.
  nm -C --defined-only "$program" | grep ' simdnorm::' | grep -v ' simdnorm::Check::' |
    sed -E -e 's/operator(<<|<=|<|>>|>=|>|->)//g' -e ':again' -e 's/<[^<>]*>//g' -e 't again' \
      -e ':more' -e 's/\([^()]*\)//g' -e 't more' >"$scratch/names"
  count=$(grep -cE "simdnorm::($kernels)( |\$)" "$scratch/names") || fault "$program: no kernel"
  echo "$program: $count kernels"
  ! grep -E "simdnorm::(.*::)?($loops)( |\$)|simdnorm::(.*::)?($kernels)::.*lambda" "$scratch/names" ||
    fault "$program: not part of their kernels"

  [ "$(uname -m)" = x86_64 ] || continue
  objdump -d -C --no-show-raw-insn "$program" >"$scratch/code"
  awk \
    -v kernels="^[0-9a-f]+ <([^(]*simdnorm::($kernels)<.*FetchedRows<|[^(:]*simdnorm::(sum_about_zero|sum_gradients)<.*FetchedAsRead<)" '
    function tell() { if (name != "") { count++; if (!fetches) { print name; faults++ } } }
    /^[0-9a-f]+ </ { tell(); name = $0 ~ kernels && !/cold/ ? $0 : ""; fetches = 0 }
    /\tprefetch/ { fetches = 1 }
    END { tell(); print count + 0 " of them fetch"; exit !count || faults > 0 }' "$scratch/code" ||
    fault "$program: kernels that do not fetch"
  awk -v kernels="^[0-9a-f]+ <([^(<]* )?simdnorm::(normalize|differentiate|sum_about_zero|sum_gradients|copy|compute)<" '
    function bytes(op, operands) {
      if (operands ~ /%zmm/) return 64
      if (operands ~ /%ymm/) return 32
      if (op ~ /ss$|movd$/ || operands ~ /%e|%r[0-9]+d/ || op == "movl") return 4
      if (op ~ /b$/ || operands ~ /%[a-ds]i?l,|%r[0-9]+b/) return 1
      return operands ~ /%xmm/ && op !~ /sd$|q$|[lh]p[sd]$/ ? 16 : 8
    }
    function offset(place, digits, n) {
      digits = place
      gsub(/^-?(0x)?|\(.*/, "", digits)
      for (n = 0; digits != ""; digits = substr(digits, 2))
        n = 16 * n + index("0123456789abcdef", substr(digits, 1, 1)) - 1
      return place ~ /^-/ ? -n : n
    }
    /^[0-9a-f]+ </ { name = $0 ~ kernels && !/cold|RowsAcross|DropoutMask/ ? $0 : ""; count += name != ""; split("", stored); left = 90; next }
    name == "" || left-- <= 0 || !match($0, /-?(0x[0-9a-f]+)?\(%r[sb]p\)/) { next }
    {
      place = substr($0, RSTART, RLENGTH); op = $2; operands = $3
      at = offset(place)
      base = place; sub(/.*\(/, "", base)
      size = bytes(op, operands)
      if (RSTART + RLENGTH > length($0) - 1 && op ~ /^v?mov|^v?p?extr/) {
        stored[base " " at] = size
      } else if (op ~ /^v?mov(dq[au](32|64)?|[au]p[sd])$/) {
        for (s in stored) {
          split(s, where, " ")
          if (where[1] == base && stored[s] < size && where[2] < at + size && at < where[2] + stored[s]) {
            print name; print; faults++; name = ""; break
          }
        }
      }
    }
    END { print count - faults " begin without waiting"; exit !count || faults > 0 }' "$scratch/code" ||
    fault "$program: kernels that wait for what they stored"
done
exit $status
