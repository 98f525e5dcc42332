// Elements of several vectors brought side by side, so that what is added within each becomes one vector.
#pragma once

#include "simd.hpp"

namespace simdnorm::simd {

/// Of registers of `width` doubles in blocks of 2 * Distance: the lower halves of the blocks of a and of b in turns,
/// a's first; and their upper halves. For the type of the register that the last argument points to.
template <class R, int Distance>
SIMDNORM_INLINE void interleave(const typename R::type& a, const typename R::type& b, typename R::type& lower,
                                typename R::type& upper, const void*) {
  double from[2][R::width], to[2][R::width];
  R::store(from[0], a);
  R::store(from[1], b);
  for (int i = 0; i < R::width; ++i) {
    const int block = i / (2 * Distance), place = i % (2 * Distance);
    for (int half = 0; half < 2; ++half)
      to[half][i] = from[place / Distance][block * 2 * Distance + half * Distance + place % Distance];
  }
  lower = R::load(to[0]);
  upper = R::load(to[1]);
}

#if defined(SIMDNORM_HAS_XSIMD) && defined(__SSE2__)
template <class R, int Distance>
SIMDNORM_INLINE void interleave(__m128d a, __m128d b, __m128d& lower, __m128d& upper, const __m128d*) {
  lower = _mm_unpacklo_pd(a, b);
  upper = _mm_unpackhi_pd(a, b);
}
#endif
#if defined(SIMDNORM_HAS_XSIMD) && defined(__AVX__)
template <class R, int Distance>
SIMDNORM_INLINE void interleave(__m256d a, __m256d b, __m256d& lower, __m256d& upper, const __m256d*) {
  lower = Distance == 2 ? _mm256_permute2f128_pd(a, b, 0x20) : _mm256_unpacklo_pd(a, b);
  upper = Distance == 2 ? _mm256_permute2f128_pd(a, b, 0x31) : _mm256_unpackhi_pd(a, b);
}
#endif
#if defined(SIMDNORM_HAS_XSIMD) && defined(__AVX512F__)
template <class R, int Distance>
SIMDNORM_INLINE void interleave(__m512d a, __m512d b, __m512d& lower, __m512d& upper, const __m512d*) {
  const __m512i of_lower = Distance == 4   ? _mm512_setr_epi64(0, 1, 2, 3, 8, 9, 10, 11)
                           : Distance == 2 ? _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13)
                                           : _mm512_setr_epi64(0, 8, 2, 10, 4, 12, 6, 14);
  const __m512i of_upper = Distance == 4   ? _mm512_setr_epi64(4, 5, 6, 7, 12, 13, 14, 15)
                           : Distance == 2 ? _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15)
                                           : _mm512_setr_epi64(1, 9, 3, 11, 5, 13, 7, 15);
  lower = _mm512_permutex2var_pd(a, of_lower, b);
  upper = _mm512_permutex2var_pd(a, of_upper, b);
}
#endif
#if defined(SIMDNORM_HAS_XSIMD) && defined(__aarch64__)
template <class R, int Distance>
SIMDNORM_INLINE void interleave(float64x2_t a, float64x2_t b, float64x2_t& lower, float64x2_t& upper,
                                const float64x2_t*) {
  lower = vzip1q_f64(a, b);
  upper = vzip2q_f64(a, b);
}
#endif

template <int Distance, class Arch>
SIMDNORM_INLINE void interleave(Vector<double, Arch> a, Vector<double, Arch> b, Vector<double, Arch>& lower,
                                Vector<double, Arch>& upper) {
  using R = Register<double, Arch>;
  interleave<R, Distance>(a.value, b.value, lower.value, upper.value,
                          static_cast<const typename R::type*>(nullptr));
}

}  // namespace simdnorm::simd
