// A row folded into sums: the loop over its columns, by the tree that row.hpp describes.
#pragma once

#include "sums.hpp"

namespace simdnorm {

// --- what is added to the sums of a vector of lanes: one column of each, or the four of a step ---

/// Column by column: one(at, sum) adds what it is to sum[0], sum[1], ...; beyond at.lanes it must add 0. The columns of a
/// step are added to `Chains` arrays of `Sums` sums in turns, so that more additions are under way at once.
template <int Sums, int Chains, class One> struct EachColumn {
  static constexpr int sums = Sums, chains = Chains;
  One one;

  template <class Lanes, class Sum> SIMDNORM_LOOP void add_one(At<Lanes> at, Sum* sum) const { one(at, sum); }
  template <class Lanes, class Sum> SIMDNORM_LOOP void add_four(At<Lanes> at, Sum* sum) const {
    simd::unroll_body<4>([&](auto k) SIMDNORM_BODY {
      one(At<Lanes>{at.lanes, at.column + k * fold_lanes, at.row, at.lane}, sum + k % Chains * Sums);
    });
  }
};
template <int Sums, int Chains = 1, class One>
SIMDNORM_INLINE EachColumn<Sums, Chains, One> each_column(One one) {
  return {one};
}

/// What columns add to each of `Sums` sums, in T.
template <class Vector, int Sums> struct Terms { Vector sum[static_cast<std::size_t>(Sums)]; };

/// term(at): what a column adds, 0 beyond at.lanes. Of a step's four columns (e0 + e1) + (e2 + e3), in T.
template <int Sums, class Term> struct FourAtOnce {
  static constexpr int sums = Sums, chains = 1;
  Term term;

  template <class Lanes, class Sum> SIMDNORM_LOOP void add_one(At<Lanes> at, Sum* sum) const {
    const auto e = term(at);
    for (std::size_t s = 0; s < static_cast<std::size_t>(Sums); ++s) sum[s].add(simd::as_doubles(e.sum[s]));
  }
  template <class Lanes, class Sum> SIMDNORM_LOOP void add_four(At<Lanes> at, Sum* sum) const {
    const auto e = [&](int k) SIMDNORM_BODY {
      return term(At<Lanes>{at.lanes, at.column + k * fold_lanes, at.row, at.lane});
    };
    const auto e0 = e(0), e1 = e(1), e2 = e(2), e3 = e(3);
    for (std::size_t s = 0; s < static_cast<std::size_t>(Sums); ++s)
      sum[s].add(simd::as_doubles((e0.sum[s] + e1.sum[s]) + (e2.sum[s] + e3.sum[s])));
  }
};
template <int Sums, class Term> SIMDNORM_INLINE FourAtOnce<Sums, Term> four_at_once(Term term) {
  return {term};
}

// --- contiguous rows, one by one or a few at once: the lanes' sums stay in registers ---

/// The sums of what `add` adds over columns of contiguous rows, from one on that a step may begin with, as those of row r of
/// `sums` and on.
template <class T, class Arch, int Rows, int Sums, int Capacity, class Add>
SIMDNORM_LOOP void fold(const RowsAlong<T, Arch, Rows>& /*rows*/, Columns columns, const Add& add,
                        SumsAlong<T, Arch, Sums, Capacity>& sums, int r) {
  constexpr int width = RowsAlong<T, Arch, Rows>::width, parts = fold_lanes / width;
  VectorSum<T, Arch> lanes[static_cast<std::size_t>(Rows)][static_cast<std::size_t>(parts)]
                          [static_cast<std::size_t>(Sums * Add::chains)];
  const Index hidden = columns.end;
  Index c = columns.begin;
  for (; c + fold_step <= hidden; c += fold_step) {
    simd::unroll_body<parts * Rows>([&](auto i) SIMDNORM_BODY {
      constexpr int part = i / Rows, row = i % Rows;
      add.add_four(At<simd::All>{{}, c + part * width, row, part * width}, lanes[row][part]);
    });
  }
  for (; c < hidden; c += fold_lanes) {
    simd::unroll_body<parts * Rows>([&](auto i) SIMDNORM_BODY {
      constexpr int part = i / Rows, row = i % Rows;
      const Index column = c + part * width;
      if (column + width <= hidden) {
        add.add_one(At<simd::All>{{}, column, row, part * width}, lanes[row][part]);
      } else if (column < hidden) {
        add.add_one(At<simd::First>{{static_cast<int>(hidden - column)}, column, row}, lanes[row][part]);
      }
    });
  }
  simd::unroll<Rows * Sums>([&](auto i) SIMDNORM_INLINE_LAMBDA {
    constexpr int s = i % Sums, row = i / Sums;
    sums.set(s, r + row, pairwise<parts>([&](int part) SIMDNORM_INLINE_LAMBDA {
               return pairwise<Add::chains>(
                   [&](int chain) SIMDNORM_INLINE_LAMBDA { return lanes[row][part][chain * Sums + s]; });
             }));
  });
}

// --- rows side by side, together: the lanes' sums lie in memory ---

/// The same for each of rows side by side.
template <class T, class Arch, int Sums, class Add>
SIMDNORM_LOOP void fold(const RowsAcross<T, Arch>& rows, Columns columns, const Add& add,
                        SumsAcross<T, Arch, Sums>& sums, int /*r*/) {
  constexpr int words = Extended<T>::words, capacity = RowsAcross<T, Arch>::capacity;
  constexpr int slots = Sums * Add::chains;
  alignas(64) double lanes[static_cast<std::size_t>(capacity * slots * fold_lanes * words)];
  const Index count = rows.slots(slots);
  std::fill(lanes, lanes + count * words, 0.0);
  const auto at_lane = [&](int lane, auto at, auto&& add_to) SIMDNORM_BODY {
    VectorSum<T, Arch> sum[static_cast<std::size_t>(slots)];
    for (int s = 0; s < slots; ++s) sum[s].load(lanes + rows.slot(s, lane, at.row), count);
    add_to(sum);
    for (int s = 0; s < slots; ++s) sum[s].store(lanes + rows.slot(s, lane, at.row), count);
  };
  Index c = columns.begin;
  for (; c + fold_step <= columns.end; c += fold_step) {
    for (int lane = 0; lane < fold_lanes; ++lane) {
      rows.rows(At<simd::All>{{}, c + lane, 0}, [&](auto at) SIMDNORM_BODY {
        at_lane(lane, at, [&](auto* sum) SIMDNORM_BODY { add.add_four(at, sum); });
      });
    }
  }
  for (; c < columns.end; ++c) {
    const int lane = static_cast<int>(c % fold_lanes);
    rows.rows(At<simd::All>{{}, c, 0}, [&](auto at) SIMDNORM_BODY {
      at_lane(lane, at, [&](auto* sum) SIMDNORM_BODY { add.add_one(at, sum); });
    });
  }
  sums.template set<Add::chains>(rows, lanes);
}

}  // namespace simdnorm
