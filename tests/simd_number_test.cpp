// Numbers of any type in memory as vectors of float and of double: whole and in part, exactly when loaded, with one
// rounding when stored.
#include <simdnorm/simd_number.hpp>

#include <gtest/gtest.h>

#include "support/four_numbers.hpp"
#include "support/guard_pages.hpp"
#include "support/number_formats.hpp"
#include "support/row_families.hpp"

namespace {

using namespace simdnorm;
using support::bits_of;
using support::number;
using support::Random;
using support::value_of;

template <class U, class T, class Arch> struct Kind {
  using Number = U;
  using V = simd::Vector<T, Arch>;
};
template <class K> struct NumbersAs : testing::Test {
  using Number = typename K::Number;
  using Vector = typename K::V;
  using Scalar = typename Vector::Scalar;
  static constexpr int lanes = Vector::width;

  std::vector<Number> some(int count) {
    std::vector<Number> out;
    for (int i = 0; i < count; ++i) out.push_back(number<Number>(random.log_uniform(-8, 8)));
    return out;
  }
  static std::vector<Scalar> array(Vector a) {
    std::vector<Scalar> out(static_cast<std::size_t>(lanes));
    simd::store(simd::All{}, out.data(), a);
    return out;
  }
  static bool same(const Number& a, const Number& b) { return std::memcmp(&a, &b, sizeof a) == 0; }
  Random random{1};
};
template <class Arch> struct Of {
  template <class U> using Float = Kind<U, float, Arch>;
  template <class U> using Double = Kind<U, double, Arch>;
};
using Default = Of<simd::DefaultArch>;
using One = Of<simd::NoSimd>;
using Four = Of<simd::FourNumbers>;
using Kinds = testing::Types<Default::Float<BFloat16>, Default::Float<Float16>, Default::Double<BFloat16>,
                             Default::Double<Float16>, Default::Double<float>, One::Float<BFloat16>,
                             One::Float<Float16>, One::Double<BFloat16>, One::Double<Float16>,
                             One::Double<float>, Four::Float<BFloat16>, Four::Float<Float16>>;
TYPED_TEST_SUITE(NumbersAs, Kinds);

TYPED_TEST(NumbersAs, VectorsAreLoadedExactly) {
  using V = typename TestFixture::Vector;
  const auto from = this->some(64);
  for (int offset = 0; offset + this->lanes <= 64; ++offset) {
    const auto got = this->array(simd::load<V>(simd::All{}, from.data() + offset));
    for (std::size_t i = 0; i < got.size(); ++i)
      ASSERT_EQ(static_cast<double>(got[i]), value_of(from[static_cast<std::size_t>(offset) + i]));
  }
  for (int count = 1; count < this->lanes; ++count) {
    const auto got = this->array(simd::load<V>(simd::First{count}, from.data()));
    for (std::size_t i = 0; i < got.size(); ++i)
      ASSERT_EQ(static_cast<double>(got[i]), i < static_cast<std::size_t>(count) ? value_of(from[i]) : 0.0);
  }
}

TYPED_TEST(NumbersAs, DoublesAreLoadedExactly) {
  using V = typename TestFixture::Vector;
  using Arch = typename V::Architecture;
  const auto from = this->some(64);
  const auto check = [&](auto which, int count) {
    const auto doubles = simd::load_doubles<V>(which, from.data() + 3);
    std::vector<double> got;
    for (int part = 0; part < doubles.parts; ++part) {
      double numbers[simd::Vector<double, Arch>::width];
      simd::store(simd::All{}, numbers, doubles.part[part]);
      got.insert(got.end(), std::begin(numbers), std::end(numbers));
    }
    ASSERT_EQ(got.size(), static_cast<std::size_t>(this->lanes));
    for (std::size_t i = 0; i < got.size(); ++i)
      ASSERT_EQ(got[i], i < static_cast<std::size_t>(count) ? value_of(from[3 + i]) : 0.0)
          << i << " of " << count;
  };
  check(simd::All{}, this->lanes);
  for (int count = 1; count < this->lanes; ++count) check(simd::First{count}, count);
}

TYPED_TEST(NumbersAs, VectorsAreStoredWithOneRounding) {
  using V = typename TestFixture::Vector;
  using U = typename TestFixture::Number;
  using T = typename TestFixture::Scalar;
  const std::size_t width = static_cast<std::size_t>(this->lanes);
  for (int trial = 0; trial < 2000; ++trial) {
    std::vector<T> values(width);
    for (T& value : values) value = static_cast<T>(this->random.log_uniform(-30, 18));
    const V a = simd::load<V>(simd::All{}, values.data());
    for (int count = 1; count <= this->lanes; ++count) {
      const U untouched = number<U>(7);
      std::vector<U> to(width + 2, untouched);
      if (count == this->lanes) {
        simd::store(simd::All{}, to.data() + 1, a);
      } else {
        simd::store(simd::First{count}, to.data() + 1, a);
      }
      for (std::size_t i = 0; i < to.size(); ++i) {
        const bool meant = i >= 1 && i <= static_cast<std::size_t>(count);
        ASSERT_TRUE(this->same(to[i], meant ? number<U>(static_cast<double>(values[i - 1])) : untouched))
            << i << " of " << count;
      }
    }
    const auto rounded = this->array(simd::rounded_to<U>(a));
    for (std::size_t i = 0; i < width; ++i)
      ASSERT_EQ(static_cast<double>(rounded[i]), value_of(number<U>(static_cast<double>(values[i]))));
  }
}

#if SIMDNORM_TEST_GUARD_PAGES
TYPED_TEST(NumbersAs, NothingBeyondTheFirstIsTouched) {
  using V = typename TestFixture::Vector;
  using U = typename TestFixture::Number;
  support::GuardedPages pages(4096);
  ASSERT_TRUE(pages.ok());
  for (int count = 1; count <= this->lanes; ++count) {
    U* const p = reinterpret_cast<U*>(pages.end()) - count;
    for (int i = 0; i < count; ++i) p[i] = number<U>(i);
    const auto some_lanes = [&](const auto& f) { simd::with_lanes<V>(count, f); };
    some_lanes([&](auto which) { simd::store(which, p, simd::load<V>(which, static_cast<const U*>(p))); });
    some_lanes([&](auto which) { simd::load_doubles<V>(which, static_cast<const U*>(p)); });
    for (int i = 0; i < count; ++i) ASSERT_EQ(value_of(p[i]), i);
  }
}
#endif

// --- from double with one rounding ---

template <class U> struct FromDouble : testing::Test {};
using Narrow = testing::Types<BFloat16, Float16>;
TYPED_TEST_SUITE(FromDouble, Narrow);

// Half-way between two codes and less than a float's digit beside it: rounded to float first, it would be half-way.
TYPED_TEST(FromDouble, NumbersThatARoundingToFloatFirstGetsWrong) {
  using U = TypeParam;
  const support::Format format = support::FormatOf<U>::format;
  int wrong_in_two_steps = 0;
  for (std::uint32_t code = 0; code <= format.largest; ++code) {
    const double low = support::magnitude_of(format, code), high = support::magnitude_of(format, code + 1);
    const double middle = low + (high - low) / 2;
    for (double x : {middle, middle * (1 + 0x1p-40), middle * (1 - 0x1p-40), std::nextafter(middle, 0.0),
                     std::nextafter(middle, 1e300)}) {
      for (double signed_x : {x, -x}) {
        const U got = simd::narrow_number<U>(simd::rounded_to_odd(signed_x));
        ASSERT_EQ(got.bits, support::encoded(format, signed_x)) << std::hexfloat << signed_x;
        wrong_in_two_steps += simd::narrow_number<U>(static_cast<float>(signed_x)).bits != got.bits;
      }
    }
  }
  EXPECT_GT(wrong_in_two_steps, 30000);
}

TYPED_TEST(FromDouble, EndsAndRandomNumbers) {
  using U = TypeParam;
  const support::Format format = support::FormatOf<U>::format;
  Random random(1);
  const auto check = [&](double x) {
    ASSERT_EQ(simd::narrow_number<U>(simd::rounded_to_odd(x)).bits, support::encoded(format, x))
        << std::hexfloat << x;
  };
  for (double x : {0.0, 5e-324, 1e-310, 1e-60, 0x1p-150, 0x1.8p-150, 0x1p-149, 0x1.8p-149, 0x1.fffffep127,
                   0x1.ffffffp127, 0x1p128, 1e300, std::numeric_limits<double>::max(),
                   std::numeric_limits<double>::infinity()}) {
    for (double signed_x : {x, -x}) check(signed_x);
  }
  for (int i = 0; i < 200000; ++i) check(random.log_uniform(-160, 140));
  const float nan = simd::rounded_to_odd(std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(simd::narrow_number<U>(nan).bits, format.nan);
}

TYPED_TEST(FromDouble, OneNumberAsAFloat) {
  for (std::uint32_t code = 0; code < 65536; ++code) {
    const TypeParam x{static_cast<std::uint16_t>(code)};
    const double expected = value_of(x);
    if (expected == expected) {
      ASSERT_EQ(static_cast<double>(simd::float_of(x)), expected);
    }
  }
}

TEST(IsNumber, OfTheTypesThatHaveAStorage) {
  static_assert(simd::is_number<float> && simd::is_number<double> && simd::is_number<BFloat16> &&
                simd::is_number<Float16>);
  static_assert(!simd::is_number<int> && !simd::is_number<std::int8_t> && !simd::is_number<Float8E4M3> &&
                !simd::is_number<long double>);
  static_assert(simd::is_narrow<Float16> && !simd::is_narrow<float>);
}

}  // namespace
