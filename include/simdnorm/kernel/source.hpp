// Where a row is read.
#pragma once

#include "row.hpp"

namespace simdnorm {

/// Rows as they lie in memory. A source has load(block, at): the values at a place, 0 beyond the lanes that
/// are meant; it may be asked for any place any number of times until the sink has written there.
template <class T> struct LoadedRows {
  Strided<const T> operand;

  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector load(const Block& block, At<Lanes> at) const {
    return simd::load<typename Block::Vector>(at.lanes, block.address(operand, at));
  }
};

/// The values at a place as doubles, which are cheaper to load than to make.
template <class Source, class Block, class Lanes>
SIMDNORM_INLINE auto load_doubles(const Source& source, const Block& block, At<Lanes> at) {
  return simd::as_doubles(source.load(block, at));
}
template <class T, class Block, class Lanes>
SIMDNORM_INLINE auto load_doubles(const LoadedRows<T>& source, const Block& block, At<Lanes> at) {
  return simd::load_doubles<typename Block::Vector>(at.lanes, block.address(source.operand, at));
}

/// The rows of another source, each times its power of two.
template <class Source, class RowValues> struct ScaledRows {
  Source source;
  RowValues scale;

  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector load(const Block& block, At<Lanes> at) const {
    return source.load(block, at) * scale(at);
  }
};

/// Rows of extreme magnitude are read scaled, where the rows' type says so.
template <class Block, class Source, class T>
SIMDNORM_INLINE auto scaled(const Block& block, const Source& source, const RowMoments<T>* moments) {
  if constexpr (Block::can_scale) {
    return ScaledRows<Source, typename Block::RowValues>{source,
                                                         block.row_values(moments, &RowMoments<T>::scale)};
  } else {
    return source;
  }
}

}  // namespace simdnorm
