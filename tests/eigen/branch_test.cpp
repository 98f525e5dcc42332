// Branches and expressions on their way to a residual: the bits of the pointer layer; wrong shapes.
#include "eigen/residual.hpp"

namespace {

using namespace residuals;

TEST_F(EigenResidual, BranchesHaveTheBitsOfPointers) {
  const Eigen::VectorXf scale = Eigen::VectorXf::Random(hidden), of_rows = Eigen::VectorXf::Random(rows);
  Tensor<float> sum(batch, tokens, hidden), sum_expected = sum, y = sum, expected = sum, dresidual = sum;
  Tensor<bfloat16> dx(batch, tokens, hidden), dx_expected = dx;
  Eigen::VectorXd dbias(hidden), dscale(hidden), dbias_expected(hidden), dscale_expected(hidden);
  Moments<float> moments;
  simdnorm::Workspace<float> workspace;
  norm.forward(residual_sum(branch(x).bias(bias).layer_scale(scale).row_scale(of_rows), residual, sum), y,
               moments);
  simdnorm::layer_norm_forward(
      shape,
      residual_sum(branch(bits(x)).bias(bias.data()).layer_scale(scale.data()).row_scale(of_rows.data()),
                   residual.data(), sum_expected.data()),
      gamma.data(), beta.data(), 1e-5F, expected.data());
  EXPECT_TRUE(same(sum, sum_expected));
  EXPECT_TRUE(same(y, expected));
  norm.backward(
      dy, sum, moments,
      residual_gradients(dsum, branch(dx).dbias(dbias).layer_scale(scale, x, dscale).row_scale(of_rows),
                         dresidual),
      workspace);
  simdnorm::layer_norm_backward(
      shape, dy.data(), sum.data(), gamma.data(), moments.data(),
      residual_gradients(dsum.data(),
                         branch(bits(dx_expected))
                             .dbias(dbias_expected.data())
                             .layer_scale(scale.data(), bits(x), dscale_expected.data())
                             .row_scale(of_rows.data()),
                         expected.data()));
  EXPECT_TRUE(same(dx, dx_expected));
  EXPECT_TRUE(same(dresidual, expected));
  EXPECT_TRUE(same(dbias, dbias_expected));
  EXPECT_TRUE(same(dscale, dscale_expected));
  Eigen::VectorXf short_scale(3);
  refused({"LayerNorm.forward: row_scale", "(3)", "(3, 5, 37)", "15 rows"},
          [&] { norm.forward(branch(x).row_scale(short_scale), y); });
  refused({"LayerNorm.backward: dbias has shape (3)", "(3, 5, 37)"},
          [&] { norm.backward(dy, sum, moments, branch(dx).dbias(short_scale)); });
}

TEST_F(EigenResidual, OperandsMayBeExpressions) {
  const simdnorm::Dropout dropout{0.4, 99, 3};
  const Tensor<bfloat16> doubled = x + x;
  const Tensor<float> other = residual * 2.0F;
  Tensor<float> sum(batch, tokens, hidden), sum_expected = sum, y = sum, expected = sum;
  norm.forward(residual_sum(dropped(doubled, dropout).bias(bias), other, sum_expected), expected);
  norm.forward(residual_sum(dropped(x + x, dropout).bias(bias), residual * 2.0F, sum), y);
  EXPECT_TRUE(same(sum, sum_expected));
  EXPECT_TRUE(same(y, expected));
}

}  // namespace
