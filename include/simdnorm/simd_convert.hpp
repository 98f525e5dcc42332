// Conversions between vectors of different element types: float to double, and back.
// Overloads are chosen by the type of the register: xsimd 8.1 converts element by element.
#pragma once

#include <cstddef>
#include <type_traits>

#include "simd.hpp"

namespace simdnorm::simd {

template <class R> SIMDNORM_INLINE typename R::type load_as_double(const float* p, const void*) {
  double buffer[R::width];
  for (int i = 0; i < R::width; ++i) buffer[i] = static_cast<double>(p[i]);
  return R::load(buffer);
}
template <class R> SIMDNORM_INLINE void store_as_float(float* p, typename R::type a, const void*) {
  double buffer[R::width];
  R::store(buffer, a);
  for (int i = 0; i < R::width; ++i) p[i] = static_cast<float>(buffer[i]);
}

#if defined(SIMDNORM_HAS_XSIMD) && defined(__SSE2__)
template <class R> SIMDNORM_INLINE __m128d load_as_double(const float* p, const __m128d*) {
  return _mm_cvtps_pd(_mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}
template <class R> SIMDNORM_INLINE void store_as_float(float* p, __m128d a, const __m128d*) {
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_castps_si128(_mm_cvtpd_ps(a)));
}
#endif
#if defined(SIMDNORM_HAS_XSIMD) && defined(__AVX__)
template <class R> SIMDNORM_INLINE __m256d load_as_double(const float* p, const __m256d*) {
  return _mm256_cvtps_pd(_mm_loadu_ps(p));
}
template <class R> SIMDNORM_INLINE void store_as_float(float* p, __m256d a, const __m256d*) {
  _mm_storeu_ps(p, _mm256_cvtpd_ps(a));
}
#endif
#if defined(SIMDNORM_HAS_XSIMD) && defined(__AVX512F__)
// Of all lanes, but named: g++ 12 warns of its own intrinsics without a mask (GCC bug 105593).
template <class R> SIMDNORM_INLINE __m512d load_as_double(const float* p, const __m512d*) {
  return _mm512_maskz_cvtps_pd(0xff, _mm256_loadu_ps(p));
}
template <class R> SIMDNORM_INLINE void store_as_float(float* p, __m512d a, const __m512d*) {
  _mm256_storeu_ps(p, _mm512_maskz_cvtpd_ps(0xff, a));
}
#endif
#if defined(SIMDNORM_HAS_XSIMD) && defined(__aarch64__)
template <class R> SIMDNORM_INLINE float64x2_t load_as_double(const float* p, const float64x2_t*) {
  return vcvt_f64_f32(vld1_f32(p));
}
template <class R> SIMDNORM_INLINE void store_as_float(float* p, float64x2_t a, const float64x2_t*) {
  vst1_f32(p, vcvt_f32_f64(a));
}
#endif

/// width floats as doubles; exact.
template <class Arch> SIMDNORM_INLINE Vector<double, Arch> load_as_double(const float* p) {
  using R = Register<double, Arch>;
  return {load_as_double<R>(p, static_cast<const typename R::type*>(nullptr))};
}
/// width doubles as floats, each rounded to nearest even.
template <class Arch> SIMDNORM_INLINE void store_as_float(float* p, Vector<double, Arch> a) {
  using R = Register<double, Arch>;
  store_as_float<R>(p, a.value, static_cast<const typename R::type*>(nullptr));
}

// --- doubles as numbers of T, and back: of a vector, or one by itself ---

/// The type of the numbers: double, or a vector of doubles. How many there are, and one that is all x.
template <class Number> struct Numbers;
template <> struct Numbers<double> {
  static constexpr int count = 1;
  static SIMDNORM_INLINE double all(double x) { return x; }
  template <class T> static SIMDNORM_INLINE double from(const T* p) { return static_cast<double>(*p); }
  /// Rounded to nearest even.
  template <class T> static SIMDNORM_INLINE void to(T* p, double x) { *p = static_cast<T>(x); }
};
template <class Arch> struct Numbers<Vector<double, Arch>> {
  using V = Vector<double, Arch>;
  static constexpr int count = V::width;
  static SIMDNORM_INLINE V all(double x) { return V::broadcast(x); }
  static SIMDNORM_INLINE V from(const float* p) { return load_as_double<Arch>(p); }
  static SIMDNORM_INLINE V from(const double* p) { return load<V>(All{}, p); }
  static SIMDNORM_INLINE void to(float* p, V a) { store_as_float(p, a); }
  static SIMDNORM_INLINE void to(double* p, V a) { store(All{}, p, a); }
};
SIMDNORM_INLINE bool in_order(All, double a, double b) { return a <= b; }

/// The elements of a Vector<T> as doubles: in as many vectors of double as they take.
template <class T, class Arch> struct Doubles {
  static constexpr int parts = Vector<T, Arch>::width / Vector<double, Arch>::width;
  Vector<double, Arch> part[static_cast<std::size_t>(parts)];
};
/// Those of a vector in a register go through memory, which converts them at less cost than their halves' moves.
template <class T, class Arch> SIMDNORM_INLINE Doubles<T, Arch> as_doubles(Vector<T, Arch> a) {
  if constexpr (std::is_same_v<T, double>) {
    return {{a}};
  } else {
    alignas(64) T elements[Vector<T, Arch>::width];
    store(All{}, elements, a);
    Doubles<T, Arch> doubles;
    unroll<doubles.parts>([&](auto i) SIMDNORM_INLINE_LAMBDA {
      doubles.part[i] = load_as_double<Arch>(elements + i * Vector<double, Arch>::width);
    });
    return doubles;
  }
}

}  // namespace simdnorm::simd
