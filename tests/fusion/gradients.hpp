// Gradients of fusions beside the 128-bit formulas of support/fused_oracle.hpp, under bounds that count roundings. u is half an
// ulp of 1 in float.
//
//   dx      of the norm, from a g that is exact: norm of the error <= 8.4 u * norm of g * rstd, as bounds.hpp has it. g made by
//           k more roundings, of terms of magnitude |g|, is off by k u |g|, and dx, a projection of it times rstd, by no more:
//           (8.4 + k) u * norm of |g| * rstd, of each row. One element is off by no more than its row.
//   what is made of dx by j roundings, f * dx: |f| times that, and j u |f * dx|
//   sums over rows of terms that are off by e: sum of e + 3.4 u * sum of |term|, as dbeta's; dgamma's also 4 u for xhat
#pragma once

#include <simdnorm/pointers.hpp>

#include "fusion/dropout.hpp"
#include "support/bounds.hpp"
#include "support/fused_oracle.hpp"

namespace fusion {

using oracle::Numbers;
using oracle::wide;
using oracle::wide_all;
using support::quad;

inline constexpr double u = 0x1p-24;
inline constexpr double of_dx = support::dx_bound<float> / u, of_sums = support::dbeta_bound<float> / u;

// Numbers of a problem in float. Rows have a mean of kappa deviations.
struct Operands {
  Norm norm;
  RowShape shape;
  double kappa;
  Random random;
  float epsilon = 1e-5F;

  std::size_t count() const { return size(shape.rows * shape.hidden); }
  std::size_t column(std::size_t i) const { return i % size(shape.hidden); }
  std::size_t row(std::size_t i) const { return i / size(shape.hidden); }
  std::vector<float> rows(double shift = 0) {
    std::vector<float> out(count());
    for (float& value : out) value = static_cast<float>(shift + random.normal());
    return out;
  }
  std::vector<float> array() { return array(1); }
  std::vector<float> array(Index arrays) {
    std::vector<float> out(size(arrays * shape.hidden));
    fill_normal(random, out.data(), arrays * shape.hidden);
    return out;
  }
  std::vector<float> gammas() {
    std::vector<float> out(size(shape.hidden));
    fill_gamma(random, out.data(), shape.hidden);
    return out;
  }
  oracle::Problem problem() const { return {norm, size(shape.rows), size(shape.hidden), wide(epsilon)}; }
  std::vector<RowMoments<float>> moments(const std::vector<float>& x) const {
    std::vector<float> y(x.size());
    std::vector<RowMoments<float>> out(size(shape.rows));
    support::forward(norm, shape, packed(shape, x.data()), nullptr, nullptr, epsilon, packed(shape, y.data()),
                     out.data());
    return out;
  }
};

// All shapes and means; f(operands).
template <class F> void of_all(Norm norm, const F& f) {
  for (Index hidden = 1; hidden <= 34; ++hidden) {
    for (double kappa : {0.0, 1e2, 1e4, 1e6}) {
      const Index columns = hidden == 34 ? 768 : hidden;
      SCOPED_TRACE(std::string(oracle::name(norm)) + " hidden " + std::to_string(columns) + " kappa " +
                   std::to_string(kappa));
      f(Operands{norm, {columns == 768 ? 4 : 12, columns}, kappa, Random(size(hidden))});
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

inline void expect_near(const char* what, const std::vector<float>& got, const Numbers& exact,
                        const Numbers& allowed) {
  ASSERT_EQ(got.size(), exact.size()) << what;
  ASSERT_EQ(got.size(), allowed.size()) << what;
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_TRUE(std::isfinite(got[i])) << what << " " << i;
    ASSERT_LE(oracle::narrow(oracle::abs(wide(got[i]) - exact[i])), oracle::narrow(allowed[i]) + 1e-40)
        << what << " " << i << ": " << got[i] << " for " << oracle::narrow(exact[i]);
  }
}
inline Numbers magnitudes(const Numbers& a) {
  return oracle::each(a.size(), [&](std::size_t i) { return oracle::abs(a[i]); });
}
inline Numbers times_number(const Numbers& a, double number) {
  return oracle::each(a.size(), [&](std::size_t i) { return a[i] * wide(number); });
}
inline Numbers sums(const Numbers& a, const Numbers& b) {
  return oracle::each(a.size(), [&](std::size_t i) { return a[i] + b[i]; });
}

// Of each element, how far dx may be off: (of_dx + more) u * norm of |g| * rstd of its row.
inline Numbers bound_of_dx(const oracle::Problem& p, const Numbers& g, const Numbers& rstd, double more) {
  Numbers out(g.size());
  for (std::size_t r = 0; r < p.rows; ++r) {
    quad square = wide(0.0);
    for (std::size_t c = 0; c < p.hidden; ++c) square += g[r * p.hidden + c] * g[r * p.hidden + c];
    const quad norm = wide(std::sqrt(oracle::narrow(square))) * rstd[r];
    for (std::size_t c = 0; c < p.hidden; ++c) out[r * p.hidden + c] = wide((of_dx + more) * u) * norm;
  }
  return out;
}
// dx as a whole, row by row.
inline void expect_dx(const oracle::Problem& p, const std::vector<float>& got, const Numbers& exact,
                      const Numbers& allowed) {
  for (std::size_t r = 0; r < p.rows; ++r) {
    quad error = wide(0.0);
    for (std::size_t i = r * p.hidden; i < (r + 1) * p.hidden; ++i) {
      const quad difference = wide(got[i]) - exact[i];
      error += difference * difference;
    }
    ASSERT_LE(std::sqrt(oracle::narrow(error)), oracle::narrow(allowed[r * p.hidden]) + 1e-40)
        << "dx of row " << r;
  }
}
// Sums of terms, each off by `error`, and by `roundings` u of itself.
inline Numbers bound_of_sums(const oracle::Problem& p, const Numbers& terms, const Numbers& error,
                             double roundings) {
  return oracle::column_sums(p, sums(error, times_number(magnitudes(terms), (of_sums + roundings) * u)));
}
// dgamma of a dy that is off by `roundings` u of `dy`, its magnitude.
inline Numbers bound_of_dgamma(const oracle::Problem& p, const Numbers& dy, const Numbers& xhat,
                               double roundings) {
  return oracle::column_sums(p, oracle::each(dy.size(), [&](std::size_t i) {
                               const quad size =
                                   oracle::abs(xhat[i]) > wide(1.0) ? oracle::abs(xhat[i]) : wide(1.0);
                               return oracle::abs(dy[i]) * size * wide((4 + roundings) * u);
                             }));
}
inline Numbers bound_of_dbeta(const oracle::Problem& p, const Numbers& dy, double roundings) {
  return oracle::column_sums(p, times_number(magnitudes(dy), (of_sums + roundings) * u));
}

// With arrays for dgamma and dbeta, which RMSNorm leaves alone.
struct Sums {
  std::vector<float> dgamma, dbeta;
  explicit Sums(const Operands& in) : dgamma(size(in.shape.hidden), nan_of<float>), dbeta(dgamma) {}
};
template <Norm norm, class Dy, class X, class Dx>
Sums backward_of_norm(const Operands& in, const Dy& dy, const X& x, const std::vector<float>& gamma,
                      const std::vector<RowMoments<float>>& moments, const Dx& dx) {
  Sums out(in);
  backward_of<norm>(in.shape, dy, x, gamma.data(), moments.data(), dx, out.dgamma.data(), out.dbeta.data());
  return out;
}

}  // namespace fusion
