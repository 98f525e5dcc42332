// Rotary embeddings of rows and tables of other types; and gradients beside finite differences.
#include "fusion/rotary.hpp"

namespace {

using namespace fusion;
constexpr RotaryPairs halves = RotaryPairs::halves, interleaved = RotaryPairs::interleaved;
const std::vector<HeadShape> heads = {{2, 2}, {19, 10}, {33, 32}, {64, 64}, {130, 96}};

TEST(RotaryTypes, NarrowOnes) {
  check_rotary<Norm::layer, interleaved, BFloat16, float, Float16, BFloat16, std::int64_t>(heads);
}
TEST(RotaryTypes, RowsOfDoubleWithTablesOfFloat) {
  check_rotary<Norm::rms, halves, double, float, double, float, std::int32_t>(heads);
}

std::vector<double> numbers_of(Index count, double step) {
  std::vector<double> out;
  for (Index i = 0; i < count; ++i) out.push_back(std::sin(step * static_cast<double>(i + 1)));
  return out;
}
double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// The loss sum(dy * y), differentiated by central differences.
TEST(RotaryTypes, GradientsAreThoseOfFiniteDifferences) {
  constexpr Index rows = 4, hidden = 10, dim = 8;
  std::vector<double> x = numbers_of(rows * hidden, 1.7), y = x, dx = x;
  const std::vector<double> dy = numbers_of(rows * hidden, 2.3);
  const std::vector<float> gamma = numbers<float>(numbers_of(hidden, 0.9));
  const Turns<halves, float> turns(rows, 2, dim, false);
  std::vector<RowMoments<double>> moments(rows);
  const auto loss = [&] {
    simdnorm::rms_norm_forward({rows, hidden}, x.data(), gamma.data(), 1e-5, rotated(y.data(), turns.rotary),
                               moments.data());
    return dot(y, dy);
  };
  loss();
  std::vector<float> dgamma(hidden);
  simdnorm::rms_norm_backward({rows, hidden}, unrotated(dy.data(), turns.rotary), x.data(), gamma.data(),
                              moments.data(), dx.data(), dgamma.data());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double here = x[i], step = 1e-5;
    x[i] = here + step;
    const double above = loss();
    x[i] = here - step;
    const double below = loss();
    x[i] = here;
    EXPECT_NEAR(dx[i], (above - below) / (2 * step), 1e-7) << i;
  }
}
// The definition that the tests compare with: what turns back is the transpose of what turns.
template <RotaryPairs pairs> void check_transpose() {
  constexpr Index rows = 6, hidden = 11;
  const Turns<pairs, double> turns(rows, 2, 8, false);
  const std::vector<double> n = numbers_of(rows * hidden, 1.1), dy = numbers_of(rows * hidden, 0.7);
  const double forward = dot(turns.turned(n, hidden, false), dy);
  EXPECT_NEAR(forward, dot(n, turns.turned(dy, hidden, true)), 1e-13);
  EXPECT_GT(std::abs(forward - dot(n, dy)), 0.1);
}
TEST(RotaryTypes, TheDefinitionIsATranspose) {
  check_transpose<halves>();
  check_transpose<interleaved>();
}

}  // namespace
