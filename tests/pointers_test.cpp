// The umbrella of the pointer layer, called as a user without Eigen calls it: raw pointers, literal nullptr,
// default arguments. What the operators compute is tested elsewhere; here each overload must reach the same
// code.
#include <simdnorm/pointers.hpp>

#if defined(EIGEN_WORLD_VERSION)
#error "pointers.hpp must not include Eigen"
#endif

#include <gtest/gtest.h>

#include "support/accuracy.hpp"

namespace {

using namespace support;
using simdnorm::Index;

struct Pointers : testing::Test {
  const Problem<float> p = make_problem<float>(37, 45, all_kinds<float>(0), Parameters::both, 1e-5f, 1);
  const RowShape shape{37, 45};
  std::vector<float> y = std::vector<float>(p.x.size()), dx = y;
  std::vector<float> dgamma = std::vector<float>(45), dbeta = dgamma;
  std::vector<simdnorm::RowMoments<float>> moments = std::vector<simdnorm::RowMoments<float>>(37);
};

TEST_F(Pointers, LayerNorm) {
  const Forward<float> expected = run_forward(Norm::layer, p);
  simdnorm::layer_norm_forward(shape, p.x.data(), p.gamma.data(), p.beta.data(), 1e-5f, y.data());
  EXPECT_EQ(first_difference(y, expected.y), -1);
  simdnorm::layer_norm_forward(shape, p.x.data(), p.gamma.data(), p.beta.data(), 1e-5f, y.data(),
                               moments.data());
  EXPECT_EQ(first_difference(moments, expected.moments), -1);

  const Backward<float> gradients = run_backward(Norm::layer, p, moments);
  simdnorm::layer_norm_backward(shape, p.dy.data(), p.x.data(), p.gamma.data(), moments.data(), dx.data());
  EXPECT_EQ(first_difference(dx, gradients.dx), -1);
  simdnorm::layer_norm_backward(shape, p.dy.data(), p.x.data(), p.gamma.data(), moments.data(), dx.data(),
                                dgamma.data(), dbeta.data());
  EXPECT_EQ(first_difference(dgamma, gradients.dgamma), -1);
  EXPECT_EQ(first_difference(dbeta, gradients.dbeta), -1);
  simdnorm::layer_norm_backward(shape, p.dy.data(), p.x.data(), nullptr, moments.data(), dx.data(), nullptr,
                                dbeta.data());
  EXPECT_EQ(first_difference(dbeta, gradients.dbeta), -1);
}

TEST_F(Pointers, RMSNorm) {
  const Forward<float> expected = run_forward(Norm::rms, p);
  simdnorm::rms_norm_forward(shape, p.x.data(), p.gamma.data(), 1e-5f, y.data());
  EXPECT_EQ(first_difference(y, expected.y), -1);
  simdnorm::rms_norm_forward(shape, p.x.data(), p.gamma.data(), 1e-5f, y.data(), moments.data());
  EXPECT_EQ(first_difference(moments, expected.moments), -1);

  const Backward<float> gradients = run_backward(Norm::rms, p, moments);
  simdnorm::rms_norm_backward(shape, p.dy.data(), p.x.data(), p.gamma.data(), moments.data(), dx.data());
  EXPECT_EQ(first_difference(dx, gradients.dx), -1);
  simdnorm::rms_norm_backward(shape, p.dy.data(), p.x.data(), p.gamma.data(), moments.data(), dx.data(),
                              dgamma.data());
  EXPECT_EQ(first_difference(dgamma, gradients.dgamma), -1);
}

}  // namespace
