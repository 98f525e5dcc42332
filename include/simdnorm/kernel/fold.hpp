// A row folded into sums: the loop over its columns, by the tree that row.hpp describes.
#pragma once

#include "row.hpp"

namespace simdnorm {

/// Adds the step that holds only the columns [c, end) to the lanes; those that are not there add 0.
template <int Sums, class Block, class Term>
SIMDNORM_INLINE void partial_step(const Block& block, Index c, Index end, const Term& term,
                                  typename Block::Scalar* lanes) {
  using T = typename Block::Scalar;
  using V = typename Block::Vector;
  alignas(64)
      T elements[4 * Block::capacity * Sums * fold_lanes];  // e0, e1, e2, e3, each laid out as the lanes are
  const Index slots = block.slots(Sums);
  std::fill(elements, elements + 4 * slots, T(0));
  block.columns(c, end, [&](auto column) SIMDNORM_INLINE_LAMBDA {
    const Index k = (column.column - c) / fold_lanes;
    const int lane = static_cast<int>((column.column - c) % fold_lanes);
    block.rows(column, [&](auto at) SIMDNORM_INLINE_LAMBDA {
      const auto terms = term(at);
      for (int s = 0; s < Sums; ++s)
        simd::store(simd::All{}, elements + k * slots + block.slot(s, lane, at.row, Sums),
                    simd::keep(at.lanes, terms.sum[s]));
    });
  });
  for (Index i = 0; i < slots; i += V::width) {
    const auto e = [&](Index k) { return simd::load<V>(simd::All{}, elements + k * slots + i); };
    simd::store(simd::All{}, lanes + i,
                simd::load<V>(simd::All{}, lanes + i) + ((e(0) + e(1)) + (e(2) + e(3))));
  }
}

/// sums[r][s] = the sum over all columns of term(at).sum[s], for each row r of the block.
template <int Sums, class Block, class Term>
SIMDNORM_INLINE void fold(const Block& block, Index hidden, const Term& term,
                          Extended<typename Block::Scalar> (*sums)[static_cast<std::size_t>(Sums)]) {
  using T = typename Block::Scalar;
  alignas(64) T lanes[Block::capacity * Sums * fold_lanes];
  alignas(64) double total[Block::capacity * Sums * fold_lanes * Extended<T>::words];
  const Index count = block.slots(Sums);
  Index c = 0;
  do {
    const Index end = std::min(c + fold_chain, hidden);
    const Index whole_end = end - (end - c) % fold_step;
    block.template whole_steps<Sums>(c, whole_end, fold_lanes, term, lanes);
    if (whole_end < end) partial_step<Sums>(block, whole_end, end, term, lanes);
    if (c == 0) {
      start_total<typename Block::Architecture>(lanes, count, total);
    } else {
      add_to_total<typename Block::Architecture>(lanes, count, total);
    }
    c = end;
  } while (c < hidden);
  if constexpr (Extended<T>::words == 1) block.add_lanes(total, Sums);
  for (int r = 0; r < block.count(); ++r) {
    for (int s = 0; s < Sums; ++s) {
      const auto lane_total = [&](int lane) {
        return total_at<T>(total, count, block.slot(s, lane, r, Sums));
      };
      if constexpr (Extended<T>::words == 1) {
        sums[r][s] = lane_total(0);
      } else {
        sums[r][s] = pairwise<fold_lanes>(lane_total);
      }
    }
  }
}

/// mean[r] = the mean, in T, of up to 64 columns of row r, spaced evenly in four groups of 16: near the row's
/// mean, unless the row is far from ordinary.
template <class Block, class Source>
SIMDNORM_INLINE void sample_mean(const Block& block, const Source& source, Index hidden,
                                 typename Block::Scalar* mean) {
  using T = typename Block::Scalar;
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
  for (int r = 0; r < block.count(); ++r) mean[r] = lanes[block.slot(0, 0, r, 1)] / count;
}

}  // namespace simdnorm
