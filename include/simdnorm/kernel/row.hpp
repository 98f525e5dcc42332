// Rows as vectors: how their columns are visited, and how a row is folded into sums by one fixed tree.
//
// In RowsAlong the elements of a vector lie along a row (a contiguous row); in RowsAcross they are one column
// of neighbouring rows (rows that lie side by side). Both fold by the same tree, so a row gives the same bits
// in either, with vectors of any width:
//   column c belongs to virtual lane c mod 16, which adds in Extended<T>, in the order of the columns, or in two chains
//   of them (fold.hpp);
//   the 16 lanes are added pairwise.
// Of a row of more than 16384 columns the sums of its spans are added (spans.hpp).
#pragma once

#include <algorithm>
#include <cstddef>

#include "../cache.hpp"
#include "../extended.hpp"
#include "../storage.hpp"
#include "parameter.hpp"

namespace simdnorm {

inline constexpr int fold_lanes = 16;
inline constexpr int fold_step = 4 * fold_lanes;  // columns that are added at once

/// Where a vector lies in some rows: `lanes` of it are meant; its first element is column `column` of the
/// row `row` among them, and `lane` on in the columns of as many vectors as are visited `together`, one after the other.
template <class Lanes> struct At {
  Lanes lanes;
  Index column;
  int row;
  int lane = 0;
  int together = 1;
};

/// The columns [begin, end); such a range of a whole number of cache lines; and either visited two vectors at a time.
struct Columns {
  Index begin, end;
};
struct Lines {
  Index begin, end;
};
template <class Range> struct InTwos : Range {};

// --- the tree of a fold ---

/// Adds `Count` numbers pairwise: Count/2 apart, then Count/4, ..., 1. number(i) is the i-th.
template <int Count, int First = 0, int Gap = 1, class F> SIMDNORM_INLINE auto pairwise(const F& number) {
  if constexpr (Gap == Count) {
    return number(First);
  } else {
    return pairwise<Count, First, 2 * Gap>(number) + pairwise<Count, First + Gap, 2 * Gap>(number);
  }
}

// --- rows ---

/// A number of any type as one of T.
template <class T, class P> SIMDNORM_INLINE T number_at(const P* place) {
  return simd::load<simd::Vector<T, simd::NoSimd>>(simd::All{}, place).value;
}

template <class T, class Arch> struct RowsAcross;

/// `Rows` contiguous rows; a vector is neighbouring columns of one row. Their kernels read rows as they are,
/// and pay nothing for rows that must be scaled, unless Scales.
template <class T, class Arch, int Rows, bool Scales = false> struct RowsAlong {
  using Scalar = T;
  using Architecture = Arch;
  using Vector = simd::Vector<T, Arch>;
  static constexpr int width = Vector::width;
  static constexpr int capacity = Rows;
  static constexpr bool across = false;
  static constexpr bool can_scale = Scales;
  static_assert(fold_lanes % width == 0, "simdnorm: vectors of more than 16 elements are not supported");

  Index first_row;

  static constexpr int count() { return Rows; }
  /// One row, for what is rare: RowsAcross reads any layout, so that nothing rare is compiled twice.
  RowsAcross<T, Arch> row(int r) const { return {first_row + r, first_row + r, 0, 1}; }

  /// Calls f(column) for the whole vectors of the columns [c, end), then for what is left.
  template <class F> SIMDNORM_LOOP void columns(Index c, Index end, F&& f) const {
    for (; c + width <= end; c += width) f(At<simd::All>{{}, c, 0});
    if (c < end) f(At<simd::First>{{static_cast<int>(end - c)}, c, 0});
  }
  /// Calls f(at) for each row, at the column.
  template <class Lanes, class F> SIMDNORM_LOOP void rows(At<Lanes> column, F&& f) const {
    simd::unroll_body<Rows>([&](auto r) SIMDNORM_BODY {
      f(At<Lanes>{column.lanes, column.column, r, column.lane});
    });
  }

  /// For some columns: calls each(at, prepared) for each row, where prepared = prepare(column) is made once for all rows,
  /// then finish(column, prepared).
  template <class Prepare, class Each, class Finish>
  SIMDNORM_LOOP void visit(Columns range, const Prepare& prepare, const Each& each,
                           const Finish& finish) const {
    Index c = range.begin;
    if constexpr (Rows == 1)  // one row by itself does not hide the arithmetic of indices
      c = visit_by<step>(range, prepare, each, finish);
    visit_by_one(c, range.end, prepare, each, finish);
  }
  template <class Prepare, class Each, class Finish>
  SIMDNORM_LOOP void visit(InTwos<Columns> range, const Prepare& prepare, const Each& each,
                           const Finish& finish) const {
    visit_by_one(visit_by<2 * width>(range, prepare, each, finish), range.end, prepare, each, finish);
  }
  /// The same, step by step: two vectors of a row one after the other, or one that fills a cache line by itself.
  template <class Prepare, class Each, class Finish>
  SIMDNORM_LOOP void visit(Lines range, const Prepare& prepare, const Each& each,
                           const Finish& finish) const {
    visit_by<step>(range, prepare, each, finish);
  }
  template <class Prepare, class Each, class Finish>
  SIMDNORM_LOOP void visit(InTwos<Lines> range, const Prepare& prepare, const Each& each,
                           const Finish& finish) const {
    visit_by<2 * width>(range, prepare, each, finish);
  }

  template <class U, class Lanes> SIMDNORM_INLINE U* address(const Strided<U>& operand, At<Lanes> at) const {
    return operand.data + offset(operand, at);
  }
  template <class U, class Lanes>
  SIMDNORM_INLINE Index offset(const Strided<U>& operand, At<Lanes> at) const {
    return (first_row + at.row) * operand.outer + at.column;
  }
  template <class P, class Lanes>
  SIMDNORM_INLINE Vector parameter(const Parameter<P>& parameter, At<Lanes> at) const {
    return simd::load<Vector>(at.lanes,
                              parameter.values + ((at.column - at.lane) & parameter.mask) + at.lane);
  }

  /// The numbers of an array that has one for each row of the call.
  template <class P, class Lanes> SIMDNORM_INLINE Vector of_rows(const P* values, At<Lanes> at) const {
    return Vector::broadcast(number_at<T>(values + first_row + at.row));
  }

  /// One number for each row, as vectors; row_values takes it from what is known of the rows.
  struct RowValues {
    Vector of_row[static_cast<std::size_t>(Rows)];
    template <class Lanes> SIMDNORM_INLINE Vector operator()(At<Lanes> at) const { return of_row[at.row]; }
  };
  template <class Record>
  SIMDNORM_INLINE RowValues row_values(const Record* of_row, T Record::*member) const {
    RowValues values;
    simd::unroll<Rows>(
        [&](auto r) SIMDNORM_INLINE_LAMBDA { values.of_row[r] = Vector::broadcast(of_row[r].*member); });
    return values;
  }

  /// A sum over these rows, at one column; add_to adds it to the totals from there on, or stores it if `all` is where it goes.
  struct RowSum {
    Vector value = Vector::broadcast(T(0));
    template <class Lanes> SIMDNORM_INLINE void add(At<Lanes> at, Vector term) {
      value = at.row == 0 ? term : value + term;
    }
    template <class Lanes> SIMDNORM_INLINE void add_to(At<Lanes> at, TotalsAt totals, T* all) const {
      if (SIMDNORM_UNLIKELY(!totals.begun) && all != nullptr) {
        simd::store(at.lanes, all + at.column, simd::canonical(Vector::broadcast(T(0)) + value));
      } else {
        add_to_totals(value, totals);
      }
    }
  };

 private:
  static constexpr int line = static_cast<int>(simd::cache_line / static_cast<Index>(sizeof(T)));
  static constexpr int step = std::min(2 * width, line);  // columns at once
  static_assert(step % width == 0 && line % step == 0);

  /// `AtOnce` columns at a time as long as there are so many. Returns the first that is left.
  template <int AtOnce, class Range, class Prepare, class Each, class Finish>
  SIMDNORM_LOOP Index visit_by(Range range, const Prepare& prepare, const Each& each,
                               const Finish& finish) const {
    Index c = range.begin;
    for (; c + AtOnce <= range.end; c += AtOnce)
      visit_at(simd::All{}, c, std::make_integer_sequence<int, AtOnce / width>{}, prepare, each, finish);
    return c;
  }
  template <class Prepare, class Each, class Finish>
  SIMDNORM_LOOP void visit_by_one(Index c, Index end, const Prepare& prepare, const Each& each,
                                  const Finish& finish) const {
    columns(c, end, [&](auto column) SIMDNORM_BODY {
      visit_at(column.lanes, column.column, std::integer_sequence<int, 0>{}, prepare, each, finish);
    });
  }
  template <class Lanes, int... Part, class Prepare, class Each, class Finish>
  SIMDNORM_LOOP void visit_at(Lanes lanes, Index c, std::integer_sequence<int, Part...>,
                              const Prepare& prepare, const Each& each, const Finish& finish) const {
    const auto at = [&](int part, int r) SIMDNORM_INLINE_LAMBDA {
      return At<Lanes>{lanes, c + part * width, r, part * width, sizeof...(Part)};
    };
    decltype(prepare(at(0, 0))) prepared[sizeof...(Part)] = {prepare(at(Part, 0))...};
    simd::unroll_body<Rows>([&](auto r) SIMDNORM_BODY { (each(at(Part, r), prepared[Part]), ...); });
    (finish(at(Part, 0), prepared[Part]), ...);
  }
};

/// Up to `capacity` rows that lie side by side; a vector is one column of neighbouring rows.
template <class T, class Arch> struct RowsAcross {
  using Scalar = T;
  using Architecture = Arch;
  using Vector = simd::Vector<T, Arch>;
  static constexpr int width = Vector::width;
  static constexpr int capacity = 256 / static_cast<int>(sizeof(T));  // four cache lines of each column
  static constexpr bool across = true;
  static constexpr bool can_scale = true;
  static_assert(capacity % fold_lanes == 0 && fold_lanes % width == 0,
                "simdnorm: unsupported width of vectors");

  Index first_row;  // item * after + beside
  Index item;
  Index beside;
  int row_count;

  int count() const { return row_count; }
  RowsAcross row(int r) const { return {first_row + r, item, beside + r, 1}; }
  /// As a block (blocks.hpp): it is folded and mapped as a whole.
  template <int Rows = 1, class F> SIMDNORM_LOOP void folded(F&& f) const { f(*this, 0); }
  template <int Rows, class F> SIMDNORM_INLINE void mapped(F&& f) const { f(*this, 0); }

  template <class F> SIMDNORM_LOOP void columns(Index c, Index end, F&& f) const {
    for (; c < end; ++c) f(At<simd::All>{{}, c, 0});
  }
  template <class F> SIMDNORM_LOOP void rows(At<simd::All> column, F&& f) const {
    int r = 0;
    for (; r + width <= row_count; r += width) f(At<simd::All>{{}, column.column, r});
    if (r < row_count) f(At<simd::First>{{row_count - r}, column.column, r});
  }
  template <class Prepare, class Each, class Finish>
  SIMDNORM_LOOP void visit(Columns range, const Prepare& prepare, const Each& each,
                           const Finish& finish) const {
    columns(range.begin, range.end, [&](auto column) SIMDNORM_BODY {
      auto prepared = prepare(column);
      rows(column, [&](auto at) SIMDNORM_BODY { each(at, prepared); });
      finish(column, prepared);
    });
  }

  template <class U, class Lanes> SIMDNORM_INLINE U* address(const Strided<U>& operand, At<Lanes> at) const {
    return operand.data + offset(operand, at);
  }
  template <class U, class Lanes>
  SIMDNORM_INLINE Index offset(const Strided<U>& operand, At<Lanes> at) const {
    return item * operand.outer + at.column * operand.column + (beside + at.row);
  }
  template <class P, class Lanes>
  SIMDNORM_INLINE Vector parameter(const Parameter<P>& parameter, At<Lanes> at) const {
    return Vector::broadcast(number_at<T>(parameter.values + (at.column & parameter.mask)));
  }
  template <class P, class Lanes> SIMDNORM_INLINE Vector of_rows(const P* values, At<Lanes> at) const {
    return simd::load<Vector>(at.lanes, values + first_row + at.row);
  }

  struct RowValues {
    alignas(64) T of_row[static_cast<std::size_t>(capacity)];
    template <class Lanes> SIMDNORM_INLINE Vector operator()(At<Lanes> at) const {
      return simd::load<Vector>(simd::All{}, of_row + at.row);
    }
  };
  template <class Record>
  SIMDNORM_INLINE RowValues row_values(const Record* of_row, T Record::*member) const {
    RowValues values;
    gather(of_row, member, row_count, padded_count(), values.of_row);
    return values;
  }

  /// The rows' sum has a tree of its own: row r belongs to lane r mod 16, which is added in T; the lanes are
  /// added pairwise in Extended<T>.
  struct RowSum {
    alignas(64) T lanes[fold_lanes] = {};
    template <class Lanes> SIMDNORM_INLINE void add(At<Lanes> at, Vector term) {
      T* p = lanes + at.row % fold_lanes;
      simd::store(simd::All{}, p, simd::load<Vector>(simd::All{}, p) + term);
    }
    template <class Lanes> SIMDNORM_INLINE void add_to(At<Lanes> at, TotalsAt totals, T* all) const {
      const Extended<T> sum =
          pairwise<fold_lanes>([&](int lane) { return Extended<T>{static_cast<double>(lanes[lane])}; });
      add_number_to_totals(sum, totals);
      if (all != nullptr) round_number_of(totals, all + at.column);
    }
  };

  SIMDNORM_INLINE Index slot(int s, int lane, int r) const {
    return (s * fold_lanes + lane) * padded_count() + r;
  }
  Index slots(int sums) const { return sums * fold_lanes * padded_count(); }

 private:
  Index padded_count() const { return (row_count + width - 1) / width * width; }
  template <class Record>
  static SIMDNORM_NOINLINE void gather(const Record* of_row, T Record::*member, Index count, Index padded,
                                       T* values) {
    for (Index r = 0; r < count; ++r) values[r] = of_row[r].*member;
    for (Index r = count; r < padded; ++r) values[r] = T(0);
  }
};

}  // namespace simdnorm
