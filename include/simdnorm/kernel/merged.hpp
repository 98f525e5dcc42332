// Rows whose columns lie in several places: statistics that put the records of all parts together where the drivers would
// measure.
//
//   hidden = sum hidden_p;  mean = sum (hidden_p / hidden) mean_p;
//   variance = sum (hidden_p / hidden) (variance_p + (mean_p - mean)^2)
// Source: Chan, Golub, LeVeque, Updating formulae and a pairwise algorithm for computing sample variances (1979).
#pragma once

#include "partial.hpp"

namespace simdnorm {

// --- forward ---

/// A statistic whose rows are measured already, in parts.
template <class Statistic> struct MergedRows : Statistic {
  using T = typename Statistic::Scalar;
  static constexpr int sums = Statistic::sums;
  Parts<PartialRow<T, sums>> parts;
  Index rows;
  double hidden;

  MergedRows(const Statistic& statistic, Parts<PartialRow<T, sums>> all, Index row_count)
      : Statistic(statistic), parts(all), rows(row_count), hidden(static_cast<double>(all.columns())) {}

  const PartialRow<T, sums>& record(Index p, Index row) const { return parts.records[p * rows + row]; }
  static SIMDNORM_INLINE double scale_of(const PartialRow<T, sums>& part) {
    return std::is_same_v<T, float> ? 1.0 : part.numbers[sums * Extended<T>::words + part.scales - 1];
  }

  /// Mean and variance of `scale` times the rows from `row` on, as many as lie before `end` and V has elements.
  template <class V> SIMDNORM_INLINE Spread<T, V> spread(Index row, Index end, double scale) const {
    using Wide = Extended<T, V>;
    const auto number = [&](Index p, int s) SIMDNORM_INLINE_LAMBDA {
      return load_extended<T, V>(s, [&](int i, int n) SIMDNORM_INLINE_LAMBDA {
        const PartialRow<T, sums>& part = record(p, std::min(row + i, end - 1));
        const double factor = scale / scale_of(part);
        return s == sums - 1 ? part.numbers[n] * factor * factor : part.numbers[n] * factor;
      });
    };
    const auto weight = [&](Index p) SIMDNORM_INLINE_LAMBDA {
      return Wide::all(static_cast<double>(parts.hidden[p])) / V::broadcast(hidden);
    };
    Wide mean = Wide::all(0);
    if constexpr (Statistic::centered) {
      const Wide first = number(0, 0);  // of equal means exact
      for (Index p = 1; p < parts.count; ++p) mean = mean + weight(p) * (number(p, 0) - first);
      mean = first + mean;
    }
    const auto variance_of = [&](Index p) SIMDNORM_INLINE_LAMBDA {
      Wide variance = number(p, sums - 1);
      if constexpr (Statistic::centered) {
        const Wide apart = number(p, 0) - mean;
        variance = variance + apart * apart;
      }
      return weight(p) * variance;
    };
    Wide variance = variance_of(0);
    for (Index p = 1; p < parts.count; ++p) variance = variance + variance_of(p);
    return {mean, variance};
  }

  /// The power of two that brings a row near 1: of the largest of its parts' means and deviations, and of sqrt(epsilon).
  SIMDNORM_INLINE T scale_for_row(Index row) const {
    int exponent = std::numeric_limits<int>::min();
    const auto see = [&](double number, double scale) {
      if (number != 0) exponent = std::max(exponent, std::ilogb(number) - std::ilogb(scale));
    };
    for (Index p = 0; p < parts.count; ++p) {
      const PartialRow<T, sums>& part = record(p, row);
      if constexpr (Statistic::centered) see(part.numbers[0], scale_of(part));
      see(simd::square_root(std::abs(part.numbers[(sums - 1) * part.words])), scale_of(part));
    }
    see(simd::square_root(static_cast<double>(this->epsilon)), 1);
    return scale_for<T>(exponent == std::numeric_limits<int>::min() ? 0 : exponent);
  }
  /// All parts of the row are constant, and equal.
  SIMDNORM_INLINE bool is_constant(Index row) const {
    bool constant = true;
    for (Index p = 0; p < parts.count; ++p) {
      const PartialRow<T, sums>& part = record(p, row);
      constant &= part.numbers[(sums - 1) * part.words] == 0 &&
                  part.numbers[0] / scale_of(part) == record(0, row).numbers[0] / scale_of(record(0, row));
    }
    return constant;
  }
  SIMDNORM_INLINE bool is_finite(Index row) const {
    bool finite = true;
    for (Index p = 0; p < parts.count; ++p) finite &= record(p, row).numbers[0] == record(p, row).numbers[0];
    return finite;
  }
};

/// The moments of a row that cannot be normalized as it is: as measure_scaled, of a row that is not here.
template <class V, class Statistic, class T>
SIMDNORM_COLD void merge_scaled(const MergedRows<Statistic>& merged, Index row, RowMoments<T>* moments) {
  if (!merged.is_finite(row)) {
    const T nan = std::numeric_limits<T>::quiet_NaN();
    *moments = {nan, nan, nan, nan};
    return;
  }
  if constexpr (Statistic::centered) {
    if (merged.is_constant(row)) {
      const double mean = merged.record(0, row).numbers[0] / merged.scale_of(merged.record(0, row));
      *moments = {static_cast<T>(mean), T(0), rstd_of_epsilon(merged.epsilon), T(1)};
      return;
    }
  }
  moments->scale = merged.scale_for_row(row);
  keep<Statistic>(simd::First{1},
                  merged.template spread<V>(row, row + 1, static_cast<double>(moments->scale)),
                  scaled_epsilon(merged.epsilon, moments->scale), moments);
  *moments = brought_back(*moments);
}

/// moments[r] = those of the whole row of which row r of the block is a part. (Where a row is of extreme magnitude, all that
/// are merged with it are looked at by themselves.)
template <class V, class Statistic, class T>
SIMDNORM_KERNEL void merge(const MergedRows<Statistic>& merged, Index first_row, int count,
                           RowMoments<T>* moments) {
  const Index end = first_row + count;
  const double epsilon = static_cast<double>(merged.epsilon);
  read_unscaled(moments, count);
  for (int r = 0; r < count; r += V::width) {
    const Spread<T, V> found = merged.template spread<V>(first_row + r, end, 1);
    bool ordinary = true;
    simd::with_lanes<V>(count - r, [&](auto lanes) SIMDNORM_BODY {
      ordinary = are_ordinary(lanes, keep<Statistic>(lanes, found, epsilon, moments + r));
    });
    if (SIMDNORM_UNLIKELY(!ordinary)) {
      for (int i = r; i < std::min(r + V::width, count); ++i) {
        const simd::First one{1};
        const Spread<T, V> alone = merged.template spread<V>(first_row + i, end, 1);
        if (!are_ordinary(one, keep<Statistic>(one, alone, epsilon, moments + i)))
          merge_scaled<V>(merged, first_row + i, moments + i);
      }
    }
  }
}

/// What the forward driver asks for: nothing is measured.
template <class Statistic, class Block, class Source, class T, class Threads>
SIMDNORM_INLINE void measure(const Block& block, const Source& /*source*/,
                             const MergedRows<Statistic>& merged, const Spans<Threads>& /*spans*/,
                             RowMoments<T>* moments) {
  merge<simd::Vector<double, typename Block::Architecture>>(merged, block.first_row, block.count(), moments);
}

// --- backward ---

/// A statistic for backward whose sums are known already, in parts.
template <class Statistic> struct MergedSums : Statistic {
  using T = typename Statistic::Scalar;
  Parts<PartialGradient<T, Statistic::sums>> parts;
  Index rows, hidden;
};

/// The means over the whole rows, from the sums of their parts, added in order.
template <class V, class Statistic, class T>
SIMDNORM_KERNEL void merge(const MergedSums<Statistic>& merged, Index first_row, int count,
                           GradientMeans<T>* means) {
  for (int r = 0; r < count; r += V::width) {
    Extended<T, V> sum[Statistic::sums];
    for (int s = 0; s < Statistic::sums; ++s) {
      const auto of_part = [&](Index p) SIMDNORM_INLINE_LAMBDA {
        return load_extended<T, V>(s, [&](int i, int n) SIMDNORM_INLINE_LAMBDA {
          return merged.parts.records[p * merged.rows + first_row + std::min(r + i, count - 1)].numbers[n];
        });
      };
      sum[s] = of_part(0);
      for (Index p = 1; p < merged.parts.count; ++p) sum[s] = sum[s] + of_part(p);
    }
    keep_sums<Statistic>(sum, merged.hidden, count - r, means + r);
  }
}

/// What the backward driver asks for.
template <class Statistic, class Block, class Dy, class X, class Scale, class T, class Threads>
SIMDNORM_INLINE void find_means(const MergedSums<Statistic>& merged, const Block& block,
                                const Spans<Threads>& /*spans*/, const Dy& /*dy*/, const X& /*x*/,
                                const Scale& /*scale*/, const RowMoments<T>* /*moments*/,
                                GradientMeans<T>* means) {
  merge<simd::Vector<double, typename Block::Architecture>>(merged, block.first_row, block.count(), means);
}

}  // namespace simdnorm
