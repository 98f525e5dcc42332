#include "fusion/residual.hpp"

namespace {

using namespace fusion;

// The stream of a model in float, its branches in bfloat16.
TEST(ResidualSum, OfABranchInBFloat16) { check_sums<BFloat16, float, float, float, BFloat16, With::both>(); }
TEST(ResidualSum, OfBFloat16) {
  check_sums<BFloat16, BFloat16, BFloat16, BFloat16, BFloat16, With::nothing>();
}

// xhat is rounded to the sum's type before gamma, as where Llama's RMSNorm is given the sum.
TEST(ResidualSum, RoundsXhatToTheTypeOfTheSum) {
  const Index rows = 23, hidden = 67;
  const SumProblem<BFloat16, float, float> p(rows, hidden, 1);
  std::vector<BFloat16> sum(p.in.x.size());
  std::vector<float> y(sum.size()), expected(sum.size());
  std::vector<RowMoments<float>> moments(size(rows));
  for (Norm norm : oracle::norms) {
    forward_of<simdnorm::RoundXhat>(norm, {rows, hidden},
                                    residual_sum(p.in.x.data(), p.residual.data(), sum.data()),
                                    p.in.gamma.data(), p.in.beta.data(), 0x1p-17, y.data(), moments.data());
    EXPECT_EQ(first_unlike(sum, composed_sum<BFloat16, float>(p, hidden, With::nothing)), -1);
    forward_of<simdnorm::RoundXhat>(norm, {rows, hidden}, sum.data(), p.in.gamma.data(), p.in.beta.data(),
                                    0x1p-17, expected.data(), moments.data());
    EXPECT_EQ(first_unlike(y, expected), -1);
  }
}

TEST(ResidualSum, ABiasThatIsNullIsNone) {
  const Index rows = 3, hidden = 20;
  const std::vector<float> x(size(rows * hidden), 1.5F), residual(size(rows * hidden), 0.25F);
  std::vector<float> sum(x.size()), y(x.size());
  const float* const none = nullptr;
  RowMoments<float>* const no_one = nullptr;
  forward_of(Norm::rms, {rows, hidden}, residual_sum(x.data(), residual.data(), sum.data()).bias(none), none,
             none, 0x1p-17, y.data(), no_one);
  EXPECT_EQ(first_unlike(sum, std::vector<float>(x.size(), 1.75F)), -1);
}

}  // namespace
