// What error is allowed. u is half an ulp at 1: 2^-24 in float, 2^-53 in double.
//
//   forward   every finite row: |error of y| <= 5 units, unit = u * (|gamma| * max(1, |xhat|) + |beta|)
//   dx        kappa <= 1e7: norm of the error <= 5e-7 * norm of dx (float; that is 8.4 u: 9.3e-16 in double), and
//             <= 5e-7 * norm of g * rstd, g = dy * gamma, where little of g is left in dx
//   dbeta     |error| <= 2e-7 * sum |dy|                  (float; that is 3.4 u)
//   dgamma    |error| <= 4 u  * sum |dy| * max(1, |xhat|)
//
// The functions give the worst error as a multiple of what is allowed: a test expects a value of at most 1.
// NaN and Inf where a number belongs give infinity.
#pragma once

#include <cmath>
#include <limits>

#include "support/oracle.hpp"

namespace support {

using oracle::Norm;
using oracle::quad;

template <class T> constexpr double roundoff = static_cast<double>(std::numeric_limits<T>::epsilon()) / 2;

constexpr double forward_units = 5;
template <class T> constexpr double dx_bound = 5e-7 / roundoff<float>* roundoff<T>;
template <class T> constexpr double dbeta_bound = 2e-7 / roundoff<float>* roundoff<T>;
template <class T> constexpr double dgamma_bound = 4 * roundoff<T>;

struct Worst {
  double ratio = 0;  // error / allowed
  oracle::Index column = -1;
  double got = 0, expected = 0;

  void see(double candidate, oracle::Index c, double value, double exact) {
    if (!(candidate <= ratio)) {
      *this = {std::isnan(candidate) ? std::numeric_limits<double>::infinity() : candidate, c, value, exact};
    }
  }
};

// One row of y. A result below the normal numbers may be off by one subnormal step beside its units.
template <class T>
Worst forward_error(Norm norm, const T* x, const T* gamma, const T* beta, T epsilon, oracle::Index hidden,
                    const T* y) {
  using namespace oracle;
  Worst worst;
  const Statistics s = statistics(norm, x, hidden, epsilon);
  const quad one = wide(1.0), u = wide(roundoff<T>), step = wide(std::numeric_limits<T>::denorm_min());
  for (oracle::Index c = 0; c < hidden; ++c) {
    const quad h = xhat(s, x[c]), scale = gamma ? wide(gamma[c]) : one, shift = wide(beta ? beta[c] : T(0));
    const quad exact = h * scale + shift, magnitude = oracle::abs(h) > one ? oracle::abs(h) : one;
    const quad allowed =
        wide(forward_units) * u * (oracle::abs(scale) * magnitude + oracle::abs(shift)) + step;
    if (!std::isfinite(y[c])) {
      worst.see(std::numeric_limits<double>::infinity(), c, static_cast<double>(y[c]), narrow(exact));
    } else {
      worst.see(narrow(oracle::abs(wide(y[c]) - exact) / allowed), c, static_cast<double>(y[c]),
                narrow(exact));
    }
  }
  return worst;
}

// What an error of dx is measured by. The exact dx can be a small rest of g * rstd: where g is near a constant plus a
// multiple of xhat, and in short rows (of hidden 1 it is 0, of hidden 2 it is 0 but for epsilon).
enum class DxScale { dx, g };

// One row of dx, norm-wise.
template <class T>
Worst dx_error(Norm norm, const T* dy, const T* x, const T* gamma, T epsilon, oracle::Index hidden,
               const T* dx, DxScale scale) {
  using namespace oracle;
  const std::vector<quad> exact = backward(norm, dy, x, gamma, epsilon, hidden);
  const Statistics s = statistics(norm, x, hidden, epsilon);
  quad error = wide(0.0), size = wide(0.0), before = wide(0.0);
  Worst column;
  bool finite = true;
  for (oracle::Index c = 0; c < hidden; ++c) {
    const quad& value = exact[static_cast<std::size_t>(c)];
    if (!std::isfinite(dx[c])) {
      finite = false;
      column.see(std::numeric_limits<double>::infinity(), c, static_cast<double>(dx[c]), narrow(value));
      continue;
    }
    const quad difference = wide(dx[c]) - value,
               g = (gamma ? wide(dy[c]) * wide(gamma[c]) : wide(dy[c])) * s.rstd;
    error += difference * difference;
    size += value * value;
    before += g * g;
    column.see(narrow(oracle::abs(difference)), c, static_cast<double>(dx[c]), narrow(value));
  }
  if (!finite) return column;
  const quad reference = scale == DxScale::g ? before : size;
  const quad step = wide(std::numeric_limits<T>::denorm_min());
  const quad allowed = wide(dx_bound<T>) * wide(dx_bound<T>) * reference + wide(hidden) * step * step;
  column.ratio = std::sqrt(narrow(error / allowed));
  return column;
}
template <class T>
Worst dx_error(Norm norm, const T* dy, const T* x, const T* gamma, T epsilon, oracle::Index hidden,
               const T* dx) {
  return dx_error(norm, dy, x, gamma, epsilon, hidden, dx, hidden < 16 ? DxScale::g : DxScale::dx);
}

enum class Gradient { dgamma, dbeta };

template <class T>
Worst parameter_error(Gradient which, const oracle::ParameterGradients& exact, const T* got) {
  using namespace oracle;
  Worst worst;
  const std::vector<quad>& value = which == Gradient::dgamma ? exact.dgamma : exact.dbeta;
  const std::vector<quad>& size = which == Gradient::dgamma ? exact.dgamma_magnitude : exact.dbeta_magnitude;
  const quad bound = wide(which == Gradient::dgamma ? dgamma_bound<T> : dbeta_bound<T>);
  const quad step = wide(std::numeric_limits<T>::denorm_min());
  for (std::size_t c = 0; c < value.size(); ++c) {
    const double ratio = std::isfinite(got[c])
                             ? narrow(oracle::abs(wide(got[c]) - value[c]) / (bound * size[c] + step))
                             : std::numeric_limits<double>::infinity();
    worst.see(ratio, static_cast<oracle::Index>(c), static_cast<double>(got[c]), narrow(value[c]));
  }
  return worst;
}

}  // namespace support
