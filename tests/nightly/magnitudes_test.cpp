// Every magnitude that there is, with every epsilon, for many hidden sizes.
#include <simdnorm/storage.hpp>

#include "support/magnitudes.hpp"

namespace {

using namespace support;
using simdnorm::Index;

template <class T> struct MagnitudeSweep : testing::Test {};
using Elements = testing::Types<float, double>;
TYPED_TEST_SUITE(MagnitudeSweep, Elements);

TYPED_TEST(MagnitudeSweep, EveryRowIsWithinFiveUnits) {
  using T = TypeParam;
  if (!oracle::wide_exponents && sizeof(T) == 8) GTEST_SKIP() << "the oracle's exponents are those of double";
  std::vector<Index> sizes = {33, 64, 65, 100, 127, 128, 129, 600};
  for (Index hidden = 1; hidden <= 17; ++hidden) sizes.push_back(hidden);
  for (Norm norm : oracle::norms) {
    Index rows = 0;
    for (Index hidden : sizes) rows += check_magnitudes<T>(norm, hidden, sizeof(T) == 4 ? 1 : 3);
    std::printf("%s, %s: %lld rows from 2^%d to 2^%d\n", oracle::name(norm),
                sizeof(T) == 4 ? "float" : "double", static_cast<long long>(rows), lowest<T>, highest<T> + 1);
  }
}

}  // namespace
