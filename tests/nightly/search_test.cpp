// A search for the worst row. In a row of two values every rounding of a kind goes the same way in all columns
// of a value, so that nothing averages out; one or two such rows make dgamma of as few roundings as there can be. dy
// is positive in one row and has the sign of xhat in the other, so that most of it is not left in dx.
// Prints the worst errors that it finds.
#include <simdnorm/storage.hpp>

#include "support/accuracy.hpp"

namespace {

using namespace support;
using simdnorm::Index;

// In [1, 2).
template <class T> T significand(Random& random) {
  return std::ldexp(static_cast<T>(random.bits() >> (65 - std::numeric_limits<T>::digits)),
                    1 - std::numeric_limits<T>::digits) +
         T(1);
}

template <class T> Problem<T> two_values_a_row(Random& random) {
  Problem<T> p;
  p.rows = 1 + random.below(2);
  p.hidden = random.below(4) == 0 ? 512 * (1 + random.below(4)) : 64 + random.below(400);
  p.epsilon = 0;
  for (Index r = 0; r < p.rows; ++r) {
    const T low = significand<T>(random), high = random.coin() ? low : significand<T>(random);
    const Index share = 1 + random.below(64);
    for (Index c = 0; c < p.hidden; ++c) {
      const bool is_low = random.below(64) < share;
      const T dy = significand<T>(random);
      p.x.push_back(is_low ? -low : high);
      p.dy.push_back(r == 1 && is_low ? -dy : dy);  // dy * xhat has one sign in both rows
    }
  }
  for (Index c = 0; c < p.hidden; ++c) {
    p.gamma.push_back(significand<T>(random));
    p.beta.push_back(std::ldexp(significand<T>(random), -static_cast<int>(random.below(8))));
  }
  return p;
}

template <class T> struct WorstRow : testing::Test {};
using Elements = testing::Types<float, double>;
TYPED_TEST_SUITE(WorstRow, Elements);

TYPED_TEST(WorstRow, OfTwoValuesIsWithinThePromises) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    Random random(2);
    double y = 0, dx = 0, dgamma = 0, dbeta = 0;
    Index rows = 0;
    while (rows < 40000 && !testing::Test::HasFailure()) {
      const Problem<T> p = two_values_a_row<T>(random);
      const Forward<T> out = run_forward(norm, p);
      const Backward<T> gradients = run_backward(norm, p, out.moments);
      const auto exact =
          oracle::parameter_gradients(norm, p.dy.data(), p.x.data(), p.epsilon, p.rows, p.hidden);
      const std::string what = "rows before: " + std::to_string(rows);
      y = std::max(y, check_forward_rows(norm, p, out.y, what));
      check_moments(norm, p, out.moments, what);
      for (Index r = 0; r < p.rows; ++r)
        dx = std::max(dx, dx_error(norm, p.dy_row(r), p.row(r), p.gamma.data(), p.epsilon, p.hidden,
                                   gradients.dx.data() + r * p.hidden, DxScale::g)
                              .ratio);
      dgamma = std::max(dgamma, parameter_error(Gradient::dgamma, exact, gradients.dgamma.data()).ratio);
      if (norm == Norm::layer)
        dbeta = std::max(dbeta, parameter_error(Gradient::dbeta, exact, gradients.dbeta.data()).ratio);
      rows += p.rows;
    }
    EXPECT_LE(dx, 1) << oracle::name(norm);
    EXPECT_LE(dgamma, 1) << oracle::name(norm);
    EXPECT_LE(dbeta, 1) << oracle::name(norm);
    std::printf("%s, %s, %lld rows: y %.2f units, dx %.2g of g * rstd, dgamma %.2f u, dbeta %.2g\n",
                oracle::name(norm), sizeof(T) == 4 ? "float" : "double", static_cast<long long>(rows),
                y * forward_units, dx * dx_bound<T>, dgamma * dgamma_bound<T> / roundoff<T>,
                dbeta * dbeta_bound<T>);
  }
}

}  // namespace
