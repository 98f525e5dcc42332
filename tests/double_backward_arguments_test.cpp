// Double backward: what is nullptr is 0, or is not written; castings.
#include <simdnorm/double_backward.hpp>

#include "support/types.hpp"

namespace {

using namespace support;

struct Results {
  std::vector<float> ddy, dx, dgamma;
};
void expect_same(const Results& a, const Results& b) {
  EXPECT_EQ(first_unlike(a.ddy, b.ddy), -1);
  EXPECT_EQ(first_unlike(a.dx, b.dx), -1);
  EXPECT_EQ(first_unlike(a.dgamma, b.dgamma), -1);
}

constexpr Index rows = 19, hidden = 37;
struct DoubleBackwardArguments : testing::Test {
  const RowShape shape{rows, hidden};
  const Stored<BFloat16, float> in = every_path_of<BFloat16, float>(rows, hidden, 3),
                                other = every_path_of<BFloat16, float>(rows, hidden, 4);
  const float *ddx = other.dy.data(), *w = other.gamma.data(), *gamma = in.gamma.data();
  std::vector<float> xhat = std::vector<float>(in.x.size());
  std::vector<RowMoments<float>> moments = no_moments<float>(rows);
  const Results unwritten{xhat, xhat, std::vector<float>(size(hidden))};

  DoubleBackwardArguments() {
    const std::vector<float> x = numbers<float>(in.x);
    forward(Norm::rms, shape, simdnorm::packed(shape, x.data()), static_cast<const float*>(nullptr), nullptr,
            0x1p-17F, simdnorm::packed(shape, xhat.data()), moments.data());
  }
  template <class Casting = simdnorm::RoundOnce, class Ddx, class W, class P>
  Results run(const Ddx& ddx_or_none, W w_or_none, P gamma_or_none) const {
    Results out = unwritten;
    to<Casting>(ddx_or_none, w_or_none, gamma_or_none, out.ddy.data(), out.dx.data(), out.dgamma.data());
    return out;
  }
  template <class Casting = simdnorm::RoundOnce, class Ddx, class W, class P, class Ddy, class Dx, class G>
  void to(const Ddx& ddx_or_none, W w_or_none, P gamma_or_none, Ddy ddy, Dx dx, G dgamma) const {
    simdnorm::rms_norm_double_backward<Casting>(shape, ddx_or_none, w_or_none, in.dy.data(), in.x.data(),
                                                gamma_or_none, moments.data(), ddy, dx, dgamma);
  }
};

TEST_F(DoubleBackwardArguments, WhatIsAbsentIsZeroOrOneOrNotWritten) {
  const std::vector<float> zeros(in.x.size(), 0.0F), ones(size(hidden), 1.0F);
  expect_same(run(nullptr, w, gamma), run(zeros.data(), w, gamma));
  expect_same(run(ddx, nullptr, nullptr), run(ddx, zeros.data(), ones.data()));
  Results got = unwritten;
  to(ddx, w, gamma, got.ddy.data(), nullptr, nullptr);
  to(ddx, w, gamma, nullptr, got.dx.data(), nullptr);
  to(ddx, w, gamma, nullptr, nullptr, got.dgamma.data());
  expect_same(got, run(ddx, w, gamma));
}

// OnePlusGamma is gamma + 1; RoundXhat rounds xhat in ddgamma * xhat alone.
TEST_F(DoubleBackwardArguments, AreTakenAsTheCastingTakesThem) {
  std::vector<float> plus_one = in.gamma;
  for (float& value : plus_one) value += 1;
  const Results expected = run(ddx, w, plus_one.data());
  expect_same(run<simdnorm::OnePlusGamma>(ddx, w, gamma), expected);
  Results got = run<simdnorm::RoundXhat>(ddx, w, plus_one.data());
  int different = 0;
  const std::vector<float> rounded = numbers<float>(numbers<BFloat16>(xhat));
  for (std::size_t i = 0; i < xhat.size(); ++i) {
    const float apart = got.ddy[i] - expected.ddy[i], w_here = w[i % size(hidden)];
    if (!std::isfinite(apart)) continue;
    EXPECT_NEAR(apart, w_here * (rounded[i] - xhat[i]),
                1e-6F * (std::fabs(w_here * xhat[i]) + std::fabs(got.ddy[i])));
    different += apart != 0;
  }
  EXPECT_GT(different, 100);
  got.ddy = expected.ddy;
  expect_same(got, expected);
}

}  // namespace
