// Random words without a state: Philox 4x32-10, a function of a counter and a key.
#pragma once

#include <array>

#include "simd_words.hpp"

namespace simdnorm::simd {

/// Philox 4x32-10: four random words for each counter of four words and key of two.
/// Source: Salmon, Moraes, Dror, Shaw, Parallel Random Numbers: As Easy as 1, 2, 3 (2011), as in their Random123.
struct Philox {
  using Counter = std::array<std::uint32_t, 4>;
  using Key = std::array<std::uint32_t, 2>;
  static constexpr int rounds = 10;
  static constexpr std::uint32_t factor[] = {0xD2511F53, 0xCD9E8D57}, step[] = {0x9E3779B9, 0xBB67AE85};

  static SIMDNORM_INLINE Counter round(const Counter& c, const Key& key) {
    const std::uint64_t a = std::uint64_t{factor[0]} * c[0], b = std::uint64_t{factor[1]} * c[2];
    return {static_cast<std::uint32_t>(b >> 32) ^ c[1] ^ key[0], static_cast<std::uint32_t>(b),
            static_cast<std::uint32_t>(a >> 32) ^ c[3] ^ key[1], static_cast<std::uint32_t>(a)};
  }
  static SIMDNORM_INLINE Counter words(Counter counter, Key key) {
    for (int r = 0; r < rounds; ++r) {
      counter = round(counter, key);
      key = {key[0] + step[0], key[1] + step[1]};
    }
    return counter;
  }
};

// --- a round of several counters, one after another in a register ---
// The words 0 and 2 of a counter are multiplied in place, and their products lie in the order that the next counter has,
// from the last to the first.

#if defined(SIMDNORM_HAS_XSIMD) && defined(__SSE2__) && !defined(__AVX2__)
SIMDNORM_INLINE __m128i philox_round(__m128i counters, __m128i factors, __m128i keys) {
  const __m128i products = _mm_shuffle_epi32(_mm_mul_epu32(counters, factors), 0x1B);
  return _mm_xor_si128(_mm_xor_si128(products, _mm_srli_epi64(counters, 32)), keys);
}
#endif
#if defined(SIMDNORM_HAS_XSIMD) && defined(__AVX2__)
SIMDNORM_INLINE __m256i philox_round(__m256i counters, __m256i factors, __m256i keys) {
  const __m256i products = _mm256_shuffle_epi32(_mm256_mul_epu32(counters, factors), 0x1B);
  return _mm256_xor_si256(_mm256_xor_si256(products, _mm256_srli_epi64(counters, 32)), keys);
}
#endif
#if defined(SIMDNORM_HAS_XSIMD) && defined(__AVX512F__)
// Of all lanes, but named: see simd_words.hpp.
SIMDNORM_INLINE __m512i philox_round(__m512i counters, __m512i factors, __m512i keys) {
  const __m512i products = _mm512_maskz_shuffle_epi32(0xffff, _mm512_maskz_mul_epu32(0xff, counters, factors),
                                                      static_cast<_MM_PERM_ENUM>(0x1B));
  return _mm512_xor_si512(_mm512_xor_si512(products, _mm512_maskz_srli_epi64(0xff, counters, 32)), keys);
}
#endif
#if defined(SIMDNORM_HAS_XSIMD) && defined(__aarch64__)
SIMDNORM_INLINE uint32x4_t philox_round(uint32x4_t counters, uint32x4_t factors, uint32x4_t keys) {
  const auto words_0_and_2 = [](uint32x4_t a) { return vget_low_u32(vuzp1q_u32(a, a)); };
  const uint32x4_t products =
      vrev64q_u32(vreinterpretq_u32_u64(vmull_u32(words_0_and_2(counters), words_0_and_2(factors))));
  const uint32x4_t others = vreinterpretq_u32_u64(vshrq_n_u64(vreinterpretq_u64_u32(counters), 32));
  return veorq_u32(veorq_u32(vextq_u32(products, products, 2), others), keys);
}
#endif
struct NoRegister {};
void philox_round(NoRegister, NoRegister, NoRegister);  // so that there is one

template <class Arch, class = void> inline constexpr bool has_philox_round = false;
template <class Arch>
inline constexpr bool
    has_philox_round<Arch, decltype(static_cast<void>(philox_round(Words<Arch>{}.value, Words<Arch>{}.value,
                                                                   Words<Arch>{}.value)))> = true;

/// The words of the counters that a register holds.
template <class Arch> struct PhiloxVector {
  using R = WordRegister<Arch>;
  using W = Words<Arch>;

  /// x as word `which` of each counter, the others 0.
  static SIMDNORM_INLINE W word(std::size_t which, std::uint32_t x) {
    alignas(64) static constexpr std::uint32_t all = 0xffffffff,
                                               masks[4][16] = {
                                                   {all, 0, 0, 0, all, 0, 0, 0, all, 0, 0, 0, all, 0, 0, 0},
                                                   {0, all, 0, 0, 0, all, 0, 0, 0, all, 0, 0, 0, all, 0, 0},
                                                   {0, 0, all, 0, 0, 0, all, 0, 0, 0, all, 0, 0, 0, all, 0},
                                                   {0, 0, 0, all, 0, 0, 0, all, 0, 0, 0, all, 0, 0, 0, all}};
    return W::broadcast(x) & W{R::load(masks[which])};
  }
  /// Of the counters {c[0], ...}, {c[0] + 1, ...} and so on.
  static SIMDNORM_INLINE W words(const Philox::Counter& c, const Philox::Key& key) {
    static constexpr std::uint32_t numbers[16] = {0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0};
    W counters = word(0, c[0]) + W{R::load(numbers)} + (word(1, c[1]) + (word(2, c[2]) + word(3, c[3])));
    W keys = word(0, key[0]) + word(2, key[1]);
    const W factors = word(0, Philox::factor[0]) + word(2, Philox::factor[1]);
    const W steps = word(0, Philox::step[0]) + word(2, Philox::step[1]);
    for (int r = 0; r < Philox::rounds; ++r) {
      counters = {philox_round(counters.value, factors.value, keys.value)};
      keys = keys + steps;
    }
    return counters;
  }
};

/// Where random words come from: place (row, column) has word column % 4 of the counter {column / 4, row, row >> 32, stream}.
struct RandomPlaces {
  Philox::Key key;
  std::uint32_t stream;

  SIMDNORM_INLINE std::uint32_t word(std::int64_t row, std::int64_t column) const {
    return Philox::words(counter(row, column), key)[static_cast<std::size_t>(column % 4)];
  }
  /// Those of the columns from `column` on, as many as a vector has elements. (Some sixty instructions: a call costs little,
  /// and copies in every kernel would take long to compile.)
  template <class Arch> SIMDNORM_NOINLINE Words<Arch> words(std::int64_t row, std::int64_t column) const {
    using R = WordRegister<Arch>;
    constexpr int width = R::width;
    if constexpr (has_philox_round<Arch>) {
      const Words<Arch> whole = PhiloxVector<Arch>::words(counter(row, column), key);
      if (column % 4 == 0) return whole;
      std::uint32_t words[2 * static_cast<std::size_t>(width)];
      R::store(words, whole.value);
      R::store(words + width, PhiloxVector<Arch>::words(counter(row, column + width), key).value);
      return {R::load(words + column % 4)};
    } else {
      std::uint32_t words[static_cast<std::size_t>(width)];
      for (int i = 0; i < width; ++i) words[i] = word(row, column + i);
      return {R::load(words)};
    }
  }

 private:
  SIMDNORM_INLINE Philox::Counter counter(std::int64_t row, std::int64_t column) const {
    return {static_cast<std::uint32_t>(column / 4), static_cast<std::uint32_t>(row),
            static_cast<std::uint32_t>(row >> 32), stream};
  }
};

}  // namespace simdnorm::simd
