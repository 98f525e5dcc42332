// Gates and groups of Eigen objects: the bits of the pointer layer; wrong shapes.
#include <simdnorm/simdnorm.hpp>

#include <gtest/gtest.h>

#include <cstring>

#include "support/refused.hpp"

namespace {

using simdnorm::gate_gradients;
using simdnorm::gated;
using simdnorm::Index;
using simdnorm::Moments;
using Tensor = Eigen::Tensor<float, 3, Eigen::RowMajor>;

constexpr Index batch = 3, tokens = 5, hidden = 37, rows = batch * tokens;
constexpr simdnorm::RowShape shape{rows, hidden};

bool same(const Tensor& a, const Tensor& b) {
  return std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(float)) == 0;
}
Tensor random_tensor() {
  Tensor values(batch, tokens, hidden);
  values.setRandom();
  return values;
}

struct EigenGated : testing::Test {
  const Tensor x = random_tensor(), z = random_tensor(), dy = random_tensor();
  Tensor y = x, dx = x, dz = x, u = x, y_expected = x, dx_expected = x, dz_expected = x, u_expected = x;
  Eigen::VectorXf gamma = Eigen::VectorXf::Random(hidden), beta = Eigen::VectorXf::Random(hidden);
  Moments<float> moments;
};

// LayerNorm takes its beta along.
TEST_F(EigenGated, AfterTheNorm) {
  const simdnorm::LayerNorm<float> norm(gamma, beta, 1e-5F);
  norm.forward(x, gated(y, z), moments);
  simdnorm::layer_norm_forward(shape, x.data(), gamma.data(), beta.data(), 1e-5F,
                               gated(y_expected.data(), z.data()));
  EXPECT_TRUE(same(y, y_expected));
  norm.backward(gated(dy, z).gradient(dz), x, moments, dx);
  simdnorm::layer_norm_backward(shape, gated(dy.data(), z.data()).gradient(dz_expected.data(), beta.data()),
                                x.data(), gamma.data(), moments.data(), dx_expected.data());
  EXPECT_TRUE(same(dx, dx_expected));
  EXPECT_TRUE(same(dz, dz_expected));
}

TEST_F(EigenGated, BeforeTheNorm) {
  const simdnorm::RMSNorm<float> norm(gamma, 1e-5F);
  norm.forward(gated(x, z, u), y, moments);
  simdnorm::rms_norm_forward(shape, gated(x.data(), z.data(), u_expected.data()), gamma.data(), 1e-5F,
                             y_expected.data());
  EXPECT_TRUE(same(y, y_expected));
  EXPECT_TRUE(same(u, u_expected));
  norm.backward(dy, gated(x, z), moments, gate_gradients(x, z, dx, dz));
  simdnorm::rms_norm_backward(shape, dy.data(), gated(x.data(), z.data()), gamma.data(), moments.data(),
                              gate_gradients(x.data(), z.data(), dx_expected.data(), dz_expected.data()),
                              nullptr);
  EXPECT_TRUE(same(dx, dx_expected));
  EXPECT_TRUE(same(dz, dz_expected));
  const Tensor longer(batch, tokens, hidden + 1);
  support::refused({"RMSNorm.forward: z has shape (3, 5, 38) but x has shape (3, 5, 37)"},
                   [&] { norm.forward(gated(x, longer, u), y, moments); });
}

TEST_F(EigenGated, GroupsOfLayerNorm) {
  constexpr Index groups = 5;
  constexpr simdnorm::RowShape side_by_side{7, 20, 7};  // the rows of a matrix by columns
  const Eigen::MatrixXf values = Eigen::MatrixXf::Random(7, 20);
  Eigen::MatrixXf out = values, to_x = values, out_expected = values, to_x_expected = values;
  const Eigen::VectorXf scale = Eigen::VectorXf::Random(20), shift = Eigen::VectorXf::Random(20);
  Eigen::VectorXf dgamma = scale, dbeta = scale, dgamma_expected = scale, dbeta_expected = scale;
  const simdnorm::GroupedLayerNorm<float> norm(groups, scale, shift);
  norm.forward(values, out, moments);
  norm.backward(values, values, moments, to_x, dgamma, dbeta);
  EXPECT_EQ(moments.rows(), groups * 7);
  const simdnorm::Strided<const float> rows_of{values.data(), 1, 7};
  simdnorm::grouped_layer_norm_forward(side_by_side, groups, rows_of, scale.data(), shift.data(), 1e-5F,
                                       simdnorm::Strided<float>{out_expected.data(), 1, 7});
  simdnorm::grouped_layer_norm_backward(side_by_side, groups, rows_of, rows_of, scale.data(), moments.data(),
                                        simdnorm::Strided<float>{to_x_expected.data(), 1, 7},
                                        dgamma_expected.data(), dbeta_expected.data());
  EXPECT_TRUE(out == out_expected && to_x == to_x_expected);
  EXPECT_TRUE(dgamma == dgamma_expected && dbeta == dbeta_expected);
  moments.resize(7);
  support::refused(
      {"GroupedLayerNorm.backward: moments hold 7 rows but x of shape (7, 20) has 7 in each of 5 groups"},
      [&] { norm.backward(values, values, moments, to_x, dgamma, dbeta); });
  support::refused({"hidden must be a multiple of groups, but groups is 3 (rows 7, hidden 20"},
                   [&] { simdnorm::GroupedLayerNorm<float>(3, scale, shift).forward(values, out, moments); });
}

}  // namespace
