#!/bin/sh
# emulated.sh PROCESSOR PROGRAM ARGUMENTS...: runs a program on a processor that QEMU emulates. Ends as the program does, or
# with 77 where there is no QEMU, or one that cannot (AVX2 came with 7.2).
set -eu
command -v qemu-x86_64 >/dev/null || { echo "skipped: no qemu-x86_64 (Debian: apt-get install qemu-user)"; exit 77; }
version=$(qemu-x86_64 --version | sed -n 's/^qemu-x86_64 version \([0-9]*\.[0-9]*\).*/\1/p')
[ "$(printf '7.2\n%s\n' "$version" | sort -V | head -n1)" = 7.2 ] || { echo "skipped: QEMU $version"; exit 77; }
processor=$1
shift
exec qemu-x86_64 -cpu "$processor" "$@"
