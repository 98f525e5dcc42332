// A row folded into sums: the loop over its columns, by the tree that row.hpp describes.
#pragma once

#include "row.hpp"

namespace simdnorm {

/// The sums over a row, of rows whose elements' type is that of `Rows`.
template <class Rows, int Sums>
using RowSums = Extended<typename Rows::Scalar>[static_cast<std::size_t>(Sums)];

// --- what is added to the sums of a vector of lanes: one column of each, or the four of a step ---

/// Column by column: one(at, sum) adds what it is to sum[0], sum[1], ...; beyond at.lanes it must add 0.
template <class One> struct EachColumn {
  One one;

  template <class Lanes, class Sum> SIMDNORM_INLINE void add_one(At<Lanes> at, Sum* sum) const {
    one(at, sum);
  }
  template <class Lanes, class Sum> SIMDNORM_INLINE void add_four(At<Lanes> at, Sum* sum) const {
    simd::unroll<4>([&](auto k) SIMDNORM_INLINE_LAMBDA {
      one(At<Lanes>{at.lanes, at.column + k * fold_lanes, at.row}, sum);
    });
  }
};
template <class One> EachColumn(One) -> EachColumn<One>;

/// What columns add to each of `Sums` sums, in T.
template <class Vector, int Sums> struct Terms { Vector sum[static_cast<std::size_t>(Sums)]; };

/// term(at): what a column adds, 0 beyond at.lanes. Of a step's four columns (e0 + e1) + (e2 + e3), in T.
template <class Term> struct FourAtOnce {
  Term term;

  template <class Lanes, class Sum> SIMDNORM_INLINE void add_one(At<Lanes> at, Sum* sum) const {
    const auto e = term(at);
    for (std::size_t s = 0; s < std::size(e.sum); ++s) sum[s].add(simd::as_doubles(e.sum[s]));
  }
  template <class Lanes, class Sum> SIMDNORM_INLINE void add_four(At<Lanes> at, Sum* sum) const {
    const auto e = [&](int k) SIMDNORM_INLINE_LAMBDA {
      return term(At<Lanes>{at.lanes, at.column + k * fold_lanes, at.row});
    };
    const auto e0 = e(0), e1 = e(1), e2 = e(2), e3 = e(3);
    for (std::size_t s = 0; s < std::size(e0.sum); ++s)
      sum[s].add(simd::as_doubles((e0.sum[s] + e1.sum[s]) + (e2.sum[s] + e3.sum[s])));
  }
};
template <class Term> FourAtOnce(Term) -> FourAtOnce<Term>;

// --- contiguous rows, one by one: the lanes' sums stay in registers ---

/// The 16 lanes, added pairwise.
template <class Arch, std::size_t Parts, std::size_t Sums>
SIMDNORM_INLINE Extended<float> sum_of_lanes(const VectorSum<float, Arch> (&lanes)[Parts][Sums], int s) {
  constexpr int each = simd::Doubles<float, Arch>::parts;
  return sum_of_elements(pairwise<static_cast<int>(Parts) * each>(
      [&](int i) SIMDNORM_INLINE_LAMBDA { return lanes[i / each][s].sum.part[i % each]; }));
}
template <class Arch, std::size_t Parts, std::size_t Sums>
SIMDNORM_INLINE Extended<double> sum_of_lanes(const VectorSum<double, Arch> (&lanes)[Parts][Sums], int s) {
  double total[2 * fold_lanes];
  for (std::size_t part = 0; part < Parts; ++part)
    lanes[part][s].store(total + part * (fold_lanes / Parts), fold_lanes);
  return pairwise<fold_lanes>([&](int lane) { return total_at<double>(total, fold_lanes, lane); });
}

/// sums[0][s] = the sum of what `add` adds over all columns of a contiguous row.
template <int Sums, class T, class Arch, class Add>
SIMDNORM_INLINE void fold(const RowsAlong<T, Arch, 1>& row, Index hidden, const Add& add,
                          RowSums<RowsAlong<T, Arch, 1>, Sums>* sums) {
  constexpr int width = std::decay_t<decltype(row)>::width, parts = fold_lanes / width;
  VectorSum<T, Arch> lanes[static_cast<std::size_t>(parts)][static_cast<std::size_t>(Sums)];
  Index c = 0;
  for (; c + fold_step <= hidden; c += fold_step) {
    simd::unroll<parts>([&](auto part) SIMDNORM_INLINE_LAMBDA {
      add.add_four(At<simd::All>{{}, c + part * width, 0}, lanes[part]);
    });
  }
  for (; c < hidden; c += fold_lanes) {
    simd::unroll<parts>([&](auto part) SIMDNORM_INLINE_LAMBDA {
      const Index column = c + part * width;
      if (column + width <= hidden) {
        add.add_one(At<simd::All>{{}, column, 0}, lanes[part]);
      } else if (column < hidden) {
        add.add_one(At<simd::First>{{static_cast<int>(hidden - column)}, column, 0}, lanes[part]);
      }
    });
  }
  for (int s = 0; s < Sums; ++s) sums[0][s] = sum_of_lanes(lanes, s);
}

// --- rows side by side, together: the lanes' sums lie in memory ---

/// sums[r][s] = the 16 lanes of each row and sum, added pairwise.
template <int Sums, class Rows>
SIMDNORM_NOINLINE void end_fold(const Rows& rows, double* lanes, RowSums<Rows, Sums>* sums) {
  using T = typename Rows::Scalar;
  const Index count = rows.slots(Sums), apart = rows.slot(0, 1, 0);
  if constexpr (Extended<T>::words == 1) rows.add_lanes(lanes, Sums);
  for (int r = 0; r < rows.count(); ++r) {
    for (int s = 0; s < Sums; ++s) {
      const double* const of_row = lanes + rows.slot(s, 0, r);
      if constexpr (Extended<T>::words == 1) {
        sums[r][s] = *of_row;
      } else {
        sums[r][s] = pairwise<fold_lanes>([&](int lane) { return total_at<T>(of_row, count, lane * apart); });
      }
    }
  }
}

/// sums[r][s] = the sum of what `add` adds over all columns of each of rows side by side.
template <int Sums, class T, class Arch, class Add>
SIMDNORM_INLINE void fold(const RowsAcross<T, Arch>& rows, Index hidden, const Add& add,
                          RowSums<RowsAcross<T, Arch>, Sums>* sums) {
  constexpr int words = Extended<T>::words, capacity = RowsAcross<T, Arch>::capacity;
  alignas(64) double lanes[static_cast<std::size_t>(capacity * Sums * fold_lanes * words)];
  const Index count = rows.slots(Sums);
  std::fill(lanes, lanes + count * words, 0.0);
  const auto at_lane = [&](int lane, auto at, auto&& add_to) SIMDNORM_INLINE_LAMBDA {
    VectorSum<T, Arch> sum[static_cast<std::size_t>(Sums)];
    for (int s = 0; s < Sums; ++s) sum[s].load(lanes + rows.slot(s, lane, at.row), count);
    add_to(sum);
    for (int s = 0; s < Sums; ++s) sum[s].store(lanes + rows.slot(s, lane, at.row), count);
  };
  Index c = 0;
  for (; c + fold_step <= hidden; c += fold_step) {
    for (int lane = 0; lane < fold_lanes; ++lane) {
      rows.rows(At<simd::All>{{}, c + lane, 0}, [&](auto at) SIMDNORM_INLINE_LAMBDA {
        at_lane(lane, at, [&](auto* sum) SIMDNORM_INLINE_LAMBDA { add.add_four(at, sum); });
      });
    }
  }
  for (; c < hidden; ++c) {
    const int lane = static_cast<int>(c % fold_lanes);
    rows.rows(At<simd::All>{{}, c, 0}, [&](auto at) SIMDNORM_INLINE_LAMBDA {
      at_lane(lane, at, [&](auto* sum) SIMDNORM_INLINE_LAMBDA { add.add_one(at, sum); });
    });
  }
  end_fold<Sums>(rows, lanes, sums);
}

}  // namespace simdnorm
