// PartialRMSNorm and ScaleNorm as functors: the bits of the pointer layer, on any axis, in an expression, by threads; what g and dg may
// be; wrong arguments.
#define EIGEN_USE_THREADS
#include <simdnorm/simdnorm.hpp>

#include <gtest/gtest.h>

#include <cstring>

#include "support/refused.hpp"

namespace {

using simdnorm::Index;
using simdnorm::Moments;
using support::refused;
using Tensor = Eigen::Tensor<float, 3, Eigen::RowMajor>;

template <class A, class B> bool same(const A& a, const B& b) {
  return a.size() == b.size() &&
         std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(*a.data())) == 0;
}

constexpr Index batch = 3, tokens = 50, hidden = 70, rows = batch * tokens;
struct Functors : testing::Test {
  const simdnorm::RowShape shape{rows, hidden};
  Tensor x{batch, tokens, hidden}, dy = x, y = x, dx = x, y_expected = x, dx_expected = x;
  Eigen::VectorXf gamma = Eigen::VectorXf::Random(hidden), dgamma = gamma, dgamma_expected = gamma;
  Moments<float> moments;
  std::vector<simdnorm::RowMoments<float>> expected = std::vector<simdnorm::RowMoments<float>>(rows);
  Eigen::ThreadPool threads{3};
  const Eigen::ThreadPoolDevice pool{&threads, 3};
  Functors() {
    x.setRandom();
    dy.setRandom();
  }
};

TEST_F(Functors, PartialRMSNormHasTheBitsOfPointers) {
  const simdnorm::PartialRMSNorm<float> norm(9, gamma, 1e-5F);
  simdnorm::partial_rms_norm_forward(shape, 9, x.data(), gamma.data(), 1e-5F, y_expected.data(),
                                     expected.data());
  simdnorm::partial_rms_norm_backward(shape, 9, dy.data(), x.data(), gamma.data(), expected.data(),
                                      dx_expected.data(), dgamma_expected.data());
  norm.forward(x, y, moments, pool);
  EXPECT_TRUE(same(y, y_expected));
  norm.backward(dy, x, moments, dx, dgamma, pool);
  EXPECT_TRUE(same(dx, dx_expected));
  EXPECT_TRUE(same(dgamma, dgamma_expected));
  simdnorm::Workspace<float> workspace;
  norm.backward(dy, x, moments, dx, dgamma, simdnorm::accumulate, workspace, pool);
  dgamma_expected *= 2;
  EXPECT_TRUE(same(dgamma, dgamma_expected));
  y.device(pool) = norm(x * 2.0F);  // with the other epsilon
  const simdnorm::PartialRMSNorm<float> quarter(9, gamma, 0.25e-5F);
  quarter.forward(x, y_expected);
  EXPECT_TRUE(same(y, y_expected));
  y.setZero();
  quarter.forward(x * 1.0F, y);
  EXPECT_TRUE(same(y, y_expected));
}
// The tokens of each item, whose first half is measured.
TEST_F(Functors, PartialRMSNormOnAnotherAxis) {
  const Eigen::VectorXf of_tokens = Eigen::VectorXf::Random(tokens);
  simdnorm::PartialRMSNorm<float>(tokens / 2, of_tokens, 1e-5F, simdnorm::axis(1)).forward(x, y);
  const Eigen::array<int, 3> swapped = {0, 2, 1};
  const Tensor turned = x.shuffle(swapped);
  Tensor out(batch, hidden, tokens);
  simdnorm::PartialRMSNorm<float>(tokens / 2, of_tokens, 1e-5F).forward(turned, out);
  y_expected = out.shuffle(swapped);
  EXPECT_TRUE(same(y, y_expected));
}

TEST_F(Functors, ScaleNormHasTheBitsOfPointers) {
  Eigen::Tensor<float, 0> g, dg;
  g() = 1.5F;
  const simdnorm::ScaleNorm<float> norm(g, hidden);
  float dg_expected = 0;
  simdnorm::scale_norm_forward(shape, x.data(), 1.5, 1e-10F, y_expected.data(), expected.data());
  simdnorm::scale_norm_backward(shape, dy.data(), x.data(), 1.5, expected.data(), dx_expected.data(),
                                &dg_expected);
  norm.forward(x, y, moments, pool);
  EXPECT_TRUE(same(y, y_expected));
  norm.backward(dy, x, moments, dx, dg, pool);
  EXPECT_TRUE(same(dx, dx_expected));
  EXPECT_EQ(dg(), dg_expected);
  norm.backward(dy, x, moments, dx, pool);
  norm.backward(dy, x, moments, dx, nullptr, pool);
  float number = 1;
  norm.backward(dy, x, moments, dx, number, simdnorm::accumulate, pool);
  EXPECT_NEAR(number, 1 + dg_expected, 1e-5F);
  Eigen::VectorXf several = Eigen::VectorXf::Zero(4);
  norm.backward(dy, x, moments, dx, several.middleRows(2, 1), pool);
  EXPECT_EQ(several(2), dg_expected);
  y = norm(x + x);
  const simdnorm::ScaleNorm<float> by_number(1.5, hidden, 0.25e-10F);
  const simdnorm::ScaleNorm<float> copy = by_number;
  copy.forward(x, y_expected);
  EXPECT_TRUE(same(y, y_expected));
}
// A number in bfloat16 is rounded to it.
TEST_F(Functors, ScaleNormOfOtherTypes) {
  const Eigen::Tensor<Eigen::bfloat16, 3, Eigen::RowMajor> narrow = x.cast<Eigen::bfloat16>();
  Eigen::Tensor<Eigen::bfloat16, 3, Eigen::RowMajor> out(batch, tokens, hidden);
  simdnorm::ScaleNorm<Eigen::bfloat16>(1.001, hidden).forward(narrow, out, moments);
  const Tensor wide = narrow.cast<float>();
  simdnorm::ScaleNorm<float>(nullptr, hidden).forward(wide, y_expected);
  const Eigen::Tensor<Eigen::bfloat16, 3, Eigen::RowMajor> rounded = y_expected.cast<Eigen::bfloat16>();
  EXPECT_TRUE(same(out, rounded));
}

TEST_F(Functors, ErrorsSayWhatIsWrong) {
  y.setZero();
  y_expected.setZero();
  for (Index wrong : {Index(0), hidden + 1})
    refused({"partial_rms_norm_forward: measured must be at least 1 and at most hidden but is"},
            [&] { simdnorm::PartialRMSNorm<float>(wrong, gamma).forward(x, y, moments, pool); });
  refused({"ScaleNorm: hidden must be at least 1 but is 0"}, [] { simdnorm::ScaleNorm<float>(1, 0); });
  refused({"ScaleNorm: epsilon must be at least 0 but is -1"},
          [] { simdnorm::ScaleNorm<float>(1, hidden, -1.0F); });
  refused({"ScaleNorm: g has 70 elements but must have 1"},
          [&] { simdnorm::ScaleNorm<float>(gamma, hidden); });
  refused({"x of shape (3, 50, 70) is normalized over 70 elements"},
          [&] { simdnorm::ScaleNorm<float>(1, hidden + 1).forward(x, y, moments, pool); });
  const Eigen::Map<Eigen::VectorXf> inside(y.data() + 5, 1);
  refused({"scale_norm_forward: y", "and g (4 bytes) overlap"},
          [&] { simdnorm::ScaleNorm<float>(inside, hidden).forward(x, y, moments, pool); });
  EXPECT_EQ(moments.rows(), 0);
  EXPECT_TRUE(same(y, y_expected));
  const simdnorm::ScaleNorm<float> norm(2, hidden);
  norm.forward(x, y, moments, pool);
  refused({"ScaleNorm.backward: dg has 70 elements but must have 1"},
          [&] { norm.backward(dy, x, moments, dx, dgamma, pool); });
  moments.resize(2);
  refused({"ScaleNorm.backward: moments hold 2 rows but x of shape (3, 50, 70) has 150"},
          [&] { norm.backward(dy, x, moments, dx, pool); });
}

}  // namespace
