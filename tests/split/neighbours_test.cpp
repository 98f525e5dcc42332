// Norms in one part, with castings and with neighbours in the same pass: the bits of the undivided call.
#include "split/parts.hpp"

namespace {

using namespace split;

struct OnePart : testing::Test {
  static constexpr Index rows = 23, hidden = 300;
  const RowShape shape{rows, hidden};
  const float epsilon = 0x1p-17F;
  const Stored<BFloat16, float> in = every_path_of<BFloat16, float>(rows, hidden, 8);
  std::vector<BFloat16> residual = every_path_of<BFloat16, float>(rows, hidden, 9).x;
  const float *gamma = in.gamma.data(), *beta = in.beta.data();
  const Index columns[1] = {hidden};
  std::vector<simdnorm::LayerNormPartial<float>> records =
      unwritten_array<simdnorm::LayerNormPartial<float>>(rows);
  std::vector<RowMoments<float>> moments = no_moments<float>(rows), expected_moments = moments;

  template <class Casting = simdnorm::RoundOnce, class X, class X2, class Y, class Y2>
  void expect_same(const X& x, const X2& x_again, const Y& y, const Y2& expected) {
    simdnorm::layer_norm_forward<Casting>(shape, x, gamma, beta, epsilon, expected, expected_moments.data());
    layer_norm_partial(shape, x_again, epsilon, records.data());
    simdnorm::layer_norm_apply<Casting>(shape, x_again, gamma, beta, epsilon,
                                        simdnorm::Parts{records.data(), columns, 1}, y, moments.data());
    ASSERT_EQ(first_difference(moments, expected_moments), -1) << "moments";
  }
};

TEST_F(OnePart, Castings) {
  std::vector<BFloat16> y = unwritten_array<BFloat16>(rows * hidden), expected = y;
  expect_same<simdnorm::RoundXhat>(in.x.data(), in.x.data(), y.data(), expected.data());
  ASSERT_EQ(first_unlike(y, expected), -1);
  expect_same<simdnorm::OnePlusGamma>(in.x.data(), in.x.data(), y.data(), expected.data());
  ASSERT_EQ(first_unlike(y, expected), -1);

  const std::vector<float> dy = numbers<float>(residual);
  std::vector<float> dx = unwritten_array<float>(rows * hidden), expected_dx = dx;
  std::vector<float> dgamma = unwritten_array<float>(hidden), expected_dgamma = dgamma;
  std::vector<simdnorm::LayerNormGradientPartial<float>> sums(size(rows));
  using Casting = simdnorm::RoundXhat;
  simdnorm::layer_norm_backward<Casting>(shape, dy.data(), in.x.data(), gamma, moments.data(),
                                         expected_dx.data(), expected_dgamma.data());
  simdnorm::layer_norm_gradient_partial<Casting>(shape, dy.data(), in.x.data(), gamma, moments.data(),
                                                 sums.data());
  simdnorm::layer_norm_gradient_apply<Casting>(shape, dy.data(), in.x.data(), gamma, moments.data(),
                                               simdnorm::Parts{sums.data(), columns, 1}, dx.data(),
                                               dgamma.data());
  ASSERT_EQ(first_unlike(dx, expected_dx), -1);
  ASSERT_EQ(first_unlike(dgamma, expected_dgamma), -1);
}

// The sum is stored by the first half, also of rows that are not finite, and x of the second.
TEST_F(OnePart, AResidualSumAndAnAddedResult) {
  for (BFloat16& number : residual) number.bits ^= 0x8000;  // so that infinities add to NaN
  std::vector<float> sum = unwritten_array<float>(rows * hidden), expected_sum = sum;
  std::vector<float> y = unwritten_array<float>(rows * hidden), expected = y;
  const std::vector<float> addend = numbers<float>(residual);
  layer_norm_forward(shape, residual_sum(in.x.data(), residual.data(), expected_sum.data()), gamma, beta,
                     epsilon, simdnorm::added(addend.data(), expected.data()), expected_moments.data());
  layer_norm_partial(shape, residual_sum(in.x.data(), residual.data(), sum.data()), epsilon, records.data());
  ASSERT_EQ(first_unlike(sum, expected_sum), -1) << "sum";
  layer_norm_apply(shape, sum.data(), gamma, beta, epsilon, simdnorm::Parts{records.data(), columns, 1},
                   simdnorm::added(addend.data(), y.data()), moments.data());
  ASSERT_EQ(first_unlike(y, expected), -1) << "y";
  ASSERT_EQ(first_difference(moments, expected_moments), -1) << "moments";
}

TEST_F(OnePart, Codes) {
  std::vector<std::int8_t> y = unwritten_array<std::int8_t>(rows * hidden), expected = y;
  std::vector<float> scales = unwritten_array<float>(rows), expected_scales = scales;
  expect_same(in.x.data(), in.x.data(), simdnorm::per_token(y.data(), scales.data()),
              simdnorm::per_token(expected.data(), expected_scales.data()));
  ASSERT_EQ(y, expected);
  ASSERT_EQ(first_unlike(scales, expected_scales), -1);
}

}  // namespace
