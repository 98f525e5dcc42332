// Norms of expressions of every kind, rank, storage order, axis and type: the bits of the expression evaluated by Eigen and
// normalized then.
#define EIGEN_USE_THREADS
#include "support/expressions.hpp"

namespace {

using namespace support;

TEST_F(Expressions, OfEveryKind) {
  constexpr Index hidden = 37;
  const auto wide = filled<Rows>(2, rows + 3, hidden + 5);
  const auto row = filled<Rows>(3, 1, hidden), left = filled<Rows>(4, rows, 5),
             right = filled<Rows>(5, 5, hidden);
  const auto cube = filled<Tensor<float, 3>>(6, rows, 2, hidden);
  const Eigen::array<Eigen::IndexPair<Index>, 1> inner = {Eigen::IndexPair<Index>(1, 0)};
  const Eigen::array<Index, 1> middle = {1}, flat = {rows * hidden};
  const auto all = wide.slice(Indices{2, 3}, Indices{rows, hidden}) + row.broadcast(Indices{rows, 1}) * 0.5F +
                   left.contract(right, inner).reshape(flat).reshape(Indices{rows, hidden}) -
                   cube.sum(middle);
  check<Rows>(layer(hidden), all);
}

// An expression that counts references, of rank 1.
TEST_F(Expressions, OfATensorRef) {
  const auto x = filled<Tensor<float, 1>>(1, Index(200));
  const Eigen::TensorRef<const Tensor<float, 1>> ref(x);
  check<Tensor<float, 1>>(layer(200), ref * 2.0F);
}

TEST_F(Expressions, OverAnyAxisOfAnyRank) {
  using Pages = Tensor<double, 4, Eigen::ColMajor>;
  const auto pages = filled<Pages>(3, Index(3), Index(20), Index(2), Index(17));
  for (int d = 0; d < 4; ++d) {
    SCOPED_TRACE(d);
    check<Pages>(layer(pages.dimension(static_cast<std::size_t>(d)), simdnorm::axis(d)), pages * 3.0 - pages);
  }
  check<Pages>(layer(34, simdnorm::last_axes(2)), pages * 3.0 - pages);
  check<Pages>(layer(60, {0, 2}), pages * 3.0 - pages);
}

TEST_F(Expressions, OfNarrowTypes) {
  constexpr Index hidden = 37;
  const auto halves = filled<Tensor<Eigen::half, 2>>(1, rows, hidden);
  const auto brains = filled<Tensor<Eigen::bfloat16, 2>>(2, rows, hidden);
  const auto expression = halves.cast<Eigen::bfloat16>() - brains;
  const Tensor<Eigen::bfloat16, 2> x = expression;
  Rows y(rows, hidden), expected = x.cast<float>();
  layer(hidden).forward(expected, expected, pool);
  layer(hidden).forward(expression, y, pool);
  EXPECT_TRUE(same(y, expected));
}

TEST_F(Expressions, OfArrays) {
  constexpr Index hidden = 37;
  const auto x = filled<Matrix>(1, rows, hidden);
  const auto wide = filled<Matrix>(2, rows + 2, hidden + 6);
  const Eigen::RowVectorXf row = filled<Eigen::RowVectorXf>(3, hidden);
  const auto sum = (x * 1.5F + wide.block(1, 2, rows, hidden)).rowwise() + row.array();
  check<Matrix>(layer(hidden), sum);
  check<Matrix>(layer(rows, simdnorm::axis(0)), sum);
}

}  // namespace
