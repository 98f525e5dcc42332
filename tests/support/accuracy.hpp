// Forward of many rows against the oracle, under the bounds of bounds.hpp.
#pragma once

#include <gtest/gtest.h>

#include <cmath>

#include "support/bounds.hpp"
#include "support/calls.hpp"

namespace support {

// Every family with every kappa, the deviation going through 2^-4 .. 2^4; first_kind rotates the order of the
// families so that each of them comes to lie in each row of a block.
template <class T> std::vector<RowKind> all_kinds(int first_kind) {
  const double kappas_of_float[] = {0, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7};
  const double kappas_of_double[] = {0, 10, 1e3, 1e5, 1e7, 1e10, 1e13, 5e15};
  std::vector<RowKind> kinds;
  int n = first_kind;
  for (int k = 0; k < 8; ++k) {
    const double kappa = sizeof(T) == 4 ? kappas_of_float[k] : kappas_of_double[k];
    for (int f = 0; f < 9; ++f, ++n) {
      kinds.push_back({families[(f + first_kind) % 9], n % 2 == 0 ? kappa : -kappa, n * 5 % 9 - 4});
    }
  }
  return kinds;
}

// Ordinary rows and those that go other ways through the kernels: measured again, scaled, constant, not
// finite.
template <class T> Problem<T> every_path(Index rows, Index hidden, std::uint64_t seed) {
  const std::vector<RowKind> kinds = {
      {Family::normal, 0, 0},     {Family::normal, 1e6, 2},     {Family::outlier_first, 10, 0},
      {Family::constant, 0, 0},   {Family::uniform, 0, 100},    {Family::uniform, 3, -100},
      {Family::ramp, 1e3, -2},    {Family::plus_minus_c, 0, 1}, {Family::log_uniform, 0, 0},
      {Family::outliers, 1e3, 3}, {Family::normal, 0, 0}};
  Problem<T> p = make_problem<T>(rows, hidden, kinds, Parameters::both, T(1e-5), seed);
  for (Index r = 10; r < rows; r += 11)
    p.x[size(r * hidden + hidden / 3)] = std::numeric_limits<T>::infinity();
  return p;
}

// Of all rows of a problem, y against the oracle: the worst error as a multiple of what is allowed.
template <class T>
double check_forward_rows(Norm norm, const Problem<T>& p, const std::vector<T>& y, const std::string& what) {
  double worst = 0;
  const T* beta = norm == Norm::layer ? or_null(p.beta) : nullptr;
  for (Index r = 0; r < p.rows; ++r) {
    const Worst row =
        forward_error(norm, p.row(r), or_null(p.gamma), beta, p.epsilon, p.hidden, y.data() + r * p.hidden);
    EXPECT_LE(row.ratio, 1) << oracle::name(norm) << ' ' << what << ", row " << r << " of " << p.rows
                            << ", hidden " << p.hidden << ", column " << row.column << ": " << row.got
                            << " for " << row.expected << ", " << row.ratio * forward_units << " units";
    worst = std::max(worst, row.ratio);
  }
  return worst;
}

// The moments of all rows: the error that each puts into y, in units of forward, must leave room in the five
// for the other and for the roundings of y itself. The mean is known to more digits than one T has.
template <class T>
void check_moments(Norm norm, const Problem<T>& p, const std::vector<RowMoments<T>>& moments,
                   const std::string& what) {
  using namespace oracle;
  for (simdnorm::Index r = 0; r < p.rows; ++r) {
    const RowMoments<T>& m = moments[size(r)];
    const Statistics s = statistics(norm, p.row(r), p.hidden, p.epsilon);
    const quad mean = (wide(m.mean) + wide(m.mean_low)) / wide(m.scale), rstd = wide(m.rstd) * wide(m.scale);
    const double u = roundoff<T>;
    const double mean_error = narrow(oracle::abs(mean - s.mean) * s.rstd),
                 kappa = narrow(oracle::abs(s.mean) * s.rstd);
    EXPECT_LE(mean_error, u / 8 + 4 * u * u * kappa) << name(norm) << ' ' << what << ", row " << r;
    EXPECT_LE(narrow(oracle::abs(rstd - s.rstd)), 1.1 * u * narrow(s.rstd))
        << name(norm) << ' ' << what << ", row " << r;
    EXPECT_EQ(std::ldexp(T(1), std::ilogb(m.scale)), m.scale) << "scale is no power of two";
  }
}

// One hidden size: all kinds of rows, with gamma and beta on and off, for the epsilons.
template <class T> double check_forward(Norm norm, Index hidden, int variants) {
  const T epsilons[] = {T(1e-5), T(0), T(1e-12), T(0.25)};
  const Parameters parameters[] = {Parameters::both, Parameters::gamma, Parameters::none, Parameters::beta};
  double worst = 0;
  for (int v = 0; v < variants; ++v) {
    const int n = static_cast<int>(hidden) + v;
    const T epsilon = epsilons[(n + n / 4) % 4];
    const std::vector<RowKind> kinds = all_kinds<T>(n % 9);
    // An odd number of rows, so that the last one is alone.
    const Problem<T> p = make_problem<T>(73, hidden, kinds, parameters[n % 4], epsilon,
                                         static_cast<std::uint64_t>(hidden * 8 + v));
    const Forward<T> out = run_forward(norm, p);
    const std::string what = "epsilon " + std::to_string(epsilon) + ", parameters " + std::to_string(n % 4);
    worst = std::max(worst, check_forward_rows(norm, p, out.y, what));
    check_moments(norm, p, out.moments, what);
  }
  return worst;
}

}  // namespace support
