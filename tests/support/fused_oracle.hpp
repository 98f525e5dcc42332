// Fusions of a norm with its neighbours, and their gradients, in 128-bit floats straight from the formulas. All operands are
// numbers of the oracle; rows lie contiguous, (rows, hidden). With n = norm(u) = xhat * gamma + beta and a loss
// sum(dy * y) + sum(dsum * u):
//
//   residual   u = alpha * residual + (x + bias) * layer_scale * factor, y = n
//   modulated  y = xhat * (1 + scale) + shift, one scale and shift for the rows of an item
//   gate after the norm   y = n * silu(z)            gate before it   u = x * silu(z), y = n
//   two norms  y = n, y_2 = xhat * gamma_2 + beta_2, with dy_2
//   rotary     y[a] = n[a] * cosine - n[b] * sine, y[b] = n[b] * cosine + n[a] * sine of each pair of columns
//   from y     xhat = (y - beta) / gamma, rstd as it was kept
#pragma once

#include <utility>

#include "support/oracle.hpp"

namespace oracle {

using Numbers = std::vector<quad>;

inline quad wide(quad value) { return value; }
template <class T> Numbers wide_all(const std::vector<T>& values) {
  Numbers out;
  for (const T& value : values) out.push_back(wide(value));
  return out;
}

struct Problem {
  Norm norm;
  std::size_t rows, hidden;
  quad epsilon;
  std::size_t column(std::size_t i) const { return i % hidden; }
  std::size_t row(std::size_t i) const { return i / hidden; }
  std::size_t count() const { return rows * hidden; }
};

// f(i) for each element.
template <class F> Numbers each(std::size_t count, const F& f) {
  Numbers out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(f(i));
  return out;
}
inline quad dot(const Numbers& a, const Numbers& b) {
  quad sum = wide(0.0);
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}
inline Numbers products(const Numbers& a, const Numbers& b) {
  return each(a.size(), [&](std::size_t i) { return a[i] * b[i]; });
}
// The sum of each column.
inline Numbers column_sums(const Problem& p, const Numbers& rows) {
  Numbers sums(p.hidden, wide(0.0));
  for (std::size_t i = 0; i < rows.size(); ++i) sums[p.column(i)] += rows[i];
  return sums;
}

// exp(t): Taylor's series of t / 2^16, squared sixteen times.
inline quad exp(quad t) {
  const quad r = t * wide(std::ldexp(1.0, -16));
  quad sum = wide(1.0), term = wide(1.0);
  for (int k = 1; k < 16; ++k) {
    term = term * r / wide(static_cast<double>(k));
    sum += term;
  }
  for (int k = 0; k < 16; ++k) sum = sum * sum;
  return sum;
}
inline quad sigmoid(quad z) { return wide(1.0) / (wide(1.0) + exp(-z)); }
inline quad silu(quad z) { return z * sigmoid(z); }
inline quad silu_derivative(quad z) {
  const quad s = sigmoid(z);
  return s * (wide(1.0) + z * (wide(1.0) - s));
}

// --- the norm ---

struct Normalized {
  Numbers xhat;  // (rows, hidden)
  Numbers rstd;  // (rows)
};
inline Normalized normalized(const Problem& p, const Numbers& x) {
  Normalized out;
  const quad count = wide(static_cast<double>(p.hidden));
  for (std::size_t r = 0; r < p.rows; ++r) {
    const quad* const row = x.data() + r * p.hidden;
    quad mean = wide(0.0), variance = wide(0.0);
    for (std::size_t c = 0; p.norm == Norm::layer && c < p.hidden; ++c) mean += row[c] / count;
    for (std::size_t c = 0; c < p.hidden; ++c) variance += (row[c] - mean) * (row[c] - mean) / count;
    const quad rstd = reciprocal_sqrt(variance + p.epsilon);
    out.rstd.push_back(rstd);
    for (std::size_t c = 0; c < p.hidden; ++c) out.xhat.push_back((row[c] - mean) * rstd);
  }
  return out;
}
inline Numbers scaled(const Problem& p, const Numbers& rows, const Numbers& scale) {
  return each(rows.size(), [&](std::size_t i) { return rows[i] * scale[p.column(i)]; });
}
inline Numbers affine(const Problem& p, const Numbers& xhat, const Numbers& gamma, const Numbers& beta) {
  return each(xhat.size(), [&](std::size_t i) { return xhat[i] * gamma[p.column(i)] + beta[p.column(i)]; });
}
// The gradient of the rows, from that of xhat.
inline Numbers input_gradient(const Problem& p, const Numbers& g, const Normalized& n) {
  Numbers dx = g;
  const quad count = wide(static_cast<double>(p.hidden));
  for (std::size_t first = 0; first < dx.size(); first += p.hidden) {
    quad mean = wide(0.0), mean_product = wide(0.0);
    for (std::size_t i = first; i < first + p.hidden; ++i) {
      if (p.norm == Norm::layer) mean += g[i] / count;
      mean_product += g[i] * n.xhat[i] / count;
    }
    for (std::size_t i = first; i < first + p.hidden; ++i)
      dx[i] = (g[i] - mean - n.xhat[i] * mean_product) * n.rstd[first / p.hidden];
  }
  return dx;
}

// --- fusions: `loss` of all operands, and the gradients of each ---

struct ResidualBlock {
  Numbers x, bias, layer_scale, residual, gamma, beta;
  Numbers factor;  // (rows, hidden): the mask times the scale of the row
  quad alpha;

  Numbers sum(const Problem& p) const {
    return each(p.count(), [&](std::size_t i) {
      const std::size_t c = p.column(i);
      return alpha * residual[i] + (x[i] + bias[c]) * layer_scale[c] * factor[i];
    });
  }
  quad loss(const Problem& p, const Numbers& dy, const Numbers& dsum) const {
    const Numbers u = sum(p);
    return dot(dy, affine(p, normalized(p, u).xhat, gamma, beta)) + dot(dsum, u);
  }
  struct Gradients {
    Numbers of_sum, product, x, bias, layer_scale, residual, gamma, beta;
  };
  // `u`: the sum, as it was kept.
  Gradients gradients(const Problem& p, const Numbers& u, const Numbers& dy, const Numbers& dsum) const {
    const Normalized n = normalized(p, u);
    const Numbers dx = input_gradient(p, scaled(p, dy, gamma), n);
    Gradients out;
    out.of_sum = each(p.count(), [&](std::size_t i) { return dsum[i] + dx[i]; });
    out.product = products(out.of_sum, factor);
    out.x = scaled(p, out.product, layer_scale);
    out.bias = column_sums(p, out.x);
    out.layer_scale = column_sums(
        p, each(p.count(), [&](std::size_t i) { return out.product[i] * (x[i] + bias[p.column(i)]); }));
    out.residual = each(p.count(), [&](std::size_t i) { return alpha * out.of_sum[i]; });
    out.gamma = column_sums(p, products(dy, n.xhat));
    out.beta = column_sums(p, dy);
    return out;
  }
};

struct Modulated {
  Numbers x, scale, shift;  // scale, shift: (items, hidden)
  std::size_t rows_per_item;

  std::size_t at(const Problem& p, std::size_t i) const {
    return p.row(i) / rows_per_item * p.hidden + p.column(i);
  }
  quad loss(const Problem& p, const Numbers& dy) const {
    const Numbers xhat = normalized(p, x).xhat;
    return dot(dy, each(p.count(), [&](std::size_t i) {
                 return xhat[i] * (wide(1.0) + scale[at(p, i)]) + shift[at(p, i)];
               }));
  }
  struct Gradients {
    Numbers x, scale, shift;
  };
  Gradients gradients(const Problem& p, const Numbers& dy) const {
    const Normalized n = normalized(p, x);
    Gradients out{{}, Numbers(scale.size(), wide(0.0)), Numbers(scale.size(), wide(0.0))};
    out.x = input_gradient(
        p, each(p.count(), [&](std::size_t i) { return dy[i] * (wide(1.0) + scale[at(p, i)]); }), n);
    for (std::size_t i = 0; i < p.count(); ++i) {
      out.scale[at(p, i)] += dy[i] * n.xhat[i];
      out.shift[at(p, i)] += dy[i];
    }
    return out;
  }
};

struct GateAfter {
  Numbers x, z, gamma, beta;

  quad loss(const Problem& p, const Numbers& dy) const {
    const Numbers n = affine(p, normalized(p, x).xhat, gamma, beta);
    return dot(dy, each(p.count(), [&](std::size_t i) { return n[i] * silu(z[i]); }));
  }
  struct Gradients {
    Numbers x, z, gamma, beta;
  };
  Gradients gradients(const Problem& p, const Numbers& dy) const {
    const Normalized n = normalized(p, x);
    const Numbers norm = affine(p, n.xhat, gamma, beta);
    const Numbers dn = each(p.count(), [&](std::size_t i) { return dy[i] * silu(z[i]); });
    return {input_gradient(p, scaled(p, dn, gamma), n),
            each(p.count(), [&](std::size_t i) { return dy[i] * silu_derivative(z[i]) * norm[i]; }),
            column_sums(p, products(dn, n.xhat)), column_sums(p, dn)};
  }
};

struct GateBefore {
  Numbers x, z, gamma, beta;

  Numbers gated(const Problem& p) const {
    return each(p.count(), [&](std::size_t i) { return x[i] * silu(z[i]); });
  }
  quad loss(const Problem& p, const Numbers& dy) const {
    return dot(dy, affine(p, normalized(p, gated(p)).xhat, gamma, beta));
  }
  struct Gradients {
    Numbers u, x, z, gamma, beta;
  };
  // `u`: x * silu(z), as it was computed.
  Gradients gradients(const Problem& p, const Numbers& u, const Numbers& dy) const {
    const Normalized n = normalized(p, u);
    Gradients out;
    out.u = input_gradient(p, scaled(p, dy, gamma), n);
    out.x = each(p.count(), [&](std::size_t i) { return out.u[i] * silu(z[i]); });
    out.z = each(p.count(), [&](std::size_t i) { return out.u[i] * x[i] * silu_derivative(z[i]); });
    out.gamma = column_sums(p, products(dy, n.xhat));
    out.beta = column_sums(p, dy);
    return out;
  }
};

struct TwoNorms {
  Numbers x, gamma, beta, gamma_2, beta_2;

  quad loss(const Problem& p, const Numbers& dy, const Numbers& dy_2) const {
    const Numbers xhat = normalized(p, x).xhat;
    return dot(dy, affine(p, xhat, gamma, beta)) + dot(dy_2, affine(p, xhat, gamma_2, beta_2));
  }
  struct Gradients {
    Numbers x, gamma, beta, gamma_2, beta_2;
  };
  Gradients gradients(const Problem& p, const Numbers& dy, const Numbers& dy_2) const {
    const Normalized n = normalized(p, x);
    const Numbers g = each(p.count(), [&](std::size_t i) {
      return dy[i] * gamma[p.column(i)] + dy_2[i] * gamma_2[p.column(i)];
    });
    return {input_gradient(p, g, n), column_sums(p, products(dy, n.xhat)), column_sums(p, dy),
            column_sums(p, products(dy_2, n.xhat)), column_sums(p, dy_2)};
  }
};

struct Rotated {
  Numbers x, gamma, beta, cosines, sines;  // cosines, sines: (rows, dim / 2)
  std::size_t dim;
  bool halves;

  std::pair<std::size_t, std::size_t> columns_of(std::size_t pair) const {
    return halves ? std::pair{pair, pair + dim / 2} : std::pair{2 * pair, 2 * pair + 1};
  }
  Numbers turned(const Problem& p, Numbers rows, bool back) const {
    for (std::size_t r = 0; r < p.rows; ++r) {
      for (std::size_t i = 0; i < dim / 2; ++i) {
        const auto [a, b] = columns_of(i);
        const quad cosine = cosines[r * (dim / 2) + i];
        const quad sine = back ? -sines[r * (dim / 2) + i] : sines[r * (dim / 2) + i];
        quad &first = rows[r * p.hidden + a], &second = rows[r * p.hidden + b];
        const quad turned_first = first * cosine - second * sine;
        second = second * cosine + first * sine;
        first = turned_first;
      }
    }
    return rows;
  }
  quad loss(const Problem& p, const Numbers& dy) const {
    return dot(dy, turned(p, affine(p, normalized(p, x).xhat, gamma, beta), false));
  }
  struct Gradients {
    Numbers x, gamma, beta;
  };
  Gradients gradients(const Problem& p, const Numbers& dy) const {
    const Normalized n = normalized(p, x);
    const Numbers dn = turned(p, dy, true);
    return {input_gradient(p, scaled(p, dn, gamma), n), column_sums(p, products(dn, n.xhat)),
            column_sums(p, dn)};
  }
};

struct FromOutput {
  Numbers y, gamma, beta, rstd;  // rstd: (rows)

  Normalized recovered(const Problem& p) const {
    return {each(p.count(), [&](std::size_t i) { return (y[i] - beta[p.column(i)]) / gamma[p.column(i)]; }),
            rstd};
  }
  struct Gradients {
    Numbers x, gamma, beta;
  };
  Gradients gradients(const Problem& p, const Numbers& dy) const {
    const Normalized n = recovered(p);
    return {input_gradient(p, scaled(p, dy, gamma), n), column_sums(p, products(dy, n.xhat)),
            column_sums(p, dy)};
  }
};

}  // namespace oracle
