// Numbers that lie in memory in fewer bits than they are computed in: loaded exactly, rounded once when stored.
#pragma once

#include "simd_convert.hpp"
#include "simd_words.hpp"
#include "storage.hpp"

namespace simdnorm::simd {

/// A type U of numbers that are computed in float and lie in memory in another form. What kernels ask of it, for
/// V = Vector<float, Arch> with any Arch:
///   `template <class V> static V load(const U* p)`         V::width numbers, exactly
///   `template <class V> static void store(U* p, V a)`      V::width floats, each rounded to the nearest, to even of two
/// and may have, where two vectors cost less than twice one,
///   `template <class V> static Words<Arch> two(V a, V b)`   the numbers of both, as they lie in memory
template <class U> struct Storage;

/// a where it is a number, b where a is NaN, by the bits.
template <class Arch>
SIMDNORM_INLINE Words<Arch> words_where_number(Vector<float, Arch> a, Words<Arch> words, Words<Arch> of_nan) {
  using R = Register<float, Arch>;
  return words_of(
      Vector<float, Arch>{R::where_number(a.value, floats_of(words).value, floats_of(of_nan).value)});
}

// --- the upper half of a float. Overloads are chosen by the type of the register that the last argument points to ---

template <class V> SIMDNORM_INLINE V load_bfloat(const std::uint16_t* p, const void*) {
  return floats_of(load_words<typename V::Architecture>(p) << 16);
}
/// Of each number that is not NaN the upper half of the word is the number rounded.
template <class Arch> SIMDNORM_INLINE Words<Arch> rounded_above(Vector<float, Arch> a) {
  using W = Words<Arch>;
  const W bits = words_of(a);
  return bits + (bits >> 16 & W::broadcast(1)) + W::broadcast(0x7fff);
}
template <class V> SIMDNORM_INLINE void store_bfloat(std::uint16_t* p, V a, const void*) {
  using W = Words<typename V::Architecture>;
  store_words(p, words_where_number(a, rounded_above(a), W::broadcast(0x7fc00000)) >> 16);
}
/// The numbers of both vectors, of which some ask for care.
template <class V> SIMDNORM_COLD Words<typename V::Architecture> rare_bfloats(V a, V b) {
  std::uint16_t numbers[2 * V::width];
  store_bfloat(numbers, a, static_cast<const void*>(nullptr));
  store_bfloat(numbers + V::width, b, static_cast<const void*>(nullptr));
  Words<typename V::Architecture> both;
  static_assert(sizeof both == sizeof numbers);
  std::memcpy(&both, numbers, sizeof both);
  return both;
}
#if defined(SIMDNORM_HAS_XSIMD) && defined(__AVX2__)
template <class V> SIMDNORM_INLINE V load_bfloat(const std::uint16_t* p, const __m256*) {
  const __m256i twice = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  constexpr char no = no_byte;
  const __m256i places = _mm256_setr_epi8(no, no, 0, 1, no, no, 2, 3, no, no, 4, 5, no, no, 6, 7, no, no, 8,
                                          9, no, no, 10, 11, no, no, 12, 13, no, no, 14, 15);
  return {_mm256_castsi256_ps(_mm256_shuffle_epi8(twice, places))};
}
template <class V> SIMDNORM_INLINE void store_bfloat(std::uint16_t* p, V a, const __m256*) {
  const __m256 number = _mm256_blendv_ps(_mm256_castsi256_ps(rounded_above(a).value),
                                         _mm256_castsi256_ps(_mm256_set1_epi32(0x7fc00000)),
                                         _mm256_cmp_ps(a.value, a.value, _CMP_UNORD_Q));
  constexpr char no = no_byte;
  const __m256i places = _mm256_setr_epi8(2, 3, 6, 7, 10, 11, 14, 15, no, no, no, no, no, no, no, no, 2, 3, 6,
                                          7, 10, 11, 14, 15, no, no, no, no, no, no, no, no);
  const __m256i upper = _mm256_shuffle_epi8(_mm256_castps_si256(number), places);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm256_castsi256_si128(_mm256_permute4x64_epi64(upper, 0x08)));
}
template <class V> SIMDNORM_INLINE Words<typename V::Architecture> two_bfloats(V a, V b, const __m256*) {
  if (SIMDNORM_UNLIKELY(_mm256_movemask_ps(_mm256_cmp_ps(a.value, b.value, _CMP_UNORD_Q)) != 0))
    return rare_bfloats(a, b);
  const __m256i in_turns =
      _mm256_packus_epi32((rounded_above(a) >> 16).value, (rounded_above(b) >> 16).value);
  return {_mm256_permute4x64_epi64(in_turns, 0xd8)};
}
#endif
#if defined(SIMDNORM_HAS_XSIMD) && defined(__AVX512BW__)
template <class V> SIMDNORM_INLINE V load_bfloat(const std::uint16_t* p, const __m512*) {
  const __m512i words = _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  alignas(64) static constexpr std::uint16_t places[32] = {
      0, 0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8, 0, 9, 0, 10, 0, 11, 0, 12, 0, 13, 0, 14, 0, 15};
  return {_mm512_castsi512_ps(_mm512_maskz_permutexvar_epi16(0xaaaaaaaa, _mm512_load_si512(places), words))};
}
#endif
#if defined(SIMDNORM_HAS_XSIMD) && defined(__AVX512BF16__) && defined(__AVX512DQ__)
template <class V> SIMDNORM_INLINE void store_bfloat(std::uint16_t* p, V a, const __m512* general) {
  // The instruction takes subnormal numbers for 0 and keeps what a NaN says.
  if (SIMDNORM_UNLIKELY(_mm512_fpclass_ps_mask(a.value, 0x20 | 0x01 | 0x80) != 0)) {
    store_bfloat(p, a, static_cast<const void*>(general));
    return;
  }
  const __m256bh rounded = _mm512_cvtneps_pbh(a.value);
  std::memcpy(p, &rounded, sizeof rounded);
}
template <class V> SIMDNORM_INLINE Words<typename V::Architecture> two_bfloats(V a, V b, const __m512*) {
  const __mmask16 of_a = _mm512_fpclass_ps_mask(a.value, 0x20 | 0x01 | 0x80);
  const __mmask16 of_b = _mm512_fpclass_ps_mask(b.value, 0x20 | 0x01 | 0x80);
  if (SIMDNORM_UNLIKELY((of_a | of_b) != 0)) return rare_bfloats(a, b);
  return {reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(b.value, a.value))};
}
#elif defined(SIMDNORM_HAS_XSIMD) && defined(__AVX512BW__)
template <class V> SIMDNORM_INLINE Words<typename V::Architecture> two_bfloats(V a, V b, const __m512*) {
  if (SIMDNORM_UNLIKELY(_mm512_cmp_ps_mask(a.value, b.value, _CMP_UNORD_Q) != 0)) return rare_bfloats(a, b);
  alignas(64) static constexpr std::uint16_t places[32] = {1,  3,  5,  7,  9,  11, 13, 15, 17, 19, 21,
                                                           23, 25, 27, 29, 31, 33, 35, 37, 39, 41, 43,
                                                           45, 47, 49, 51, 53, 55, 57, 59, 61, 63};
  return {
      _mm512_permutex2var_epi16(rounded_above(a).value, _mm512_load_si512(places), rounded_above(b).value)};
}
#endif

template <> struct Storage<BFloat16> {
  template <class V> static SIMDNORM_INLINE V load(const BFloat16* p) {
    return load_bfloat<V>(reinterpret_cast<const std::uint16_t*>(p),
                          static_cast<const typename V::R::type*>(nullptr));
  }
  template <class V> static SIMDNORM_INLINE void store(BFloat16* p, V a) {
    store_bfloat(reinterpret_cast<std::uint16_t*>(p), a, static_cast<const typename V::R::type*>(nullptr));
  }
  template <class V>
  static SIMDNORM_INLINE auto two(V a, V b)
      -> decltype(two_bfloats(a, b, static_cast<const typename V::R::type*>(nullptr))) {
    return two_bfloats(a, b, static_cast<const typename V::R::type*>(nullptr));
  }
};

// --- small floating-point numbers: one bit of sign, then the exponent, then `Mantissa` bits ---

constexpr float power_of_two(int exponent) {
  float power = 1;
  for (; exponent > 0; --exponent) power *= 2;
  for (; exponent < 0; ++exponent) power /= 2;
  return power;
}

/// The bits of each float at the lower end of a word, rounded to a number of `Bits` bits whose exponent is offset by Bias,
/// with subnormal numbers; `largest` where it would be beyond that, which may be the power of two that stands for infinity.
template <int Bits, int Mantissa, int Bias, class Arch>
SIMDNORM_INLINE Words<Arch> encoded(Vector<float, Arch> a, float largest, std::uint32_t nan) {
  using V = Vector<float, Arch>;
  using W = Words<Arch>;
  constexpr int shift = 23 - Mantissa;
  constexpr std::uint32_t smallest_exponent = static_cast<std::uint32_t>(127 + 1 - Bias) << 23;
  const W bits = words_of(a), magnitude = bits & W::broadcast(0x7fffffff);
  // So large that of a sum with it no digits are left but those to be kept.
  const V digits = floats_of(larger(magnitude & W::broadcast(0x7f800000), W::broadcast(smallest_exponent)) +
                             W::broadcast(static_cast<std::uint32_t>(shift) << 23));
  const V rounded = smaller((floats_of(magnitude) + digits) - digits, V::broadcast(largest));
  const W code = words_of(rounded * V::broadcast(power_of_two(Bias - 127))) >> shift;
  return words_where_number(a, code, W::broadcast(nan)) | (bits & W::broadcast(0x80000000)) >> (32 - Bits);
}

template <class V> SIMDNORM_INLINE V load_half(const std::uint16_t* p, const void*) {
  using W = Words<typename V::Architecture>;
  const W code = load_words<typename V::Architecture>(p);
  const V finite = floats_of((code & W::broadcast(0x7fff)) << 13) * V::broadcast(power_of_two(127 - 15));
  const V infinite = floats_of(words_of(finite) | W::broadcast(0x7f800000));  // or NaN
  const V magnitude = where_less(finite, V::broadcast(65536), finite, infinite);
  return floats_of(words_of(magnitude) | (code & W::broadcast(0x8000)) << 16);
}
template <class V> SIMDNORM_INLINE void store_half(std::uint16_t* p, V a, const void*) {
  store_words(p, encoded<16, 10, 15>(a, 65536.0F, 0x7e00));
}
#if defined(SIMDNORM_HAS_XSIMD) && defined(__F16C__)
template <class V> SIMDNORM_INLINE V load_half(const std::uint16_t* p, const __m256*) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
template <class V> SIMDNORM_INLINE void store_half(std::uint16_t* p, V a, const __m256*) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(a.value, _MM_FROUND_TO_NEAREST_INT));
}
#endif
#if defined(SIMDNORM_HAS_XSIMD) && defined(__AVX512F__)
template <class V> SIMDNORM_INLINE V load_half(const std::uint16_t* p, const __m512*) {
  return {_mm512_maskz_cvtph_ps(0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
template <class V> SIMDNORM_INLINE void store_half(std::uint16_t* p, V a, const __m512*) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      _mm512_maskz_cvtps_ph(0xffff, a.value, _MM_FROUND_TO_NEAREST_INT));
}
#endif
#if defined(SIMDNORM_HAS_XSIMD) && defined(__aarch64__)
template <class V> SIMDNORM_INLINE V load_half(const std::uint16_t* p, const float32x4_t*) {
  return {vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)))};
}
template <class V> SIMDNORM_INLINE void store_half(std::uint16_t* p, V a, const float32x4_t*) {
  vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(a.value)));
}
#endif

template <> struct Storage<Float16> {
  template <class V> static SIMDNORM_INLINE V load(const Float16* p) {
    return load_half<V>(reinterpret_cast<const std::uint16_t*>(p),
                        static_cast<const typename V::R::type*>(nullptr));
  }
  template <class V> static SIMDNORM_INLINE void store(Float16* p, V a) {
    store_half(reinterpret_cast<std::uint16_t*>(p), a, static_cast<const typename V::R::type*>(nullptr));
  }
};

// --- as doubles, exactly ---

template <class V, class U>
SIMDNORM_INLINE Doubles<float, typename V::Architecture> narrow_doubles(const U* p, const void*) {
  return as_doubles(Storage<U>::template load<V>(p));
}
#if defined(SIMDNORM_HAS_XSIMD) && defined(__AVX__)
template <class V>
SIMDNORM_INLINE Doubles<float, typename V::Architecture> narrow_doubles(const BFloat16* p, const __m256*) {
  const __m128i words = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)), zero = _mm_setzero_si128();
  return {{{_mm256_cvtps_pd(_mm_castsi128_ps(_mm_unpacklo_epi16(zero, words)))},
           {_mm256_cvtps_pd(_mm_castsi128_ps(_mm_unpackhi_epi16(zero, words)))}}};
}
#endif
#if defined(SIMDNORM_HAS_XSIMD) && defined(__AVX512BW__)
template <class V>
SIMDNORM_INLINE Doubles<float, typename V::Architecture> narrow_doubles(const BFloat16* p, const __m512*) {
  const std::uint16_t* const words = reinterpret_cast<const std::uint16_t*>(p);
  struct Half {
    __m256 value;
  };
  const __m256* const half = nullptr;
  return {{{_mm512_maskz_cvtps_pd(0xff, load_bfloat<Half>(words, half).value)},
           {_mm512_maskz_cvtps_pd(0xff, load_bfloat<Half>(words + 8, half).value)}}};
}
#endif
#if defined(SIMDNORM_HAS_XSIMD) && defined(__AVX512F__) && defined(__F16C__)
template <class V>
SIMDNORM_INLINE Doubles<float, typename V::Architecture> narrow_doubles(const Float16* p, const __m512*) {
  const auto half = [](const Float16* q) SIMDNORM_INLINE_LAMBDA {
    return _mm512_maskz_cvtps_pd(0xff, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(q))));
  };
  return {{{half(p)}, {half(p + 8)}}};
}
#endif

}  // namespace simdnorm::simd
