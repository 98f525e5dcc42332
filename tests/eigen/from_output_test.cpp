// Backward from y of Eigen objects: the bits of the pointer layer; wrong shapes.
#include <simdnorm/simdnorm.hpp>

#include <gtest/gtest.h>

#include <cstring>

#include "support/refused.hpp"

namespace {

using Rows = Eigen::Tensor<float, 3, Eigen::RowMajor>;
constexpr simdnorm::Index batch = 3, tokens = 5, hidden = 37;

TEST(EigenFromOutput, HasTheBitsOfPointers) {
  Rows x(batch, tokens, hidden), dy = x, y = x, expected = x;
  x.setRandom();
  dy.setRandom();
  const Eigen::VectorXf gamma = Eigen::VectorXf::Random(hidden), beta = Eigen::VectorXf::Random(hidden);
  const simdnorm::LayerNorm<float> norm(gamma, beta, 1e-5F);
  simdnorm::Moments<float> moments;
  norm.forward(x, y, moments);
  const Rows wrong(batch, tokens, hidden + 1);
  support::refused({"LayerNorm.backward", "shape (37)", "(3, 5, 38)"},
                   [&] { norm.backward(dy, simdnorm::from_output(wrong), moments, expected); });
  simdnorm::layer_norm_backward({batch * tokens, hidden}, dy.data(),
                                simdnorm::from_output(y.data(), beta.data(), 0.25), gamma.data(),
                                moments.data(), expected.data());
  norm.backward(dy, simdnorm::from_output(y, 0.25), moments, y);  // over y
  EXPECT_EQ(std::memcmp(y.data(), expected.data(), static_cast<std::size_t>(y.size()) * sizeof(float)), 0);
}

}  // namespace
