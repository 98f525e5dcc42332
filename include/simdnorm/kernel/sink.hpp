// Where results go.
#pragma once

#include "row.hpp"
#include "values.hpp"

namespace simdnorm {

/// Whole cache lines of rows, past the caches.
template <class U> struct StreamedLines {
  Strided<U> operand;

  template <class Rows>
  SIMDNORM_INLINE auto store(const Rows& rows, At<simd::All> at, typename Rows::Vector values) const {
    simd::stream(rows.address(operand, at), values);
    return values;
  }
  template <class Rows> SIMDNORM_INLINE const StreamedLines& begin(const Rows&) const { return *this; }
  template <class Rows> SIMDNORM_INLINE void end(const Rows&) const {}
};

/// Rows as they lie in memory. A sink has store(block, at, values), which returns what it stored, as it was before it was rounded
/// to its type, or more (factors.hpp). One of forward has begin(block), which gives the sink for
/// these rows, and end(block) after the last of its values. One that can write whole cache lines past the caches has
/// `operand`, which is so written, and streamed(rows_ahead), the sink that does.
template <class U> struct StoredRows {
  Strided<U> operand;

  template <class Block, class Lanes>
  SIMDNORM_INLINE auto store(const Block& block, At<Lanes> at, typename Block::Vector values) const {
    simd::store(at.lanes, block.address(operand, at), values);
    return values;
  }
  template <class Block> SIMDNORM_INLINE const StoredRows& begin(const Block&) const { return *this; }
  template <class Block> SIMDNORM_INLINE void end(const Block&) const {}
  StreamedLines<U> streamed(Index /*rows_ahead*/) const { return {operand}; }
};

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
