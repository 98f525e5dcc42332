// The totals of what backward sums, in their workspace. (What is summed: backward_test.)
#include <simdnorm/kernel/epilogue.hpp>
#include <simdnorm/kernel/parameter_gradient.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace {

using namespace simdnorm;

// From the last column on there is room for a vector of sixteen, which is a multiple of what any vector has; and no more.
TEST(ParameterGradients, ArraysArePaddedForOneVector) {
  for (Index hidden = 1; hidden <= 100; ++hidden) {
    const Index padded = padded_hidden(hidden);
    EXPECT_EQ(padded % 16, 0) << hidden;
    EXPECT_GE(padded, (hidden - 1) + 16) << hidden;
    EXPECT_LT(padded, (hidden - 1) + 16 + 16) << hidden;
  }
}

template <class T> struct Totals : testing::Test {};
using Elements = testing::Types<float, double>;
TYPED_TEST_SUITE(Totals, Elements);

// Each segment has the arrays of its terms, from a cache line on, and clears what of these is beyond the columns, alone: two of
// LayerNorm, one of RMSNorm. (What the columns have is written by the first rows: backward_test.)
template <class T, class... Term> void check_segments(Index hidden) {
  constexpr Index gradients = static_cast<Index>(sizeof...(Term));
  const Index of_segment = gradients * padded_hidden(hidden) * (sizeof(T) == 8 ? 2 : 1);
  const Index size = workspace_bytes<T>(3, hidden, gradients) / 8;
  EXPECT_EQ(size, 3 * of_segment + 7);  // from wherever a double may lie to the next line
  using Gradient = ParameterGradient<T, simd::DefaultArch, Term...>;
  struct alignas(64) Line {
    double numbers[8];
  };
  std::vector<Line> lines(static_cast<std::size_t>(size / 8 + 2));
  for (Index past : {0, 1, 7}) {
    double* const workspace = lines[0].numbers + past;
    for (Index segment : {0, 1, 2}) {
      std::fill(workspace, workspace + size, 7.0);
      const auto begun = Gradient(hidden, workspace, {}, Term{}...).begin(segment);
      double* const first = lines[past == 0 ? 0 : 1].numbers;
      for (Index i = 0; i < gradients; ++i)
        EXPECT_EQ(begun.of_term[i], first + segment * of_segment + i * padded_hidden(hidden));
      for (const double* number = workspace; number < workspace + size; ++number) {
        const Index i = number - first;
        const bool cleared = i >= 0 && i / of_segment == segment && i % padded_hidden(hidden) >= hidden;
        EXPECT_EQ(*number, cleared ? 0.0 : 7.0) << i;
      }
    }
  }
}
TYPED_TEST(Totals, OfASegmentAreItsOwn) {
  for (Index hidden : {1, 2, 16, 17, 18, 100}) {
    using OfGamma = GammaTerm<RoundOnce::Xhat<TypeParam>>;
    check_segments<TypeParam, OfGamma, BetaTerm>(hidden);
    check_segments<TypeParam, OfGamma>(hidden);
  }
}

// A term is of dy and xhat, or of what the sink of dx returns; one that is of neither would not be summed, and does not compile
// in backward.
struct OfStored {
  template <class Block, class Lanes, class Vector>
  Vector operator()(const Block&, At<Lanes>, const std::pair<Vector, Vector>& stored) const {
    return stored.first;
  }
};
TEST(ParameterGradients, EachTermIsSummed) {
  using Block = RowsAlong<float, simd::DefaultArch, 2>;
  using V = Block::Vector;
  using Place = At<simd::All>;
  using OfDy = std::tuple<V, V>;
  using OfSink = std::tuple<std::pair<V, V>>;
  EXPECT_TRUE(
      (ParameterGradient<float, simd::DefaultArch, BetaTerm>::sums_all<Block, Place, OfDy, std::tuple<V>>));
  EXPECT_TRUE((
      ParameterGradient<float, simd::DefaultArch, BetaTerm, OfStored>::sums_all<Block, Place, OfDy, OfSink>));
  EXPECT_FALSE((ParameterGradient<float, simd::DefaultArch, BetaTerm, OfStored>::sums_all<Block, Place, OfDy,
                                                                                          std::tuple<V>>));
}

}  // namespace
