// Double backward of Eigen objects: the bits of pointers, also of expressions, over other axes and on threads; wrong shapes.
#include "eigen/residual.hpp"

namespace {

using namespace residuals;
const Eigen::DefaultDevice serial_device;

struct EigenDoubleBackward : testing::Test {
  Tensor<float> x = random_tensor<float>(), dy = random_tensor<float>(), ddx = random_tensor<float>(),
                ddy{batch, tokens, hidden}, dx = ddy, ddy_expected = ddy, dx_expected = ddy;
  Eigen::VectorXf gamma = Eigen::VectorXf::Random(hidden), ddgamma = Eigen::VectorXf::Random(hidden),
                  ddbeta = Eigen::VectorXf::Random(hidden), dgamma{hidden}, dgamma_expected{hidden};
  simdnorm::RowShape shape{rows, hidden};
  Moments<float> moments;
  simdnorm::Workspace<float> workspace;

  // What pointers give of ddx, rows that lie so.
  void expect(const float* ddx_data, simdnorm::RowShape of) {
    const auto read = [&](const float* data) { return simdnorm::packed(of, data); };
    simdnorm::layer_norm_double_backward(of, read(ddx_data), ddgamma.data(), ddbeta.data(), read(dy.data()),
                                         read(x.data()), gamma.data(), moments.data(),
                                         simdnorm::packed(of, ddy_expected.data()),
                                         simdnorm::packed(of, dx_expected.data()), dgamma_expected.data());
  }
  void expect_same() const {
    EXPECT_TRUE(same(ddy, ddy_expected));
    EXPECT_TRUE(same(dx, dx_expected));
    EXPECT_TRUE(same(dgamma, dgamma_expected));
  }
};

TEST_F(EigenDoubleBackward, HasTheBitsOfPointers) {
  const LayerNorm<float> norm(gamma, nullptr, 1e-5F);
  norm.forward(x, dx, moments);
  expect(ddx.data(), shape);
  norm.double_backward(ddx, ddgamma, ddbeta, dy, x, moments, ddy, dx, dgamma);
  expect_same();
  dgamma.setZero();
  norm.double_backward(ddx, ddgamma, ddbeta, dy, x, moments, ddy, dx, dgamma, workspace,
                       simdnorm::accumulate);
  expect_same();

  // A gradient penalty's ddx is a multiple of dx.
  const Tensor<float> doubled = ddx * 2.0F;
  expect(doubled.data(), shape);
  norm.double_backward(ddx * 2.0F, ddgamma, ddbeta, dy, x, moments, ddy, dx, dgamma, serial_device);
  expect_same();
}

TEST_F(EigenDoubleBackward, OverAnotherAxis) {
  // (batch, tokens, hidden) over the tokens: vectors of 5.
  const simdnorm::RowShape columns{batch * hidden, tokens, hidden};
  const Eigen::VectorXf of_tokens = Eigen::VectorXf::Random(tokens);
  gamma = ddgamma = ddbeta = of_tokens;
  dgamma = dgamma_expected = Eigen::VectorXf(tokens);
  const LayerNorm<float> norm(gamma, nullptr, 1e-5F, simdnorm::axis(1));
  norm.forward(x, dx, moments);
  expect(ddx.data(), columns);
  norm.double_backward(ddx, ddgamma, ddbeta, dy, x, moments, ddy, dx, dgamma);
  expect_same();
}

TEST_F(EigenDoubleBackward, RMSNormOfMatricesOnThreads) {
  constexpr Index many = 4000;
  static_assert(many * hidden >= 2 * simdnorm::smallest_share, "enough for the pool");
  const Matrix<bfloat16> m = Eigen::MatrixXf::Random(many, hidden).cast<bfloat16>();
  const Matrix<float> of_y = Eigen::MatrixXf::Random(many, hidden),
                      of_dx = Eigen::MatrixXf::Random(many, hidden);
  Matrix<float> y(many, hidden), of_x = y, of_x_expected = y;
  const RMSNorm<float> norm(gamma, 1e-5F);
  norm.forward(m, y, moments);
  Eigen::ThreadPool threads(3);
  const Eigen::ThreadPoolDevice pool(&threads, 3);
  norm.double_backward(of_dx, nullptr, of_y, m, moments, nullptr, of_x, dgamma, pool);
  simdnorm::rms_norm_double_backward({many, hidden}, of_dx.data(), nullptr, of_y.data(),
                                     reinterpret_cast<const simdnorm::BFloat16*>(m.data()), gamma.data(),
                                     moments.data(), nullptr, of_x_expected.data(), dgamma_expected.data());
  EXPECT_TRUE(same(of_x, of_x_expected));
  EXPECT_TRUE(same(dgamma, dgamma_expected));
}

TEST_F(EigenDoubleBackward, IsRefusedWhereShapesAreWrong) {
  const LayerNorm<float> norm(gamma, nullptr, 1e-5F);
  norm.forward(x, dx, moments);
  Tensor<float> other(batch, tokens + 1, hidden);
  Eigen::VectorXf too_short(3);
  const auto call = [&](const Tensor<float>& of_dx, const Eigen::VectorXf& of_gamma, Tensor<float>& to_dy,
                        Eigen::VectorXf& to_gamma) {
    norm.double_backward(of_dx, of_gamma, ddbeta, dy, x, moments, to_dy, dx, to_gamma);
  };
  refused({"LayerNorm.double_backward: ddx has shape (3, 6, 37) but x has shape (3, 5, 37)"},
          [&] { call(other, ddgamma, ddy, dgamma); });
  refused({"ddgamma has shape (3)", "(3, 5, 37)"}, [&] { call(ddx, too_short, ddy, dgamma); });
  refused({"ddy has shape (3, 6, 37)"}, [&] { call(ddx, ddgamma, other, dgamma); });
  refused({"dgamma has shape (3)"}, [&] { call(ddx, ddgamma, ddy, too_short); });
  refused({"overlap"}, [&] { call(ddx, ddgamma, dx, dgamma); });
  moments.resize(4);
  refused({"moments hold 4 rows", "15"}, [&] { call(ddx, ddgamma, ddy, dgamma); });
}

}  // namespace
