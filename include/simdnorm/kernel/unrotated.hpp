// Gradients of results that a rotary embedding turned, turned back as they are read: of each pair of columns a, b
//   dn[a] = dy[a] * cosine + dy[b] * sine,  dn[b] = dy[b] * cosine - dy[a] * sine.
#pragma once

#include "rotary.hpp"

namespace simdnorm {

// --- sources ---

/// The longest rows that backward turns back.
inline constexpr Index unrotated_limit = 1024;

/// Keeps a contiguous row in T, with the pairs among its first `dim` columns turned back.
template <RotaryPairs Pairs, class Row, class U, class C>
SIMDNORM_LOOP void turn_back(const Row& row, Index dim, Index hidden, const LoadedRows<U>& source,
                             const RowAngles<Row, C>& angles, typename Row::Scalar* kept) {
  using Vector = typename Row::Vector;
  const auto keep = [&](auto at, Vector values)
                        SIMDNORM_INLINE_LAMBDA { simd::store(at.lanes, kept + at.column, values); };
  if constexpr (pairs_in_vectors<Row, Pairs>) {
    row.columns(0, dim, [&](auto at) SIMDNORM_BODY {
      const Vector values = source.load(row, at), cosine = angles.of_both(angles.cosines, at);
      const Vector signed_sine = angles.of_both(angles.sines, at) * simd::minus_plus<Vector>();
      keep(at, values * cosine - simd::swap_neighbours(values) * signed_sine);
    });
  } else {
    const ColumnPairs<Pairs> pairs{dim / 2};
    row.columns(0, pairs.count, [&](auto at) SIMDNORM_BODY {
      const Vector cosine = angles.of_pairs(angles.cosines, at, at.column);
      const Vector sine = angles.of_pairs(angles.sines, at, at.column);
      at.column *= pairs.step;
      auto partner = at;
      partner.column += pairs.distance();
      const Vector first = source.load(row, at), second = source.load(row, partner);
      keep(at, first * cosine + second * sine);
      keep(partner, second * cosine - first * sine);
    });
  }
  row.columns(dim, hidden, [&](auto at) SIMDNORM_BODY { keep(at, source.load(row, at)); });
}
/// The same of each row of a block, one after another.
template <RotaryPairs Pairs, class Block, class U, class C>
SIMDNORM_KERNEL void turn_back_all(Block block, Index dim, Index hidden, LoadedRows<U> source,
                                   const BlockAngles<Block, C>& angles, typename Block::Scalar* kept) {
  block.folded([&](const auto& row, int r) SIMDNORM_BODY {
    using Row = std::decay_t<decltype(row)>;
    turn_back<Pairs>(row, dim, hidden, source, RowAngles<Row, C>(row, angles), kept + r * hidden);
  });
}

/// Contiguous rows of a block that are turned back already: sums take the columns in another order than by pairs.
template <class T, class U> struct TurnedBackAlong {
  LoadedRows<U> source;
  const T* kept;
  Index first_row, hidden;

  template <class Rows, class Lanes>
  SIMDNORM_INLINE typename Rows::Vector load(const Rows& rows, At<Lanes> at) const {
    using Vector = typename Rows::Vector;
    const T* const p = kept + (rows.first_row + at.row - first_row) * hidden + at.column;
    if constexpr (Rows::across) {  // one row of them
      const T numbers[static_cast<std::size_t>(Vector::width)] = {*p};
      return simd::load<Vector>(simd::All{}, static_cast<const T*>(numbers));
    } else {
      return simd::load<Vector>(at.lanes, p);
    }
  }
  template <class Rows, class Lanes>
  SIMDNORM_INLINE typename Rows::Vector last(const Rows& rows, At<Lanes> at) const {
    return load(rows, at);
  }
  const TurnedBackAlong& first() const { return *this; }
  template <class Rows, class Lanes, class Ahead>
  SIMDNORM_INLINE void fetch(const Rows& rows, At<Lanes> at, Ahead ahead) const {
    source.fetch(rows, at, ahead);
  }
};

/// Rows side by side, a column of which is turned back each time that it is read.
template <class Block, class U, RotaryPairs Pairs, class C> struct TurnedBackAcross {
  using Vector = typename Block::Vector;
  LoadedRows<U> source;
  Index dim;
  const BlockAngles<Block, C>& of_block;

  template <class Lanes> SIMDNORM_INLINE Vector load(const Block& rows, At<Lanes> at) const {
    if (at.column >= dim) return source.load(rows, at);
    const ColumnPairs<Pairs> pairs{dim / 2};
    const bool is_first = pairs.halves ? at.column < pairs.count : at.column % 2 == 0;
    At<Lanes> partner = at;
    partner.column += is_first ? pairs.distance() : -pairs.distance();
    const Index pair = std::min(at.column, partner.column) / pairs.step;
    const Vector sine = angles(rows, at, pair, of_block.sines) * Vector::broadcast(is_first ? 1 : -1);
    return source.load(rows, at) * angles(rows, at, pair, of_block.cosines) +
           source.load(rows, partner) * sine;
  }
  template <class Lanes> SIMDNORM_INLINE Vector last(const Block& rows, At<Lanes> at) const {
    return load(rows, at);
  }
  const TurnedBackAcross& first() const { return *this; }

 private:
  template <class Lanes>
  SIMDNORM_INLINE Vector angles(const Block& rows, At<Lanes> at, Index pair, const C* table) const {
    return of_each_row<Vector>(at.lanes, table + pair,
                               of_block.of_row + (rows.first_row - of_block.first_row) + at.row);
  }
};

/// The rows before it is known of which block.
template <class U, RotaryPairs Pairs, class C, class I> struct UnrotatedRows {
  LoadedRows<U> source;
  RotaryRows<Pairs, C, I> rotary;
  Index hidden;
};
template <class Block, class U, RotaryPairs Pairs, class C, class I, class Run>
SIMDNORM_INLINE void with_block(const Block& block, const UnrotatedRows<U, Pairs, C, I>& a, const Run& run) {
  const Index dim = a.rotary.rotary.dim;
  const BlockAngles<Block, C> angles(block, a.rotary);
  if constexpr (std::is_same_v<Block, RowsAcross<typename Block::Scalar, typename Block::Architecture>>) {
    run(TurnedBackAcross<Block, U, Pairs, C>{a.source, dim, angles});
  } else {
    using T = typename Block::Scalar;
    // Blocks of more than 4 rows have rows of at most 1536 bytes (blocks.hpp).
    constexpr Index most = std::max<Index>(4 * unrotated_limit, 8 * 1536 / static_cast<Index>(sizeof(T)));
    alignas(64) T kept[static_cast<std::size_t>(most)];
    turn_back_all<Pairs>(block, dim, a.hidden, a.source, angles, static_cast<T*>(kept));
    run(TurnedBackAlong<T, U>{a.source, kept, block.first_row, a.hidden});
  }
}

// --- as an argument ---

/// As dy of a backward. Made by unrotated.
template <class Dy, RotaryPairs Pairs, class C, class I> struct Unrotated {
  Dy dy;
  RotaryRows<Pairs, C, I> rotary;
  Index hidden = 0;  // that of the rows
};
template <class Dy, RotaryPairs Pairs, class C, class I>
Unrotated(Dy, RotaryRows<Pairs, C, I>, Index = 0) -> Unrotated<Dy, Pairs, C, I>;

/// As dy of a backward, where y of the forward was rotated(y, rotary): dy is the gradient of that y, and is turned back,
///   dn[a] = dy[a] * cosine + dy[b] * sine,  dn[b] = dy[b] * cosine - dy[a] * sine,
/// in T, each operation rounded by itself; backward has the bits of one that is given dn.
///   rms_norm_backward({tokens * heads, head_dim}, unrotated(dq, rotary), q, gamma, moments, dx, dgamma);
/// dy: rows, a pointer or Strided, of any type of numbers, of at most unrotated_limit columns. dx may be x, but not dy, each
/// place of which is read for two.
/// Errors: those of the call and of rotated; longer rows.
template <class Dy, RotaryPairs Pairs, class C, class I, class = element_t<Dy>>
Unrotated<Dy, Pairs, C, I> unrotated(Dy dy, const Rotary<Pairs, C, I>& rotary) {
  return {dy, {rotary}};
}

template <class Dy, RotaryPairs Pairs, class C, class I> struct ComputedIn<Unrotated<Dy, Pairs, C, I>> {
  using type = operands_t<Dy, const C*>;
};

template <class Dy, RotaryPairs Pairs, class C, class I>
auto read_rows(RowShape shape, const Unrotated<Dy, Pairs, C, I>& a) {
  return Unrotated{read_rows(shape, a.dy), a.rotary, shape.hidden};
}
template <class Dy, RotaryPairs Pairs, class C, class I>
auto operands_of(const Unrotated<Dy, Pairs, C, I>& a) {
  return operands_of(a.dy);
}
template <class Dy, RotaryPairs Pairs, class C, class I, class Then>
SIMDNORM_INLINE void touch(const Check& check, const char* name,
                           const Unrotated<Strided<const Dy>, Pairs, C, I>& a, const Then& then) {
  if (a.hidden > unrotated_limit)
    check.stop(check.message() << "rows that are turned back must have at most " << unrotated_limit
                               << " columns but have " << a.hidden);
  touch_rotary(check, name, a.rotary, Touched<Use::reads>{check.rows(name, a.dy)}, then);
}
template <class T, class U, RotaryPairs Pairs, class C, class I>
UnrotatedRows<U, Pairs, C, I> source_of(const Unrotated<Strided<const U>, Pairs, C, I>& a) {
  return {{a.dy}, a.rotary, a.hidden};
}

}  // namespace simdnorm
