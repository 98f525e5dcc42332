#!/bin/sh
# run.sh PROGRAM ARGUMENTS...: runs a static Linux program on a machine with AVX-512 that Bochs emulates; see
# kernel.cpp for what it may do. Ends as the program does, or with 77 where there is no Bochs that can.
# Without arguments, only tells whether there is one.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
skip() {
  echo "skipped: $1 (Debian: apt-get install bochs bochs-term)"
  exit 77
}
bochs --help cpu 2>&1 </dev/null | grep -q corei7_skylake_x || skip "no Bochs, or one without AVX-512"
[ $# -gt 0 ] || exit 0

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
strip -o "$scratch/program" "$1"
cd "$scratch"

${CXX:-g++} -std=c++17 -O1 -ffreestanding -fno-pic -mno-red-zone -mgeneral-regs-only -fno-exceptions \
  -fno-stack-protector -fcf-protection=none -nostdlib -static -no-pie \
  -Wl,--build-id=none -Wl,-T,"$here/image.ld" "$here/boot.S" "$here/kernel.cpp" -o image.elf
objcopy -O binary image.elf image

# kernel.cpp says what is on the disk; Bochs wants whole cylinders.
bytes=$(stat -c %s program)
{ printf '%s\0' $((bytes / 512 + 9)) "$@" | dd bs=4096 conv=sync status=none; cat program; } >disk
truncate -s %516096 disk

# Debian's Bochs starts in its debugger: `c` continues. It always ends with an error, that of being shut down.
touch output status
echo c | TERM=xterm timeout --foreground -s KILL 3600 bochs -q -f "$here/bochsrc" >bochs.out 2>&1 || true
! grep -q 'display library .* not available' bochs.out || skip "no display library that needs no display"
cat output
[ -s status ] || {
  echo "The machine has ended without an exit status: no AVX-512, an exception, or an hour."
  grep '>>PANIC<<\|RIP=' log
  exit 1
}
exit "$(cat status)"
