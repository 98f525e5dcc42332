// A vector of T, loaded and stored whole or in part: all that the kernels ask of an instruction set. Every
// product that is not exact is rounded before it is added to anything, whatever the compiler's contraction
// setting: results have the same bits with and without fused multiply-add.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

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
#else
  static SIMDNORM_INLINE type add(type a, type b) { return Batch(a) + Batch(b); }
  static SIMDNORM_INLINE type sub(type a, type b) { return Batch(a) - Batch(b); }
  static SIMDNORM_INLINE type mul(type a, type b) { return Batch(a) * Batch(b); }
#endif
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
  /// a, and b where a is NaN.
  static SIMDNORM_INLINE type number_or(type a, type b) {
    return xsimd::select(Batch(a) == Batch(a), Batch(a), Batch(b));
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
  using type = T;
  static constexpr int width = 1;

  static SIMDNORM_INLINE T load(const T* p) { return *p; }
  static SIMDNORM_INLINE void store(T* p, T a) { *p = a; }
  static SIMDNORM_INLINE T broadcast(T x) { return x; }
  static SIMDNORM_INLINE T add(T a, T b) { return a + b; }
  static SIMDNORM_INLINE T sub(T a, T b) { return a - b; }
  static SIMDNORM_INLINE T mul(T a, T b) { return product(a, b); }
  static SIMDNORM_INLINE T add_exact_product(T a, T b, T c) { return a * b + c; }
  static SIMDNORM_INLINE T upper_digits(T a) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &a, sizeof a);
    return number_of(bits & upper_bits);
  }
  static SIMDNORM_INLINE T abs(T a) { return std::abs(a); }
  static SIMDNORM_INLINE T max(T a, T b) { return a > b ? a : b; }
  static SIMDNORM_INLINE T number_or(T a, T b) { return a == a ? a : b; }
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

/// Loads and stores of the first `count` elements, the others read as 0: through a buffer, or by the masked
/// instructions of AVX and AVX-512, chosen by the type of the register that the last argument points to.
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
  _mm256_maskstore_ps(p, mask_of_floats(count), a);
}
template <class R> SIMDNORM_INLINE void store_first(double* p, int count, __m256d a, const __m256d*) {
  _mm256_maskstore_pd(p, mask_of_doubles(count), a);
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
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1U << count) - 1U), a);
}
template <class R> SIMDNORM_INLINE void store_first(double* p, int count, __m512d a, const __m512d*) {
  _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1U << count) - 1U), a);
}
#endif

// --- vectors ---

/// A vector of T. Operators round each operation by itself; what is fused is add_exact_product alone.
template <class T, class Arch = DefaultArch> struct Vector {
  using R = Register<T, Arch>;
  using Architecture = Arch;
  static constexpr int width = R::width;
  typename R::type value;

  static SIMDNORM_INLINE Vector broadcast(T x) { return {R::broadcast(x)}; }
  friend SIMDNORM_INLINE Vector operator+(Vector a, Vector b) { return {R::add(a.value, b.value)}; }
  friend SIMDNORM_INLINE Vector operator-(Vector a, Vector b) { return {R::sub(a.value, b.value)}; }
  friend SIMDNORM_INLINE Vector operator*(Vector a, Vector b) { return {R::mul(a.value, b.value)}; }
};

/// Which elements of a vector are meant: all of them,
struct All {};
/// or the first `count`, 1 <= count < width; nothing beyond them is read or written.
struct First {
  int count;
};

template <class V, class T> SIMDNORM_INLINE V load(All, const T* p) { return {V::R::load(p)}; }
template <class V, class T> SIMDNORM_INLINE V load(First lanes, const T* p) {
  return {load_first<typename V::R>(p, lanes.count, static_cast<const typename V::R::type*>(nullptr))};
}
template <class T, class Arch> SIMDNORM_INLINE void store(All, T* p, Vector<T, Arch> a) {
  Register<T, Arch>::store(p, a.value);
}
template <class T, class Arch> SIMDNORM_INLINE void store(First lanes, T* p, Vector<T, Arch> a) {
  using R = Register<T, Arch>;
  store_first<R>(p, lanes.count, a.value, static_cast<const typename R::type*>(nullptr));
}

/// a in the lanes that are meant, 0 in the others.
template <class T, class Arch> SIMDNORM_INLINE Vector<T, Arch> keep(All, Vector<T, Arch> a) { return a; }
template <class T, class Arch> SIMDNORM_INLINE Vector<T, Arch> keep(First lanes, Vector<T, Arch> a) {
  return {Register<T, Arch>::keep(lanes.count, a.value)};
}

/// a, and b where a is NaN.
template <class T, class Arch>
SIMDNORM_INLINE Vector<T, Arch> number_or(Vector<T, Arch> a, Vector<T, Arch> b) {
  return {Register<T, Arch>::number_or(a.value, b.value)};
}
/// a with every NaN made the canonical quiet one: which NaN an operation gives depends on the instruction set.
template <class T, class Arch> SIMDNORM_INLINE Vector<T, Arch> canonical(Vector<T, Arch> a) {
  return number_or(a, Vector<T, Arch>::broadcast(std::numeric_limits<T>::quiet_NaN()));
}

/// a * b + c where a * b is exact: fused or not, the same bits.
template <class T, class Arch>
SIMDNORM_INLINE Vector<T, Arch> add_exact_product(Vector<T, Arch> a, Vector<T, Arch> b, Vector<T, Arch> c) {
  return {Register<T, Arch>::add_exact_product(a.value, b.value, c.value)};
}

/// a without the lower 27 of its 53 binary digits.
template <class Arch> SIMDNORM_INLINE Vector<double, Arch> upper_digits(Vector<double, Arch> a) {
  return {Register<double, Arch>::upper_digits(a.value)};
}

/// max(|a|, |b|); where one is NaN the result is either.
template <class T, class Arch>
SIMDNORM_INLINE Vector<T, Arch> max_magnitude(Vector<T, Arch> a, Vector<T, Arch> b) {
  using R = Register<T, Arch>;
  return {R::max(R::abs(a.value), R::abs(b.value))};
}

template <class F, int... I> SIMDNORM_INLINE void unroll(F&& f, std::integer_sequence<int, I...>) {
  (f(std::integral_constant<int, I>{}), ...);
}
/// Calls f(0), ..., f(Count - 1) with the numbers as types: arrays of vectors that it indexes stay in
/// registers.
template <int Count, class F> SIMDNORM_INLINE void unroll(F&& f) {
  unroll(f, std::make_integer_sequence<int, Count>{});
}

}  // namespace simdnorm::simd
