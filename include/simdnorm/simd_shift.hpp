// The last elements of a vector as its first.
#pragma once

#include "simd.hpp"

namespace simdnorm::simd {

/// The last `count` elements of a register, at least one, as its first, and 0 as the others. For the type of the register that the
/// last argument points to.
template <class T, class R>
SIMDNORM_INLINE typename R::type last_as_first(typename R::type a, int count, const void*) {
  T numbers[2 * R::width] = {};
  R::store(numbers, a);
  return R::load(numbers + R::width - count);
}

#if defined(SIMDNORM_HAS_XSIMD) && defined(__AVX2__)
// A number of a permutation that is too large begins again at the first element.
template <class T, class R> SIMDNORM_INLINE __m256 last_as_first(__m256 a, int count, const __m256*) {
  const __m256i from = _mm256_sub_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(count));
  return _mm256_and_ps(_mm256_permutevar8x32_ps(a, from), _mm256_castsi256_ps(mask_of_floats(count)));
}
template <class T, class R> SIMDNORM_INLINE __m256d last_as_first(__m256d a, int count, const __m256d*) {
  const __m256i from =
      _mm256_sub_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(2 * count));
  return _mm256_and_pd(_mm256_castps_pd(_mm256_permutevar8x32_ps(_mm256_castpd_ps(a), from)),
                       _mm256_castsi256_pd(mask_of_doubles(count)));
}
#endif
#if defined(SIMDNORM_HAS_XSIMD) && defined(__AVX512F__)
template <class T, class R> SIMDNORM_INLINE __m512 last_as_first(__m512 a, int count, const __m512*) {
  return _mm512_maskz_compress_ps(static_cast<__mmask16>(0xffff0000U >> count), a);
}
template <class T, class R> SIMDNORM_INLINE __m512d last_as_first(__m512d a, int count, const __m512d*) {
  return _mm512_maskz_compress_pd(static_cast<__mmask8>(0xff00U >> count), a);
}
#endif

template <class T, class Arch> SIMDNORM_INLINE Vector<T, Arch> last_as_first(First lanes, Vector<T, Arch> a) {
  using R = Register<T, Arch>;
  return {last_as_first<T, R>(a.value, lanes.count, static_cast<const typename R::type*>(nullptr))};
}

}  // namespace simdnorm::simd
