// How the rows of a shape are cut into blocks.
#pragma once

#include "row.hpp"

namespace simdnorm {

/// Contiguous rows, in blocks of two, which share each load of gamma and beta; the last block may be one row.
template <class T, class Arch = simd::DefaultArch> class BlocksAlong {
 public:
  using Architecture = Arch;
  explicit BlocksAlong(RowShape shape) : shape_(shape) {}
  Index count() const { return (shape_.rows + 1) / 2; }
  Index elements() const { return 2 * shape_.hidden; }  // of one block
  /// Blocks that are worth handing to another thread.
  Index per_task() const { return std::max<Index>(1, elements_per_task / elements()); }
  /// Blocks whose rows' sums are added in T before they go to a total in Extended<T>: 16 rows.
  static constexpr Index per_group = 8;
  static constexpr Index rows_per_group = 16;

  /// Calls f(block) for the blocks [first, last) that exist.
  template <class F> SIMDNORM_INLINE void each(Index first, Index last, const F& f) const {
    const Index last_row = std::min(2 * last, shape_.rows);
    Index row = 2 * first;
    for (; row + 2 <= last_row; row += 2) f(RowsAlong<T, Arch, 2>{row});
    if (row < last_row) f(RowsAlong<T, Arch, 1>{row});
  }

 private:
  static constexpr Index elements_per_task = 16384;
  RowShape shape_;
};

/// Rows that lie side by side, in blocks of up to 256 bytes of each column.
template <class T, class Arch = simd::DefaultArch> class BlocksAcross {
 public:
  using Architecture = Arch;
  explicit BlocksAcross(RowShape shape)
      : shape_(shape), per_item_((shape.after + rows_per_block - 1) / rows_per_block) {}
  Index count() const { return shape_.rows / shape_.after * per_item_; }
  Index elements() const { return std::min<Index>(rows_per_block, shape_.after) * shape_.hidden; }
  Index per_task() const { return std::max<Index>(1, elements_per_task / elements()); }
  static constexpr Index per_group = 1;
  static constexpr Index rows_per_group = RowsAcross<T, Arch>::capacity;

  template <class F> SIMDNORM_INLINE void each(Index first, Index last, const F& f) const {
    for (Index b = first; b < std::min(last, count()); ++b) {
      const Index item = b / per_item_;
      const Index beside = b % per_item_ * rows_per_block;
      const Index rows = std::min<Index>(rows_per_block, shape_.after - beside);
      f(RowsAcross<T, Arch>{item * shape_.after + beside, item, beside, static_cast<int>(rows)});
    }
  }

 private:
  static constexpr Index rows_per_block = RowsAcross<T, Arch>::capacity;
  static constexpr Index elements_per_task = 16384;
  RowShape shape_;
  Index per_item_;
};

}  // namespace simdnorm
