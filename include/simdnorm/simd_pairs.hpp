// Neighbouring elements of a vector as pairs: swapped, signed in turns, and numbers that both of a pair share.
#pragma once

#include "simd_number.hpp"

namespace simdnorm::simd {

/// Elements 2i and 2i + 1 exchanged. For the type of the register that the last argument points to.
template <class R> SIMDNORM_INLINE typename R::type swap_neighbours(typename R::type a, const void*) {
  typename R::Batch::value_type from[R::width], to[R::width];
  R::store(from, a);
  for (int i = 0; i < R::width; ++i) to[i] = from[i ^ 1];
  return R::load(to);
}
/// p[0], p[0], p[1], p[1], ...: a whole register.
template <class R, class T> SIMDNORM_INLINE typename R::type load_each_twice(const T* p, const void*) {
  T twice[R::width];
  for (int i = 0; i < R::width; ++i) twice[i] = p[i / 2];
  return R::load(twice);
}

#if defined(SIMDNORM_HAS_XSIMD) && defined(__SSE2__)
template <class R> SIMDNORM_INLINE __m128 swap_neighbours(__m128 a, const __m128*) {
  return _mm_shuffle_ps(a, a, _MM_SHUFFLE(2, 3, 0, 1));
}
template <class R> SIMDNORM_INLINE __m128d swap_neighbours(__m128d a, const __m128d*) {
  return _mm_shuffle_pd(a, a, 1);
}
template <class R> SIMDNORM_INLINE __m128 load_each_twice(const float* p, const __m128*) {
  const __m128 two = _mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  return _mm_unpacklo_ps(two, two);
}
template <class R> SIMDNORM_INLINE __m128d load_each_twice(const double* p, const __m128d*) {
  return _mm_set1_pd(*p);
}
#endif
#if defined(SIMDNORM_HAS_XSIMD) && defined(__AVX__)
template <class R> SIMDNORM_INLINE __m256 swap_neighbours(__m256 a, const __m256*) {
  return _mm256_permute_ps(a, _MM_SHUFFLE(2, 3, 0, 1));
}
template <class R> SIMDNORM_INLINE __m256d swap_neighbours(__m256d a, const __m256d*) {
  return _mm256_permute_pd(a, 5);
}
template <class R> SIMDNORM_INLINE __m256 load_each_twice(const float* p, const __m256*) {
  const __m256 four = _mm256_broadcast_ps(reinterpret_cast<const __m128*>(p));
  return _mm256_permutevar_ps(four, _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3));
}
template <class R> SIMDNORM_INLINE __m256d load_each_twice(const double* p, const __m256d*) {
  return _mm256_permute_pd(_mm256_broadcast_pd(reinterpret_cast<const __m128d*>(p)), 12);
}
#endif
#if defined(SIMDNORM_HAS_XSIMD) && defined(__AVX512F__)
// Of all lanes, but named: g++ 12 warns of its own intrinsics without a mask (GCC bug 105593).
template <class R> SIMDNORM_INLINE __m512 swap_neighbours(__m512 a, const __m512*) {
  return _mm512_maskz_permute_ps(0xffff, a, 0xb1);
}
template <class R> SIMDNORM_INLINE __m512d swap_neighbours(__m512d a, const __m512d*) {
  return _mm512_maskz_permute_pd(0xff, a, 0x55);
}
template <class R> SIMDNORM_INLINE __m512 load_each_twice(const float* p, const __m512*) {
  const __m512i places = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
  return _mm512_maskz_permutexvar_ps(0xffff, places, _mm512_maskz_loadu_ps(0xff, p));
}
template <class R> SIMDNORM_INLINE __m512d load_each_twice(const double* p, const __m512d*) {
  const __m512i places = _mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3);
  return _mm512_maskz_permutexvar_pd(0xff, places, _mm512_maskz_loadu_pd(0xf, p));
}
#endif
#if defined(SIMDNORM_HAS_XSIMD) && defined(__aarch64__)
template <class R> SIMDNORM_INLINE float32x4_t swap_neighbours(float32x4_t a, const float32x4_t*) {
  return vrev64q_f32(a);
}
template <class R> SIMDNORM_INLINE float64x2_t swap_neighbours(float64x2_t a, const float64x2_t*) {
  return vextq_f64(a, a, 1);
}
template <class R> SIMDNORM_INLINE float32x4_t load_each_twice(const float* p, const float32x4_t*) {
  const float32x2_t two = vld1_f32(p);
  return vcombine_f32(vzip1_f32(two, two), vzip2_f32(two, two));
}
template <class R> SIMDNORM_INLINE float64x2_t load_each_twice(const double* p, const float64x2_t*) {
  return vld1q_dup_f64(p);
}
#endif

/// Elements 2i and 2i + 1 of a vector of more than one exchanged.
template <class T, class Arch> SIMDNORM_INLINE Vector<T, Arch> swap_neighbours(Vector<T, Arch> a) {
  using R = Register<T, Arch>;
  return {swap_neighbours<R>(a.value, static_cast<const typename R::type*>(nullptr))};
}

/// -1, 1, -1, 1, ...
template <class V> SIMDNORM_INLINE V minus_plus() {
  using T = typename V::Scalar;
  static constexpr T signs[16] = {-1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1};
  return load<V>(All{}, static_cast<const T*>(signs));
}

/// The numbers at p, each twice, for the lanes that are meant, an even number: p[0], p[0], p[1], p[1], ...; 0 in the others.
template <class V, class U> SIMDNORM_INLINE V load_each_twice(All, const U* p) {
  if constexpr (std::is_same_v<U, typename V::Scalar>) {
    return {load_each_twice<typename V::R>(p, static_cast<const typename V::R::type*>(nullptr))};
  } else {
    U twice[V::width];
    for (int i = 0; i < V::width; ++i) twice[i] = p[i / 2];
    return load<V>(All{}, static_cast<const U*>(twice));
  }
}
template <class V, class U> SIMDNORM_NOINLINE V load_each_twice(First lanes, const U* p) {
  U twice[V::width] = {};
  for (int i = 0; i < lanes.count; ++i) twice[i] = p[i / 2];
  return load<V>(All{}, static_cast<const U*>(twice));
}

}  // namespace simdnorm::simd
