// Random words: the published ones of Philox 4x32-10; in vectors those of each place by itself.
#include <simdnorm/simd_random.hpp>

#include <gtest/gtest.h>

#include <vector>

#include "support/four_numbers.hpp"

namespace {

using namespace simdnorm::simd;

// The known answers of Random123, its file kat_vectors: counter, key, words.
TEST(Philox, HasTheWordsThatArePublished) {
  constexpr std::uint32_t all = 0xffffffff;
  using Words = Philox::Counter;
  EXPECT_EQ(Philox::words({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox::words({all, all, all, all}, {all, all}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox::words({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomPlaces, AreWordsOfCounters) {
  const RandomPlaces places{{7, 9}, 5};
  const std::int64_t row = (std::int64_t{3} << 32) + 11;
  const Philox::Counter words = Philox::words({100, 11, 3, 5}, {7, 9});
  for (int i = 0; i < 4; ++i) EXPECT_EQ(places.word(row, 400 + i), words[static_cast<std::size_t>(i)]);
}

template <class Arch> struct RandomVectors : testing::Test {};
using Archs = testing::Types<DefaultArch, NoSimd, FourNumbers>;
TYPED_TEST_SUITE(RandomVectors, Archs);

TYPED_TEST(RandomVectors, HoldTheWordOfEachPlace) {
  constexpr int width = WordRegister<TypeParam>::width;
  const RandomPlaces places{{0xdeadbeef, 0x12345678}, 77};
  for (std::int64_t row : {std::int64_t{0}, std::int64_t{0xffffffff}, (std::int64_t{5} << 32) + 1}) {
    for (std::int64_t column : {0, 1, 2, 3, 4, 8, 13, 16, 1022}) {
      std::vector<std::uint32_t> words(static_cast<std::size_t>(width));
      WordRegister<TypeParam>::store(words.data(), places.template words<TypeParam>(row, column).value);
      for (int i = 0; i < width; ++i)
        ASSERT_EQ(words[static_cast<std::size_t>(i)], places.word(row, column + i))
            << row << ' ' << column << ' ' << i;
    }
  }
}

}  // namespace
