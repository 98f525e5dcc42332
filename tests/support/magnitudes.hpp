// Rows of every magnitude that T has, from the smallest subnormal number to the largest number.
#pragma once

#include "support/accuracy.hpp"

namespace support {

template <class T> constexpr int lowest = sizeof(T) == 4 ? -149 : -1074;
template <class T> constexpr int highest = sizeof(T) == 4 ? 127 : 1023;

template <class T> struct MagnitudeRows {
  Problem<T> p;
  // Rows whose largest magnitude is about 2^k, for each k from end to end, by turns normal, uniform, with a
  // mean and log-uniform.
  MagnitudeRows(Index hidden, T epsilon, int step, std::uint64_t seed) {
    Random random(seed);
    p.hidden = hidden;
    p.epsilon = epsilon;
    for (int k = lowest<T>; k <= highest<T>; k += step) {
      std::vector<double> row(size(hidden));
      const int kind = (k - lowest<T>) / step % 4;
      for (double& value : row) {
        value = kind == 0 ? random.normal() / 6 : kind == 1 ? random.uniform() : 0;
        if (kind == 2) value = 0.5 + random.uniform() / 64;
        if (kind == 3) value = random.log_uniform(-30, 0);
      }
      // At the top the rows' largest element is the largest number there is.
      for (double value : row)
        p.x.push_back(static_cast<T>(std::ldexp(value, k) * (2 - std::ldexp(1.0, -20))));
      ++p.rows;
    }
    p.gamma.resize(size(hidden));
    p.beta.resize(size(hidden));
    fill_gamma(random, p.gamma.data(), hidden);
    fill_normal(random, p.beta.data(), hidden);
    p.dy.resize(p.x.size());
    fill_normal(random, p.dy.data(), p.rows * hidden);
  }
};

template <class T> std::vector<T> epsilons_of() {
  if (sizeof(T) == 4) return {T(0), T(1e-38), T(1e-12), T(1e-5)};
  return {T(0), T(1e-300), T(1e-38), T(1e-5)};
}

// Forward of all of them, for every epsilon, against the oracle; returns how many rows that were.
template <class T> Index check_magnitudes(Norm norm, Index hidden, int step) {
  Index rows = 0;
  for (T epsilon : epsilons_of<T>()) {
    const Problem<T> p = MagnitudeRows<T>(hidden, epsilon, step, 1).p;
    check_forward_rows(norm, p, run_forward(norm, p).y,
                       "epsilon " + std::to_string(static_cast<double>(epsilon)));
    rows += p.rows;
    if (testing::Test::HasFailure()) break;
  }
  return rows;
}

}  // namespace support
