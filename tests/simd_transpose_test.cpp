// Blocks of two vectors' elements in turns, by every distance, for every kind of register there is here.
#include <simdnorm/simd_transpose.hpp>

#include <gtest/gtest.h>

#include "support/four_numbers.hpp"

namespace {

using namespace simdnorm;

template <class Arch> struct Transposed : testing::Test {};
using Archs = testing::Types<simd::DefaultArch, simd::NoSimd, simd::FourNumbers>;
TYPED_TEST_SUITE(Transposed, Archs);

template <int Distance, class V> void check() {
  if constexpr (Distance < V::width) {
    double a[V::width], b[V::width], lower[V::width], upper[V::width];
    for (int i = 0; i < V::width; ++i) {
      a[i] = i;
      b[i] = 100 + i;
    }
    V of_lower, of_upper;
    simd::interleave<Distance>(simd::load<V>(simd::All{}, a), simd::load<V>(simd::All{}, b), of_lower,
                               of_upper);
    simd::store(simd::All{}, lower, of_lower);
    simd::store(simd::All{}, upper, of_upper);
    // Blocks of 2 * Distance elements; of a block the lower half goes to `lower`, a's first, then b's.
    int next = 0;
    for (int block = 0; block < V::width; block += 2 * Distance) {
      for (int of_b = 0; of_b < 2; ++of_b) {
        for (int i = 0; i < Distance; ++i, ++next) {
          EXPECT_EQ(lower[next], 100 * of_b + block + i) << Distance;
          EXPECT_EQ(upper[next], 100 * of_b + block + Distance + i) << Distance;
        }
      }
    }
    check<2 * Distance, V>();
  }
}

TYPED_TEST(Transposed, BlocksStandInTurns) { check<1, simd::Vector<double, TypeParam>>(); }

}  // namespace
