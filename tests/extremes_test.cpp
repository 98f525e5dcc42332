// Rows at the ends of the number range: the smallest and the largest magnitudes, epsilon 0, variance near
// epsilon, constant rows, and rows with NaN or Inf, which stay in their row.
#include <simdnorm/storage.hpp>

#include <gtest/gtest.h>

#include "support/magnitudes.hpp"

namespace {

using namespace support;
using simdnorm::Index;

template <class T> struct Extremes : testing::Test {};
using Elements = testing::Types<float, double>;
TYPED_TEST_SUITE(Extremes, Elements);

TYPED_TEST(Extremes, ForwardAtEveryMagnitude) {
  using T = TypeParam;
  if (!oracle::wide_exponents && sizeof(T) == 8) GTEST_SKIP() << "the oracle's exponents are those of double";
  for (Norm norm : oracle::norms) {
    for (Index hidden : {1, 2, 3, 17, 64, 100, 600})
      check_magnitudes<T>(norm, hidden, sizeof(T) == 4 ? (hidden < 200 ? 1 : 7) : (hidden < 200 ? 11 : 61));
  }
}

TYPED_TEST(Extremes, SideBySideRowsAtEveryMagnitude) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    for (T epsilon : {T(0), T(1e-5)}) {
      const Index hidden = 37;
      const Problem<T> p = MagnitudeRows<T>(hidden, epsilon, sizeof(T) == 4 ? 1 : 11, 2).p;
      const Forward<T> flat = run_forward(norm, p);
      const Backward<T> flat_gradients = run_backward(norm, p, flat.moments);
      const Layout<T> layout{{p.rows, hidden, p.rows}, p.rows * hidden, p.rows};
      const std::vector<T> x = layout.spread(p.x), dy = layout.spread(p.dy);
      std::vector<T> y(x.size(), nan_of<T>), dx(x.size(), nan_of<T>);
      std::vector<RowMoments<T>> moments(size(p.rows));
      forward(norm, layout.shape, layout.of(x), p.gamma.data(), norm == Norm::layer ? p.beta.data() : nullptr,
              epsilon, layout.of(y), moments.data());
      backward(norm, layout.shape, layout.of(dy), layout.of(x), p.gamma.data(), moments.data(), layout.of(dx),
               nullptr, nullptr);
      EXPECT_EQ(first_difference(layout.gather(y), flat.y), -1);
      EXPECT_EQ(first_difference(moments, flat.moments), -1);
      EXPECT_EQ(first_difference(layout.gather(dx), flat_gradients.dx), -1);
    }
  }
}

// dx is about dy * rstd: dy is given the magnitude that brings it near 1, or as near as dy's own range
// allows.
TYPED_TEST(Extremes, BackwardAtEveryMagnitude) {
  using T = TypeParam;
  if (!oracle::wide_exponents && sizeof(T) == 8) GTEST_SKIP() << "the oracle's exponents are those of double";
  const int limit = sizeof(T) == 4 ? 100 : 950;
  for (Norm norm : oracle::norms) {
    for (T epsilon : epsilons_of<T>()) {
      for (Index hidden : {3, 17, 64, 600}) {
        const int step = sizeof(T) == 4 ? (hidden < 200 ? 1 : 7) : (hidden < 200 ? 11 : 61);
        Problem<T> p = MagnitudeRows<T>(hidden, epsilon, step, 3).p;
        const Forward<T> out = run_forward(norm, p);
        for (Index r = 0; r < p.rows; ++r) {
          const auto s = oracle::statistics(norm, p.row(r), hidden, epsilon);
          const double rstd = oracle::narrow(s.rstd);
          const int k = rstd > 0 ? std::max(-limit, std::min(limit, -std::ilogb(rstd))) : 0;
          for (Index c = 0; c < hidden; ++c) {
            T& value = p.dy[size(r * hidden + c)];
            value = std::ldexp(value, k);
          }
        }
        const Backward<T> gradients = run_backward(norm, p, out.moments);
        for (Index r = 0; r < p.rows; ++r) {
          // The oracle's dx of a row whose gradient has no float is no test of it.
          const auto exact = oracle::backward(norm, p.dy_row(r), p.row(r), p.gamma.data(), epsilon, hidden);
          double largest = 0;
          for (const auto& value : exact) largest = std::max(largest, oracle::narrow(oracle::abs(value)));
          if (largest > std::ldexp(1.0, highest<T> - 1)) continue;
          const Worst row = dx_error(norm, p.dy_row(r), p.row(r), p.gamma.data(), epsilon, hidden,
                                     gradients.dx.data() + r * hidden);
          ASSERT_LE(row.ratio, 1) << oracle::name(norm) << " epsilon " << epsilon << " hidden " << hidden
                                  << " row " << r << " x[0] " << p.row(r)[0] << " dy[0] " << p.dy_row(r)[0]
                                  << " dx " << row.got << " for " << row.expected;
        }
        const auto exact =
            oracle::parameter_gradients(norm, p.dy.data(), p.x.data(), epsilon, p.rows, hidden);
        ASSERT_LE(parameter_error(Gradient::dgamma, exact, gradients.dgamma.data()).ratio, 1) << "dgamma";
        if (norm == Norm::layer) {
          ASSERT_LE(parameter_error(Gradient::dbeta, exact, gradients.dbeta.data()).ratio, 1) << "dbeta";
        }
      }
    }
  }
}

// rstd is small, and the gradient so large that only their product has a number: rows whose deviation is far below their
// mean, and gradients that come near the largest number.
TYPED_TEST(Extremes, LargeGradientsOfLargeRows) {
  using T = TypeParam;
  if (!oracle::wide_exponents && sizeof(T) == 8) GTEST_SKIP() << "the oracle's exponents are those of double";
  const int largest = std::numeric_limits<T>::max_exponent;
  for (Index hidden : {2, 8, 100}) {
    for (int k : {largest / 2, 3 * largest / 4, sizeof(T) == 4 ? largest - 30 : largest - 60}) {
      for (double kappa : {0.0, 1e3, sizeof(T) == 4 ? 1e6 : 1e14}) {
        const RowKind kind{Family::normal, kappa, k};
        Problem<T> p = make_problem<T>(4, hidden, {kind}, Parameters::none, T(1e-5), 7);
        for (T& value : p.dy) value = std::ldexp(value, sizeof(T) == 4 ? 112 : 980);
        for (Norm norm : oracle::norms) {
          const Forward<T> out = run_forward(norm, p);
          const std::vector<T> dx = run_backward(norm, p, out.moments).dx;
          for (Index r = 0; r < p.rows; ++r) {
            const Worst row = dx_error(norm, p.dy_row(r), p.row(r), or_null(p.gamma), p.epsilon, hidden,
                                       dx.data() + r * hidden);
            EXPECT_LE(row.ratio, 1) << oracle::name(norm) << " of 2^" << k << ", kappa " << kappa << " row "
                                    << r << " dx " << row.got << " for " << row.expected;
          }
        }
      }
    }
  }
}

// Rows that must be scaled, and whose mean costs the difference of squares its digits: they are measured twice.
TYPED_TEST(Extremes, AnExtremeMagnitudeAndALargeMean) {
  using T = TypeParam;
  if (!oracle::wide_exponents && sizeof(T) == 8) GTEST_SKIP() << "the oracle's exponents are those of double";
  const int largest = std::numeric_limits<T>::max_exponent - 25;
  for (Index hidden : {2, 3, 17, 64, 100, 1024}) {
    for (double kappa : {100.0, 1e4, 1e6}) {
      const Problem<T> p = make_problem<T>(8, hidden,
                                           {{Family::normal, kappa, largest},
                                            {Family::normal, kappa, -largest},
                                            {Family::uniform, kappa, -largest}},
                                           Parameters::both, T(0), 6);
      check_forward_rows(Norm::layer, p, run_forward(Norm::layer, p).y, "extreme with a large mean");
    }
  }
}

// Moments are those of the row itself, with scale 1, as far as a row of deviation 2^k can be normalized without scaling it,
// and where its rstd is below 2^60; else those of the row whose rstd is brought near 1. Also beside a row that has to be measured again,
// and of a row whose mean costs the difference of squares its digits.
TYPED_TEST(Extremes, MomentsAreScaledOnlyWhereTheyMustBe) {
  using T = TypeParam;
  const int most = sizeof(T) == 4 ? 114 : 1000;
  const int smallest = sizeof(T) == 4 ? -59 : -450, largest = sizeof(T) == 4 ? 60 : 450;
  for (Norm norm : oracle::norms) {
    for (int k = -most; k <= most; ++k) {
      Problem<T> p;
      p.rows = 3;
      p.hidden = 2;
      p.epsilon = T(0);
      const T unit = std::ldexp(T(1), k);
      p.x = {unit, -unit, 4097 * unit, 4095 * unit, nan_of<T>, T(1)};
      const std::vector<RowMoments<T>> moments = run_forward(norm, p).moments;
      const bool itself = k >= smallest && k <= largest;
      EXPECT_EQ(moments[0].scale, itself ? T(1) : 1 / unit) << oracle::name(norm) << " of 2^" << k;
      EXPECT_EQ(true_mean(moments[0]), T(0)) << k;
      EXPECT_EQ(true_rstd(moments[0]), 1 / unit) << k;
      if (norm == Norm::layer) {
        EXPECT_EQ(moments[1].scale, itself ? T(1) : 1 / unit) << "with a mean, of 2^" << k;
        EXPECT_EQ(true_mean(moments[1]), 4096 * unit) << k;
        EXPECT_EQ(true_rstd(moments[1]), 1 / unit) << k;
      }
    }
  }
}

TYPED_TEST(Extremes, MomentsOfZerosAreNotScaled) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    for (Index hidden : {1, 7, 64}) {
      Problem<T> p = make_problem<T>(1, hidden, {{Family::normal, 0, 0}}, Parameters::both, T(0), 4);
      std::fill(p.x.begin(), p.x.end(), T(0));
      const RowMoments<T> zero = run_forward(norm, p).moments[0];
      for (T value : {zero.mean, zero.mean_low, zero.rstd}) EXPECT_EQ(value, T(0));
      EXPECT_EQ(zero.scale, T(1));
    }
  }
}

TYPED_TEST(Extremes, TheLargestNumbersOfBothSigns) {
  using T = TypeParam;
  const T big = std::numeric_limits<T>::max();
  for (Norm norm : oracle::norms) {
    for (Index hidden : {2, 3, 16, 31, 100, 1024}) {
      Problem<T> p = make_problem<T>(3, hidden, {{Family::normal, 0, 0}}, Parameters::both, T(1e-5), 4);
      for (Index c = 0; c < hidden; ++c) {
        p.x[size(c)] = c % 2 == 0 ? big : -big;
        p.x[size(hidden + c)] = c == hidden - 1 ? -big : big;
        p.x[size(2 * hidden + c)] = c == 0 ? big : T(1);
      }
      const Forward<T> out = run_forward(norm, p);
      check_forward_rows(norm, p, out.y, "largest numbers");
      for (const RowMoments<T>& m : out.moments) EXPECT_TRUE(std::isnormal(m.scale)) << m.scale;
    }
  }
}

TYPED_TEST(Extremes, TheSmallestNumbers) {
  using T = TypeParam;
  const T tiny = std::numeric_limits<T>::denorm_min();
  for (Norm norm : oracle::norms) {
    for (T epsilon : epsilons_of<T>()) {
      for (Index hidden : {2, 3, 16, 31, 100, 1024}) {
        Problem<T> p = make_problem<T>(3, hidden, {{Family::normal, 0, 0}}, Parameters::both, epsilon, 5);
        for (Index c = 0; c < hidden; ++c) {
          p.x[size(c)] = c % 2 == 0 ? tiny : -tiny;
          p.x[size(hidden + c)] = c == hidden - 1 ? tiny : T(0);
          p.x[size(2 * hidden + c)] = static_cast<T>(c) * tiny;
        }
        check_forward_rows(norm, p, run_forward(norm, p).y, "smallest numbers");
      }
    }
  }
}

TYPED_TEST(Extremes, VarianceNearEpsilon) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    for (int k = -40; k <= 0; k += 2) {
      const T epsilon = std::ldexp(T(1), k);
      const std::vector<RowKind> kinds = {
          {Family::normal, 0, k / 2}, {Family::plus_minus_c, 1e4, k / 2}, {Family::ramp, 10, k / 2}};
      const Problem<T> p = make_problem<T>(6, 96, kinds, Parameters::both, epsilon, 6);
      check_forward_rows(norm, p, run_forward(norm, p).y, "variance near epsilon");
    }
  }
}

TYPED_TEST(Extremes, HugeEpsilon) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    for (T epsilon : {T(1), T(1e10), T(1e30), std::numeric_limits<T>::max()}) {
      const Problem<T> p =
          make_problem<T>(9, 33, {{Family::normal, 3, 0}, {Family::normal, 0, sizeof(T) == 4 ? 110 : 900}},
                          Parameters::gamma, epsilon, 7);
      check_forward_rows(norm, p, run_forward(norm, p).y, "huge epsilon");
    }
  }
}

// A constant row has xhat 0: with epsilon 0 its rstd is 0, and dx with it.
TYPED_TEST(Extremes, InfiniteEpsilonGivesBeta) {
  using T = TypeParam;
  const T inf = std::numeric_limits<T>::infinity();
  const Problem<T> p = make_problem<T>(
      3, 33,
      {{Family::normal, 3, 0}, {Family::constant, 0, 0}, {Family::normal, 0, sizeof(T) == 4 ? 110 : 900}},
      Parameters::both, inf, 7);
  for (Norm norm : oracle::norms) {
    const Forward<T> out = run_forward(norm, p);
    const Backward<T> gradients = run_backward(norm, p, out.moments);
    for (Index r = 0; r < p.rows; ++r) {
      for (Index c = 0; c < p.hidden; ++c) {
        EXPECT_EQ(out.y[size(r * p.hidden + c)], norm == Norm::layer ? p.beta[size(c)] : T(0))
            << r << ", " << c;
        EXPECT_EQ(gradients.dx[size(r * p.hidden + c)], T(0)) << r << ", " << c;
      }
    }
  }
}

// Also where epsilon, scaled as the row would be, has no T, nor 1/sqrt of it.
TYPED_TEST(Extremes, ConstantRowsOfEveryMagnitude) {
  using T = TypeParam;
  std::vector<T> epsilons = epsilons_of<T>();
  epsilons.insert(epsilons.end(), {std::numeric_limits<T>::max(), std::numeric_limits<T>::denorm_min()});
  for (T epsilon : epsilons) {
    for (Index hidden : {1, 2, 16, 49, 100, 1714}) {
      for (int k = lowest<T>; k <= highest<T>; k += sizeof(T) == 4 ? 1 : 7) {
        Problem<T> p = make_problem<T>(1, hidden, {{Family::normal, 0, 0}}, Parameters::both, epsilon, 12);
        p.gamma.back() = std::ldexp(T(1), highest<T> - 1);  // shows what is left of a mean that is not exact
        p.beta.back() = T(0);
        const T value = k % 2 == 0 ? -std::ldexp(T(1.7), k) : std::ldexp(T(1.7), k);
        p.x.assign(size(hidden), value);
        const Forward<T> out = run_forward(Norm::layer, p);
        ASSERT_EQ(first_difference(out.y, p.beta), -1)
            << value << ", epsilon " << epsilon << ", hidden " << hidden;
        EXPECT_EQ(true_mean(out.moments[0]), value);
        const double rstd = static_cast<double>(true_rstd(out.moments[0])),
                     expected = epsilon > T(0) ? 1 / std::sqrt(static_cast<double>(epsilon)) : 0;
        ASSERT_NEAR(rstd, expected, 2 * roundoff<T> * expected) << value << ", epsilon " << epsilon;
      }
    }
  }
}

TYPED_TEST(Extremes, GradientsOfConstantRows) {
  using T = TypeParam;
  for (Index hidden : {1, 2, 7, 64, 100}) {
    for (T epsilon : {T(0), T(1e-5)}) {
      Problem<T> p = make_problem<T>(5, hidden, {{Family::constant, 0, 0}, {Family::constant, 1e6, 1}},
                                     Parameters::gamma, epsilon, 8);
      const Forward<T> out = run_forward(Norm::layer, p);
      const Backward<T> gradients = run_backward(Norm::layer, p, out.moments);
      for (Index r = 0; r < p.rows; ++r) {
        const Worst row = dx_error(Norm::layer, p.dy_row(r), p.row(r), p.gamma.data(), epsilon, hidden,
                                   gradients.dx.data() + r * hidden);
        EXPECT_LE(row.ratio, 1) << "hidden " << hidden << " epsilon " << epsilon << ": " << row.got << " for "
                                << row.expected;
      }
      for (T value : gradients.dgamma) EXPECT_EQ(value, T(0));
    }
  }
}

// --- NaN and Inf ---

template <class T> std::uint64_t canonical_nan() {
  return sizeof(T) == 4 ? 0x7fc00000u : 0x7ff8000000000000u;
}

// Every kind of number that is not finite, at each position of the middle of five rows.
TYPED_TEST(Extremes, NotFiniteStaysInItsRow) {
  using T = TypeParam;
  const T inf = std::numeric_limits<T>::infinity();
  const T values[] = {nan_of<T>, -nan_of<T>, std::numeric_limits<T>::signaling_NaN(), inf, -inf};
  for (Norm norm : oracle::norms) {
    for (Index hidden : {1, 2, 7, 16, 33, 64, 70, 130}) {
      for (Index after : {1, 5}) {
        Problem<T> clean =
            make_problem<T>(5, hidden, {{Family::normal, 10, 0}}, Parameters::both, T(1e-5), 9);
        const Layout<T> layout{{5, hidden, after}, after == 1 ? hidden : 5 * hidden, after};
        const Forward<T> clean_forward = run_forward(norm, clean);
        const Backward<T> clean_backward = run_backward(norm, clean, clean_forward.moments);
        for (Index position = 0; position<hidden; position += hidden> 40 ? 7 : 1) {
          Problem<T> p = clean;
          p.x[size(2 * hidden + position)] = values[size(position + hidden) % 5];
          const std::vector<T> x = layout.spread(p.x), dy = layout.spread(p.dy);
          std::vector<T> y(x.size()), dx(x.size()), dgamma(size(hidden)), dbeta(size(hidden));
          std::vector<RowMoments<T>> moments(5);
          const bool layer = norm == Norm::layer;
          forward(norm, layout.shape, layout.of(x), p.gamma.data(), layer ? p.beta.data() : nullptr,
                  p.epsilon, layout.of(y), moments.data());
          backward(norm, layout.shape, layout.of(dy), layout.of(x), p.gamma.data(), moments.data(),
                   layout.of(dx), dgamma.data(), layer ? dbeta.data() : nullptr);
          const std::vector<T> rows = layout.gather(y), gradients = layout.gather(dx);
          for (Index r = 0; r < 5; ++r) {
            for (Index c = 0; c < hidden; ++c) {
              const std::size_t i = size(r * hidden + c);
              const std::uint64_t y_bits = r == 2 ? canonical_nan<T>() : bits_of(clean_forward.y[i]);
              const std::uint64_t dx_bits = r == 2 ? canonical_nan<T>() : bits_of(clean_backward.dx[i]);
              ASSERT_EQ(bits_of(rows[i]), y_bits)
                  << "y, row " << r << " column " << c << ", the bad one " << position;
              ASSERT_EQ(bits_of(gradients[i]), dx_bits)
                  << "dx, row " << r << " column " << c << ", the bad one " << position;
            }
          }
          // xhat of the row is NaN everywhere, so all of dgamma is; dbeta is a sum of dy, which is finite.
          for (T value : dgamma) ASSERT_EQ(bits_of(value), canonical_nan<T>()) << "dgamma";
          if (layer) {
            const auto exact =
                oracle::parameter_gradients(norm, clean.dy.data(), clean.x.data(), p.epsilon, 5, hidden);
            ASSERT_LE(parameter_error(Gradient::dbeta, exact, dbeta.data()).ratio, 1) << "dbeta";
          }
        }
      }
    }
  }
}

// A dy that is not finite makes dx of its row the canonical NaN (all of it hangs on the row's sums). dgamma and
// dbeta are touched in its own column alone, and there as a sum is: infinite by one infinity, else NaN.
TYPED_TEST(Extremes, NotFiniteGradientStaysInItsRowAndColumn) {
  using T = TypeParam;
  const T inf = std::numeric_limits<T>::infinity();
  const T values[] = {nan_of<T>, inf, -inf};
  for (Norm norm : oracle::norms) {
    for (Index hidden : {2, 7, 16, 33, 70}) {
      const Problem<T> clean =
          make_problem<T>(5, hidden, {{Family::normal, 1, 0}}, Parameters::both, T(1e-5), 10);
      const Forward<T> out = run_forward(norm, clean);
      const Backward<T> expected = run_backward(norm, clean, out.moments);
      for (Index position = 0; position < hidden; ++position) {
        Problem<T> p = clean;
        const T bad = values[position % 3];
        p.dy[size(2 * hidden + position)] = bad;
        const Backward<T> gradients = run_backward(norm, p, out.moments);
        for (Index i = 0; i < 5 * hidden; ++i) {
          if (i / hidden == 2) {
            ASSERT_EQ(bits_of(gradients.dx[size(i)]), bits_of(nan_of<T>))
                << "dx of the row, column " << i % hidden;
          } else {
            ASSERT_EQ(bits_of(gradients.dx[size(i)]), bits_of(expected.dx[size(i)])) << "dx of another row";
          }
        }
        for (Index c = 0; c < hidden; ++c) {
          if (c == position) {
            ASSERT_FALSE(std::isfinite(gradients.dgamma[size(c)])) << "dgamma of the column";
            if (norm == Norm::layer) {
              ASSERT_EQ(bits_of(gradients.dbeta[size(c)]), bits_of(bad)) << "dbeta of the column";
            }
          } else {
            ASSERT_EQ(bits_of(gradients.dgamma[size(c)]), bits_of(expected.dgamma[size(c)]))
                << "dgamma of another column";
            if (norm == Norm::layer) {
              ASSERT_EQ(bits_of(gradients.dbeta[size(c)]), bits_of(expected.dbeta[size(c)]))
                  << "dbeta of another column";
            }
          }
        }
      }
    }
  }
}

}  // namespace
