// The operations on one register: what xsimd, intrinsics or plain numbers are asked for. Every product that is not exact is
// rounded before it is added to anything, whatever the compiler's contraction setting: results have the same bits with
// and without fused multiply-add.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "config.hpp"

#if !defined(SIMDNORM_NO_SIMD)
#include <xsimd/xsimd.hpp>
#endif
#if defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
#endif

namespace simdnorm::simd {

/// Stands in for an xsimd architecture where there is none (or SIMDNORM_NO_SIMD is defined): vectors of one
/// element.
struct NoSimd {
  static constexpr const char* name() { return "none"; }
};

#if defined(SIMDNORM_NO_SIMD) || defined(XSIMD_NO_SUPPORTED_ARCHITECTURE) || \
    (XSIMD_WITH_NEON && !XSIMD_WITH_NEON64)  // 32-bit NEON has no double and flushes subnormal numbers
using DefaultArch = NoSimd;
#else
#define SIMDNORM_HAS_XSIMD 1
using DefaultArch = xsimd::default_arch;
#endif

// --- one product, rounded ---

// GCC contracts a * b + c across statements and through intrinsics; an empty asm that claims to change the
// product forbids it and costs no instruction. Where no fused instruction is enabled there is nothing to
// forbid.
#if (defined(__GNUC__) || defined(__clang__)) && defined(__AVX512F__)
#define SIMDNORM_ROUND(value) asm("" : "+v"(value))
#elif (defined(__GNUC__) || defined(__clang__)) && (defined(__FMA__) || defined(__FMA4__))
#define SIMDNORM_ROUND(value) asm("" : "+x"(value))
#elif (defined(__GNUC__) || defined(__clang__)) && defined(__aarch64__)
#define SIMDNORM_ROUND(value) asm("" : "+w"(value))
#elif (defined(__GNUC__) || defined(__clang__)) && !defined(__SSE2__)
#define SIMDNORM_ROUND(value) asm("" : "+m"(value))  // a machine we know nothing of: through memory
#else
#define SIMDNORM_ROUND(value) \
  (void)0  // SSE2 without FMA; MSVC, which contracts nothing unless /fp:contract asks for it
#endif

/// a * b as one rounded operation.
template <class T> SIMDNORM_INLINE T product(T a, T b) {
  T result = a * b;
  SIMDNORM_ROUND(result);
  return result;
}

/// The IEEE square root of one number, without the libm call that std::sqrt keeps for setting errno.
SIMDNORM_INLINE double square_root(double x) {
#if defined(__SSE2__) || defined(_M_X64)
  const __m128d v = _mm_set_sd(x);
  return _mm_cvtsd_f64(_mm_sqrt_sd(v, v));
#else
  return std::sqrt(x);
#endif
}

/// The double of these bits; those of its sign, its exponent and the first 25 digits after the point.
SIMDNORM_INLINE double number_of(std::uint64_t bits) {
  double number = 0;
  std::memcpy(&number, &bits, sizeof number);
  return number;
}
inline constexpr std::uint64_t upper_bits = 0xfffffffff8000000;

// --- registers ---

/// The operations on a register of `width` elements of T.
template <class T, class Arch> struct Register;

#if defined(SIMDNORM_HAS_XSIMD)

template <class T, class Arch> struct Register {
  using Batch = xsimd::batch<T, Arch>;
  using type = typename Batch::register_type;
  static constexpr int width = static_cast<int>(Batch::size);

  static SIMDNORM_INLINE type load(const T* p) { return Batch::load_unaligned(p); }
  static SIMDNORM_INLINE void store(T* p, type a) { Batch(a).store_unaligned(p); }
  static SIMDNORM_INLINE type broadcast(T x) { return Batch(x); }
#if defined(__GNUC__) || defined(__clang__)  // registers have operators, which compile in less time
  static SIMDNORM_INLINE type add(type a, type b) { return a + b; }
  static SIMDNORM_INLINE type sub(type a, type b) { return a - b; }
  static SIMDNORM_INLINE type mul(type a, type b) {
    type result = a * b;
    SIMDNORM_ROUND(result);
    return result;
  }
  static SIMDNORM_INLINE type div(type a, type b) { return a / b; }
#else
  static SIMDNORM_INLINE type add(type a, type b) { return Batch(a) + Batch(b); }
  static SIMDNORM_INLINE type sub(type a, type b) { return Batch(a) - Batch(b); }
  static SIMDNORM_INLINE type mul(type a, type b) { return Batch(a) * Batch(b); }
  static SIMDNORM_INLINE type div(type a, type b) { return Batch(a) / Batch(b); }
#endif
  static SIMDNORM_INLINE type square_root(type a) { return xsimd::sqrt(Batch(a)); }
  /// a <= b in every element; false where one is NaN.
  static SIMDNORM_INLINE bool in_order(type a, type b) { return xsimd::all(Batch(a) <= Batch(b)); }
  /// a * b + c, for products that are exact: whether they are rounded makes no difference.
  static SIMDNORM_INLINE type add_exact_product(type a, type b, type c) {
#if defined(__FMA__) || defined(__aarch64__)
    return xsimd::fma(Batch(a), Batch(b), Batch(c));
#else
    return add(mul(a, b), c);
#endif
  }
  static SIMDNORM_INLINE type upper_digits(type a) { return Batch(a) & Batch(number_of(upper_bits)); }
  static SIMDNORM_INLINE type abs(type a) { return xsimd::abs(Batch(a)); }
  static SIMDNORM_INLINE type max(type a, type b) { return xsimd::max(Batch(a), Batch(b)); }
  static SIMDNORM_INLINE type min(type a, type b) { return xsimd::min(Batch(a), Batch(b)); }
  /// x where a is a number, y where it is NaN; x where a < b, elsewhere y.
  static SIMDNORM_INLINE type where_number(type a, type x, type y) {
    return xsimd::select(Batch(a) == Batch(a), Batch(x), Batch(y));
  }
  static SIMDNORM_INLINE type where_less(type a, type b, type x, type y) {
    return xsimd::select(Batch(a) < Batch(b), Batch(x), Batch(y));
  }
  /// a where its position is below count, 0 elsewhere.
  static SIMDNORM_INLINE type keep(int count, type a) {
    return xsimd::select(Batch::load_unaligned(positions) < Batch(static_cast<T>(count)), Batch(a),
                         Batch(T(0)));
  }

 private:
  static constexpr T positions[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
};

#endif

template <class T> struct Register<T, NoSimd> {
  using Batch = T;
  using type = T;
  static constexpr int width = 1;

  static SIMDNORM_INLINE T load(const T* p) { return *p; }
  static SIMDNORM_INLINE void store(T* p, T a) { *p = a; }
  static SIMDNORM_INLINE T broadcast(T x) { return x; }
  static SIMDNORM_INLINE T add(T a, T b) { return a + b; }
  static SIMDNORM_INLINE T sub(T a, T b) { return a - b; }
  static SIMDNORM_INLINE T mul(T a, T b) { return product(a, b); }
  static SIMDNORM_INLINE T div(T a, T b) { return a / b; }
  static SIMDNORM_INLINE T square_root(T a) {
    return static_cast<T>(simd::square_root(static_cast<double>(a)));
  }
  static SIMDNORM_INLINE bool in_order(T a, T b) { return a <= b; }
  static SIMDNORM_INLINE T add_exact_product(T a, T b, T c) { return a * b + c; }
  static SIMDNORM_INLINE T upper_digits(T a) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &a, sizeof a);
    return number_of(bits & upper_bits);
  }
  static SIMDNORM_INLINE T abs(T a) { return std::abs(a); }
  static SIMDNORM_INLINE T max(T a, T b) { return a > b ? a : b; }
  static SIMDNORM_INLINE T min(T a, T b) { return a < b ? a : b; }
  static SIMDNORM_INLINE T where_number(T a, T x, T y) { return a == a ? x : y; }
  static SIMDNORM_INLINE T where_less(T a, T b, T x, T y) { return a < b ? x : y; }
  static SIMDNORM_INLINE T keep(int /*count*/, T a) { return a; }
};

// --- the first elements of a register ---

/// Copies `count` < 2 * Half elements by halves: at most one copy of each power of two.
template <int Half, class T> SIMDNORM_INLINE void copy_first(T* to, const T* from, int count) {
  if constexpr (Half > 0) {
    const int here = count & Half;
    if (here != 0) std::memcpy(to, from, Half * sizeof(T));
    copy_first<Half / 2>(to + here, from + here, count);
  }
}

/// Loads and stores of the first `count` elements, the others read as 0: through a buffer; of x86 loads by masked instructions,
/// stores by one of each power of two. (A masked store that reaches into a line which is written past the caches next costs several
/// times as much: benchmarks/README.md.) Chosen by the type of the register that the last argument points to.
template <class R, class T>
SIMDNORM_NOINLINE typename R::type load_first(const T* p, int count, const void*) {
  T buffer[R::width] = {};
  copy_first<R::width / 2>(buffer, p, count);
  return R::load(buffer);
}
template <class R, class T>
SIMDNORM_NOINLINE void store_first(T* p, int count, typename R::type a, const void*) {
  T buffer[R::width];
  R::store(buffer, a);
  copy_first<R::width / 2>(p, buffer, count);
}

#if defined(SIMDNORM_HAS_XSIMD) && defined(__SSE2__)
template <class R> SIMDNORM_INLINE void store_first(float* p, int count, __m128 a, const __m128*) {
  if ((count & 2) != 0) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_castps_si128(a));
    a = _mm_movehl_ps(a, a);
    p += 2;
  }
  if ((count & 1) != 0) _mm_store_ss(p, a);
}
template <class R> SIMDNORM_INLINE void store_first(double* p, int count, __m128d a, const __m128d*) {
  if ((count & 1) != 0) _mm_store_sd(p, a);
}
#endif

#if defined(SIMDNORM_HAS_XSIMD) && defined(__AVX__)
inline constexpr std::int64_t first_mask[8] = {-1, -1, -1, -1, 0, 0, 0, 0};
SIMDNORM_INLINE __m256i mask_of_floats(int count) {
  return _mm256_loadu_si256(
      reinterpret_cast<const __m256i*>(reinterpret_cast<const std::int32_t*>(first_mask) + 8 - count));
}
SIMDNORM_INLINE __m256i mask_of_doubles(int count) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(first_mask + 4 - count));
}
template <class R> SIMDNORM_INLINE __m256 load_first(const float* p, int count, const __m256*) {
  return _mm256_maskload_ps(p, mask_of_floats(count));
}
template <class R> SIMDNORM_INLINE __m256d load_first(const double* p, int count, const __m256d*) {
  return _mm256_maskload_pd(p, mask_of_doubles(count));
}
template <class R> SIMDNORM_INLINE void store_first(float* p, int count, __m256 a, const __m256*) {
  __m128 rest = _mm256_castps256_ps128(a);
  if ((count & 4) != 0) {
    _mm_storeu_ps(p, rest);
    rest = _mm256_extractf128_ps(a, 1);
    p += 4;
  }
  store_first<R>(p, count, rest, static_cast<const __m128*>(nullptr));
}
template <class R> SIMDNORM_INLINE void store_first(double* p, int count, __m256d a, const __m256d*) {
  __m128d rest = _mm256_castpd256_pd128(a);
  if ((count & 2) != 0) {
    _mm_storeu_pd(p, rest);
    rest = _mm256_extractf128_pd(a, 1);
    p += 2;
  }
  store_first<R>(p, count, rest, static_cast<const __m128d*>(nullptr));
}
#endif

#if defined(SIMDNORM_HAS_XSIMD) && defined(__AVX512F__)
template <class R> SIMDNORM_INLINE __m512 load_first(const float* p, int count, const __m512*) {
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1U << count) - 1U), p);
}
template <class R> SIMDNORM_INLINE __m512d load_first(const double* p, int count, const __m512d*) {
  return _mm512_maskz_loadu_pd(static_cast<__mmask8>((1U << count) - 1U), p);
}
template <class R> SIMDNORM_INLINE void store_first(float* p, int count, __m512 a, const __m512*) {
  __m256 rest = _mm512_castps512_ps256(a);
  if ((count & 8) != 0) {
    _mm256_storeu_ps(p, rest);
    rest = _mm256_castpd_ps(_mm512_maskz_extractf64x4_pd(0xf, _mm512_castps_pd(a), 1));
    p += 8;
  }
  store_first<R>(p, count, rest, static_cast<const __m256*>(nullptr));
}
template <class R> SIMDNORM_INLINE void store_first(double* p, int count, __m512d a, const __m512d*) {
  __m256d rest = _mm512_castpd512_pd256(a);
  if ((count & 4) != 0) {
    _mm256_storeu_pd(p, rest);
    rest = _mm512_maskz_extractf64x4_pd(0xf, a, 1);
    p += 4;
  }
  store_first<R>(p, count, rest, static_cast<const __m256d*>(nullptr));
}
#endif

}  // namespace simdnorm::simd
