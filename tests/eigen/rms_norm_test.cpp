// RMSNorm over Eigen tensors: ranks, storage orders and axes as for LayerNorm, which shares the code that
// finds the rows; and what RMSNorm has of its own: no beta, no mean.
#include <simdnorm/simdnorm.hpp>

#include "support/tensors.hpp"

namespace {

using namespace support;
using simdnorm::Index;

template <class Tensor>
void check(const Tensor& empty, simdnorm::Axes axes, int first, int count, Parameters parameters) {
  const RowMap map{sizes_of(empty), row_major<Tensor>(), first, count};
  const Expected<float> e =
      expect(Norm::rms, map, 1e-6f, parameters, static_cast<std::uint64_t>(first * 8 + count));
  Tensor x = empty, y = empty, dy = empty, dx = empty;
  scatter(map, e.p.x, x);
  scatter(map, e.p.dy, dy);
  const Eigen::Tensor<float, 1> gamma = vector_of(e.p.gamma);
  const simdnorm::RMSNorm<float> norm(
      has_gamma(parameters) ? simdnorm::LearnedVector<float>(gamma) : simdnorm::LearnedVector<float>(nullptr),
      1e-6f, axes);
  simdnorm::Moments<float> moments;
  norm.forward(x, y);
  EXPECT_EQ(first_difference(gather(map, y), e.forward.y), -1) << "y";
  norm.forward(x, y, moments);
  EXPECT_EQ(first_difference(gather(map, y), e.forward.y), -1) << "y with moments";
  ASSERT_EQ(moments.rows(), map.rows());
  for (Index r = 0; r < map.rows(); ++r) {
    EXPECT_EQ(moments.mean(r), 0.f);
    EXPECT_EQ(moments.rstd(r), simdnorm::true_rstd(e.forward.moments[size(r)]));
  }
  norm.backward(dy, x, moments, dx);
  EXPECT_EQ(first_difference(gather(map, dx), e.gradients.dx), -1) << "dx";
  Eigen::Tensor<float, 1> dgamma(map.hidden());
  dgamma.setConstant(nan_of<float>);
  dx.setConstant(nan_of<float>);
  norm.backward(dy, x, moments, dx, dgamma);
  EXPECT_EQ(first_difference(gather(map, dx), e.gradients.dx), -1) << "dx with dgamma";
  EXPECT_LE(parameter_ratio(Gradient::dgamma, e, dgamma.data()), 1);
}

template <class C> struct RMSNormOnTensors : testing::Test {};
using Cases =
    testing::Types<Eigen::Tensor<float, 3, Eigen::RowMajor>, Eigen::Tensor<float, 3, Eigen::ColMajor>>;
TYPED_TEST_SUITE(RMSNormOnTensors, Cases);

TYPED_TEST(RMSNormOnTensors, AnyRunOfAxes) {
  const TypeParam empty(4, 33, 6);
  for (int first = 0; first < 3; ++first) {
    for (int count = 1; first + count <= 3; ++count) {
      check(empty, simdnorm::Axes{first, count}, first, count,
            count == 2 ? Parameters::none : Parameters::gamma);
    }
  }
  check(empty, {}, 2, 1, Parameters::gamma);
  check(empty, simdnorm::last_axes(2), 1, 2, Parameters::gamma);
}

TEST(RMSNormOnVectors, HasRankOne) {
  check(Eigen::Tensor<float, 1, Eigen::RowMajor>(70), {}, 0, 1, Parameters::gamma);
  check(Eigen::Tensor<float, 1, Eigen::ColMajor>(70), {}, 0, 1, Parameters::none);
}

TEST(RMSNorm, WithoutGamma) {
  Eigen::Tensor<float, 2, Eigen::RowMajor> x(3, 8), a(3, 8), b(3, 8), c(3, 8);
  x.setRandom();
  simdnorm::RMSNorm<float>(8, 1e-5f).forward(x, a);
  simdnorm::RMSNorm<float>(nullptr, 1e-5f).forward(x, b);
  Eigen::Tensor<float, 1> ones(8);
  ones.setConstant(1.f);
  simdnorm::RMSNorm<float>(ones, 1e-5f).forward(x, c);
  for (Index i = 0; i < x.size(); ++i) {
    EXPECT_EQ(a.data()[i], b.data()[i]);
    EXPECT_EQ(a.data()[i], c.data()[i]);
  }
}

TEST(RMSNorm, EpsilonIsOneMillionthByDefault) {
  Eigen::Tensor<float, 1> x(2), y(2), expected(2);
  x.setConstant(1e-3f);
  simdnorm::RMSNorm<float>(2).forward(x, y);
  simdnorm::RMSNorm<float>(2, 1e-6f).forward(x, expected);
  EXPECT_EQ(y(0), expected(0));
  EXPECT_NEAR(static_cast<double>(y(0)), std::sqrt(0.5), 1e-6);
}

}  // namespace
