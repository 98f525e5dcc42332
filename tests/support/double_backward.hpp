// Double backward of both norms through one door, and what error is allowed. With u half an ulp at 1, and |a| the largest
// magnitude of a row, M = max(1, |xhat|), v = ddx, g = dy * gamma, w = dy * ddgamma:
//
//   xhat                    4 u M                      (forward)
//   mean(a), mean(a * xhat) 3 u |a|, 12 u |a|          (products, three additions of T, xhat; mean(|xhat|) <= 1)
//   J a                     32 u M |a| rstd            (both means, three operations, rstd), |J a| <= 3 M |a| rstd
//   ddy                     48 u M (|gamma| |v| rstd + |ddgamma| + |ddbeta|)
//   rest                    34 u |g| |v|,              |rest| <= 3 |g| |v|
//   mean(g xhat) J v        71 u M |g| |v| rstd, and so mean(v xhat) J g; xhat rest rstd: 56 u M |g| |v| rstd
//   dx                      256 u M (|w| + |g| |v| rstd) rstd
//
// These are the worst cases of every operation together. What is promised is norm-wise, as that of dx of backward: of ddy
// `ddy_bound` of the norm of |gamma| |v| rstd + |ddgamma xhat| + |ddbeta|, of dx `second_bound` of (|w| + |v| rms(g) rstd) rstd.
#pragma once

#include <gtest/gtest.h>

#include <simdnorm/double_backward.hpp>

#include "support/accuracy.hpp"

namespace support {

template <class T> struct DoubleProblem : Problem<T> {
  std::vector<T> ddx;              // (rows, hidden)
  std::vector<T> ddgamma, ddbeta;  // (hidden), or empty
};
template <class T> struct DoubleResults { std::vector<T> ddy, dx, dgamma; };

// Any layout, any executor: compiled once for each norm and type.
template <class T>
void double_backward(Norm norm, RowShape shape, simdnorm::Strided<const T> ddx, const T* ddgamma,
                     const T* ddbeta, simdnorm::Strided<const T> dy, simdnorm::Strided<const T> x,
                     const T* gamma, const RowMoments<T>* moments, simdnorm::Strided<T> ddy,
                     simdnorm::Strided<T> dx, T* dgamma, const simdnorm::GradientOptions& options = {},
                     const Executor& executor = serial) {
  if (norm == Norm::layer) {
    simdnorm::layer_norm_double_backward(shape, ddx, ddgamma, ddbeta, dy, x, gamma, moments, ddy, dx, dgamma,
                                         options, executor);
  } else {
    simdnorm::rms_norm_double_backward(shape, ddx, ddgamma, dy, x, gamma, moments, ddy, dx, dgamma, options,
                                       executor);
  }
}
template <class T>
DoubleResults<T> run_double_backward(Norm norm, const DoubleProblem<T>& p,
                                     const std::vector<RowMoments<T>>& moments,
                                     const Executor& executor = serial) {
  const std::vector<T> unwritten(p.x.size(), nan_of<T>);
  DoubleResults<T> out{unwritten, unwritten, std::vector<T>(size(p.hidden), nan_of<T>)};
  const auto rows = [&](const std::vector<T>& values) { return packed(p.shape(), values.data()); };
  double_backward<T>(norm, p.shape(), rows(p.ddx), or_null(p.ddgamma), or_null(p.ddbeta), rows(p.dy),
                     rows(p.x), or_null(p.gamma), moments.data(), packed(p.shape(), out.ddy.data()),
                     packed(p.shape(), out.dx.data()), out.dgamma.data(), {}, executor);
  return out;
}

// `which` rotates through all combinations of gamma, ddgamma and ddbeta.
template <class T>
DoubleProblem<T> make_double_problem(Index rows, Index hidden, const std::vector<RowKind>& kinds, int which,
                                     T epsilon, std::uint64_t seed) {
  DoubleProblem<T> p;
  static_cast<Problem<T>&>(p) = make_problem<T>(
      rows, hidden, kinds, which % 2 == 0 ? Parameters::gamma : Parameters::none, epsilon, seed);
  Random random(seed + 1);
  p.ddx.resize(p.x.size());
  const RowKind of_gradients[] = {{Family::normal, 0, 0},  {Family::outliers, 0, -3},
                                  {Family::normal, 30, 2}, {Family::log_uniform, 0, -4},
                                  {Family::ramp, 1, 0},    {Family::normal, 0, 5},
                                  {Family::constant, 0, 0}};
  for (Index r = 0; r < rows; ++r) {
    fill_row(of_gradients[r % 7], random, p.ddx.data() + r * hidden, hidden);
    if (r % 5 > 2) fill_row(of_gradients[r % 6], random, p.dy.data() + r * hidden, hidden);
  }
  if (which / 2 % 2 == 0) {
    p.ddgamma.resize(size(hidden));
    fill_gamma(random, p.ddgamma.data(), hidden);
  }
  if (which / 4 % 2 == 0) {
    p.ddbeta.resize(size(hidden));
    fill_normal(random, p.ddbeta.data(), hidden);
  }
  return p;
}

struct DoubleErrors {
  double ddy = 0, dx = 0;            // of the derived bounds, column by column
  double ddy_norm = 0, dx_norm = 0;  // of the promised ones
  double dgamma = 0;
};
template <class T> constexpr double ddy_bound = 8 * roundoff<T>;
template <class T> constexpr double second_bound = 16 * roundoff<T>;

// The worst errors of all rows, and of dgamma, as multiples of what is allowed.
template <class T>
DoubleErrors double_errors(Norm norm, const DoubleProblem<T>& p, const DoubleResults<T>& got) {
  using namespace oracle;
  const std::size_t n = size(p.hidden);
  DoubleErrors worst;
  const auto see = [](double& of, double ratio) {
    of = std::isfinite(ratio) ? std::max(of, ratio) : HUGE_VAL;
  };
  const quad zero = wide(0.0), one = wide(1.0), u = wide(roundoff<T>),
             step = wide(std::numeric_limits<T>::denorm_min());
  std::vector<quad> dgamma(n, zero), dgamma_size(n, zero);
  for (Index r = 0; r < p.rows; ++r) {
    const std::size_t first = size(r * p.hidden);
    const DoubleBackward exact =
        oracle::double_backward(norm, p.ddx.data() + first, or_null(p.ddgamma), or_null(p.ddbeta),
                                p.dy_row(r), p.row(r), or_null(p.gamma), p.epsilon, p.hidden);
    const Statistics s = statistics(norm, p.row(r), p.hidden, p.epsilon);
    const auto gamma = [&](std::size_t c) { return p.gamma.empty() ? one : wide(p.gamma[c]); };
    const auto ddgamma = [&](std::size_t c) { return p.ddgamma.empty() ? zero : wide(p.ddgamma[c]); };
    const auto ddbeta = [&](std::size_t c) {
      return p.ddbeta.empty() || norm == Norm::rms ? zero : wide(p.ddbeta[c]);
    };
    quad m = one, v = zero, g = zero, w = zero, g_square = zero;
    const auto larger = [](quad& of, quad value) { of = oracle::abs(value) > of ? oracle::abs(value) : of; };
    for (std::size_t c = 0; c < n; ++c) {
      const quad dy = wide(p.dy[first + c]);
      larger(m, xhat(s, p.x[first + c]));
      larger(v, wide(p.ddx[first + c]));
      larger(g, dy * gamma(c));
      larger(w, dy * ddgamma(c));
      g_square += dy * gamma(c) * dy * gamma(c);
    }
    const quad rms_g =
        g_square > zero ? g_square / wide(p.hidden) * reciprocal_sqrt(g_square / wide(p.hidden)) : zero;
    quad ddy_error = zero, ddy_size = zero, dx_error = zero, dx_size = zero;
    for (std::size_t c = 0; c < n; ++c) {
      const quad v_c = wide(p.ddx[first + c]), h = xhat(s, p.x[first + c]), dy = wide(p.dy[first + c]);
      const quad of_ddy = wide(got.ddy[first + c]) - exact.ddy[c],
                 of_dx = wide(got.dx[first + c]) - exact.dx[c];
      const quad ddy_allowed =
          wide(48.0) * u * m *
          (oracle::abs(gamma(c)) * v * s.rstd + oracle::abs(ddgamma(c)) + oracle::abs(ddbeta(c)));
      const quad dx_allowed = wide(256.0) * u * m * s.rstd * (w + g * v * s.rstd);
      see(worst.ddy, narrow(oracle::abs(of_ddy) / (ddy_allowed + step)));
      see(worst.dx, narrow(oracle::abs(of_dx) / (dx_allowed + step)));
      const quad ddy_part =
          oracle::abs(gamma(c) * v_c) * s.rstd + oracle::abs(ddgamma(c) * h) + oracle::abs(ddbeta(c));
      const quad dx_part = (oracle::abs(dy * ddgamma(c)) + oracle::abs(v_c) * rms_g * s.rstd) * s.rstd;
      ddy_error += of_ddy * of_ddy;
      dx_error += of_dx * of_dx;
      ddy_size += ddy_part * ddy_part;
      dx_size += dx_part * dx_part;
      dgamma[c] += exact.of_gamma[c];
      dgamma_size[c] += oracle::abs(dy) * v * s.rstd * m;
    }
    const auto ratio = [&](quad error, quad allowed, double bound) {
      const quad limit = wide(bound) * wide(bound) * allowed + wide(p.hidden) * step * step;
      return std::sqrt(narrow(error / limit));
    };
    see(worst.ddy_norm, ratio(ddy_error, ddy_size, ddy_bound<T>));
    see(worst.dx_norm, ratio(dx_error, dx_size, second_bound<T>));
  }
  for (std::size_t c = 0; c < n; ++c)
    see(worst.dgamma,
        narrow(oracle::abs(wide(got.dgamma[c]) - dgamma[c]) / (wide(40.0) * u * dgamma_size[c] + step)));
  return worst;
}

}  // namespace support
