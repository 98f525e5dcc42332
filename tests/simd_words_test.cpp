// Vectors of words: each operation as on one word, and words of 16 and 8 bits in memory.
#include <simdnorm/simd_words.hpp>

#include <gtest/gtest.h>

#include "support/four_numbers.hpp"
#include "support/row_families.hpp"

namespace {

using namespace simdnorm::simd;

template <class Arch> struct WordVectors : testing::Test {
  using W = Words<Arch>;
  static constexpr int width = WordRegister<Arch>::width;
  using Array = std::vector<std::uint32_t>;

  static Array array(W words) {
    Array out(static_cast<std::size_t>(width));
    WordRegister<Arch>::store(out.data(), words.value);
    return out;
  }
  static W words(const Array& from) { return {WordRegister<Arch>::load(from.data())}; }
  // Words of all magnitudes, the borders of signed numbers among them.
  Array some() {
    Array out(static_cast<std::size_t>(width));
    for (std::uint32_t& word : out) {
      const std::uint32_t borders[] = {0, 1, 0x7fffffff, 0x80000000, 0x80000001, 0xffffffff};
      word = random.coin() ? borders[random.below(6)]
                           : static_cast<std::uint32_t>(random.bits() >> random.below(32));
    }
    return out;
  }
  support::Random random{1};
};
using Archs = testing::Types<DefaultArch, NoSimd, FourNumbers>;
TYPED_TEST_SUITE(WordVectors, Archs);

TYPED_TEST(WordVectors, OperateOnEachWord) {
  EXPECT_EQ(this->width, (Vector<float, TypeParam>::width));
  for (int trial = 0; trial < 1000; ++trial) {
    const auto a = this->some(), b = this->some();
    const auto va = this->words(a), vb = this->words(b);
    const auto expect_each = [&](auto got, auto operation) {
      const auto words = this->array(got);
      for (std::size_t i = 0; i < a.size(); ++i)
        ASSERT_EQ(words[i], operation(a[i], b[i])) << std::hex << a[i] << ' ' << b[i];
    };
    using U = std::uint32_t;
    expect_each(va + vb, [](U x, U y) { return x + y; });
    expect_each(va & vb, [](U x, U y) { return x & y; });
    expect_each(va | vb, [](U x, U y) { return x | y; });
    expect_each(larger(va, vb), [](U x, U y) { return x > y ? x : y; });
    for (int count : {1, 8, 13, 16, 24, 31}) {
      expect_each(va << count, [&](U x, U) { return x << count; });
      expect_each(va >> count, [&](U x, U) { return x >> count; });
    }
    expect_each(words_of(floats_of(va)), [](U x, U) { return x; });
    if (this->HasFatalFailure()) return;
  }
  for (std::uint32_t word : this->array(TestFixture::W::broadcast(0xdeadbeef))) EXPECT_EQ(word, 0xdeadbeefU);
}

// All words of 16 bits, at any alignment; a store keeps the lower bits of any word, and leaves alone what is beside.
template <class N, class Test> void check_narrow(Test& test) {
  using Arch = typename Test::Architecture;
  const std::size_t width = static_cast<std::size_t>(test.width);
  std::vector<N> all(65536 + 64);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<N>(i);
  for (std::size_t i = 0; i < 65536; i += width - (width > 1 ? 1 : 0)) {
    const auto loaded = test.array(load_words<Arch>(all.data() + i));
    for (std::size_t k = 0; k < width; ++k) ASSERT_EQ(loaded[k], all[i + k]);
  }
  for (int trial = 0; trial < 1000; ++trial) {
    const auto a = test.some();
    std::vector<N> to(width + 2, N{0x5a});
    store_words(to.data() + 1, test.words(a));
    for (std::size_t k = 0; k < width; ++k) ASSERT_EQ(to[k + 1], static_cast<N>(a[k])) << std::hex << a[k];
    ASSERT_EQ(to.front(), N{0x5a});
    ASSERT_EQ(to.back(), N{0x5a});
  }
}
template <class Arch> struct NarrowWords : WordVectors<Arch> { using Architecture = Arch; };
TYPED_TEST_SUITE(NarrowWords, Archs);

TYPED_TEST(NarrowWords, OfSixteenBits) { check_narrow<std::uint16_t>(*this); }
TYPED_TEST(NarrowWords, OfEightBits) { check_narrow<std::uint8_t>(*this); }

}  // namespace
