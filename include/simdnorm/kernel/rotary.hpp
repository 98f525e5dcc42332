// Rotary position embedding: each pair of columns a, b of a row is turned by an angle of the row's position. (As an argument of a
// forward: rotated.hpp. As one of a backward: unrotated.hpp.)
#pragma once

#include <cmath>

#include "../check.hpp"
#include "../operands.hpp"
#include "../simd_pairs.hpp"
#include "source.hpp"

namespace simdnorm {

/// Which columns are pair i.
enum class RotaryPairs {
  interleaved,  // 2i and 2i + 1: RoFormer, GPT-J, Llama as published
  halves        // i and i + dim / 2: GPT-NeoX, Llama and Qwen in Hugging Face
};

/// The rotation of rows that are heads of tokens: row r is of token r / heads. C: any type of numbers. I: std::int32_t or
/// std::int64_t.
template <RotaryPairs Pairs, class C = float, class I = std::int32_t> struct Rotary {
  const C* cosines;              // (length, dim / 2): of each position, the cosines of its angles
  const C* sines;                // (length, dim / 2)
  Index length;                  // positions in the tables
  Index dim;                     // of a row, the first so many columns are turned, the others not: even
  Index heads = 0;               // rows of a token, one after another; 1 for rows (batch, heads, tokens)
  Index tokens = 0;              // of a sequence: token t is at position t % tokens,
  const I* positions = nullptr;  // or, where this is given, (rows / heads), at positions[t]
  Index stride = 0;              // of the tables, from one position to the next; 0 for dim / 2
};

/// Fills tables (length, dim / 2) of type C, float or double: angle i of position p is p * scale * base^(-2i/dim), computed in
/// double. (The bits are those of the platform's pow, cos and sin.) scale: 1/s where positions are interpolated, to reach s times
/// as far (Chen et al., Extending Context Window of Large Language Models via Position Interpolation, 2023).
template <class C>
void rotary_tables(Index length, Index dim, double base, C* cosines, C* sines, double scale = 1) {
  for (Index i = 0; i < dim / 2; ++i) {
    const double turn = scale * std::pow(base, -2 * static_cast<double>(i) / static_cast<double>(dim));
    for (Index p = 0; p < length; ++p) {
      const double angle = static_cast<double>(p) * turn;
      cosines[p * (dim / 2) + i] = static_cast<C>(std::cos(angle));
      sines[p * (dim / 2) + i] = static_cast<C>(std::sin(angle));
    }
  }
}

// --- of the rows of a call ---

/// The rotation of rows of which the first is row `first_row`.
template <RotaryPairs Pairs, class C, class I> struct RotaryRows {
  Rotary<Pairs, C, I> rotary;
  Index first_row = 0;

  SIMDNORM_INLINE Index stride() const { return rotary.stride == 0 ? rotary.dim / 2 : rotary.stride; }
};

/// The columns of `count` pairs, as a range.
template <RotaryPairs Pairs> struct ColumnPairs {
  static constexpr bool halves = Pairs == RotaryPairs::halves;
  static constexpr Index step = halves ? 1 : 2;  // from the first column of a pair to that of the next
  Index count;

  /// From the first column of a pair to its second.
  SIMDNORM_INLINE Index distance() const { return halves ? count : 1; }
};
/// A vector of contiguous columns holds both of each pair.
template <class Rows, RotaryPairs Pairs>
inline constexpr bool pairs_in_vectors =
    Pairs == RotaryPairs::interleaved && !Rows::across && Rows::Vector::width > 1;

/// Where the cosines and sines of a block's rows are in the tables.
template <class Block, class C> struct BlockAngles {
  const C *cosines, *sines;
  Index first_row;
  Index of_row[static_cast<std::size_t>(Block::capacity)];

  template <RotaryPairs Pairs, class I>
  BlockAngles(const Block& block, const RotaryRows<Pairs, C, I>& a)
      : cosines(a.rotary.cosines), sines(a.rotary.sines), first_row(block.first_row) {
    const auto& rotary = a.rotary;
    const Index row = a.first_row + first_row, stride = a.stride();
    const bool counted = rotary.positions == nullptr;
    Index token = row / rotary.heads, head = row - token * rotary.heads;
    Index position = counted ? token % rotary.tokens : static_cast<Index>(rotary.positions[token]);
    of_row[0] = position * stride;
    for (int r = 1; r < block.count(); ++r) {
      if (++head == rotary.heads) {
        head = 0;
        ++token;
        if (!counted) {
          position = static_cast<Index>(rotary.positions[token]);
        } else if (++position == rotary.tokens) {
          position = 0;
        }
      }
      of_row[r] = position * stride;
    }
  }
};

/// Of each row the number that is so far on from p.
template <class Vector, class Lanes, class C>
SIMDNORM_INLINE Vector of_each_row(Lanes lanes, const C* p, const Index* of_row) {
  using Number = simd::Vector<typename Vector::Scalar, simd::NoSimd>;
  typename Vector::Scalar numbers[static_cast<std::size_t>(Vector::width)] = {};
  for (int i = 0; i < simd::count_of<Vector>(lanes); ++i)
    numbers[i] = simd::load<Number>(simd::All{}, p + of_row[i]).value;
  return simd::load<Vector>(simd::All{}, numbers);
}

/// The same of some of these rows, at hand.
template <class Rows, class C> struct RowAngles {
  using T = typename Rows::Scalar;
  using Vector = typename Rows::Vector;
  const C *cosines, *sines;
  Index of_row[static_cast<std::size_t>(Rows::capacity)];

  template <class Block>
  SIMDNORM_INLINE RowAngles(const Rows& rows, const BlockAngles<Block, C>& block)
      : cosines(block.cosines), sines(block.sines) {
    const Index* const first = block.of_row + (rows.first_row - block.first_row);
    for (int r = 0; r < rows.count(); ++r) of_row[r] = first[r];
  }

  /// Of a vector that is one column of several rows, or one of each of the pairs from `pair` on.
  template <class Lanes> SIMDNORM_INLINE Vector of_pairs(const C* table, At<Lanes> at, Index pair) const {
    if constexpr (Rows::across) {
      return of_each_row<Vector>(at.lanes, table + pair, of_row + at.row);
    } else {
      return simd::load<Vector>(at.lanes, table + of_row[at.row] + pair);
    }
  }
  /// Of a vector of whole pairs.
  template <class Lanes> SIMDNORM_INLINE Vector of_both(const C* table, At<Lanes> at) const {
    return simd::load_each_twice<Vector>(at.lanes, table + of_row[at.row] + at.column / 2);
  }
};

/// then(rows, ...) with the tables of a rotation, and the positions, of the rows `name`, once they are found right.
template <RotaryPairs Pairs, class C, class I, class Rows, class Then>
SIMDNORM_INLINE void touch_rotary(const Check& check, const char* name, const RotaryRows<Pairs, C, I>& a,
                                  const Rows& rows, const Then& then) {
  static_assert(std::is_same_v<I, std::int32_t> || std::is_same_v<I, std::int64_t>,
                "simdnorm: Rotary: positions are std::int32_t or std::int64_t");
  const Rotary<Pairs, C, I>& rotary = a.rotary;
  const RowShape shape = check.shape();
  const auto expect = [&](bool right, const char* what, Index is) {
    if (!right) check.stop(check.message() << what << " " << is);
  };
  expect(rotary.dim >= 2 && rotary.dim % 2 == 0,
         "dim of a rotary embedding must be even and at least 2 but is", rotary.dim);
  expect(rotary.dim <= shape.hidden, "dim of a rotary embedding must be at most hidden but is", rotary.dim);
  expect(rotary.stride == 0 || rotary.stride >= rotary.dim / 2,
         "stride of a rotary embedding must be 0, or at least dim / 2, but is", rotary.stride);
  Index tokens = 0;
  if (shape.rows > 0) {
    expect(rotary.heads >= 1, "heads of a rotary embedding must be at least 1 but is", rotary.heads);
    expect(shape.rows % rotary.heads == 0, "rows must be a multiple of a rotary embedding's heads, which are",
           rotary.heads);
    tokens = shape.rows / rotary.heads;
    if (rotary.cosines == nullptr) check.stop(check.message() << "cosines is nullptr");
    if (rotary.sines == nullptr) check.stop(check.message() << "sines is nullptr");
    const auto expect_position = [&](Index token, Index position) {
      if (position < 0 || position >= rotary.length)
        check.stop(check.message() << "token " << token << " of " << name << " is at position " << position
                                   << ", but the tables hold " << rotary.length);
    };
    if (rotary.positions != nullptr) {
      for (Index t = 0; t < tokens; ++t) expect_position(t, static_cast<Index>(rotary.positions[t]));
    } else {
      expect(rotary.tokens >= 1, "tokens of a rotary embedding must be at least 1 but is", rotary.tokens);
      const Index last = std::min(tokens, rotary.tokens) - 1;
      expect_position(last, last);
    }
  }
  const Index numbers = tokens == 0 ? 0 : (rotary.length - 1) * a.stride() + rotary.dim / 2;
  then(rows, Touched<Use::reads>{Check::array("cosines", rotary.cosines, numbers)},
       Touched<Use::reads>{Check::array("sines", rotary.sines, numbers)},
       Touched<Use::reads>{Check::array("positions", rotary.positions, tokens)});
}

}  // namespace simdnorm
