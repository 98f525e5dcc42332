// Bugs of shapes that other libraries shipped. (Those of numbers: ../known_bugs_test.cpp.)
#include <simdnorm/simdnorm.hpp>

#include "support/tensors.hpp"

namespace {

using namespace support;
using simdnorm::Index;

// pytorch#192016: scratch memory is sized by the last of several normalized dimensions only.
TEST(KnownBugs, ScratchSizedByTheLastDimensionOnly) {
  const Index rows = 300, a = 9, b = 50;
  Eigen::Tensor<float, 3, Eigen::RowMajor> x(rows, a, b), dy(rows, a, b), dx(rows, a, b), y(rows, a, b);
  const RowMap map{{rows, a, b}, true, 1, 2};
  const Expected<float> e = expect(Norm::layer, map, 1e-5f, Parameters::none, 1);
  scatter(map, e.p.x, x);
  scatter(map, e.p.dy, dy);
  const simdnorm::LayerNorm<float> norm(a * b, 1e-5f, simdnorm::last_axes(2));
  simdnorm::Moments<float> moments;
  simdnorm::Workspace<float> workspace;
  Eigen::Tensor<float, 1> dgamma(a * b), dbeta(a * b);
  norm.forward(x, y, moments);
  norm.backward(dy, x, moments, dx, dgamma, dbeta, workspace);
  EXPECT_LE(parameter_ratio(Gradient::dgamma, e, dgamma.data()), 1);
  EXPECT_LE(parameter_ratio(Gradient::dbeta, e, dbeta.data()), 1);
}

// FlagGems#5392: rank 2 is taken for granted. (Ranks 1 to 6: layer_norm_test.cpp.)
TEST(KnownBugs, RankTwoIsTakenForGranted) {
  Eigen::Tensor<float, 5, Eigen::RowMajor> x(2, 1, 3, 2, 4), y(2, 1, 3, 2, 4);
  x.setRandom();
  simdnorm::LayerNorm<float>(4, 0.f).forward(x, y);
  for (Index r = 0; r < 12; ++r) {
    double sum = 0, squares = 0;
    for (Index c = 0; c < 4; ++c) {
      const double value = static_cast<double>(y.data()[4 * r + c]);
      sum += value;
      squares += value * value;
    }
    EXPECT_NEAR(sum, 0, 1e-5);
    EXPECT_NEAR(squares, 4, 1e-5);
  }
}

// unsloth#10617, quack#88: a strided gradient is read as if it were contiguous.
TEST(KnownBugs, StridedGradientIsReadAsContiguous) {
  using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Rows x = Rows::Random(6, 10), wide = Rows::Random(6, 25);
  const Rows dy = wide.middleCols(7, 10);
  Rows y(6, 10), dx(6, 10), expected(6, 10);
  const simdnorm::LayerNorm<float> norm(10);
  simdnorm::Moments<float> moments;
  norm.forward(x, y, moments);
  norm.backward(dy, x, moments, expected);
  norm.backward(wide.middleCols(7, 10), x, moments, dx);
  EXPECT_EQ((dx - expected).cwiseAbs().maxCoeff(), 0.f);
}

// A column-major tensor's last axis is not contiguous: normalizing the first one instead gives plausible
// numbers.
TEST(KnownBugs, ColumnMajorNormalizesTheWrongAxis) {
  Eigen::Tensor<float, 2> x(3, 2), y(3, 2);
  x.setValues({{1.f, 2.f}, {5.f, 9.f}, {7.f, 6.f}});
  simdnorm::LayerNorm<float>(2, 0.f).forward(x, y);
  const float signs[] = {-1.f, -1.f, 1.f};
  for (Index r = 0; r < 3; ++r) {
    EXPECT_EQ(y(r, 0), signs[r]);
    EXPECT_EQ(y(r, 1), -signs[r]);
  }
}

}  // namespace
