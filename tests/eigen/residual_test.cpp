// Residual sums of Eigen objects: the bits of the pointer layer; wrong shapes, also of added results.
#include "eigen/residual.hpp"

namespace {

using namespace residuals;

TEST_F(EigenResidual, SumsHaveTheBitsOfPointers) {
  Tensor<float> sum(batch, tokens, hidden), sum_expected = sum;
  Tensor<bfloat16> y(batch, tokens, hidden), y_expected = y;
  Moments<float> moments;
  norm.forward(residual_sum(x, residual, sum).bias(bias).alpha(1.5), y, moments);
  simdnorm::layer_norm_forward(
      shape, residual_sum(bits(x), residual.data(), sum_expected.data()).bias(bias.data()).alpha(1.5),
      gamma.data(), beta.data(), 1e-5F, bits(y_expected));
  EXPECT_TRUE(same(sum, sum_expected));
  EXPECT_TRUE(same(y, y_expected));
  EXPECT_EQ(moments.rows(), rows);

  Eigen::ThreadPool threads(3);
  const Eigen::ThreadPoolDevice pool(&threads, 3);
  Tensor<float> in_place = residual;
  y.setZero();
  norm.forward(residual_sum(x, in_place, in_place).bias(bias).alpha(1.5), y, pool, moments);
  EXPECT_TRUE(same(in_place, sum_expected));
  EXPECT_TRUE(same(y, y_expected));

  // A map lets its numbers be changed, even one that is const.
  Tensor<float> of_map(batch, tokens, hidden);
  const Eigen::TensorMap<Tensor<float>> map(of_map.data(), batch, tokens, hidden);
  norm.forward(residual_sum(x, residual, map).bias(bias).alpha(1.5), y, moments);
  EXPECT_TRUE(same(of_map, sum_expected));
  of_map.setZero();
  norm.forward(x, added(residual, y_expected), moments);
  norm.forward(x, added(residual, map), moments);
  y = of_map.cast<bfloat16>();
  EXPECT_TRUE(same(y, y_expected));

  const RMSNorm<float> rms(gamma, 1e-6F);
  rms.forward(residual_sum(x, residual, nullptr), y, moments);
  rms.forward(residual_sum(x, residual, sum), y_expected);
  EXPECT_TRUE(same(y, y_expected));
}

TEST_F(EigenResidual, WrongShapesAreNamed) {
  Tensor<float> y(batch, tokens, hidden), sum(batch, tokens, hidden), other(batch, tokens + 1, hidden);
  Moments<float> moments;
  norm.forward(x, y, moments);
  const Eigen::VectorXf longer = Eigen::VectorXf::Zero(hidden + 1);
  refused({"LayerNorm.forward: residual has shape (3, 6, 37) but x has shape (3, 5, 37)"},
          [&] { norm.forward(residual_sum(x, other, sum), y); });
  refused({"sum has shape (3, 6, 37) but x has shape (3, 5, 37)"},
          [&] { norm.forward(residual_sum(x, residual, other), y); });
  refused({"bias has shape (38) but x of shape (3, 5, 37) is normalized over 37"},
          [&] { norm.forward(residual_sum(x, residual, sum).bias(longer), y); });
  refused({"addend has shape (3, 6, 37)"}, [&] { norm.forward(x, added(other, y)); });
  refused({"y has shape (3, 6, 37)"}, [&] { norm.forward(x, added(residual, other)); });
  refused({"LayerNorm.backward: dsum has shape (3, 6, 37)"},
          [&] { norm.backward(dy, x, moments, residual_gradients(other, y, sum)); });
  refused({"dx has shape (3, 6, 37)"},
          [&] { norm.backward(dy, x, moments, residual_gradients(dsum, other, sum)); });
  refused({"dresidual has shape (3, 6, 37)"},
          [&] { norm.backward(dy, x, moments, residual_gradients(nullptr, y, other)); });
  // What forward keeps stays as it is where the operands overlap.
  Moments<float> kept;
  refused({"y", "sum", "overlap"}, [&] { norm.forward(residual_sum(x, residual, sum), sum, kept); });
  EXPECT_EQ(kept.rows(), 0);
}

}  // namespace
