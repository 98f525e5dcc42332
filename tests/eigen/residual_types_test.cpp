// Residual sums of Eigen objects of double, and of matrices over either axis.
#include "eigen/residual.hpp"

namespace {

using namespace residuals;

// A double among them, and moments are of double.
TEST_F(EigenResidual, AreComputedInDoubleWhereOneOperandIs) {
  const Tensor<double> wide = random_tensor<double>();
  Tensor<double> sum(batch, tokens, hidden), sum_expected = sum, dx = sum, dx_expected = sum;
  Tensor<float> y(batch, tokens, hidden), y_expected = y;
  Moments<double> moments;
  std::vector<simdnorm::RowMoments<double>> moments_expected(rows);
  norm.forward(residual_sum(x, wide, sum), y, moments);
  simdnorm::layer_norm_forward(shape, residual_sum(bits(x), wide.data(), sum_expected.data()), gamma.data(),
                               beta.data(), static_cast<double>(1e-5F), y_expected.data(),
                               moments_expected.data());
  EXPECT_TRUE(same(sum, sum_expected));
  EXPECT_TRUE(same(y, y_expected));
  norm.backward(dy, sum, moments, added(wide, dx));
  simdnorm::layer_norm_backward(shape, dy.data(), sum.data(), gamma.data(), moments_expected.data(),
                                added(wide.data(), dx_expected.data()));
  EXPECT_TRUE(same(dx, dx_expected));
}

TEST_F(EigenResidual, OverAnyAxisOfMatrices) {
  const Matrix<float> a = Matrix<float>::Random(hidden, 6), b = Matrix<float>::Random(hidden, 6);
  Matrix<float> sum(hidden, 6), y(hidden, 6), expected(hidden, 6);
  const LayerNorm<float> over_rows(gamma, beta, 1e-5F, simdnorm::axis(0));
  over_rows.forward(residual_sum(a, b, sum), y);
  const Matrix<float> composed = b + a;
  over_rows.forward(composed, expected);
  EXPECT_TRUE(same(sum, composed));
  EXPECT_TRUE(same(y, expected));
}

}  // namespace
