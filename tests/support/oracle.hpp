// LayerNorm and RMSNorm, forward and backward, in 128-bit floats straight from the formulas: no blocking, no
// shift, no tricks. Rows lie contiguous here; a test of a strided tensor gathers its rows first.
//
//   LayerNorm  y = xhat * gamma + beta,  xhat = (x - mean) * rstd,  rstd = 1/sqrt(mean((x - mean)^2) + epsilon)
//   RMSNorm    y = xhat * gamma,         xhat = x * rstd,           rstd = 1/sqrt(mean(x^2) + epsilon)
//   with g = dy * gamma:
//   LayerNorm  dx = (g - mean(g) - xhat * mean(g * xhat)) * rstd
//   RMSNorm    dx = (g - xhat * mean(g * xhat)) * rstd
//   dgamma = sum over rows of dy * xhat,  dbeta = sum over rows of dy
//   double backward, from the gradients ddx, ddgamma, ddbeta of these: see double_backward
//
// Where variance (or mean square) and epsilon are both 0, rstd is 0.
#pragma once

#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "support/double_double.hpp"

namespace oracle {

#if defined(SIMDNORM_TEST_DOUBLE_DOUBLE)
using quad = DoubleDouble;
constexpr bool wide_exponents = false;  // squares of the smallest and largest doubles are out of range
#elif LDBL_MANT_DIG == 113
using quad = long double;
constexpr bool wide_exponents = true;
#elif defined(__SIZEOF_FLOAT128__)
__extension__ typedef __float128 quad;
constexpr bool wide_exponents = true;
#else
using quad = DoubleDouble;
constexpr bool wide_exponents = false;
#endif

using Index = std::int64_t;
enum class Norm { layer, rms };
constexpr Norm norms[] = {Norm::layer, Norm::rms};
inline const char* name(Norm norm) { return norm == Norm::layer ? "LayerNorm" : "RMSNorm"; }

inline quad wide(float value) { return static_cast<quad>(static_cast<double>(value)); }
inline quad wide(double value) { return static_cast<quad>(value); }
inline quad wide(Index value) {
  // Two halves, so that each is exact in a double.
  const Index high = value / (Index(1) << 32);
  return wide(static_cast<double>(high)) * wide(4294967296.0) +
         wide(static_cast<double>(value - high * (Index(1) << 32)));
}
inline double narrow(quad value) { return static_cast<double>(value); }
inline quad abs(quad value) { return value < wide(0.0) ? -value : value; }

// 1 / sqrt(value), value > 0: Newton's iteration from double, after a scaling by powers of four into double's
// range.
inline quad reciprocal_sqrt(quad value) {
  quad scale = wide(1.0);
  const quad up = wide(std::ldexp(1.0, 128)), down = wide(std::ldexp(1.0, -128));
  const quad root_up = wide(std::ldexp(1.0, 64)), root_down = wide(std::ldexp(1.0, -64));
  while (value >= up) value *= down, scale *= root_down;
  while (value <= down) value *= up, scale *= root_up;
  quad r = wide(1.0 / std::sqrt(narrow(value)));
  for (int step = 0; step < 3; ++step) r += r * (wide(1.0) - value * r * r) * wide(0.5);
  return r * scale;
}

struct Statistics {
  quad mean;      // 0 for RMSNorm
  quad variance;  // biased; the mean square for RMSNorm
  quad rstd;
};

template <class T> Statistics statistics(Norm norm, const T* x, Index hidden, T epsilon) {
  const quad count = wide(hidden);
  quad mean = wide(0.0), variance = wide(0.0);
  if (norm == Norm::layer) {
    for (Index c = 0; c < hidden; ++c) mean += wide(x[c]);
    mean /= count;
  }
  for (Index c = 0; c < hidden; ++c) {
    const quad centred = wide(x[c]) - mean;
    variance += centred * centred;
  }
  variance /= count;
  // The 128-bit mean of equal numbers can be off in its last bit; the variance of a constant row is 0 all the
  // same.
  bool constant = norm == Norm::layer;
  for (Index c = 1; c < hidden && constant; ++c) constant = x[c] == x[0];
  if (constant) mean = wide(x[0]), variance = wide(0.0);
  const quad radicand = variance + wide(epsilon);
  return {mean, variance, radicand > wide(0.0) ? reciprocal_sqrt(radicand) : wide(0.0)};
}

template <class T> quad xhat(const Statistics& s, T x) { return (wide(x) - s.mean) * s.rstd; }

// y of one row; gamma and beta may be null.
template <class T>
std::vector<quad> forward(Norm norm, const T* x, const T* gamma, const T* beta, T epsilon, Index hidden) {
  const Statistics s = statistics(norm, x, hidden, epsilon);
  std::vector<quad> y(static_cast<std::size_t>(hidden));
  for (Index c = 0; c < hidden; ++c) {
    quad value = xhat(s, x[c]);
    if (gamma) value *= wide(gamma[c]);
    if (beta) value += wide(beta[c]);
    y[static_cast<std::size_t>(c)] = value;
  }
  return y;
}

// dx of one row.
template <class T>
std::vector<quad> backward(Norm norm, const T* dy, const T* x, const T* gamma, T epsilon, Index hidden) {
  const Statistics s = statistics(norm, x, hidden, epsilon);
  const quad count = wide(hidden);
  std::vector<quad> g(static_cast<std::size_t>(hidden));
  quad mean_g = wide(0.0), mean_g_xhat = wide(0.0);
  for (Index c = 0; c < hidden; ++c) {
    const quad value = gamma ? wide(dy[c]) * wide(gamma[c]) : wide(dy[c]);
    g[static_cast<std::size_t>(c)] = value;
    mean_g += value;
    mean_g_xhat += value * xhat(s, x[c]);
  }
  mean_g = norm == Norm::layer ? mean_g / count : wide(0.0);
  mean_g_xhat /= count;
  for (Index c = 0; c < hidden; ++c) {
    quad& value = g[static_cast<std::size_t>(c)];
    value = (value - mean_g - xhat(s, x[c]) * mean_g_xhat) * s.rstd;
  }
  return g;
}

// What double backward gives of one row: the gradients of dy and x, and what the row adds to that of gamma. With
// P a = a - mean(a) - xhat * mean(a * xhat), of RMSNorm without mean(a), g = dy * gamma and u = dy * ddgamma:
//   ddy = gamma * rstd * P ddx + ddgamma * xhat + ddbeta,  of_gamma = dy * rstd * P ddx
//   dx  = rstd * P u - rstd^2 * (xhat * mean(ddx * P g) + mean(g * xhat) * P ddx + mean(ddx * xhat) * P g)
// Each of ddx, ddgamma, ddbeta, gamma may be null.
struct DoubleBackward {
  std::vector<quad> ddy, dx, of_gamma;
  quad rstd;
};
template <class T>
DoubleBackward double_backward(Norm norm, const T* ddx, const T* ddgamma, const T* ddbeta, const T* dy,
                               const T* x, const T* gamma, T epsilon, Index hidden) {
  const std::size_t n = static_cast<std::size_t>(hidden);
  const quad zero = wide(0.0), count = wide(hidden);
  const Statistics s = statistics(norm, x, hidden, epsilon);
  const auto number = [&](const T* values, std::size_t c, quad absent) {
    return values ? wide(values[c]) : absent;
  };
  const auto mean = [&](const std::vector<quad>& a, const std::vector<quad>& b) {
    quad sum = zero;
    for (std::size_t c = 0; c < n; ++c) sum += a[c] * b[c];
    return sum / count;
  };
  std::vector<quad> h(n), v(n), g(n), u(n);
  const std::vector<quad> ones(n, wide(1.0));
  for (std::size_t c = 0; c < n; ++c) {
    h[c] = xhat(s, x[c]);
    v[c] = number(ddx, c, zero);
    g[c] = wide(dy[c]) * number(gamma, c, wide(1.0));
    u[c] = wide(dy[c]) * number(ddgamma, c, zero);
  }
  const auto projected = [&](std::vector<quad> a) {
    const quad of_ones = norm == Norm::layer ? mean(a, ones) : zero, of_h = mean(a, h);
    for (std::size_t c = 0; c < n; ++c) a[c] -= of_ones + h[c] * of_h;
    return a;
  };
  const std::vector<quad> pv = projected(v), pg = projected(g), pu = projected(u);
  const quad v_g = mean(v, pg), v_h = mean(v, h), g_h = mean(g, h);
  DoubleBackward out{std::vector<quad>(n), std::vector<quad>(n), std::vector<quad>(n), s.rstd};
  for (std::size_t c = 0; c < n; ++c) {
    const quad of_ddx = s.rstd * pv[c];
    out.ddy[c] = number(gamma, c, wide(1.0)) * of_ddx + number(ddgamma, c, zero) * h[c] +
                 (norm == Norm::layer ? number(ddbeta, c, zero) : zero);
    out.of_gamma[c] = wide(dy[c]) * of_ddx;
    out.dx[c] = s.rstd * pu[c] - s.rstd * s.rstd * (h[c] * v_g + g_h * pv[c] + v_h * pg[c]);
  }
  return out;
}

// dgamma and dbeta of all rows, and the sums of magnitudes that their errors are measured by.
struct ParameterGradients {
  std::vector<quad> dgamma, dbeta;
  std::vector<quad> dgamma_magnitude;  // sum of |dy| * max(1, |xhat|)
  std::vector<quad> dbeta_magnitude;   // sum of |dy|
};

template <class T>
ParameterGradients parameter_gradients(Norm norm, const T* dy, const T* x, T epsilon, Index rows,
                                       Index hidden) {
  const std::size_t n = static_cast<std::size_t>(hidden);
  const quad zero = wide(0.0), one = wide(1.0);
  ParameterGradients out{std::vector<quad>(n, zero), std::vector<quad>(n, zero), std::vector<quad>(n, zero),
                         std::vector<quad>(n, zero)};
  for (Index r = 0; r < rows; ++r) {
    const T* row_x = x + r * hidden;
    const T* row_dy = dy + r * hidden;
    const Statistics s = statistics(norm, row_x, hidden, epsilon);
    for (std::size_t c = 0; c < n; ++c) {
      const quad d = wide(row_dy[c]), h = xhat(s, row_x[c]), magnitude = oracle::abs(d);
      out.dgamma[c] += d * h;
      out.dbeta[c] += d;
      out.dgamma_magnitude[c] += oracle::abs(h) > one ? magnitude * oracle::abs(h) : magnitude;
      out.dbeta_magnitude[c] += magnitude;
    }
  }
  return out;
}

}  // namespace oracle
