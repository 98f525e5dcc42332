// Two norms of one tensor: the bits of two calls; wrong shapes.
#include "eigen/residual.hpp"

namespace {

using namespace residuals;

TEST_F(EigenResidual, TwoNormsHaveTheBitsOfPointers) {
  const Eigen::VectorXf gamma_2 = Eigen::VectorXf::Random(hidden);
  Tensor<float> y(batch, tokens, hidden), y_expected = y, y_2 = y, y_2_expected = y, dx = y, dx_expected = y;
  Eigen::VectorXf dgamma_2(hidden), dbeta_2(hidden), expected = dgamma_2, unused = dgamma_2;
  Moments<float> moments;
  simdnorm::Workspace<float> workspace;
  norm.forward(residual, two_norms(y, gamma_2, nullptr, y_2), moments);
  norm.forward(residual, y_expected);
  LayerNorm<float>(gamma_2, nullptr, 1e-5F).forward(residual, y_2_expected);
  EXPECT_TRUE(same(y, y_expected));
  EXPECT_TRUE(same(y_2, y_2_expected));
  norm.backward(two_gradients(dy, gamma_2, dsum, dgamma_2, dbeta_2), residual, moments, dx, dgamma, dbeta,
                workspace);
  simdnorm::layer_norm_backward(shape, simdnorm::two_gradients(dy.data(), gamma_2.data(), dsum.data()),
                                residual.data(), gamma.data(), moments.data(), dx_expected.data());
  EXPECT_TRUE(same(dx, dx_expected));
  LayerNorm<float>(gamma_2, nullptr, 1e-5F).backward(dsum, residual, moments, dx, expected, unused);
  EXPECT_TRUE(same(dgamma_2, expected));
  EXPECT_TRUE(same(dbeta_2, unused));
  norm.backward(dy, residual, moments, dx, expected, unused);
  EXPECT_TRUE(same(dgamma, expected));
  EXPECT_TRUE(same(dbeta, unused));
  Eigen::VectorXf too_short(3);
  refused({"LayerNorm.forward: gamma_2 has shape (3)", "(3, 5, 37)"},
          [&] { norm.forward(residual, two_norms(y, too_short, nullptr, y_2)); });
}

}  // namespace
