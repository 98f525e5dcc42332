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

/// Whole cache lines of rows, past the caches. Of two vectors that are a line the first is kept until the second comes: lines of
/// several arrays that are written in turns must not be written in parts, which may cost several times as much.
template <class U, class Vector> struct StreamedLines {
  static constexpr bool in_halves = sizeof(U) == sizeof(typename Vector::Scalar) &&
                                    2 * Vector::width * static_cast<int>(sizeof(U)) == simd::cache_line;
  Strided<U> operand;
  Vector first = {};

  template <class Rows> SIMDNORM_INLINE auto store(const Rows& rows, At<simd::All> at, Vector values) {
    if (in_halves && at.lane == 0) {
      first = values;
    } else {
      U* const p = rows.address(operand, at);
      if constexpr (in_halves) simd::stream(p - Vector::width, first);
      simd::stream(p, values);
    }
    return values;
  }
  template <class Rows> SIMDNORM_INLINE const StreamedLines& begin(const Rows&) const { return *this; }
  template <class Rows> SIMDNORM_INLINE void end(const Rows&) const {}
};

/// Rows as they lie in memory. A sink has store(block, at, values), which returns what it stored, as it was before it was rounded
/// to its type, or more (factors.hpp). One of forward has begin(block), which gives the sink for
/// these rows, and end(block) after the last of its values. One for rows beyond the caches has written(how), the sink that writes
/// them so; to write past the caches it also has `operand`, whose lines they are (LinesOf).
template <class U> struct StoredRows {
  Strided<U> operand;

  template <class Block, class Lanes>
  SIMDNORM_INLINE auto store(const Block& block, At<Lanes> at, typename Block::Vector values) const {
    simd::store(at.lanes, block.address(operand, at), values);
    return values;
  }
  template <class Block> SIMDNORM_INLINE const StoredRows& begin(const Block&) const { return *this; }
  template <class Block> SIMDNORM_INLINE void end(const Block&) const {}
  template <class V> StreamedLines<U, V> written(PastCaches<V>) const { return {operand}; }
  const StoredRows& written(ThroughCaches) const { return *this; }
};

/// What a sink is for rows beyond the caches.
template <class Sink, class How>
using Written = std::decay_t<decltype(std::declval<const Sink&>().written(std::declval<How>()))>;

/// Another sink, and rows that it writes, at whose lines also begin those of what else it writes.
template <class Sink, class U> struct LinesOf : Sink { Strided<U> operand; };

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
    return sink;
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
    using Begun = std::decay_t<decltype(sink.begin(block))>;
    return CanonicalSink<Begun>{sink.begin(block)};
  }
  template <class Block> SIMDNORM_INLINE void end(const Block& block) const { sink.end(block); }
};

/// Where the moments of the rows go: (rows), or nullptr where nobody asked for them.
template <class T> struct MomentsSink {
  RowMoments<T>* moments;

  template <class Block> SIMDNORM_INLINE void store(const Block& block, const RowMoments<T>* of_row) const {
    if (moments != nullptr) std::copy(of_row, of_row + block.count(), moments + block.first_row);
  }
};

}  // namespace simdnorm
