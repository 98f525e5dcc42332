#!/bin/sh
# golden.sh SCRATCH COMPILER FLAGS...: compares what golden/hash.cpp prints, compiled for AVX-512 and run by
# run.sh, with what it prints, compiled for any x86-64 and run here. Ends with 77 where run.sh does.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
scratch=$1 compiler=$2
shift 2
"$here/run.sh" || exit $?
mkdir -p "$scratch"
"$compiler" -std=c++17 -O2 "$@" "$here/../golden/hash.cpp" -o "$scratch/native"
"$compiler" -std=c++17 -O2 "$@" -mavx512f -mavx512cd -mavx512dq -mavx512bw -mavx512vl \
  -static -no-pie "$here/../golden/hash.cpp" -o "$scratch/avx512"

native=$("$scratch/native")
status=0
avx512=$("$here/run.sh" "$scratch/avx512") || status=$?
echo "native   $native"
echo "AVX-512  $avx512"
[ $status -ne 0 ] || [ "$avx512" = "$native" ] || status=1
exit $status
