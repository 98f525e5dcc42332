// float to double and back, in vectors of every width: exact one way, rounded to nearest even the other.
#include <simdnorm/simd_convert.hpp>
#include <simdnorm/simd_number.hpp>

#include <gtest/gtest.h>

#include "support/four_numbers.hpp"
#include "support/row_families.hpp"

namespace {

using namespace simdnorm;
using support::bits_of;
using support::Random;

template <class Arch> struct Conversions : testing::Test {};
using Architectures = testing::Types<simd::DefaultArch, simd::NoSimd, simd::FourNumbers>;
TYPED_TEST_SUITE(Conversions, Architectures);

TYPED_TEST(Conversions, FloatToDoubleIsExact) {
  using V = simd::Vector<double, TypeParam>;
  Random random(1);
  const float limits[] = {0.f, -0.f, std::numeric_limits<float>::denorm_min(),
                          std::numeric_limits<float>::max(), -std::numeric_limits<float>::infinity()};
  for (int round = 0; round < 300; ++round) {
    float from[V::width + 1];
    double to[V::width];
    for (float& value : from) {
      value = round < 50 ? limits[random.below(5)] : static_cast<float>(random.log_uniform(-140, 120));
    }
    simd::store(simd::All{}, to, simd::load_as_double<TypeParam>(from + round % 2));
    for (int i = 0; i < V::width; ++i)
      EXPECT_EQ(bits_of(to[i]), bits_of(static_cast<double>(from[i + round % 2])));
  }
}

TYPED_TEST(Conversions, NumbersAreAsManyAsTheyAre) {
  using V = simd::Vector<double, TypeParam>;
  EXPECT_EQ(static_cast<std::size_t>(simd::Numbers<V>::count) * sizeof(double), sizeof(V));
  EXPECT_EQ(simd::Numbers<double>::count, 1);
}

TEST(Numbers, OneByItselfIsInOrder) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(simd::in_order(simd::All{}, 1.0, 2.0));
  EXPECT_TRUE(simd::in_order(simd::All{}, 2.0, 2.0));
  EXPECT_FALSE(simd::in_order(simd::All{}, 2.0, 1.0));
  EXPECT_FALSE(simd::in_order(simd::All{}, nan, 1.0));
}

// The same of the elements of a vector, whole or its first ones, from memory and from a register.
template <class T, class Arch> void check_doubles() {
  using V = simd::Vector<T, Arch>;
  using Doubles = simd::Doubles<T, Arch>;
  constexpr int width = simd::Vector<double, Arch>::width;
  Random random(3);
  T from[static_cast<std::size_t>(V::width)];
  for (T& value : from) value = static_cast<T>(random.log_uniform(-140, 120));
  const auto expect = [&](const Doubles& doubles, int count) {
    double to[static_cast<std::size_t>(V::width)];
    for (int part = 0; part < Doubles::parts; ++part)
      simd::store(simd::All{}, to + part * width, doubles.part[part]);
    for (int i = 0; i < V::width; ++i)
      EXPECT_EQ(bits_of(to[i]), bits_of(i < count ? static_cast<double>(from[i]) : 0.0))
          << i << " of " << count;
  };
  expect(simd::load_doubles<V>(simd::All{}, from), V::width);
  expect(simd::as_doubles(simd::load<V>(simd::All{}, from)), V::width);
  for (int count = 1; count < V::width; ++count)
    expect(simd::load_doubles<V>(simd::First{count}, from), count);
}
TYPED_TEST(Conversions, OfTheElementsOfAVector) {
  check_doubles<float, TypeParam>();
  check_doubles<double, TypeParam>();
}

TYPED_TEST(Conversions, DoubleToFloatRoundsToNearestEven) {
  using V = simd::Vector<double, TypeParam>;
  Random random(2);
  for (int round = 0; round < 300; ++round) {
    double from[V::width];
    float to[V::width + 1];
    to[V::width] = 7.f;
    for (double& value : from) {
      value = random.log_uniform(-150, 120);
      // Every other one lies half way between two floats.
      if (round % 2 == 0) {
        const float near = static_cast<float>(value);
        value = (static_cast<double>(near) + static_cast<double>(std::nextafter(near, 1e30f))) / 2;
      }
    }
    simd::store_as_float<TypeParam>(to, simd::load<V>(simd::All{}, from));
    for (int i = 0; i < V::width; ++i) EXPECT_EQ(bits_of(to[i]), bits_of(static_cast<float>(from[i])));
    EXPECT_EQ(to[V::width], 7.f);
  }
}

}  // namespace
