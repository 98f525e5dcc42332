// What is measured on the rows of a block goes to the moments of those rows, and nowhere else. (What it is worth:
// layer_norm_test, rms_norm_test, extremes_test.)
#include <simdnorm/kernel/measure.hpp>

#include <gtest/gtest.h>

#include <simdnorm/kernel/blocks.hpp>

#include <cmath>
#include <vector>

namespace {

using namespace simdnorm;

template <class K> struct Measure : testing::Test {};
template <template <class> class Of, class Number> struct Kind { using Statistic = Of<Number>; };
using Kinds = testing::Types<Kind<Variance, float>, Kind<Variance, double>, Kind<MeanSquare, float>,
                             Kind<MeanSquare, double>>;
TYPED_TEST_SUITE(Measure, Kinds);

// Rows of two columns +-(r + 1) of a block: mean 0, rstd 1/(r + 1), both exact. Of row `bad`, if there is one, infinity.
template <class Statistic, class Block, class T>
void check_block(const Block& block, const Strided<const T>& rows, int bad) {
  const RowMoments<T> untouched{T(-3), T(-3), T(-3), T(-3)};
  std::vector<RowMoments<T>> moments(static_cast<std::size_t>(Block::capacity) + 2, untouched);
  measure(block, LoadedRows<T>{rows}, Statistic{T(0)}, Spans<>(2), moments.data() + 1);
  for (std::size_t i = 0; i < moments.size(); ++i) {
    const int r = static_cast<int>(i) - 1;
    const RowMoments<T>& m = moments[i];
    if (r < 0 || r >= block.count()) {
      EXPECT_EQ(m.mean, T(-3)) << "no row: " << r << " of " << block.count();
      EXPECT_EQ(m.mean_low, T(-3));
      EXPECT_EQ(m.rstd, T(-3));
      EXPECT_EQ(m.scale, T(-3));
    } else if (r == bad) {
      EXPECT_TRUE(std::isnan(m.scale)) << r;
    } else {
      EXPECT_EQ(m.mean, T(0)) << r;
      EXPECT_EQ(m.mean_low, T(0)) << r;
      EXPECT_EQ(m.rstd, T(1) / static_cast<T>(r + 1)) << r;
      EXPECT_EQ(m.scale, T(1)) << r;
    }
  }
}

TYPED_TEST(Measure, TheRowsOfABlockAndNoOthers) {
  using Statistic = typename TypeParam::Statistic;
  using T = typename Statistic::Scalar;
  using Along = BlockAlong<T, simd::DefaultArch>;
  using Across = RowsAcross<T, simd::DefaultArch>;
  for (int bad : {-1, 0, 2}) {
    std::vector<T> contiguous, beside(2 * static_cast<std::size_t>(Across::capacity));
    for (int r = 0; r < Across::capacity; ++r) {
      const T value = r == bad ? std::numeric_limits<T>::infinity() : static_cast<T>(r + 1);
      contiguous.insert(contiguous.end(), {value, -value});
      beside[static_cast<std::size_t>(r)] = value;
      beside[static_cast<std::size_t>(Across::capacity + r)] = -value;
    }
    for (int count = 1; count <= Along::capacity; ++count)
      check_block<Statistic>(Along{0, count}, Strided<const T>{contiguous.data(), 2, 1}, bad);
    for (int count : {1, 2, 3, 4, 5, 7, 8, 9, 15, 17, 31, Across::capacity})
      check_block<Statistic>(Across{0, 0, 0, count}, Strided<const T>{beside.data(), 0, Across::capacity},
                             bad);
  }
}

}  // namespace
