// Vectors of 32-bit words: the bits of floats, and words of 16 and 8 bits in memory.
#pragma once

#include <cstddef>

#include "simd.hpp"

namespace simdnorm::simd {

/// The operations on a register of as many words as one of floats has elements.
template <class Arch> struct WordRegister;

#if defined(SIMDNORM_HAS_XSIMD)

template <class Arch> struct WordRegister {
  using Batch = xsimd::batch<std::uint32_t, Arch>;
  using type = typename Batch::register_type;
  static constexpr int width = static_cast<int>(Batch::size);

  static SIMDNORM_INLINE type load(const std::uint32_t* p) { return Batch::load_unaligned(p); }
  static SIMDNORM_INLINE void store(std::uint32_t* p, type a) { Batch(a).store_unaligned(p); }
  static SIMDNORM_INLINE type broadcast(std::uint32_t x) { return Batch(x); }
  static SIMDNORM_INLINE type add(type a, type b) { return Batch(a) + Batch(b); }
  static SIMDNORM_INLINE type bits_and(type a, type b) { return Batch(a) & Batch(b); }
  static SIMDNORM_INLINE type bits_or(type a, type b) { return Batch(a) | Batch(b); }
  static SIMDNORM_INLINE type left(type a, int count) { return Batch(a) << count; }
  static SIMDNORM_INLINE type right(type a, int count) { return Batch(a) >> count; }
  static SIMDNORM_INLINE type max(type a, type b) { return xsimd::max(Batch(a), Batch(b)); }
};

#endif

template <> struct WordRegister<NoSimd> {
  using type = std::uint32_t;
  static constexpr int width = 1;

  static SIMDNORM_INLINE type load(const std::uint32_t* p) { return *p; }
  static SIMDNORM_INLINE void store(std::uint32_t* p, type a) { *p = a; }
  static SIMDNORM_INLINE type broadcast(std::uint32_t x) { return x; }
  static SIMDNORM_INLINE type add(type a, type b) { return a + b; }
  static SIMDNORM_INLINE type bits_and(type a, type b) { return a & b; }
  static SIMDNORM_INLINE type bits_or(type a, type b) { return a | b; }
  static SIMDNORM_INLINE type left(type a, int count) { return a << count; }
  static SIMDNORM_INLINE type right(type a, int count) { return a >> count; }
  static SIMDNORM_INLINE type max(type a, type b) { return a > b ? a : b; }
};

/// A vector of words without sign. Sums wrap around; shifts bring in zeros.
template <class Arch> struct Words {
  using R = WordRegister<Arch>;
  typename R::type value;

  static SIMDNORM_INLINE Words broadcast(std::uint32_t x) { return {R::broadcast(x)}; }
  friend SIMDNORM_INLINE Words operator+(Words a, Words b) { return {R::add(a.value, b.value)}; }
  friend SIMDNORM_INLINE Words operator&(Words a, Words b) { return {R::bits_and(a.value, b.value)}; }
  friend SIMDNORM_INLINE Words operator|(Words a, Words b) { return {R::bits_or(a.value, b.value)}; }
  friend SIMDNORM_INLINE Words operator<<(Words a, int count) { return {R::left(a.value, count)}; }
  friend SIMDNORM_INLINE Words operator>>(Words a, int count) { return {R::right(a.value, count)}; }
  friend SIMDNORM_INLINE Words larger(Words a, Words b) { return {R::max(a.value, b.value)}; }
};

/// The bits of floats, and the floats of bits.
template <class Arch> SIMDNORM_INLINE Words<Arch> words_of(Vector<float, Arch> a) {
  Words<Arch> words;
  static_assert(sizeof words == sizeof a);
  std::memcpy(&words, &a, sizeof a);
  return words;
}
template <class Arch> SIMDNORM_INLINE Vector<float, Arch> floats_of(Words<Arch> words) {
  Vector<float, Arch> a;
  std::memcpy(&a, &words, sizeof a);
  return a;
}

// --- words of fewer bits in memory: N is std::uint16_t or std::uint8_t; a store keeps the lower bits ---
// Overloads are chosen by the type of the register that the last argument points to.

template <class R, class N> SIMDNORM_INLINE typename R::type load_narrow(const N* p, const void*) {
  N narrow[static_cast<std::size_t>(R::width)];
  std::uint32_t words[static_cast<std::size_t>(R::width)];
  std::memcpy(narrow, p, sizeof narrow);
  for (int i = 0; i < R::width; ++i) words[i] = narrow[i];
  return R::load(words);
}
template <class R, class N> SIMDNORM_INLINE void store_narrow(N* p, typename R::type a, const void*) {
  N narrow[static_cast<std::size_t>(R::width)];
  std::uint32_t words[static_cast<std::size_t>(R::width)];
  R::store(words, a);
  for (int i = 0; i < R::width; ++i) narrow[i] = static_cast<N>(words[i]);
  std::memcpy(p, narrow, sizeof narrow);
}

#if defined(SIMDNORM_HAS_XSIMD) && defined(__SSE2__)
template <class R> SIMDNORM_INLINE __m128i load_narrow(const std::uint16_t* p, const __m128i*) {
  return _mm_unpacklo_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)), _mm_setzero_si128());
}
template <class R> SIMDNORM_INLINE void store_narrow(std::uint16_t* p, __m128i a, const __m128i*) {
  const __m128i extended = _mm_srai_epi32(_mm_slli_epi32(a, 16), 16);  // SSE2 narrows signed numbers only
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi32(extended, extended));
}
#endif
#if defined(SIMDNORM_HAS_XSIMD) && defined(__AVX2__)
template <class R> SIMDNORM_INLINE __m256i load_narrow(const std::uint16_t* p, const __m256i*) {
  return _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
/// As the place of a byte in a shuffle: a byte of 0.
inline constexpr char no_byte = -1;

/// The lowest bytes of each word, as many as N has, side by side.
template <class N> SIMDNORM_INLINE __m128i lower_bytes(__m256i a) {
  constexpr bool two = sizeof(N) == 2;
  constexpr char no = no_byte;
  const __m256i places = two ? _mm256_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, no, no, no, no, no, no, no, no, 0,
                                                1, 4, 5, 8, 9, 12, 13, no, no, no, no, no, no, no, no)
                             : _mm256_setr_epi8(0, 4, 8, 12, no, no, no, no, no, no, no, no, no, no, no, no,
                                                0, 4, 8, 12, no, no, no, no, no, no, no, no, no, no, no, no);
  const __m256i packed = _mm256_shuffle_epi8(a, places);
  const __m128i lower = _mm256_castsi256_si128(packed), upper = _mm256_extracti128_si256(packed, 1);
  return two ? _mm_unpacklo_epi64(lower, upper) : _mm_unpacklo_epi32(lower, upper);
}
template <class R> SIMDNORM_INLINE void store_narrow(std::uint16_t* p, __m256i a, const __m256i*) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), lower_bytes<std::uint16_t>(a));
}
template <class R> SIMDNORM_INLINE void store_narrow(std::uint8_t* p, __m256i a, const __m256i*) {
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), lower_bytes<std::uint8_t>(a));
}
#endif
#if defined(SIMDNORM_HAS_XSIMD) && defined(__AVX512F__)
// Of all lanes, but named: g++ 12 warns of its own intrinsics without a mask (GCC bug 105593).
template <class R> SIMDNORM_INLINE __m512i load_narrow(const std::uint16_t* p, const __m512i*) {
  return _mm512_maskz_cvtepu16_epi32(0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
template <class R> SIMDNORM_INLINE void store_narrow(std::uint16_t* p, __m512i a, const __m512i*) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_maskz_cvtepi32_epi16(0xffff, a));
}
template <class R> SIMDNORM_INLINE void store_narrow(std::uint8_t* p, __m512i a, const __m512i*) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_maskz_cvtepi32_epi8(0xffff, a));
}
#endif
#if defined(SIMDNORM_HAS_XSIMD) && defined(__aarch64__)
template <class R> SIMDNORM_INLINE uint32x4_t load_narrow(const std::uint16_t* p, const uint32x4_t*) {
  return vmovl_u16(vld1_u16(p));
}
template <class R> SIMDNORM_INLINE void store_narrow(std::uint16_t* p, uint32x4_t a, const uint32x4_t*) {
  vst1_u16(p, vmovn_u32(a));
}
#endif

template <class Arch, class N> SIMDNORM_INLINE Words<Arch> load_words(const N* p) {
  using R = WordRegister<Arch>;
  return {load_narrow<R>(p, static_cast<const typename R::type*>(nullptr))};
}
template <class Arch, class N> SIMDNORM_INLINE void store_words(N* p, Words<Arch> a) {
  using R = WordRegister<Arch>;
  store_narrow<R>(p, a.value, static_cast<const typename R::type*>(nullptr));
}

}  // namespace simdnorm::simd
