// What the outputs of a call must be, for any bits of its inputs: results within bounds of the 128-bit oracle
// where they and what leads to them are numbers that T can hold, and NaN or infinity only where they belong.
//
// The bounds are those of the worst case, which a fuzzer looks for; tests/support/bounds.hpp has those of
// typical sums. In units of u, half an ulp at 1:
//   y       5.1 (|gamma| max(1, |xhat|) + |beta|): one for each of x - mean, 1/sqrt and its product, gamma's and
//           the last sum, and what the sums under the root leave
//   dx      32 |g| rstd, norm-wise; of g and not of dx, which cancels: 4 for mean(g), 14 for xhat mean(g xhat),
//           of which xhat takes 4 twice, 1 for g, and 3 for each of the operations on three such terms
//   dgamma  8.1 sum |dy| max(1, |xhat|): 4 for xhat, 1 for its product, 3 for sums of four rows in T
//   dbeta   2e-7 sum |dy| (in float), as promised for all
// Each result may be off by subnormal steps too.
#pragma once

#include "fuzz/input.hpp"
#include "support/bounds.hpp"

namespace fuzz {

using oracle::Norm;
using oracle::quad;
using oracle::wide;
using simdnorm::RowMoments;

template <class T> bool is_canonical_nan(T value) {
  return support::bits_of(value) == support::bits_of(support::nan_of<T>);
}
template <class T> bool all_finite(const T* values, Index count) {
  return std::all_of(values, values + count, [](T value) { return std::isfinite(value); });
}

// A problem, of which the outputs are judged; all pointers but those of gamma and beta are there.
template <class T> class Judge {
 public:
  Judge(Norm norm, const support::Problem<T>& problem) : norm_(norm), p_(problem) {
    for (Index r = 0; r < p_.rows; ++r) {
      finite_.push_back(all_finite(p_.row(r), p_.hidden));
      statistics_.push_back(finite_.back() ? statistics(p_.row(r)) : oracle::Statistics{});
    }
  }

  void forward(const std::vector<T>& y, const std::vector<RowMoments<T>>& moments) const {
    for (Index r = 0; r < p_.rows; ++r) {
      const T* row = y.data() + r * p_.hidden;
      if (!finite_[support::size(r)]) {
        for (Index c = 0; c < p_.hidden; ++c)
          if (!is_canonical_nan(row[c])) fail("y of a row that is not finite, ", place(r, c), row[c]);
        if (!is_canonical_nan(moments[support::size(r)].scale)) fail("moments of such a row, row ", r);
        continue;
      }
      judge_moments(r, moments[support::size(r)]);
      for (Index c = 0; c < p_.hidden; ++c) judge_y(r, c, row[c]);
    }
  }

  void backward(const std::vector<T>& dx) const {
    const bool gamma_is_finite = p_.gamma.empty() || all_finite(p_.gamma.data(), p_.hidden);
    for (Index r = 0; r < p_.rows; ++r) {
      const T* row = dx.data() + r * p_.hidden;
      if (!finite_[support::size(r)]) {
        for (Index c = 0; c < p_.hidden; ++c)
          if (!is_canonical_nan(row[c])) fail("dx of a row that is not finite, ", place(r, c), row[c]);
      } else if (!gamma_is_finite || !all_finite(p_.dy_row(r), p_.hidden)) {
        for (Index c = 0; c < p_.hidden; ++c)
          if (!is_canonical_nan(row[c])) fail("dx for a gradient that is not finite, ", place(r, c), row[c]);
      } else {
        judge_dx(r, row);
      }
    }
  }

  // `before`: what dgamma and dbeta held and are added to; empty where they are overwritten. An output that
  // was not asked for is empty.
  void parameters(const std::vector<T>& before, const std::vector<T>& dgamma,
                  const std::vector<T>& dbeta) const {
    const bool rows_are_finite = std::all_of(finite_.begin(), finite_.end(), [](bool f) { return f; });
    for (Index c = 0; c < p_.hidden; ++c) {
      const T start = before.empty() ? T(0) : before[support::size(c)];
      bool finite = std::isfinite(start);
      quad gamma = wide(std::isfinite(start) ? start : T(0)), beta = gamma;
      quad gamma_size = wide(0.0), beta_size = wide(0.0);
      for (Index r = 0; r < p_.rows; ++r) {
        const T dy = p_.dy_row(r)[c];
        finite = finite && std::isfinite(dy);
        if (!finite) break;
        const quad size = oracle::abs(wide(dy));
        beta += wide(dy);
        beta_size += size;
        if (!finite_[support::size(r)]) continue;
        const quad h = xhat(r, c);
        gamma += wide(dy) * h;
        gamma_size += size * at_least_one(h);
      }
      const quad begin = oracle::abs(wide(std::isfinite(start) ? start : T(0)));
      if (!dbeta.empty())
        judge_sum("dbeta", c, finite, beta, beta_size * wide(support::dbeta_bound<T> / support::roundoff<T>),
                  begin, dbeta);
      if (dgamma.empty()) continue;
      if (rows_are_finite) {
        judge_sum("dgamma", c, finite, gamma, gamma_size * wide(8.1), begin, dgamma);
      } else if (!is_canonical_nan(dgamma[support::size(c)])) {
        fail("dgamma with a row that is not finite, column ", c, ": ", dgamma[support::size(c)]);
      }
    }
  }

 private:
  oracle::Statistics statistics(const T* row) const {
    if (std::isfinite(p_.epsilon)) return oracle::statistics(norm_, row, p_.hidden, p_.epsilon);
    oracle::Statistics s = oracle::statistics(norm_, row, p_.hidden, T(1));
    s.rstd = wide(0.0);
    return s;
  }
  quad xhat(Index r, Index c) const { return oracle::xhat(statistics_[support::size(r)], p_.row(r)[c]); }
  static quad at_least_one(quad h) { return oracle::abs(h) > wide(1.0) ? oracle::abs(h) : wide(1.0); }
  static quad unit() { return wide(support::roundoff<T>); }
  static quad step() { return wide(std::numeric_limits<T>::denorm_min()); }
  // Too large for T with what is larger on the way; in double, for products that are split in two (below
  // 2^995).
  static bool is_large(quad value) { return !(value < wide(std::ldexp(1.0, sizeof(T) == 4 ? 120 : 980))); }
  static std::string place(Index r, Index c) {
    return "row " + std::to_string(r) + " column " + std::to_string(c) + ": ";
  }
  // The beginning of a row, for a reproducer.
  static std::string in_words(const T* row, Index count) {
    std::ostringstream words;
    words << std::hexfloat << "\n  row:";
    for (Index c = 0; c < std::min<Index>(count, 64); ++c) words << ' ' << row[c];
    return words.str();
  }

  void judge_moments(Index r, const RowMoments<T>& m) const {
    const oracle::Statistics& s = statistics_[support::size(r)];
    if (!std::isfinite(p_.epsilon)) return;
    const double u = support::roundoff<T>;
    const quad mean = (wide(m.mean) + wide(m.mean_low)) / wide(m.scale), rstd = wide(m.rstd) * wide(m.scale);
    const double mean_error = oracle::narrow(oracle::abs(mean - s.mean) * s.rstd);
    if (!(mean_error <= u / 8 + 4 * u * u * oracle::narrow(oracle::abs(s.mean) * s.rstd)))
      fail("the mean of row ", r, " is off by ", mean_error, " deviations", in_words(p_.row(r), p_.hidden));
    if (!(oracle::abs(rstd - s.rstd) <= wide(1.1 * u) * s.rstd))
      fail("rstd of row ", r, ": ", oracle::narrow(rstd), " for ", oracle::narrow(s.rstd),
           in_words(p_.row(r), p_.hidden));
  }

  void judge_y(Index r, Index c, T y) const {
    const T gamma = p_.gamma.empty() ? T(1) : p_.gamma[support::size(c)];
    const T beta = norm_ == Norm::rms || p_.beta.empty() ? T(0) : p_.beta[support::size(c)];
    if (!std::isfinite(gamma) || !std::isfinite(beta)) {
      if (std::isfinite(y)) fail("y where gamma or beta is not finite, ", place(r, c), y);
      return;
    }
    const quad h = xhat(r, c), exact = h * wide(gamma) + wide(beta);
    const quad size = oracle::abs(wide(gamma)) * at_least_one(h) + oracle::abs(wide(beta));
    if (is_large(size)) return;
    const quad allowed = wide(5.1) * unit() * size + step();
    if (!std::isfinite(y) || !(oracle::abs(wide(y) - exact) <= allowed))
      fail("y, ", place(r, c), y, " for ", oracle::narrow(exact), ", allowed ", oracle::narrow(allowed));
    if (!(statistics_[support::size(r)].variance > wide(0.0)) && !(y == beta))
      fail("y of a constant row, ", place(r, c), y, " and not beta", in_words(p_.row(r), p_.hidden));
  }

  void judge_dx(Index r, const T* dx) const {
    const quad rstd = statistics_[support::size(r)].rstd;
    const quad count = wide(p_.hidden);
    quad mean = wide(0.0), mean_product = wide(0.0), square = wide(0.0), largest = wide(0.0);
    std::vector<quad> g, h;
    for (Index c = 0; c < p_.hidden; ++c) {
      const quad gamma = wide(p_.gamma.empty() ? T(1) : p_.gamma[support::size(c)]);
      g.push_back(wide(p_.dy_row(r)[c]) * gamma);
      h.push_back(xhat(r, c));
      mean += g.back();
      mean_product += g.back() * h.back();
      square += g.back() * g.back();
      const quad reach = oracle::abs(g.back()) * at_least_one(h.back());
      if (reach > largest) largest = reach;
    }
    // Sums over a row, in double for float, and products that double splits must not overflow either.
    if (is_large(largest * count) || is_large(largest * count * rstd)) return;
    mean = norm_ == Norm::layer ? mean / count : wide(0.0);
    mean_product /= count;
    quad error = wide(0.0);
    for (Index c = 0; c < p_.hidden; ++c) {
      const std::size_t i = support::size(c);
      const quad exact = (g[i] - mean - h[i] * mean_product) * rstd;
      if (!std::isfinite(dx[c]))
        fail("dx, ", place(r, c), dx[c], " for ", oracle::narrow(exact), in_words(p_.row(r), p_.hidden),
             in_words(p_.dy_row(r), p_.hidden));
      const quad difference = wide(dx[c]) - exact;
      error += difference * difference;
    }
    const quad relative = wide(32.0) * unit() * rstd;
    const quad steps = wide(8.0) * step() * (rstd > wide(1.0) ? rstd : wide(1.0));
    const quad allowed = relative * relative * square + count * steps * steps;
    if (!(error <= allowed))
      fail("dx of row ", r, " is off by ", std::sqrt(oracle::narrow(error / allowed)),
           " times what is allowed", in_words(p_.row(r), p_.hidden), in_words(p_.dy_row(r), p_.hidden));
  }

  void judge_sum(const char* name, Index c, bool finite, quad exact, quad units, quad begin,
                 const std::vector<T>& sums) const {
    const T got = sums[support::size(c)];
    if (std::isnan(got) && p_.rows > 0 && !is_canonical_nan(got))
      fail(name, " is a NaN of another kind, column ", c);
    if (!finite) {
      if (std::isfinite(got)) fail(name, " of a column that is not finite, column ", c, ": ", got);
      return;
    }
    if (is_large(units + begin)) return;
    const quad allowed = unit() * (units + oracle::abs(exact)) + wide(p_.rows + 1) * step();
    if (!std::isfinite(got) || !(oracle::abs(wide(got) - exact) <= allowed))
      fail(name, ", column ", c, ": ", got, " for ", oracle::narrow(exact), ", allowed ",
           oracle::narrow(allowed));
  }

  Norm norm_;
  const support::Problem<T>& p_;
  std::vector<bool> finite_;
  std::vector<oracle::Statistics> statistics_;
};

}  // namespace fuzz
