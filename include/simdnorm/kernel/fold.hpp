// A row folded into sums: the loop over its columns, by the tree that row.hpp describes.
#pragma once

#include "../simd_transpose.hpp"
#include "row.hpp"

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

/// The sums of a row's lanes, once they are added to as many as a vector of doubles has: Extended, but for the order of
/// double's words.
template <class Arch> using OfFloats = Extended<float, simd::Vector<double, Arch>>;
template <class T, class Arch>
using LaneSums = std::conditional_t<std::is_same_v<T, float>, OfFloats<Arch>, VectorSum<double, Arch>>;

template <class Arch> SIMDNORM_INLINE OfFloats<Arch> lane_sums(const VectorSum<float, Arch>& sums) {
  return pairwise<simd::Doubles<float, Arch>::parts>([&](int i)
                                                         SIMDNORM_INLINE_LAMBDA { return sums.sum.part[i]; });
}
template <class Arch> SIMDNORM_INLINE VectorSum<double, Arch> lane_sums(const VectorSum<double, Arch>& sums) {
  return sums;
}

template <int Distance, class Arch>
SIMDNORM_INLINE void interleave(const OfFloats<Arch>& a, const OfFloats<Arch>& b, OfFloats<Arch>& lower,
                                OfFloats<Arch>& upper) {
  simd::interleave<Distance>(a.value, b.value, lower.value, upper.value);
}
template <int Distance, class Arch>
SIMDNORM_INLINE void interleave(const VectorSum<double, Arch>& a, const VectorSum<double, Arch>& b,
                                VectorSum<double, Arch>& lower, VectorSum<double, Arch>& upper) {
  simd::interleave<Distance>(a.hi, b.hi, lower.hi, upper.hi);
  simd::interleave<Distance>(a.lo, b.lo, lower.lo, upper.lo);
}
/// Element i is the sum of the elements of rows[i], added pairwise; `Rows` at once, as many as a vector has elements.
template <int Rows, class Arch, class Sums> SIMDNORM_INLINE Sums sums_of_elements(Sums* rows) {
  if constexpr (Rows > 1) {
    constexpr int half = Rows / 2;
    simd::unroll<half>([&](auto i) SIMDNORM_INLINE_LAMBDA {
      Sums lower, upper;
      interleave<half, Arch>(rows[i], rows[i + half], lower, upper);
      rows[i] = lower + upper;
    });
    return sums_of_elements<half, Arch>(rows);
  } else {
    return rows[0];
  }
}

/// The same of one row, in all elements.
template <int Count, class Arch, class Sums> SIMDNORM_INLINE Sums sum_of_elements(Sums row) {
  if constexpr (Count > 1) {
    Sums lower, upper;
    interleave<Count / 2, Arch>(row, row, lower, upper);
    return sum_of_elements<Count / 2, Arch>(lower + upper);
  } else {
    return row;
  }
}

/// The first and second words of numbers; float's have but one.
template <class V> void to_words(const Extended<float, V>& x, double* hi, double* lo) {
  simd::store(simd::All{}, hi, x.value);
  std::fill(lo, lo + V::width, 0.0);
}
template <class V> void to_words(const Extended<double, V>& x, double* hi, double* lo) {
  simd::store(simd::All{}, hi, x.hi);
  simd::store(simd::All{}, lo, x.lo);
}

/// `Sums` sums of each of up to `Rows` contiguous rows. (SumsAcross: of rows side by side.) load(r, count, sum) brings
/// those of the row r and of as many after it as a vector of doubles has elements, of `count` rows in all; beyond them
/// any of these rows may stand; load_rarely is the same, not inlined. store(r, count, sum) is the other way, for what was
/// summed elsewhere.
template <class T, class Arch, int Sums, int Rows> class SumsAlong {
 public:
  using Vector = simd::Vector<double, Arch>;

  struct Numbers {
    Extended<T, Vector> sum[static_cast<std::size_t>(Sums)];
  };

  SIMDNORM_INLINE void set(int s, int r, const VectorSum<T, Arch>& sum) { of_[s][r] = lane_sums(sum); }
  SIMDNORM_INLINE void load(int r, int count, Extended<T, Vector>* sum) const {
    constexpr int width = Vector::width;
    simd::unroll<Sums>([&](auto s) SIMDNORM_INLINE_LAMBDA {
      if (count == 1) {
        sum[s] = extended(sum_of_elements<width, Arch>(of_[s][0]));
        return;
      }
      LaneSums<T, Arch> rows[static_cast<std::size_t>(width)];
      simd::unroll<width>([&](auto i)
                              SIMDNORM_INLINE_LAMBDA { rows[i] = of_[s][std::min<int>(r + i, count - 1)]; });
      sum[s] = extended(sums_of_elements<width, Arch>(rows));
    });
  }
  SIMDNORM_COLD void load_rarely(int r, int count, Extended<T, Vector>* sum) const { load(r, count, sum); }
  void store(int r, int count, const Extended<T, Vector>* sum) {
    for (int s = 0; s < Sums; ++s) {
      double hi[static_cast<std::size_t>(Vector::width)], lo[static_cast<std::size_t>(Vector::width)];
      to_words(sum[s], hi, lo);
      for (int i = 0; i < std::min(Vector::width, count - r); ++i)
        set_to(of_[s][r + i], simd::keep(simd::First{1}, Vector::broadcast(hi[i])),
               simd::keep(simd::First{1}, Vector::broadcast(lo[i])));
    }
  }

 private:
  static SIMDNORM_INLINE auto extended(const OfFloats<Arch>& sums) { return sums; }
  static SIMDNORM_INLINE auto extended(const VectorSum<double, Arch>& sums) {
    return Extended<double, Vector>::two_sum(sums.hi, sums.lo);
  }
  static void set_to(OfFloats<Arch>& sums, Vector hi, Vector /*lo*/) { sums = hi; }
  static void set_to(VectorSum<double, Arch>& sums, Vector hi, Vector lo) {
    sums.hi = hi;
    sums.lo = lo;
  }
  LaneSums<T, Arch> of_[static_cast<std::size_t>(Sums)][static_cast<std::size_t>(Rows)];
};

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

/// `Sums` sums of each of some rows side by side.
template <class T, class Arch, int Sums> class SumsAcross {
 public:
  using Vector = simd::Vector<double, Arch>;
  struct Numbers {
    Extended<T, Vector> sum[static_cast<std::size_t>(Sums)];
  };

  /// Takes the lanes' sums of each row, chain and sum: the chains' are added, then the 16 lanes' pairwise.
  template <int Chains> SIMDNORM_NOINLINE void set(const RowsAcross<T, Arch>& rows, double* lanes) {
    const Index count = rows.slots(Chains * Sums), one_lane = rows.slot(0, 1, 0);
    for (int s = 0; s < Sums; ++s) {
      double* const first = lanes + rows.slot(s, 0, 0);
      for (int chain = 1; chain < Chains; ++chain)
        add_totals<T, Arch>(lanes + rows.slot(chain * Sums + s, 0, 0), fold_lanes * one_lane, count, first);
      for (Index half = fold_lanes / 2 * one_lane; half >= one_lane; half /= 2)
        add_totals<T, Arch>(first + half, half, count, first);
      for (Index i = 0; i < one_lane; i += RowsAcross<T, Arch>::width) {
        VectorSum<T, Arch> sum;
        sum.load(first + i, count);
        sum.store(of_[s] + i, capacity);
      }
    }
  }
  SIMDNORM_INLINE void load(int r, int /*count*/, Extended<T, Vector>* sum) const {
    for (int s = 0; s < Sums; ++s) {
      const double* const p = of_[s] + r;
      const Vector first = simd::load<Vector>(simd::All{}, p);
      if constexpr (std::is_same_v<T, float>) {
        sum[s] = first;
      } else {
        sum[s] = Extended<T, Vector>::two_sum(first, simd::load<Vector>(simd::All{}, p + capacity));
      }
    }
  }
  SIMDNORM_COLD void load_rarely(int r, int count, Extended<T, Vector>* sum) const { load(r, count, sum); }
  void store(int r, int count, const Extended<T, Vector>* sum) {
    for (int s = 0; s < Sums; ++s) {
      double hi[static_cast<std::size_t>(Vector::width)], lo[static_cast<std::size_t>(Vector::width)];
      to_words(sum[s], hi, lo);
      const int rows = std::min(Vector::width, count - r);
      std::copy(hi, hi + rows, of_[s] + r);
      if constexpr (Extended<T>::words == 2) std::copy(lo, lo + rows, of_[s] + capacity + r);
    }
  }

 private:
  static constexpr int capacity = RowsAcross<T, Arch>::capacity;
  static constexpr int size =
      capacity * Extended<T>::words + Vector::width;  // a whole vector may begin at any row
  alignas(64) double of_[static_cast<std::size_t>(Sums)][static_cast<std::size_t>(size)];
};

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

/// The sums of a block's rows, of the type that fits the block.
template <class Block, int Sums, class T = typename Block::Scalar, class Arch = typename Block::Architecture>
using SumsOf = std::conditional_t<std::is_same_v<Block, RowsAcross<T, Arch>>, SumsAcross<T, Arch, Sums>,
                                  SumsAlong<T, Arch, Sums, Block::capacity>>;

}  // namespace simdnorm
