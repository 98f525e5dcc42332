// Where results go.
#pragma once

#include "row.hpp"
#include "values.hpp"

namespace simdnorm {

/// How rows beyond the caches are written while those are fetched that lie `rows_ahead` on: past the caches, in whole cache lines, or
/// through them.
template <class Vector> struct PastCaches { Index rows_ahead; };
struct ThroughCaches {
  Index rows_ahead;
};

/// Whole cache lines of rows, past the caches. Of two vectors that are a line, or cost less together, the first is kept until the
/// second comes: lines of several arrays that are written in turns must not be written in parts, which may cost several times as much.
template <class U, class Vector> struct StreamedLines {
  static constexpr bool in_halves = sizeof(U) == sizeof(typename Vector::Scalar) &&
                                    2 * Vector::width * static_cast<int>(sizeof(U)) == simd::cache_line;
  static constexpr bool in_twos = in_halves || simd::stores_two<U, Vector>;
  Strided<U> operand;
  Vector first = {};

  template <class Rows> SIMDNORM_INLINE auto store(const Rows& rows, At<simd::All> at, Vector values) {
    if (!in_twos || at.together != 2) {
      simd::stream(rows.address(operand, at), values);
    } else if (at.lane == 0) {
      first = values;
    } else {
      simd::stream_two(rows.address(operand, at) - Vector::width, first, values);
    }
    return values;
  }
};

/// Rows as they lie in memory, of a type of which two vectors cost less to store together.
template <class U, class Vector> struct StoredInTwos {
  Strided<U> operand;
  Vector first = {};

  template <class Rows, class Lanes>
  SIMDNORM_INLINE auto store(const Rows& rows, At<Lanes> at, Vector values) {
    if (at.together != 2) {
      simd::store(at.lanes, rows.address(operand, at), values);
    } else if (at.lane == 0) {
      first = values;
    } else {
      simd::store_two(rows.address(operand, at) - Vector::width, first, values);
    }
    return values;
  }
};

/// The columns in the order in which such a sink is best given them.
template <class Sink, class Range> SIMDNORM_INLINE Range in_order_of(const Sink& /*sink*/, Range columns) {
  return columns;
}
template <class U, class Vector>
SIMDNORM_INLINE InTwos<Columns> in_order_of(const StoredInTwos<U, Vector>& /*sink*/, Columns columns) {
  return {columns};
}
template <class U, class Vector,
          class = std::enable_if_t<simd::stores_two<U, Vector> &&
                                   simd::cache_line % (2 * Vector::width * Index{sizeof(U)}) == 0>>
SIMDNORM_INLINE InTwos<Lines> in_order_of(const StreamedLines<U, Vector>& /*sink*/, Lines lines) {
  return {lines};
}

/// Rows as they lie in memory. A sink has store(block, at, values), which returns what it stored, as it was before it was rounded
/// to its type, or more (factors.hpp). It may have begin(block), which gives the sink for some columns of these rows, and that one
/// end(block), after the last of them (begun, ended). One for rows beyond the caches has written(how), the sink that writes them
/// so; to write past the caches it also has `operand`, whose lines they are (LinesOf).
template <class U> struct StoredRows {
  Strided<U> operand;

  template <class Block, class Lanes>
  SIMDNORM_INLINE auto store(const Block& block, At<Lanes> at, typename Block::Vector values) const {
    simd::store(at.lanes, block.address(operand, at), values);
    return values;
  }
  template <class Block,
            class = std::enable_if_t<!Block::across && simd::stores_two<U, typename Block::Vector>>>
  SIMDNORM_INLINE StoredInTwos<U, typename Block::Vector> begin(const Block&) const {
    return {operand};
  }
  template <class V> StreamedLines<U, V> written(PastCaches<V>) const { return {operand}; }
  const StoredRows& written(ThroughCaches) const { return *this; }
};

template <class Sink, class Block, class = void> inline constexpr bool has_begin = false;
template <class Sink, class Block>
inline constexpr bool has_begin<
    Sink, Block, std::void_t<decltype(std::declval<const Sink&>().begin(std::declval<const Block&>()))>> =
    true;
template <class Sink, class Block, class = void> inline constexpr bool has_end = false;
template <class Sink, class Block>
inline constexpr bool
    has_end<Sink, Block, std::void_t<decltype(std::declval<Sink&>().end(std::declval<const Block&>()))>> =
        true;

/// The sink for some columns of a block, before the first of them.
template <class Sink, class Block> SIMDNORM_INLINE auto begun(const Sink& sink, const Block& block) {
  if constexpr (has_begin<Sink, Block>) {
    return sink.begin(block);
  } else {
    return sink;
  }
}
template <class Sink, class Block> SIMDNORM_INLINE void ended(Sink& sink, const Block& block) {
  if constexpr (has_end<Sink, Block>) sink.end(block);
}

/// What a sink is for rows beyond the caches.
template <class Sink, class How>
using Written = std::decay_t<decltype(std::declval<const Sink&>().written(std::declval<How>()))>;

/// Another sink, and rows that it writes, at whose lines also begin those of what else it writes.
template <class Sink, class U> struct LinesOf : Sink { Strided<U> operand; };
/// The sink for rows that are rare: of all blocks and writers the same, so that they are compiled once.
template <class Sink, class U> const Sink& rare_sink(const LinesOf<Sink, U>& sink) { return sink; }
template <class Sink> const Sink& rare_sink(const Sink& sink) { return sink; }

/// Each row times its power of two, on the way to another sink.
template <class Sink, class RowValues> struct ScaledSink {
  Sink sink;
  RowValues scale;

  template <class Block, class Lanes>
  SIMDNORM_INLINE auto store(const Block& block, At<Lanes> at, typename Block::Vector values) {
    return sink.store(block, at, values * scale(at));
  }
};

/// The counterpart of scaled(block, source, moments).
template <class Block, class Sink, class T>
SIMDNORM_INLINE auto scaled_sink(const Block& block, const Sink& sink, const RowMoments<T>* moments) {
  if constexpr (Block::can_scale) {
    return ScaledSink<Sink, typename Block::RowValues>{sink,
                                                       block.row_values(moments, &RowMoments<T>::scale)};
  } else {
    return begun(sink, block);
  }
}

/// Another sink, given the canonical quiet NaN for any NaN: which one an operation makes depends on the
/// instruction set.
template <class Sink> struct CanonicalSink {
  Sink sink;

  template <class Block, class Lanes, class Values>
  SIMDNORM_INLINE auto store(const Block& block, At<Lanes> at, const Values& values) {
    return sink.store(block, at, canonical(values));
  }
  template <class Block> SIMDNORM_INLINE auto begin(const Block& block) const {
    return CanonicalSink<decltype(begun(sink, block))>{begun(sink, block)};
  }
  template <class Block> SIMDNORM_INLINE void end(const Block& block) { ended(sink, block); }
};

/// Where the moments of the rows go: (rows), or nullptr where nobody asked for them.
template <class T> struct MomentsSink {
  RowMoments<T>* moments;

  template <class Block> SIMDNORM_INLINE void store(const Block& block, const RowMoments<T>* of_row) const {
    if (moments != nullptr) std::copy(of_row, of_row + block.count(), moments + block.first_row);
  }
};

}  // namespace simdnorm
