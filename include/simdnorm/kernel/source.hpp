// Where a row is read.
#pragma once

#include "row.hpp"

namespace simdnorm {

/// Rows as they lie in memory. A source has, for the places of a block that its kernels come to,
///   load(block, at)     the values, 0 beyond the lanes that are meant; any number of times until the sink has written there
///   doubles(block, at)  the same as doubles, which are cheaper to load than to make
///   last(block, at)     load, for the last time
template <class U> struct LoadedRows {
  Strided<const U> operand;

  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector load(const Block& block, At<Lanes> at) const {
    return simd::load<typename Block::Vector>(at.lanes, block.address(operand, at));
  }
  template <class Block, class Lanes> SIMDNORM_INLINE auto doubles(const Block& block, At<Lanes> at) const {
    return simd::load_doubles<typename Block::Vector>(at.lanes, block.address(operand, at));
  }
  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector last(const Block& block, At<Lanes> at) const {
    return load(block, at);
  }
};

/// The rows of another source, each times its power of two.
template <class Source, class RowValues> struct ScaledRows {
  Source source;
  RowValues scale;

  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector load(const Block& block, At<Lanes> at) const {
    return source.load(block, at) * scale(at);
  }
  template <class Block, class Lanes> SIMDNORM_INLINE auto doubles(const Block& block, At<Lanes> at) const {
    return simd::as_doubles(load(block, at));
  }
  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector last(const Block& block, At<Lanes> at) const {
    return load(block, at);
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
