// A branch of numbers of 16 bits has the bits of the composition, and its gradients too; so has a backward whose x is made again.
#include "fusion/branch.hpp"

namespace {

using namespace fusion;

TEST(BranchTypes, HaveTheBitsOfTheComposition) { check_branches<Norm::rms, BFloat16, float, float, float>(); }

// x of backward as forward had it: a sum that was not kept, and rows of a table.
TEST(BackwardOfWhatForwardReads, HasTheBitsOfTheRowsThemselves) {
  constexpr Index rows = 12, hidden = 37;
  const RowShape shape{rows, hidden};
  const SumProblem<float, float, float> p(rows, hidden, 9);
  const std::vector<float> sum = composed_sum<float, float>(p, hidden, With::nothing);
  const Composed<float> composed(Norm::rms, rows, hidden, sum, p.in.gamma, p.in.beta);
  const auto backward = [&](const auto& x) {
    std::vector<float> results(size((rows + 1) * hidden));  // dx, and dgamma behind it
    simdnorm::rms_norm_backward(shape, p.in.dy.data(), x, p.in.gamma.data(), composed.moments.data(),
                                results.data(), results.data() + rows * hidden);
    return results;
  };
  const std::vector<float> expected = backward(sum.data());
  EXPECT_EQ(first_unlike(backward(residual_sum(p.in.x.data(), p.residual.data(), nullptr)), expected), -1);
  std::vector<float> table(sum.size());
  std::vector<std::int32_t> numbers;
  for (Index r = 0; r < rows; ++r) {
    numbers.push_back(static_cast<std::int32_t>((5 * r + 2) % rows));
    std::copy_n(sum.begin() + r * hidden, hidden, table.begin() + numbers.back() * hidden);
  }
  EXPECT_EQ(first_unlike(backward(simdnorm::gathered(table.data(), rows, numbers.data())), expected), -1);
}

}  // namespace
