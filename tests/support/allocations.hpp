// Counts what a piece of code allocates, on any thread: every malloc of the program, by replacing glibc's;
// elsewhere only operator new. Include it in ONE file of a program, which must be the test itself.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace support {

struct AllocationCounter {
  static inline std::atomic<bool> counting{false};
  static inline std::atomic<long> calls{0};
  static inline std::atomic<std::size_t> bytes{0};
  static inline std::atomic<std::size_t> largest{0};

  static void see(std::size_t size) noexcept {
    if (!counting.load(std::memory_order_relaxed)) return;
    ++calls;
    bytes += size;
    std::size_t before = largest.load();
    while (before < size && !largest.compare_exchange_weak(before, size)) {
    }
  }
};

struct Allocations {
  long calls;
  std::size_t bytes, largest;
};

template <class F> Allocations count_allocations(F&& f) {
  AllocationCounter::calls = 0;
  AllocationCounter::bytes = 0;
  AllocationCounter::largest = 0;
  AllocationCounter::counting = true;
  f();
  AllocationCounter::counting = false;
  return {AllocationCounter::calls, AllocationCounter::bytes, AllocationCounter::largest};
}

}  // namespace support

// A sanitizer has a malloc of its own, which must stay.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SIMDNORM_TEST_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SIMDNORM_TEST_SANITIZER 1
#endif
#endif

#if defined(__GLIBC__) && !defined(SIMDNORM_TEST_SANITIZER)
#define SIMDNORM_TEST_COUNTS_MALLOC 1
#include <cerrno>
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void* malloc(std::size_t size) noexcept {
  support::AllocationCounter::see(size);
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) noexcept {
  support::AllocationCounter::see(count * size);
  return __libc_calloc(count, size);
}
void* realloc(void* block, std::size_t size) noexcept {
  support::AllocationCounter::see(size);
  return __libc_realloc(block, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  support::AllocationCounter::see(size);
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** block, std::size_t alignment, std::size_t size) noexcept {
  support::AllocationCounter::see(size);
  *block = __libc_memalign(alignment, size);
  return *block == nullptr ? ENOMEM : 0;
}
}
#elif !defined(SIMDNORM_TEST_SANITIZER)
void* operator new(std::size_t size) {
  support::AllocationCounter::see(size);
  if (void* block = std::malloc(size)) return block;
  throw std::bad_alloc();
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }
#endif
