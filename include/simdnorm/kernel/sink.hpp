// Where results go.
#pragma once

#include <limits>

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

/// Writes the canonical NaN to each row of the block that is not finite (its scale is NaN): what a kernel
/// computed there is a NaN too, but which one depends on the instruction set.
template <class Block, class Sink, class T>
SIMDNORM_COLD void poison_rows(Block block, Index hidden, Sink sink, const RowMoments<T>* moments) {
  for (int r = 0; r < block.count(); ++r) {
    if (moments[r].scale == moments[r].scale) continue;
    const auto row = block.row(r);
    using V = typename std::decay_t<decltype(row)>::Vector;
    row.columns(0, hidden, [&](auto column) {
      row.rows(column,
               [&](auto at) { sink.store(row, at, V::broadcast(std::numeric_limits<T>::quiet_NaN())); });
    });
  }
}

/// Where the moments of the rows go. With stride 0 all rows share one place: nobody asked for them.
template <class T> struct MomentsSink {
  RowMoments<T>* moments;
  Index stride;

  template <class Block> SIMDNORM_INLINE void store(const Block& block, const RowMoments<T>* of_row) const {
    for (int r = 0; r < block.count(); ++r) moments[(block.first_row + r) * stride] = of_row[r];
  }
};

}  // namespace simdnorm
