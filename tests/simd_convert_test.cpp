// float to double and back, in vectors of every width: exact one way, rounded to nearest even the other.
#include <simdnorm/simd_convert.hpp>

#include <gtest/gtest.h>

#include "support/row_families.hpp"

namespace {

using namespace simdnorm;
using support::bits_of;
using support::Random;

template <class Arch> struct Conversions : testing::Test {};
using Architectures = testing::Types<simd::DefaultArch, simd::NoSimd>;
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
