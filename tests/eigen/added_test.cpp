// Added results and dropped operands of Eigen objects: the bits of the pointer layer.
#include "eigen/residual.hpp"

namespace {

using namespace residuals;

TEST_F(EigenResidual, AddedResultsHaveTheBitsOfPointers) {
  Tensor<float> y(batch, tokens, hidden), expected = y, dx = y, dresidual = y, dresidual_expected = y;
  Tensor<bfloat16> narrow(batch, tokens, hidden), narrow_expected = narrow;
  Moments<float> moments;
  norm.forward(x, added(residual, y), moments);
  simdnorm::layer_norm_forward(shape, bits(x), gamma.data(), beta.data(), 1e-5F,
                               added(residual.data(), expected.data()));
  EXPECT_TRUE(same(y, expected));
  norm.backward(dy, x, moments, added(dsum, dx));
  simdnorm::layer_norm_backward(shape, dy.data(), bits(x), gamma.data(), moments.data(),
                                added(dsum.data(), expected.data()));
  EXPECT_TRUE(same(dx, expected));
  norm.backward(dy, x, moments, residual_gradients(dsum, narrow, dresidual).alpha(1.5), dgamma, dbeta);
  std::vector<float> dgamma_expected(hidden), dbeta_expected(hidden);
  simdnorm::layer_norm_backward(
      shape, dy.data(), bits(x), gamma.data(), moments.data(),
      residual_gradients(dsum.data(), bits(narrow_expected), dresidual_expected.data()).alpha(1.5),
      dgamma_expected.data(), dbeta_expected.data());
  EXPECT_TRUE(same(narrow, narrow_expected));
  EXPECT_TRUE(same(dresidual, dresidual_expected));
  EXPECT_EQ(std::memcmp(dgamma.data(), dgamma_expected.data(), sizeof(float) * hidden), 0);
  EXPECT_EQ(std::memcmp(dbeta.data(), dbeta_expected.data(), sizeof(float) * hidden), 0);
  norm.backward(dy, x, moments, residual_gradients(nullptr, dx, dresidual));
  EXPECT_TRUE(same(dx, dresidual));
}

TEST_F(EigenResidual, DroppedOperandsHaveTheBitsOfPointers) {
  const simdnorm::Dropout dropout{0.4, 99, 3};
  Tensor<float> sum(batch, tokens, hidden), sum_expected = sum, y = sum, expected = sum, dresidual = sum;
  Tensor<bfloat16> dx(batch, tokens, hidden), dx_expected = dx;
  Moments<float> moments;
  norm.forward(residual_sum(dropped(x, dropout).bias(bias), residual, sum), dropped(y, dropout), moments);
  simdnorm::layer_norm_forward(
      shape, residual_sum(dropped(bits(x), dropout).bias(bias.data()), residual.data(), sum_expected.data()),
      gamma.data(), beta.data(), 1e-5F, dropped(expected.data(), dropout));
  EXPECT_TRUE(same(sum, sum_expected));
  EXPECT_TRUE(same(y, expected));
  norm.backward(dy, sum, moments, residual_gradients(dsum, dropped(dx, dropout), dresidual));
  simdnorm::layer_norm_backward(
      shape, dy.data(), sum.data(), gamma.data(), moments.data(),
      residual_gradients(dsum.data(), dropped(bits(dx_expected), dropout), expected.data()));
  EXPECT_TRUE(same(dx, dx_expected));
  EXPECT_TRUE(same(dresidual, expected));
  const Tensor<bfloat16>& read_only = x;
  norm.forward(dropped(read_only, dropout), y, moments);
  simdnorm::layer_norm_forward(shape, dropped(bits(x), dropout), gamma.data(), beta.data(), 1e-5F,
                               expected.data());
  EXPECT_TRUE(same(y, expected));
  norm.backward(dy, x, moments, dropped(dx, dropout));
  simdnorm::layer_norm_backward(shape, dy.data(), bits(x), gamma.data(), moments.data(),
                                dropped(bits(dx_expected), dropout));
  EXPECT_TRUE(same(dx, dx_expected));
}

}  // namespace
