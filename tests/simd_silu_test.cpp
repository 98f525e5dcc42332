// sigmoid, silu and its derivative against the formulas in wider numbers: floats of every exponent, thinned, and doubles.
#include <simdnorm/simd_silu.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "support/oracle.hpp"

namespace {

using namespace simdnorm::simd;

// In the numbers of the oracle, where there are such exponentials; else in double, for floats.
using Wide = long double;
constexpr bool wider_than_double = std::numeric_limits<Wide>::digits > 53;

struct Values {
  Wide sigmoid, silu, derivative, derivative_unit;
};
Values values_at(Wide z) {
  const Wide e = std::exp(-z), s = 1 / (1 + e), rest = std::isinf(e) ? 1 : e / (1 + e);
  return {s, z * s, s * (1 + z * rest), s * (1 + std::fabs(z) * rest)};
}

template <class T> Wide ulp_of(Wide value) {
  const int exponent = value == 0 ? -16400 : std::ilogb(value);
  const Wide ulp = std::ldexp(Wide(1), exponent + 1 - std::numeric_limits<T>::digits);
  return std::max(ulp, static_cast<Wide>(std::numeric_limits<T>::denorm_min()));
}

// The numbers of three functions of z, in all lanes, and those of one number by itself: they have the same bits.
template <class T> struct Got {
  T sigmoid, silu, derivative;
  explicit Got(T z) {
    const auto one = [&](auto f, T* to) {
      using V = Vector<T>;
      using One = Vector<T, NoSimd>;
      T lanes[V::width];
      store(All{}, lanes, canonical(f(V::broadcast(z))));
      const T by_itself = canonical(f(One{z})).value;
      for (T lane : lanes) EXPECT_EQ(std::memcmp(&lane, &by_itself, sizeof lane), 0) << z;
      *to = by_itself;
    };
    one([](auto a) { return simdnorm::simd::sigmoid(a); }, &sigmoid);
    one([](auto a) { return simdnorm::simd::silu(a); }, &silu);
    one([](auto a) { return silu_derivative(a); }, &derivative);
  }
};

template <class T> void check(T z) {
  const Got<T> got(z);
  const Values expected = values_at(static_cast<Wide>(z));
  const Wide tiny = static_cast<Wide>(std::numeric_limits<T>::denorm_min());
  const auto near = [&](T value, Wide of, Wide bound, const char* what) {
    ASSERT_LE(std::fabs(static_cast<Wide>(value) - of), bound) << what << " of " << z;
  };
  near(got.sigmoid, expected.sigmoid, 2.5L * ulp_of<T>(expected.sigmoid), "sigmoid");
  near(got.silu, expected.silu, 2.5L * ulp_of<T>(expected.silu), "silu");
  const Wide u = static_cast<Wide>(std::numeric_limits<T>::epsilon()) / 2;
  near(got.derivative, expected.derivative, 5 * u * expected.derivative_unit + tiny, "derivative");
}

TEST(Silu, OfFloats) {
  for (std::uint64_t bits = 0; bits < std::uint64_t{1} << 32; bits += 16411) {  // every exponent, either sign
    const auto word = static_cast<std::uint32_t>(bits);
    float z = 0;
    std::memcpy(&z, &word, sizeof z);
    if (std::isfinite(z)) check(z);
    if (testing::Test::HasFatalFailure()) return;
  }
  for (int i = -115000; i < 30000 && !testing::Test::HasFatalFailure(); ++i)
    check(static_cast<float>(i) * 1e-3F);
}

TEST(Silu, OfDoubles) {
  if (!wider_than_double) GTEST_SKIP() << "long double is double";
  for (int i = -77000; i < 6000 && !testing::Test::HasFatalFailure(); ++i) check(i * 1e-2);
  for (int i = -70000; i < 70000 && !testing::Test::HasFatalFailure(); ++i) check(i * 1e-4);
  for (int exponent = -1074; exponent < 1024 && !testing::Test::HasFatalFailure(); ++exponent) {
    check(std::ldexp(1.0, exponent));
    check(-std::ldexp(1.0, exponent));
  }
}

template <class T> void check_ends() {
  const T infinity = std::numeric_limits<T>::infinity();
  const Got<T> below(-infinity), above(infinity), none(std::numeric_limits<T>::quiet_NaN()), zero(T(0)),
      minus(-T(0));
  EXPECT_TRUE(below.sigmoid == 0 && below.silu == 0 && std::signbit(below.silu));
  EXPECT_TRUE(below.derivative == 0 && std::signbit(below.derivative));
  EXPECT_TRUE(above.sigmoid == 1 && above.silu == infinity && above.derivative == 1);
  EXPECT_TRUE(std::isnan(none.sigmoid) && std::isnan(none.silu) && std::isnan(none.derivative));
  EXPECT_TRUE(zero.sigmoid == T(0.5) && zero.silu == 0 && !std::signbit(zero.silu));
  EXPECT_TRUE(zero.derivative == T(0.5) && std::signbit(minus.silu));
  for (T large : {T(50), T(1e20), std::numeric_limits<T>::max()}) {
    const Got<T> got(large), opposite(-large);
    EXPECT_TRUE(got.silu == large && got.sigmoid == 1 && got.derivative == 1) << large;
    EXPECT_TRUE(std::signbit(opposite.silu) && opposite.silu > T(-1e-19)) << large;
  }
}
TEST(Silu, OfTheEnds) {
  check_ends<float>();
  check_ends<double>();
}

}  // namespace
