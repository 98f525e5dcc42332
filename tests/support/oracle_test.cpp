// The oracle itself: its square root, its gradients against finite differences of its forward, its fallback
// arithmetic.
#include "support/oracle.hpp"

#include <gtest/gtest.h>

#include "support/row_families.hpp"

namespace {

using oracle::narrow;
using oracle::Norm;
using oracle::quad;
using oracle::wide;

TEST(Oracle, ReciprocalSquareRootIsGoodToItsLastBits) {
  support::Random random(1);
  const int reach = oracle::wide_exponents ? 1000 : 300;
  for (int i = 0; i < 2000; ++i) {
    const double x = std::fabs(random.log_uniform(-reach, reach));
    const quad r = oracle::reciprocal_sqrt(wide(x));
    EXPECT_LE(std::fabs(narrow(r * r * wide(x) - wide(1.0))), 1e-30) << x;
  }
  EXPECT_EQ(narrow(oracle::reciprocal_sqrt(wide(4.0))), 0.5);
}

TEST(Oracle, CountsAreExact) {
  EXPECT_EQ(narrow(wide(std::int64_t(1) << 40) - wide(std::ldexp(1.0, 40))), 0);
  EXPECT_EQ(narrow(wide((std::int64_t(1) << 55) + 1) - wide(std::ldexp(1.0, 55))), 1);
}

TEST(Oracle, KnownRow) {
  const double x[] = {1, 2, 3, 4}, gamma[] = {2, 2, 2, 2}, beta[] = {1, 0, 0, 1};
  const auto layer =
      oracle::forward(Norm::layer, x, gamma, beta, 0.75, 4);  // mean 2.5, variance 1.25, rstd 1/sqrt(2)
  EXPECT_NEAR(narrow(layer[0]), 1 - 3 / std::sqrt(2.0), 1e-15);
  EXPECT_NEAR(narrow(layer[3]), 1 + 3 / std::sqrt(2.0), 1e-15);
  const auto rms =
      oracle::forward(Norm::rms, x, gamma, static_cast<const double*>(nullptr), 0.5, 4);  // 7.5 + 0.5
  EXPECT_NEAR(narrow(rms[3]), 8 / std::sqrt(8.0), 1e-15);
}

// The loss sum(dy * y) differentiated by central differences: in 128 bits these are good to about 20 digits.
TEST(Oracle, GradientsAgreeWithFiniteDifferences) {
  support::Random random(2);
  const oracle::Index hidden = 7;
  const double h = std::ldexp(1.0, -30), epsilon = 1e-3;
  for (Norm norm : oracle::norms) {
    std::vector<double> x(7), dy(7), gamma(7);
    support::fill_normal(random, x.data(), hidden);
    support::fill_normal(random, dy.data(), hidden);
    support::fill_gamma(random, gamma.data(), hidden);
    const auto loss = [&](const double* row, const double* scale) {
      const auto y = oracle::forward(norm, row, scale, static_cast<const double*>(nullptr), epsilon, hidden);
      quad sum = wide(0.0);
      for (std::size_t c = 0; c < 7; ++c) sum += wide(dy[c]) * y[c];
      return sum;
    };
    const auto dx = oracle::backward(norm, dy.data(), x.data(), gamma.data(), epsilon, hidden);
    const auto parameters = oracle::parameter_gradients(norm, dy.data(), x.data(), epsilon, 1, hidden);
    for (std::size_t c = 0; c < 7; ++c) {
      const auto slope = [&](std::vector<double>& values) {
        const double middle = values[c];
        values[c] = middle + h;
        const quad above = wide(values[c]), loss_above = loss(x.data(), gamma.data());
        values[c] = middle - h;
        const quad below = wide(values[c]), loss_below = loss(x.data(), gamma.data());
        values[c] = middle;
        return (loss_above - loss_below) / (above - below);
      };
      EXPECT_NEAR(narrow(slope(x) - dx[c]), 0, 1e-15);
      EXPECT_NEAR(narrow(slope(gamma) - parameters.dgamma[c]), 0, 1e-15);
      EXPECT_EQ(narrow(parameters.dbeta[c]), dy[c]);
    }
  }
}

// The loss sum(ddx * dx) + sum(ddgamma * dgamma) + sum(ddbeta * dbeta), by the oracle's own backward.
TEST(Oracle, DoubleBackwardAgreesWithFiniteDifferences) {
  support::Random random(5);
  const double h = std::ldexp(1.0, -30);
  for (Norm norm : oracle::norms) {
    for (const std::size_t n : {std::size_t(1), std::size_t(2), std::size_t(3), std::size_t(16)}) {
      for (const double epsilon : {1e-3, 0.75}) {
        const auto hidden = static_cast<oracle::Index>(n);
        std::vector<double> of[6];  // dy, x, gamma; ddx, ddgamma, ddbeta
        for (std::vector<double>& values : of) {
          values.resize(n);
          support::fill_normal(random, values.data(), hidden);
        }
        std::vector<double>&dy = of[0], &x = of[1], &gamma = of[2];
        const auto loss = [&] {
          const auto dx = oracle::backward(norm, dy.data(), x.data(), gamma.data(), epsilon, hidden);
          const auto parameters = oracle::parameter_gradients(norm, dy.data(), x.data(), epsilon, 1, hidden);
          quad sum = wide(0.0);
          for (std::size_t c = 0; c < n; ++c) {
            sum += wide(of[3][c]) * dx[c] + wide(of[4][c]) * parameters.dgamma[c];
            if (norm == Norm::layer) sum += wide(of[5][c]) * parameters.dbeta[c];
          }
          return sum;
        };
        const auto got = oracle::double_backward(norm, of[3].data(), of[4].data(), of[5].data(), dy.data(),
                                                 x.data(), gamma.data(), epsilon, hidden);
        const std::vector<quad>* const gradients[] = {&got.ddy, &got.dx, &got.of_gamma};
        for (std::size_t which = 0; which < 3; ++which) {
          for (std::size_t c = 0; c < n; ++c) {
            const double middle = of[which][c];
            of[which][c] = middle + h;
            const quad above = wide(of[which][c]), loss_above = loss();
            of[which][c] = middle - h;
            const quad below = wide(of[which][c]), loss_below = loss();
            of[which][c] = middle;
            const double scale = 1 + std::pow(narrow(got.rstd), 4);  // the third derivative's growth
            EXPECT_NEAR(narrow((loss_above - loss_below) / (above - below) - (*gradients[which])[c]), 0,
                        1e-16 * scale)
                << oracle::name(norm) << " " << n << ", gradient " << which << ", column " << c;
          }
        }
      }
    }
  }
}

TEST(Oracle, ConstantRowsHaveNoVariance) {
  const float x[] = {0.1f, 0.1f, 0.1f};
  const auto s = oracle::statistics(Norm::layer, x, 3, 0.f);
  EXPECT_EQ(narrow(s.variance), 0);
  EXPECT_EQ(narrow(s.rstd), 0);
}

// The fallback of other compilers against this compiler's 128-bit float (or against itself, where that is all
// there is).
TEST(DoubleDouble, AgreesWithTheOraclesNumbers) {
  using oracle::DoubleDouble;
  support::Random random(3);
  for (int i = 0; i < 20000; ++i) {
    const double a = random.log_uniform(-20, 20), a_low = a * std::ldexp(random.uniform(), -53);
    const double b = random.log_uniform(-20, 20), b_low = b * std::ldexp(random.uniform(), -53);
    const DoubleDouble x = DoubleDouble(a) + DoubleDouble(a_low), y = DoubleDouble(b) + DoubleDouble(b_low);
    const quad p = wide(x.high) + wide(x.low), q = wide(y.high) + wide(y.low);
    const auto off = [](DoubleDouble got, quad exact, quad size) {
      return std::fabs(narrow((wide(got.high) + wide(got.low) - exact) / size));
    };
    EXPECT_LE(off(x + y, p + q, oracle::abs(p) + oracle::abs(q)), 1e-31);
    EXPECT_LE(off(x - y, p - q, oracle::abs(p) + oracle::abs(q)), 1e-31);
    EXPECT_LE(off(x * y, p * q, oracle::abs(p * q)), 1e-31);
    EXPECT_LE(off(x / y, p / q, oracle::abs(p / q)), 1e-31);
    EXPECT_EQ(x < y, p < q);
  }
}

}  // namespace
