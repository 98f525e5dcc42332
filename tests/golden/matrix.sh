#!/bin/sh
# matrix.sh SCRATCH FLAGS...: builds and runs hash.cpp with each compiler that is installed, for each instruction set that
# this machine or QEMU runs, at -O0 to -O3. Ends with 1 where one of the hashes is not the golden one. (AVX-512:
# ../avx512/golden.sh.)
set -u
here=$(cd "$(dirname "$0")" && pwd)
scratch=$1
shift
mkdir -p "$scratch"
builds=0 faults=0

# build LABEL RUNNER COMPILER FLAGS...
build() {
  label=$1 runner=$2 hash=
  shift 2
  builds=$((builds + 1))
  if "$@" -std=c++17 "$here/hash.cpp" -o "$scratch/hash" && hash=$($runner "$scratch/hash"); then
    echo "$hash  $label"
  else
    faults=$((faults + 1))
    echo "WRONG ${hash:-no hash}  $label"
  fi
}

for level in 0 1 2 3; do
  if [ "$(uname -m)" = x86_64 ]; then
    for compiler in g++ clang++-14 clang++-19; do
      command -v $compiler >/dev/null || continue
      for set in -msse2 -msse4.1 -mavx "-mavx2 -mfma" "-mavx2 -mfma -ffp-contract=fast" -DSIMDNORM_NO_SIMD "-mavx2 -mfma -DSIMDNORM_NO_SIMD"; do
        case $set in *avx2*) grep -qw avx2 /proc/cpuinfo || continue ;; *avx) grep -qw avx /proc/cpuinfo || continue ;; esac
        build "$compiler -O$level $set" "" $compiler -O$level $set "$@"
      done
    done
  fi
  if command -v aarch64-linux-gnu-g++ qemu-aarch64 >/dev/null; then
    emulator="qemu-aarch64 -L /usr/aarch64-linux-gnu"
    build "g++ -O$level NEON64" "$emulator" aarch64-linux-gnu-g++ -O$level "$@" -idirafter /usr/include
    command -v clang++-14 >/dev/null &&
      build "clang++-14 -O$level NEON64" "$emulator" clang++-14 --target=aarch64-linux-gnu -O$level "$@" -idirafter /usr/include
  fi
done
echo "$builds builds, $faults with another hash"
[ $builds -gt 0 ] && [ $faults -eq 0 ]
