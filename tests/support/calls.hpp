// Both norms through one door, on owned buffers: a test says what its rows are and gets all outputs back.
#pragma once

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "support/operators.hpp"
#include "support/oracle.hpp"
#include "support/row_families.hpp"

namespace support {

inline std::size_t size(Index n) { return static_cast<std::size_t>(n); }

template <class T> constexpr T nan_of = std::numeric_limits<T>::quiet_NaN();

// nullptr for an operand that is not there.
template <class T> const T* or_null(const std::vector<T>& values) {
  return values.empty() ? nullptr : values.data();
}

// --- a problem: rows as an owned, contiguous (rows, hidden) ---

template <class T> struct Problem {
  Index rows = 0, hidden = 0;
  std::vector<T> x, dy;        // (rows, hidden)
  std::vector<T> gamma, beta;  // (hidden), or empty
  T epsilon = T(1e-5);

  RowShape shape() const { return {rows, hidden}; }
  const T* row(Index r) const { return x.data() + r * hidden; }
  const T* dy_row(Index r) const { return dy.data() + r * hidden; }
};

template <class T> struct Forward {
  std::vector<T> y;
  std::vector<RowMoments<T>> moments;
};
template <class T> struct Backward {
  std::vector<T> dx, dgamma, dbeta;  // dbeta is empty for RMSNorm
};

enum class Parameters { none, gamma, beta, both };
inline bool has_gamma(Parameters p) { return p == Parameters::gamma || p == Parameters::both; }
inline bool has_beta(Parameters p) { return p == Parameters::beta || p == Parameters::both; }

// Rows of the given kinds, one after another and again from the first.
template <class T>
Problem<T> make_problem(Index rows, Index hidden, const std::vector<RowKind>& kinds, Parameters parameters,
                        T epsilon, std::uint64_t seed) {
  Random random(seed);
  Problem<T> p;
  p.rows = rows;
  p.hidden = hidden;
  p.epsilon = epsilon;
  p.x.resize(size(rows * hidden));
  p.dy.resize(p.x.size());
  for (Index r = 0; r < rows; ++r) {
    fill_row(kinds[size(r) % kinds.size()], random, p.x.data() + r * hidden, hidden);
  }
  fill_normal(random, p.dy.data(), rows * hidden);
  if (has_gamma(parameters)) {
    p.gamma.resize(size(hidden));
    fill_gamma(random, p.gamma.data(), hidden);
  }
  if (has_beta(parameters)) {
    p.beta.resize(size(hidden));
    fill_normal(random, p.beta.data(), hidden);
  }
  return p;
}

// Outputs start as NaN, so that one that is not written is seen.
template <class T> Forward<T> run_forward(Norm norm, const Problem<T>& p, const Executor& executor = serial) {
  const T nan = nan_of<T>;
  Forward<T> out{std::vector<T>(p.x.size(), nan),
                 std::vector<RowMoments<T>>(size(p.rows), {nan, nan, nan, nan})};
  const T* beta = norm == Norm::layer ? or_null(p.beta) : nullptr;
  forward(norm, p.shape(), packed(p.shape(), p.x.data()), or_null(p.gamma), beta, p.epsilon,
          packed(p.shape(), out.y.data()), out.moments.data(), executor);
  return out;
}

template <class T>
Backward<T> run_backward(Norm norm, const Problem<T>& p, const std::vector<RowMoments<T>>& moments,
                         const Executor& executor = serial) {
  const T nan = nan_of<T>;
  Backward<T> out{std::vector<T>(p.x.size(), nan), std::vector<T>(size(p.hidden), nan), {}};
  if (norm == Norm::layer) out.dbeta.assign(size(p.hidden), nan);
  backward(norm, p.shape(), packed(p.shape(), p.dy.data()), packed(p.shape(), p.x.data()), or_null(p.gamma),
           moments.data(), packed(p.shape(), out.dx.data()), out.dgamma.data(),
           norm == Norm::layer ? out.dbeta.data() : nullptr, {}, executor);
  return out;
}

// --- equality of bits ---

template <class T> Index first_difference(const T* a, const T* b, Index count) {
  for (Index i = 0; i < count; ++i) {
    if (bits_of(a[i]) != bits_of(b[i])) return i;
  }
  return -1;
}
// The first position where the bits differ, -1 where they do not, -2 for different sizes.
template <class T> Index first_difference(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() != b.size() ? -2 : first_difference(a.data(), b.data(), static_cast<Index>(a.size()));
}
template <class T>
Index first_difference(const std::vector<RowMoments<T>>& a, const std::vector<RowMoments<T>>& b) {
  if (a.size() != b.size()) return -2;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (bits_of(a[i].mean) != bits_of(b[i].mean) || bits_of(a[i].mean_low) != bits_of(b[i].mean_low) ||
        bits_of(a[i].rstd) != bits_of(b[i].rstd) || bits_of(a[i].scale) != bits_of(b[i].scale)) {
      return static_cast<Index>(i);
    }
  }
  return -1;
}

// --- strided layouts ---

// The (rows, hidden) of a problem laid out with strides inside a larger buffer, the gaps filled with NaN.
template <class T> struct Layout {
  RowShape shape;
  Index outer, column;

  Index position(Index r, Index c) const { return r / shape.after * outer + c * column + r % shape.after; }
  Index extent() const {
    if (shape.rows == 0 || shape.hidden == 0) return 0;
    return position(shape.rows - 1, shape.hidden - 1) + 1;
  }
  std::vector<T> spread(const std::vector<T>& rows) const {
    std::vector<T> out(size(extent()), nan_of<T>);
    for (Index r = 0; r < shape.rows; ++r) {
      for (Index c = 0; c < shape.hidden; ++c) out[size(position(r, c))] = rows[size(r * shape.hidden + c)];
    }
    return out;
  }
  std::vector<T> gather(const std::vector<T>& strided) const {
    std::vector<T> out(size(shape.rows * shape.hidden));
    for (Index r = 0; r < shape.rows; ++r) {
      for (Index c = 0; c < shape.hidden; ++c)
        out[size(r * shape.hidden + c)] = strided[size(position(r, c))];
    }
    return out;
  }
  // Every element that belongs to no row is still NaN.
  bool gaps_untouched(const std::vector<T>& strided) const {
    std::vector<char> used(strided.size(), 0);
    for (Index r = 0; r < shape.rows; ++r) {
      for (Index c = 0; c < shape.hidden; ++c) used[size(position(r, c))] = 1;
    }
    for (std::size_t i = 0; i < strided.size(); ++i) {
      if (!used[i] && bits_of(strided[i]) != bits_of(nan_of<T>)) return false;
    }
    return true;
  }
  simdnorm::Strided<const T> of(const std::vector<T>& data) const { return {data.data(), outer, column}; }
  simdnorm::Strided<T> of(std::vector<T>& data) const { return {data.data(), outer, column}; }
};

}  // namespace support
