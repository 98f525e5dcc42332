// bf16 and fp16 as floats and back: every code, and every float near a border between two codes, against integer
// arithmetic, on every kind of vector there is here; and against the compiler's own types where it has them.
#include <simdnorm/simd_number.hpp>

#include <gtest/gtest.h>

#include "support/four_numbers.hpp"
#include "support/number_formats.hpp"
#include "support/row_families.hpp"

namespace {

using namespace simdnorm;
using support::bits_of;
using support::Format;

template <class U, class Arch> struct Kind {
  using Number = U;
  using V = simd::Vector<float, Arch>;
};
template <class K> struct NarrowNumbers : testing::Test {
  using Number = typename K::Number;
  using Vector = typename K::V;
  static constexpr std::size_t width = static_cast<std::size_t>(Vector::width);
  static constexpr Format format = support::FormatOf<Number>::format;

  static std::vector<float> loaded(const std::vector<Number>& numbers) {  // a multiple of the width
    std::vector<float> out(numbers.size());
    for (std::size_t i = 0; i < numbers.size(); i += width)
      simd::store(simd::All{}, out.data() + i,
                  simd::Storage<Number>::template load<Vector>(numbers.data() + i));
    return out;
  }
  static std::vector<Number> stored(const std::vector<float>& floats) {
    std::vector<Number> out(floats.size());
    for (std::size_t i = 0; i < floats.size(); i += width)
      simd::Storage<Number>::store(out.data() + i, simd::load<Vector>(simd::All{}, floats.data() + i));
    if constexpr (simd::stores_two<Number, Vector>) {  // the same of two vectors together
      std::vector<Number> both(2 * width);
      for (std::size_t i = 0; i + 2 * width <= floats.size(); i += width) {
        simd::store_two(both.data(), simd::load<Vector>(simd::All{}, floats.data() + i),
                        simd::load<Vector>(simd::All{}, floats.data() + i + width));
        EXPECT_EQ(std::memcmp(both.data(), out.data() + i, 2 * width * sizeof(Number)), 0) << "from " << i;
      }
    }
    return out;
  }
  static bool is_nan(Number number) { return (number.bits & 0x7fff) > format.largest + 1; }

  // Stores any number of floats and compares each with the reference; of a NaN, that it is one.
  static void check(std::vector<float> floats) {
    while (floats.size() % width != 0) floats.push_back(0);
    const std::vector<Number> got = stored(floats);
    for (std::size_t i = 0; i < floats.size(); ++i) {
      if (floats[i] != floats[i]) {
        ASSERT_TRUE(is_nan(got[i])) << std::hex << bits_of(floats[i]) << " gave " << got[i].bits;
        ASSERT_NE(got[i].bits >> (format.mantissa - 1) & 1, 0) << "a signaling NaN";
      } else {
        ASSERT_EQ(got[i].bits, support::encoded(format, static_cast<double>(floats[i])))
            << std::hex << "bits of the float: " << bits_of(floats[i]);
      }
    }
  }
};
using Kinds = testing::Types<Kind<BFloat16, simd::DefaultArch>, Kind<BFloat16, simd::NoSimd>,
                             Kind<BFloat16, simd::FourNumbers>, Kind<Float16, simd::DefaultArch>,
                             Kind<Float16, simd::NoSimd>, Kind<Float16, simd::FourNumbers>>;
TYPED_TEST_SUITE(NarrowNumbers, Kinds);

float of_bits(std::uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

TYPED_TEST(NarrowNumbers, EveryCodeIsLoadedExactlyAndStoredAsItself) {
  using U = typename TestFixture::Number;
  std::vector<U> codes(65536);
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = U{static_cast<std::uint16_t>(i)};
  const std::vector<float> floats = this->loaded(codes);
  const std::vector<U> back = this->stored(floats);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const double expected = support::decoded(this->format, codes[i].bits);
    if (expected != expected) {
      ASSERT_TRUE(floats[i] != floats[i]) << i;
      ASSERT_TRUE(this->is_nan(back[i])) << i;
    } else {
      ASSERT_EQ(bits_of(floats[i]), bits_of(static_cast<float>(expected))) << i;
      ASSERT_EQ(back[i].bits, codes[i].bits);
    }
  }
}

// Half-way between each two codes, from 0 to the border of infinity, and up to four floats beside it.
TYPED_TEST(NarrowNumbers, EveryBorderBetweenTwoCodes) {
  std::vector<float> floats;
  for (std::uint32_t code = 0; code <= this->format.largest; ++code) {
    const double low = support::magnitude_of(this->format, code),
                 high = support::magnitude_of(this->format, code + 1);
    // Of bf16, the border of infinity is beyond the floats' powers of two, but not beyond the floats.
    const float middle = static_cast<float>(low + (high - low) / 2), number = static_cast<float>(low);
    ASSERT_EQ(static_cast<double>(middle) - low, (high - low) / 2) << "no float";
    for (std::uint32_t near = 0; near < 5; ++near) {
      for (std::uint32_t sign : {0U, 0x80000000U}) {
        floats.push_back(of_bits((static_cast<std::uint32_t>(bits_of(middle)) + near - 2) | sign));
        const std::uint32_t at_number = static_cast<std::uint32_t>(bits_of(number));
        floats.push_back(of_bits((at_number < 2 ? at_number : at_number + near - 2) | sign));
      }
    }
  }
  this->check(floats);
}

TYPED_TEST(NarrowNumbers, EndsOfTheFloats) {
  std::vector<float> floats;
  for (std::uint32_t sign : {0U, 0x80000000U}) {
    for (std::uint32_t near = 0; near < 4096; ++near) {
      for (std::uint32_t base : {0U, 0x007ff800U, 0x7f7ff000U, 0x7f800000U, 0x7fbff800U, 0x7ffff000U})
        floats.push_back(
            of_bits((base + near) | sign));  // zero and subnormals, the largest, infinity, NaNs of both kinds
    }
  }
  this->check(floats);
}

TYPED_TEST(NarrowNumbers, FloatsOfAllBits) {
  support::Random random(1);
  std::vector<float> floats(1 << 18);
  for (float& x : floats) x = of_bits(static_cast<std::uint32_t>(random.bits() >> 20));
  this->check(floats);
}

// The NaN that kernels write is one number here, too.
TYPED_TEST(NarrowNumbers, TheCanonicalNanHasOneCode) {
  for (const auto& code : this->stored(std::vector<float>(16, std::numeric_limits<float>::quiet_NaN())))
    EXPECT_EQ(code.bits, this->format.nan);
}

// One NaN, infinity or subnormal number among ordinary ones changes no other element.
TYPED_TEST(NarrowNumbers, ElementsDoNotTouchEachOther) {
  for (float special :
       {of_bits(1), of_bits(0x00012345), of_bits(0x7fc00000), of_bits(0x7f800000), of_bits(0xff812345)}) {
    for (std::size_t place = 0; place < 32; ++place) {
      std::vector<float> floats(32);
      for (std::size_t i = 0; i < 32; ++i) floats[i] = 1 + static_cast<float>(i) / 300;
      floats[place] = special;
      this->check(floats);
    }
  }
}

TYPED_TEST(NarrowNumbers, TheNumberOfOneVectorIsThatOfOneNumber) {
  using U = typename TestFixture::Number;
  using One = simd::Vector<float, simd::NoSimd>;
  support::Random random(2);
  std::vector<float> floats(1 << 16);
  for (float& x : floats) x = static_cast<float>(random.log_uniform(-20, 18));
  const std::vector<U> got = this->stored(floats);
  for (std::size_t i = 0; i < floats.size(); ++i) {
    U one;
    simd::Storage<U>::store(&one, One{floats[i]});
    ASSERT_EQ(got[i].bits, one.bits) << floats[i];
  }
}

// --- the compiler's own ---

#if (defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12 && defined(__SSE2__)) || \
    (defined(__clang__) && __clang_major__ >= 16 && defined(__SSE2__)) || defined(__aarch64__)
#if defined(__aarch64__)
__extension__ typedef __fp16 CompilersHalf;
#else
__extension__ typedef _Float16 CompilersHalf;
#endif
TEST(CompilersHalf, ConvertsAsTheReferenceDoes) {
  const Format format = support::FormatOf<Float16>::format;
  for (std::uint32_t code = 0; code < 65536; ++code) {
    const auto bits = static_cast<std::uint16_t>(code);
    CompilersHalf half;
    std::memcpy(&half, &bits, sizeof half);
    const float x = static_cast<float>(half);
    const double expected = support::decoded(format, code);
    if (expected != expected) continue;
    ASSERT_EQ(bits_of(x), bits_of(static_cast<float>(expected))) << code;
  }
  support::Random random(3);
  for (int i = 0; i < 1 << 20; ++i) {
    const float x =
        of_bits(static_cast<std::uint32_t>(random.bits() >> 20) & (i % 2 == 0 ? 0xffffffffU : 0xfffff000U));
    if (x != x) continue;
    const CompilersHalf half = static_cast<CompilersHalf>(x);
    std::uint16_t bits;
    std::memcpy(&bits, &half, sizeof bits);
    ASSERT_EQ(bits, support::encoded(format, static_cast<double>(x))) << std::hex << bits_of(x);
  }
}
#endif
#if defined(__BFLT16_MANT_DIG__) && !defined(__clang__)  // gcc 13
TEST(CompilersBFloat, ConvertsAsTheReferenceDoes) {
  support::Random random(3);
  for (int i = 0; i < 1 << 20; ++i) {
    const float x = of_bits(static_cast<std::uint32_t>(random.bits() >> 20));
    if (x != x) continue;
    const __bf16 number = static_cast<__bf16>(x);
    std::uint16_t bits;
    std::memcpy(&bits, &number, sizeof bits);
    ASSERT_EQ(bits, support::encoded(support::FormatOf<BFloat16>::format, static_cast<double>(x)))
        << std::hex << bits_of(x);
  }
}
#endif

// --- every float there is ---

template <class U> struct NightlyEveryFloat : NarrowNumbers<Kind<U, simd::DefaultArch>> {};
using Numbers = testing::Types<BFloat16, Float16>;
TYPED_TEST_SUITE(NightlyEveryFloat, Numbers);
TYPED_TEST(NightlyEveryFloat, IsRoundedToNearestEven) {
  std::vector<float> floats(1 << 16);
  for (std::uint32_t upper = 0; upper < 65536; ++upper) {
    for (std::uint32_t lower = 0; lower < 65536; ++lower) floats[lower] = of_bits(upper << 16 | lower);
    this->check(floats);
    if (this->HasFatalFailure()) return;
  }
}

}  // namespace
