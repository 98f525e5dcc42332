// Both functors in double, on tensors and matrices, serial and on a pool.
#define EIGEN_USE_THREADS
#include <simdnorm/simdnorm.hpp>

#include "support/tensors.hpp"

namespace {

using namespace support;
using simdnorm::Index;

template <class X> void check(const X& empty, Norm which) {
  const RowMap map{sizes_of(empty), row_major<X>(), static_cast<int>(sizes_of(empty).size()) - 1, 1};
  const Expected<double> e =
      expect(which, map, 1e-5, which == Norm::layer ? Parameters::both : Parameters::gamma, 1);
  X x = empty, y = empty, dy = empty, dx = empty;
  scatter(map, e.p.x, x);
  scatter(map, e.p.dy, dy);
  const Eigen::Tensor<double, 1> gamma = vector_of(e.p.gamma), beta = vector_of(e.p.beta);
  Eigen::Tensor<double, 1> dgamma(map.hidden()), dbeta(map.hidden());
  simdnorm::Moments<double> moments;
  Eigen::ThreadPool threads(3);
  const Eigen::ThreadPoolDevice pool(&threads, 3);
  if (which == Norm::layer) {
    const simdnorm::LayerNorm<double> norm(gamma, beta, 1e-5);
    norm.forward(x, y, moments, pool);
    norm.backward(dy, x, moments, dx, dgamma, dbeta, pool);
    EXPECT_LE(parameter_ratio(Gradient::dbeta, e, dbeta.data()), 1);
  } else {
    const simdnorm::RMSNorm<double> norm(gamma, 1e-5);
    norm.forward(x, y, moments, pool);
    norm.backward(dy, x, moments, dx, dgamma, pool);
  }
  EXPECT_EQ(first_difference(gather(map, y), e.forward.y), -1);
  EXPECT_EQ(first_difference(gather(map, dx), e.gradients.dx), -1);
  EXPECT_LE(parameter_ratio(Gradient::dgamma, e, dgamma.data()), 1);
}

TEST(Double, TensorsAndMatrices) {
  for (Norm norm : oracle::norms) {
    check(Eigen::Tensor<double, 3, Eigen::RowMajor>(50, 30, 100), norm);
    check(Eigen::Tensor<double, 3, Eigen::ColMajor>(50, 30, 100), norm);
    check(Eigen::MatrixXd(7, 33), norm);
    check(Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>(7, 33), norm);
  }
}

}  // namespace
