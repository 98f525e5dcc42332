// Where results go.
#pragma once

#include "row.hpp"

namespace simdnorm {

/// Rows as they lie in memory. A sink has store(block, at, values).
template <class T> struct StoredRows {
  Strided<T> operand;

  template <class Block, class Lanes>
  SIMDNORM_INLINE void store(const Block& block, At<Lanes> at, typename Block::Vector values) const {
    simd::store(at.lanes, block.address(operand, at), values);
  }
};

/// Each row times its power of two, on the way to another sink.
template <class Sink, class RowValues> struct ScaledSink {
  Sink sink;
  RowValues scale;

  template <class Block, class Lanes>
  SIMDNORM_INLINE void store(const Block& block, At<Lanes> at, typename Block::Vector values) const {
    sink.store(block, at, values * scale(at));
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

  template <class Block, class Lanes>
  SIMDNORM_INLINE void store(const Block& block, At<Lanes> at, typename Block::Vector values) const {
    sink.store(block, at, simd::canonical(values));
  }
};

/// Where the moments of the rows go: (rows), or nullptr where nobody asked for them.
template <class T> struct MomentsSink {
  RowMoments<T>* moments;

  template <class Block> SIMDNORM_INLINE void store(const Block& block, const RowMoments<T>* of_row) const {
    if (moments != nullptr) std::copy(of_row, of_row + block.count(), moments + block.first_row);
  }
};

}  // namespace simdnorm
