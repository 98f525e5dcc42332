// The machine's caches: how large the last one is, and how rows are fetched ahead and written past them.
#pragma once

#include <algorithm>
#include <atomic>

#include "simd_number.hpp"

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#include <cpuid.h>
#elif defined(_MSC_VER) && defined(_M_X64)
#include <intrin.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace simdnorm {

/// Bytes of the last cache that a core reads through, as the processor tells; 32 MiB where it does not. (What glibc's
/// sysconf tells of AMD's is the sum over all cores.)
SIMDNORM_COLD inline Index last_cache_bytes() {
  Index largest = 0;
#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__) || defined(_MSC_VER) && defined(_M_X64)
  struct Registers {
    unsigned a, b, c, d;
  };
  const auto cpuid = [](unsigned leaf, unsigned cache) {
    Registers r{};
#if defined(_MSC_VER)
    __cpuidex(reinterpret_cast<int*>(&r), static_cast<int>(leaf), static_cast<int>(cache));
#else
    __cpuid_count(leaf, cache, r.a, r.b, r.c, r.d);
#endif
    return r;
  };
  // AMD's and Intel's leaf of "deterministic cache parameters", of one form.
  for (const unsigned leaf : {0x8000001dU, 4U}) {
    if (cpuid(leaf & 0x80000000U, 0).a < leaf) continue;
    for (unsigned cache = 0; cache < 8; ++cache) {
      const Registers r = cpuid(leaf, cache);
      if ((r.a & 31U) == 0) break;  // no more of them
      const Index ways = (r.b >> 22U) + 1, partitions = (r.b >> 12U & 1023U) + 1, line = (r.b & 4095U) + 1;
      largest = std::max(largest, ways * partitions * line * (static_cast<Index>(r.c) + 1));
    }
  }
#elif defined(__APPLE__)
  for (const char* name : {"hw.l3cachesize", "hw.perflevel0.l2cachesize", "hw.l2cachesize"}) {
    std::int64_t bytes = 0;
    std::size_t size = sizeof bytes;
    if (sysctlbyname(name, &bytes, &size, nullptr, 0) == 0) largest = std::max<Index>(largest, bytes);
  }
#endif
  return largest > 0 ? largest : Index(32) << 20;
}

inline std::atomic<Index> streaming_threshold_setting{-1};  // -1: the machine was not asked yet

/// Bytes of all rows that a call reads and writes above which it fetches rows ahead and writes them past the caches: they
/// would not stay there until they are used again, and an ordinary store reads each line before it writes it.
/// Three eighths of the last cache, unless set. Results have the same bits.
inline Index streaming_threshold() {
  Index bytes = streaming_threshold_setting.load(std::memory_order_relaxed);
  if (SIMDNORM_UNLIKELY(bytes < 0)) {
    bytes = last_cache_bytes() / 8 * 3;
    streaming_threshold_setting.store(bytes, std::memory_order_relaxed);
  }
  return bytes;
}
/// Sets it for all calls of the program that begin after it, in bytes; below 0 is 0. Any thread may.
inline void set_streaming_threshold(Index bytes) {
  streaming_threshold_setting.store(std::max<Index>(bytes, 0), std::memory_order_relaxed);
}

namespace simd {

inline constexpr Index cache_line = 64;  // bytes

/// Has the line fetched that lies `bytes` after p, into the cache of the first or second level; it may be nobody's memory.
template <int Level> SIMDNORM_INLINE void fetch(const void* p, Index bytes) {
  const void* const ahead =
      reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(p) + static_cast<std::uintptr_t>(bytes));
#if defined(__SSE2__) || defined(_M_X64)
  _mm_prefetch(static_cast<const char*>(ahead), Level == 1 ? _MM_HINT_T0 : _MM_HINT_T1);
#elif defined(__GNUC__) || defined(__clang__)
  __builtin_prefetch(ahead, 0, Level == 1 ? 3 : 2);
#else
  (void)ahead;
#endif
}

// Chosen by the type of the register that the last argument points to, as in simd.hpp.
template <class R, class T> SIMDNORM_INLINE void store_past_caches(T* p, typename R::type a, const void*) {
  R::store(p, a);
}
#if defined(__SSE2__) || defined(_M_X64)
template <class R> SIMDNORM_INLINE void store_past_caches(float* p, __m128 a, const __m128*) {
  _mm_stream_ps(p, a);
}
template <class R> SIMDNORM_INLINE void store_past_caches(double* p, __m128d a, const __m128d*) {
  _mm_stream_pd(p, a);
}
#endif
#if defined(SIMDNORM_HAS_XSIMD) && defined(__AVX__)
template <class R> SIMDNORM_INLINE void store_past_caches(float* p, __m256 a, const __m256*) {
  _mm256_stream_ps(p, a);
}
template <class R> SIMDNORM_INLINE void store_past_caches(double* p, __m256d a, const __m256d*) {
  _mm256_stream_pd(p, a);
}
#endif
#if defined(SIMDNORM_HAS_XSIMD) && defined(__AVX512F__)
template <class R> SIMDNORM_INLINE void store_past_caches(float* p, __m512 a, const __m512*) {
  _mm512_stream_ps(p, a);
}
template <class R> SIMDNORM_INLINE void store_past_caches(double* p, __m512d a, const __m512d*) {
  _mm512_stream_pd(p, a);
}
#endif

/// Stores 8, 32 or 64 bytes, or a multiple of 16, to a place that is aligned so.
template <std::size_t Count> SIMDNORM_INLINE void stream_bytes(void* to, const void* from) {
#if defined(SIMDNORM_HAS_XSIMD) && defined(__AVX512F__)
  if constexpr (Count == 64) {
    _mm512_stream_si512(static_cast<__m512i*>(to), _mm512_loadu_si512(from));
    return;
  }
#endif
#if defined(SIMDNORM_HAS_XSIMD) && defined(__AVX__)
  if constexpr (Count == 32) {
    _mm256_stream_si256(static_cast<__m256i*>(to), _mm256_loadu_si256(static_cast<const __m256i*>(from)));
    return;
  }
#endif
#if defined(__x86_64__) || defined(_M_X64)
  if constexpr (Count % 16 == 0) {
    for (std::size_t i = 0; i < Count / 16; ++i)
      _mm_stream_si128(static_cast<__m128i*>(to) + i, _mm_loadu_si128(static_cast<const __m128i*>(from) + i));
    return;
  } else if constexpr (Count == 8) {
    long long bytes = 0;
    std::memcpy(&bytes, from, sizeof bytes);
    _mm_stream_si64(static_cast<long long*>(to), bytes);
    return;
  }
#endif
  std::memcpy(to, from, Count);
}

/// Stores a whole vector past the caches, where the instruction set can, to a place that is aligned as the vector is
/// long. Other threads see it after end_of_streaming().
template <class T, class Arch> SIMDNORM_INLINE void stream(T* p, Vector<T, Arch> a) {
  using R = Register<T, Arch>;
  store_past_caches<R>(p, a.value, static_cast<const typename R::type*>(nullptr));
}
/// The same of numbers that lie in memory as U.
template <class U, class T, class Arch, class = IfConverted<Vector<T, Arch>, U>>
SIMDNORM_INLINE void stream(U* p, Vector<T, Arch> a) {
  U numbers[Vector<T, Arch>::width];
  store(All{}, static_cast<U*>(numbers), a);
  stream_bytes<sizeof numbers>(p, numbers);
}
/// The same of two vectors, one after the other.
template <class U, class V> SIMDNORM_INLINE void stream_two(U* p, V a, V b) {
  if constexpr (stores_two<U, V>) {
    const auto both = Storage<U>::two(a, b).value;
    stream_bytes<sizeof both>(p, &both);
  } else {
    stream(p, a);
    stream(p + V::width, b);
  }
}
SIMDNORM_INLINE void end_of_streaming() {
#if defined(__SSE2__) || defined(_M_X64)
  _mm_sfence();
#endif
}

}  // namespace simd
}  // namespace simdnorm
