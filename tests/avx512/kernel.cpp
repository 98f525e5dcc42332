// Runs one static Linux program on the bare machine: loads it from the disk, gives it a stack, and answers
// the system calls that the C++ library and GoogleTest make. There are no files, signals or protected pages,
// and a thread runs to its end before the one that starts it goes on.
#include <asm/prctl.h>
#include <elf.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>

#include <cstddef>
#include <cstdint>

namespace {

using Word = std::uint64_t;

/// What a program has in registers when it calls, as boot.S pushes them.
struct Frame {
  Word r15, r14, r13, r12, r10, r9, r8, rbp, rdi, rsi, rdx, rbx, rax, rip, rsp;
};

// Where things lie; boot.S maps 256 MiB, of which image.ld takes some from 192 MiB on.
constexpr Word mebi = 1 << 20;
constexpr Word heap_limit = 64 * mebi;  // the program, where it is linked, and what brk gives it
constexpr Word maps_begin = 64 * mebi, maps_end = 180 * mebi;  // what mmap gives it
constexpr Word stack_end = 192 * mebi - 4096;
constexpr Word disk_copy = 200 * mebi;

}  // namespace

extern "C" {
[[noreturn]] void shutdown();
[[noreturn]] void resume(Frame* frame);
void syscall_entry();
Frame* system_call(Frame* call);
[[noreturn]] void run_program();

// What the compiler calls on its own.
void* memcpy(void* to, const void* from, std::size_t bytes) {
  void* const begin = to;
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
  return begin;
}
void* memset(void* to, int value, std::size_t bytes) {
  void* const begin = to;
  asm volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
  return begin;
}
}

namespace {

template <class T> T* at(Word address) { return reinterpret_cast<T*>(address); }
template <class T> Word address_of(T* pointer) { return reinterpret_cast<Word>(pointer); }

Word length(const char* text) {
  Word bytes = 0;
  while (text[bytes] != 0) ++bytes;
  return bytes;
}

// --- the machine ---

void out(int port, int value) { asm volatile("outb %b0, %w1" : : "a"(value), "d"(port)); }
int in(int port) {
  std::uint8_t value;
  asm volatile("inb %w1, %0" : "=a"(value) : "d"(port));
  return value;
}
void write_msr(unsigned msr, Word value) { asm volatile("wrmsr" : : "c"(msr), "a"(value), "d"(value >> 32)); }

constexpr int com1 = 0x3f8, com2 = 0x2f8;  // the program's output, and its exit status

/// Returns when everything has left the port.
void send(int port, const char* text, Word bytes) {
  out(port + 3, 3);  // characters of 8 bits
  for (Word i = 0; i < bytes; ++i) {
    out(port, text[i]);
    while ((in(port + 5) & 0x40) == 0) {
    }
  }
}
void send(int port, const char* text) { send(port, text, length(text)); }
void send(int port, Word number) {
  char digits[20];
  int i = sizeof digits;
  do digits[--i] = static_cast<char>('0' + number % 10);
  while ((number /= 10) != 0);
  send(port, digits + i, sizeof digits - static_cast<Word>(i));
}

/// Sector number `sector` of the first ATA disk, 512 bytes.
void read_sector(Word sector, void* to) {
  constexpr int ata = 0x1f0, status = ata + 7, busy = 0x80, data_ready = 0x08, read = 0x20;
  const int number = static_cast<int>(sector);
  out(ata + 2, 1);
  out(ata + 3, number);
  out(ata + 4, number >> 8);
  out(ata + 5, number >> 16);
  out(ata + 6, 0xe0 | number >> 24);
  out(status, read);
  while ((in(status) & (busy | data_ready)) != data_ready) {
  }
  std::size_t words = 256;
  asm volatile("rep insw" : "+D"(to), "+c"(words) : "d"(ata) : "memory");
}

// --- system calls ---

Word heap_end, maps_next = maps_begin;

/// A thread that waits for the one that it has started.
struct Waiting {
  Frame* frame;
  Word thread_pointer;
  int* ended;  // becomes 0 when the started thread has ended
};
constexpr int most_waiting = 16;
Waiting waiting[most_waiting];
int threads_waiting = 0, threads_started = 0;

Word thread_pointer() {
  Word value;
  asm volatile("rdfsbase %0" : "=r"(value));
  return value;
}
void set_thread_pointer(Word value) { asm volatile("wrfsbase %0" : : "r"(value)); }

[[noreturn]] void end(Word status) {
  send(com2, status);
  shutdown();
}
[[noreturn]] void fail(const char* words, Word number) {
  send(com1, "kernel.cpp: ");
  send(com1, words);
  send(com1, number);
  send(com1, "\n");
  shutdown();
}

Word error(int number) { return -static_cast<Word>(number); }

Word answer(const Frame& call) {
  switch (call.rax) {
    case SYS_write:
      send(com1, at<char>(call.rsi), call.rdx);
      return call.rdx;
    case SYS_writev: {
      Word bytes = 0;
      for (Word i = 0; i < call.rdx; ++i) {
        const iovec& piece = at<iovec>(call.rsi)[i];
        send(com1, static_cast<char*>(piece.iov_base), piece.iov_len);
        bytes += piece.iov_len;
      }
      return bytes;
    }

    case SYS_brk:
      if (call.rdi >= heap_end && call.rdi <= heap_limit) heap_end = call.rdi;
      return heap_end;  // it never shrinks, so that it is zero where it grows
    case SYS_mmap: {
      if ((call.r10 & (MAP_ANONYMOUS | MAP_FIXED)) != MAP_ANONYMOUS) return error(ENODEV);
      const Word bytes = (call.rsi + 4095) & ~Word(4095);
      if (bytes > maps_end - maps_next) return error(ENOMEM);
      return (maps_next += bytes) - bytes;  // and is not taken back, for the same reason
    }
    case SYS_munmap:
    case SYS_mprotect:
    case SYS_madvise:
      return 0;

    case SYS_arch_prctl:
      if (call.rdi != ARCH_SET_FS) return error(EINVAL);
      set_thread_pointer(call.rsi);
      return 0;
    case SYS_futex: {  // nobody else runs who could wake a thread
      const bool waits = (call.rsi & 0x7f) == 0;
      if (waits && *at<unsigned>(call.rdi) == static_cast<unsigned>(call.rdx))
        fail("a thread waits for ever at ", call.rdi);
      return waits ? error(EAGAIN) : 0;
    }
    case SYS_clock_gettime: {  // a cycle is a nanosecond
      const Word cycles = __builtin_ia32_rdtsc();
      *at<timespec>(call.rsi) = {static_cast<time_t>(cycles / 1000000000),
                                 static_cast<long>(cycles % 1000000000)};
      return 0;
    }
    case SYS_uname: {
      utsname& name = *at<utsname>(call.rdi);
      name = {};
      __builtin_memcpy(name.release, "6.1.0", 6);
      return 0;
    }
    case SYS_getcwd:
      memcpy(at<void>(call.rdi), "/", 2);
      return 2;
    case SYS_getrandom:
      memset(at<void>(call.rdi), 42, call.rsi);
      return call.rsi;
    case SYS_getpid:
    case SYS_gettid:
    case SYS_set_tid_address:
      return 1;
    case SYS_rt_sigaction:
    case SYS_rt_sigprocmask:
    case SYS_sigaltstack:
      return 0;

    case SYS_open:
    case SYS_openat:
    case SYS_readlink:
    case SYS_access:
      return error(ENOENT);
    case SYS_ioctl:
      return error(ENOTTY);
    case SYS_fstat:
    case SYS_newfstatat:
    case SYS_sched_getaffinity:
    case SYS_prlimit64:
    case SYS_set_robust_list:
    case SYS_rseq:
    case SYS_clone3:  // and the library calls clone
      return error(ENOSYS);
    default:
      fail("no answer to system call ", call.rax);
  }
}

/// The frame of a thread that runs on its own stack from now on, while its caller waits.
Frame* start_thread(Frame* call) {
  if (threads_waiting == most_waiting) fail("threads in threads: ", most_waiting);
  call->rax = static_cast<Word>(2 + threads_started++);
  *at<int>(call->rdx) = static_cast<int>(call->rax);
  waiting[threads_waiting++] = {call, thread_pointer(), at<int>(call->r10)};
  Frame* const thread = at<Frame>(call->rsi) - 1;
  *thread = *call;
  thread->rax = 0;
  thread->rsp = call->rsi;
  set_thread_pointer(call->r8);
  return thread;
}
Frame* end_thread() {
  const Waiting& next = waiting[--threads_waiting];
  *next.ended = 0;
  set_thread_pointer(next.thread_pointer);
  return next.frame;
}

}  // namespace

/// Answers a call of the program; returns what goes on.
Frame* system_call(Frame* call) {
  if (call->rax == SYS_exit_group || (call->rax == SYS_exit && threads_waiting == 0)) end(call->rdi & 0xff);
  if (call->rax == SYS_tgkill) end(128 + call->rdx);  // abort()
  if (call->rax == SYS_exit) return end_thread();
  if (call->rax == SYS_clone) return start_thread(call);
  call->rax = answer(*call);
  return call;
}

/// The disk: in its first page the number of its sectors and the arguments, each ending with a zero, and one
/// zero more; then the program.
[[noreturn]] void run_program() {
  char* const disk = at<char>(disk_copy);
  const char* argument = disk;
  read_sector(0, disk);
  Word sectors = 0;
  for (; *argument != 0; ++argument) sectors = 10 * sectors + static_cast<Word>(*argument - '0');
  for (Word i = 1; i < sectors; ++i) read_sector(i, disk + 512 * i);

  const char* const file = disk + 4096;
  const auto& program = *reinterpret_cast<const Elf64_Ehdr*>(file);
  if (program.e_type != ET_EXEC) fail("compile with -static -no-pie: the ELF type is ", program.e_type);
  const auto* const parts = reinterpret_cast<const Elf64_Phdr*>(file + program.e_phoff);
  Word headers = 0;
  for (int i = 0; i < program.e_phnum; ++i) {
    const Elf64_Phdr& part = parts[i];
    if (part.p_type != PT_LOAD) continue;
    memcpy(at<void>(part.p_vaddr), file + part.p_offset, part.p_filesz);
    if (part.p_offset == 0) headers = part.p_vaddr + program.e_phoff;
    if (part.p_vaddr + part.p_memsz > heap_end) heap_end = part.p_vaddr + part.p_memsz;
  }
  heap_end = (heap_end + 4095) & ~Word(4095);

  // argc, argv, no environment, and the auxiliary vector: AT_NULL ends it.
  Word* const stack = at<Word>(stack_end - 4096);
  Word n = 1;
  while (*++argument != 0) {
    stack[n++] = address_of(argument);
    argument += length(argument);
  }
  stack[0] = n - 1;
  n += 2;
  const Word auxiliary[] = {AT_PHDR,         headers,   AT_PHENT, sizeof *parts, AT_PHNUM,
                            program.e_phnum, AT_PAGESZ, 4096,     AT_RANDOM,     address_of(file)};
  for (Word word : auxiliary) stack[n++] = word;

  write_msr(0xc0000081, Word(0x10) << 32);            // STAR: code and data selectors of the GDT
  write_msr(0xc0000082, address_of(&syscall_entry));  // LSTAR
  Frame start{};
  start.rip = program.e_entry;
  start.rsp = address_of(stack);
  resume(&start);
}
