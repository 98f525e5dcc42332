// A row folded into sums: the loop over its columns, by the tree that row.hpp describes.
#pragma once

#include <iterator>

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
      one(At<Lanes>{at.lanes, at.column + k * fold_lanes, at.row, at.lane}, sum);
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
      return term(At<Lanes>{at.lanes, at.column + k * fold_lanes, at.row, at.lane});
    };
    const auto e0 = e(0), e1 = e(1), e2 = e(2), e3 = e(3);
    for (std::size_t s = 0; s < std::size(e0.sum); ++s)
      sum[s].add(simd::as_doubles((e0.sum[s] + e1.sum[s]) + (e2.sum[s] + e3.sum[s])));
  }
};
template <class Term> FourAtOnce(Term) -> FourAtOnce<Term>;

// --- contiguous rows, one by one: the lanes' sums stay in registers ---

/// The sums of a vector's elements, added pairwise.
template <class Arch> SIMDNORM_INLINE Extended<float> sum_of_elements(const VectorSum<float, Arch>& sums) {
  using V = simd::Vector<double, Arch>;
  double elements[static_cast<std::size_t>(V::width)];
  simd::store(simd::All{}, elements,
              pairwise<simd::Doubles<float, Arch>::parts>(
                  [&](int i) SIMDNORM_INLINE_LAMBDA { return sums.sum.part[i]; }));
  return pairwise<V::width>([&](int i) { return elements[i]; });
}
template <class Arch> SIMDNORM_INLINE Extended<double> sum_of_elements(const VectorSum<double, Arch>& sums) {
  constexpr int width = simd::Vector<double, Arch>::width;
  double words[static_cast<std::size_t>(2 * width)];
  sums.store(words, width);
  const auto total = pairwise<width>([&](int i) {
    VectorSum<double, simd::NoSimd> element;
    element.load(words + i, width);
    return element;
  });
  return Extended<double>::two_sum(total.hi.value, total.lo.value);
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
      add.add_four(At<simd::All>{{}, c + part * width, 0, part * width}, lanes[part]);
    });
  }
  for (; c < hidden; c += fold_lanes) {
    simd::unroll<parts>([&](auto part) SIMDNORM_INLINE_LAMBDA {
      const Index column = c + part * width;
      if (column + width <= hidden) {
        add.add_one(At<simd::All>{{}, column, 0, part * width}, lanes[part]);
      } else if (column < hidden) {
        add.add_one(At<simd::First>{{static_cast<int>(hidden - column)}, column, 0}, lanes[part]);
      }
    });
  }
  for (int s = 0; s < Sums; ++s)
    sums[0][s] =
        sum_of_elements(pairwise<parts>([&](int part) SIMDNORM_INLINE_LAMBDA { return lanes[part][s]; }));
}

// --- rows side by side, together: the lanes' sums lie in memory ---

/// sums[r][s] = the 16 lanes of each row and sum, added pairwise.
template <int Sums, class Rows>
SIMDNORM_NOINLINE void end_fold(const Rows& rows, double* lanes, RowSums<Rows, Sums>* sums) {
  using T = typename Rows::Scalar;
  using Lanes = VectorSum<T, typename Rows::Architecture>;
  const Index count = rows.slots(Sums), one_lane = rows.slot(0, 1, 0);
  for (int s = 0; s < Sums; ++s) {
    double* const first = lanes + rows.slot(s, 0, 0);
    for (Index half = fold_lanes / 2 * one_lane; half >= one_lane; half /= 2) {
      for (Index i = 0; i < half; i += Rows::width) {
        Lanes a, b;
        a.load(first + i, count);
        b.load(first + half + i, count);
        (a + b).store(first + i, count);
      }
    }
    for (int r = 0; r < rows.count(); ++r) sums[r][s] = total_at<T>(first, count, r);
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
