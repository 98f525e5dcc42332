// Results that a rotary embedding turns before they are stored: of each pair of columns a, b of n = norm(x)
//   y[a] = n[a] * cosine - n[b] * sine,  y[b] = n[b] * cosine + n[a] * sine.
#pragma once

#include "rotary.hpp"
#include "writer.hpp"

namespace simdnorm {

// --- pairs in turns ---

/// The lanes of a vector of second columns, whose first ones were visited just before.
template <class Lanes> struct Second : Lanes {};
template <class Lanes> SIMDNORM_INLINE At<Second<Lanes>> second_of(At<Lanes> first, Index distance) {
  return {{first.lanes}, first.column + distance, first.row, first.lane};
}

/// visit (forward.hpp) of pairs: of each row the first column, then the second.
template <class Rows, RotaryPairs Pairs, class Prepare, class Each, class Finish>
SIMDNORM_LOOP void visit(const Rows& rows, ColumnPairs<Pairs> pairs, const Prepare& prepare, const Each& each,
                         const Finish& finish) {
  rows.columns(0, pairs.count, [&](auto column) SIMDNORM_BODY {
    column.column *= pairs.step;
    const auto second = second_of(column, pairs.distance());
    auto of_first = prepare(column);
    auto of_second = prepare(second);
    rows.rows(column, [&](auto at) SIMDNORM_BODY {
      each(at, of_first);
      each(second_of(at, pairs.distance()), of_second);
    });
    finish(column, of_first);
    finish(second, of_second);
  });
}

// --- sinks ---

/// A sink of ColumnPairs of some rows.
template <class Rows, class U, RotaryPairs Pairs, class C> struct TurnedPairs {
  using Vector = typename Rows::Vector;
  StoredRows<U> sink;
  RowAngles<Rows, C> angles;
  ColumnPairs<Pairs> pairs;
  Vector first = Vector::broadcast(0);

  template <class Lanes> SIMDNORM_INLINE void store(const Rows&, At<Lanes>, Vector values) { first = values; }
  template <class Lanes> SIMDNORM_INLINE void store(const Rows& rows, At<Second<Lanes>> at, Vector second) {
    const Index column = at.column - pairs.distance(), pair = column / pairs.step;
    const Vector cosine = angles.of_pairs(angles.cosines, at, pair);
    const Vector sine = angles.of_pairs(angles.sines, at, pair);
    sink.store(rows, At<Lanes>{at.lanes, column, at.row, at.lane},
               simd::canonical(first * cosine - second * sine));
    sink.store(rows, at, simd::canonical(second * cosine + first * sine));
  }
  SIMDNORM_INLINE void end(const Rows&) const {}
};

/// A sink of vectors of whole pairs.
template <class Rows, class U, class C> struct TurnedVectors {
  StoredRows<U> sink;
  RowAngles<Rows, C> angles;

  template <class Lanes>
  SIMDNORM_INLINE void store(const Rows& rows, At<Lanes> at, typename Rows::Vector values) const {
    using Vector = typename Rows::Vector;
    const Vector cosine = angles.of_both(angles.cosines, at), sine = angles.of_both(angles.sines, at);
    const Vector signed_sine = sine * simd::minus_plus<Vector>();
    sink.store(rows, at, simd::canonical(values * cosine + simd::swap_neighbours(values) * signed_sine));
  }
  SIMDNORM_INLINE void end(const Rows&) const {}
};

/// What a forward with rotated results writes to; and for a block.
template <class U, RotaryPairs Pairs, class C, class I> struct RotatedRows {
  Strided<U> operand;
  RotaryRows<Pairs, C, I> rotary;
};
template <class Block, class U, RotaryPairs Pairs, class C> struct RotatedBlock {
  StoredRows<U> sink;
  Index dim;
  BlockAngles<Block, C> angles;
};
template <class Block, class U, RotaryPairs Pairs, class C, class I, class Run>
SIMDNORM_INLINE void with_block(const Block& block, const RotatedRows<U, Pairs, C, I>& a, const Run& run) {
  run(RotatedBlock<Block, U, Pairs, C>{{a.operand}, a.rotary.rotary.dim, {block, a.rotary}});
}

/// The columns of a block that are turned. What is known of some of its rows is taken where their kernel begins, and at once where it
/// is kept: a copy of what was just written would have to wait for the stores.
template <class Block, class U, RotaryPairs Pairs, class C> struct TurnedColumns {
  const RotatedBlock<Block, U, Pairs, C>& block;

  template <class Rows> SIMDNORM_INLINE auto begin(const Rows& rows) const {
    if constexpr (pairs_in_vectors<Rows, Pairs>) {
      return TurnedVectors<Rows, U, C>{block.sink, {rows, block.angles}};
    } else {
      return TurnedPairs<Rows, U, Pairs, C>{block.sink, {rows, block.angles}, {block.dim / 2}};
    }
  }
};

/// Its writer: what is turned, pair by pair, then the other columns. No place is written before it has been read: y may be x.
struct RotatingWriter {
  static constexpr int rows_at_once = 2;
  static constexpr bool shares_rows = false;
  bool pairs_blocks = false;

  template <class Rows, class Block, class U, RotaryPairs Pairs, class C, class Map>
  SIMDNORM_INLINE void write(const Rows& /*rows*/, Columns columns,
                             const RotatedBlock<Block, U, Pairs, C>& to, const Map& map) const {
    const auto plain = [](const auto& source) -> const auto& { return source; };
    const TurnedColumns<Block, U, Pairs, C> turned{to};
    if constexpr (pairs_in_vectors<Rows, Pairs>) {
      map(Columns{0, to.dim}, turned, plain);
    } else {
      map(ColumnPairs<Pairs>{to.dim / 2}, turned, plain);
    }
    if (to.dim < columns.end) map(Columns{to.dim, columns.end}, to.sink, plain);
  }
  static void end() {}
  const RotatingWriter& rarely() const { return *this; }
};

// --- as an argument ---

/// As y of a forward. Made by rotated.
template <class Y, RotaryPairs Pairs, class C, class I> struct Rotated {
  Y y;
  RotaryRows<Pairs, C, I> rotary;
};
template <class Y, RotaryPairs Pairs, class C, class I>
Rotated(Y, RotaryRows<Pairs, C, I>) -> Rotated<Y, Pairs, C, I>;

/// As y of a forward: y = R(norm(x)), the queries and keys of an attention whose heads are normalized, which is QK-norm.
///   rms_norm_forward({tokens * heads, head_dim}, q, gamma, epsilon, rotated(q, rotary), moments);
/// R: the rotation of `rotary`. y: rows, a pointer or Strided, of any type of numbers, which may be x as without it. T is double
/// where the tables are, too.
/// Computes norm(x) in T, rounded, then n[a] * cosine - n[b] * sine and n[b] * cosine + n[a] * sine of each pair, each
/// operation rounded by itself, then rounds to y's type.
/// Errors: those of the call; dim odd, below 2 or above hidden; heads below 1, or rows that are no multiple of it; tokens below
/// 1; a position that the tables do not hold, named with its place; missing tables; y that overlaps them:
/// std::invalid_argument, before anything is written.
/// Source: Su et al., RoFormer: Enhanced Transformer with Rotary Position Embedding (2021); of QK-norm, Henry et al., Query-Key
/// Normalization for Transformers (2020), Dehghani et al., Scaling Vision Transformers to 22 Billion Parameters (2023).
template <class Y, RotaryPairs Pairs, class C, class I, class = element_t<Y>>
Rotated<Y, Pairs, C, I> rotated(Y y, const Rotary<Pairs, C, I>& rotary) {
  static_assert(!std::is_void_v<element_t<Y>>, "simdnorm: rotated: y is rows of numbers, not of codes");
  return {y, {rotary}};
}

template <class Y, RotaryPairs Pairs, class C, class I> struct ComputedIn<Rotated<Y, Pairs, C, I>> {
  using type = operands_t<Y, const C*>;
};

template <class Y, RotaryPairs Pairs, class C, class I>
auto written_rows(RowShape shape, const Rotated<Y, Pairs, C, I>& a) {
  return Rotated{written_rows(shape, a.y), a.rotary};
}
template <class Y, RotaryPairs Pairs, class C, class I> auto operands_of(const Rotated<Y, Pairs, C, I>& a) {
  return operands_of(a.y);
}
template <class Y, RotaryPairs Pairs, class C, class I, class Then>
SIMDNORM_INLINE void touch(const Check& check, const char* name, const Rotated<Strided<Y>, Pairs, C, I>& a,
                           const Then& then) {
  touch_rotary(check, name, a.rotary, Touched<Use::writes_rows>{check.written_rows(name, a.y)}, then);
}
template <int Rows, class Blocks, class Read, class U, RotaryPairs Pairs, class C, class I, class Run>
void with_sink(RowShape shape, const Read& read, const Rotated<Strided<U>, Pairs, C, I>& a, const Run& run) {
  static_assert(Rows == 1, "simdnorm: rotated is y of a forward; dy of a backward is unrotated");
  const bool beyond_caches = are_beyond_caches(shape, std::tuple_cat(read, std::tuple(a.y)));
  run(RotatedRows<U, Pairs, C, I>{a.y, a.rotary}, RotatingWriter{!beyond_caches});
}

}  // namespace simdnorm
