// A row folded into sums: the loop over its columns, by the tree that row.hpp describes.
#pragma once

#include "row.hpp"

namespace simdnorm {

/// The sums over a row, of rows whose elements' type is that of `Rows`.
template <class Rows, int Sums>
using RowSums = Extended<typename Rows::Scalar>[static_cast<std::size_t>(Sums)];

/// lanes += (e0 + e1) + (e2 + e3), each of them laid out as the lanes are.
template <class Arch, class T> SIMDNORM_NOINLINE void add_elements(const T* elements, Index slots, T* lanes) {
  using V = simd::Vector<T, Arch>;
  for (Index i = 0; i < slots; i += V::width) {
    const auto e = [&](Index k) { return simd::load<V>(simd::All{}, elements + k * slots + i); };
    simd::store(simd::All{}, lanes + i,
                simd::load<V>(simd::All{}, lanes + i) + ((e(0) + e(1)) + (e(2) + e(3))));
  }
}

/// Adds the step that holds only the columns [c, end) to the lanes; those that are not there add 0.
template <int Sums, class Block, class Term>
SIMDNORM_INLINE void partial_step(const Block& block, Index c, Index end, const Term& term,
                                  typename Block::Scalar* lanes) {
  using T = typename Block::Scalar;
  alignas(64) T elements[4 * Block::capacity * Sums * fold_lanes];  // e0, e1, e2, e3
  const Index slots = block.slots(Sums);
  std::fill(elements, elements + 4 * slots, T(0));
  block.columns(c, end, [&](auto column) SIMDNORM_INLINE_LAMBDA {
    const Index k = (column.column - c) / fold_lanes;
    const int lane = static_cast<int>((column.column - c) % fold_lanes);
    block.rows(column, [&](auto at) SIMDNORM_INLINE_LAMBDA {
      const auto terms = term(at);
      for (int s = 0; s < Sums; ++s)
        simd::store(simd::All{}, elements + k * slots + block.slot(s, lane, at.row),
                    simd::keep(at.lanes, terms.sum[s]));
    });
  });
  add_elements<typename Block::Architecture>(elements, slots, lanes);
}

/// Calls add(lanes) with the lanes' sums over each chain of columns.
template <int Sums, class Rows, class Term, class Add>
SIMDNORM_INLINE void each_chain(const Rows& rows, Index hidden, const Term& term, const Add& add) {
  alignas(64) typename Rows::Scalar lanes[static_cast<std::size_t>(Rows::capacity * Sums * fold_lanes)];
  Index c = 0;
  do {
    const Index end = std::min(c + fold_chain, hidden);
    const Index whole_end = end - (end - c) % fold_step;
    rows.template whole_steps<Sums>(c, whole_end, fold_lanes, term, lanes);
    if (whole_end < end) partial_step<Sums>(rows, whole_end, end, term, lanes);
    add(lanes);
    c = end;
  } while (c < hidden);
}

/// The sum of 16 totals, `apart` from each other, of which the second words follow after `count` first ones.
template <class T> SIMDNORM_INLINE Extended<T> sum_of_totals(const double* total, Index count, Index apart) {
  return pairwise<fold_lanes>([&](int lane) { return total_at<T>(total, count, lane * apart); });
}

/// The 16 lanes' totals in Extended<T>, in registers.
template <class T, class Arch> struct LaneTotals;

template <class Arch> struct LaneTotals<float, Arch> {
  using V = simd::Vector<double, Arch>;
  V part[fold_lanes / V::width] = {};

  SIMDNORM_INLINE void add(const float* lanes) {
    simd::unroll<fold_lanes / V::width>([&](auto i) SIMDNORM_INLINE_LAMBDA {
      part[i] = part[i] + simd::load_as_double<Arch>(lanes + i * V::width);
    });
  }
  SIMDNORM_INLINE Extended<float> sum() const {
    return sum_of_elements(pairwise<fold_lanes / V::width>([&](int i) { return part[i]; }));
  }
};
template <class Arch> struct LaneTotals<double, Arch> {
  using V = simd::Vector<double, Arch>;
  V hi[fold_lanes / V::width] = {}, lo[fold_lanes / V::width] = {};

  SIMDNORM_INLINE void add(const double* lanes) {
    simd::unroll<fold_lanes / V::width>([&](auto i) SIMDNORM_INLINE_LAMBDA {
      add_exactly(simd::load<V>(simd::All{}, lanes + i * V::width), hi[i], lo[i]);
    });
  }
  SIMDNORM_INLINE Extended<double> sum() const {
    double total[2 * fold_lanes];
    simd::unroll<fold_lanes / V::width>([&](auto i) SIMDNORM_INLINE_LAMBDA {
      simd::store(simd::All{}, total + i * V::width, hi[i]);
      simd::store(simd::All{}, total + fold_lanes + i * V::width, lo[i]);
    });
    return sum_of_totals<double>(total, fold_lanes, 1);
  }
};

/// sums[0][s] = the sum over all columns of term(at).sum[s], for a contiguous row.
template <int Sums, class T, class Arch, class Term>
SIMDNORM_INLINE void fold(const RowsAlong<T, Arch, 1>& row, Index hidden, const Term& term,
                          RowSums<RowsAlong<T, Arch, 1>, Sums>* sums) {
  LaneTotals<T, Arch> totals[static_cast<std::size_t>(Sums)];
  each_chain<Sums>(row, hidden, term, [&](const T* lanes) SIMDNORM_INLINE_LAMBDA {
    for (int s = 0; s < Sums; ++s) totals[s].add(lanes + s * fold_lanes);
  });
  for (int s = 0; s < Sums; ++s) sums[0][s] = totals[s].sum();
}

/// sums[r][s] = the 16 totals of each row and sum, added pairwise.
template <int Sums, class Rows>
SIMDNORM_NOINLINE void end_fold(const Rows& rows, double* total, RowSums<Rows, Sums>* sums) {
  using T = typename Rows::Scalar;
  const Index slots = rows.slots(Sums), apart = rows.slot(0, 1, 0);
  if constexpr (Extended<T>::words == 1) rows.add_lanes(total, Sums);
  for (int r = 0; r < rows.count(); ++r) {
    for (int s = 0; s < Sums; ++s) {
      double* const of_row = total + rows.slot(s, 0, r);
      if constexpr (Extended<T>::words == 1) {
        sums[r][s] = *of_row;
      } else {
        sums[r][s] = sum_of_totals<T>(of_row, slots, apart);
      }
    }
  }
}

/// sums[r][s] = the sum over all columns of term(at).sum[s], for each of rows side by side.
template <int Sums, class T, class Arch, class Term>
SIMDNORM_INLINE void fold(const RowsAcross<T, Arch>& rows, Index hidden, const Term& term,
                          RowSums<RowsAcross<T, Arch>, Sums>* sums) {
  constexpr int words = Extended<T>::words, capacity = RowsAcross<T, Arch>::capacity;
  alignas(64) double total[static_cast<std::size_t>(capacity * Sums * fold_lanes * words)];
  const Index slots = rows.slots(Sums);
  std::fill(total, total + slots * words, 0.0);
  each_chain<Sums>(rows, hidden, term,
                   [&](const T* lanes) { add_array_to_total<Arch>(lanes, slots, total); });
  end_fold<Sums>(rows, total, sums);
}

/// moments[r].mean = the mean, in T, of up to 64 columns of row r, spaced evenly in four groups of 16: near the
/// row's mean, unless the row is far from ordinary.
template <class Block, class Source, class T>
SIMDNORM_INLINE void sample_mean(const Block& block, const Source& source, Index hidden,
                                 RowMoments<T>* moments) {
  alignas(64) T lanes[Block::capacity * fold_lanes];
  const auto term = [&](auto at) SIMDNORM_INLINE_LAMBDA {
    return Terms<typename Block::Vector, 1>{{source.load(block, at)}};
  };
  const Index spacing = (hidden - fold_lanes) / 3 / fold_lanes * fold_lanes;
  const bool short_row = hidden < fold_step;
  block.template whole_steps<1>(0, short_row ? 0 : fold_step, spacing, term, lanes);
  if (short_row) partial_step<1>(block, 0, hidden, term, lanes);
  const T count = static_cast<T>(std::min<Index>(hidden, fold_step));
  block.add_lanes(lanes, 1);
  for (int r = 0; r < block.count(); ++r) moments[r].mean = lanes[block.slot(0, 0, r)] / count;
}

}  // namespace simdnorm
