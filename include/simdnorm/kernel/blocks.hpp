// How the rows of a shape are cut into blocks.
#pragma once

#include "row.hpp"

namespace simdnorm {

/// A few contiguous rows, folded one by one and mapped in pairs. (Of rows side by side, RowsAcross is the block.)
template <class T, class Arch> struct BlockAlong {
  using Architecture = Arch;
  static constexpr int capacity = 8;

  Index first_row;
  int row_count;

  int count() const { return row_count; }
  RowsAcross<T, Arch> row(int r) const { return {first_row + r, first_row + r, 0, 1}; }
  /// Calls f(rows, r) for the rows to be folded together, of which the first is row r of the block: one.
  template <class F> SIMDNORM_INLINE void folded(F&& f) const {
    for (int r = 0; r < row_count; ++r) f(RowsAlong<T, Arch, 1>{first_row + r}, r);
  }
  /// The same for rows to be mapped together, `Rows` at once, which share each load of gamma and beta.
  template <int Rows, class F> SIMDNORM_INLINE void mapped(F&& f) const {
    int r = 0;
    for (; r + Rows <= row_count; r += Rows) f(RowsAlong<T, Arch, Rows>{first_row + r}, r);
    for (; r < row_count; ++r) f(RowsAlong<T, Arch, 1>{first_row + r}, r);
  }
};

/// Contiguous rows, in blocks of 8 that stay in the first-level cache, else of 4 or 2 that stay in the second,
/// and of 2 where short rows come from beyond the caches; the last block may have fewer.
template <class T, class Arch = simd::DefaultArch> class BlocksAlong {
 public:
  using Architecture = Arch;
  explicit BlocksAlong(RowShape shape) : shape_(shape) {
    const Index bytes_per_row = shape.hidden * static_cast<Index>(sizeof(T));
    if (bytes_per_row > 1536) {
      rows_per_block_ = bytes_per_row > 65536 ? 2 : 4;
    } else if (shape.rows * bytes_per_row > Index(4) << 20) {
      rows_per_block_ = 2;
    }
  }
  Index rows_per_block() const { return rows_per_block_; }
  Index count() const { return (shape_.rows + rows_per_block_ - 1) / rows_per_block_; }
  Index elements() const { return rows_per_block_ * shape_.hidden; }  // of one block
  /// Blocks that are worth handing to another thread.
  Index per_task() const { return std::max<Index>(1, elements_per_task / elements()); }

  /// Calls f(block) for the blocks [first, last) that exist.
  template <class F> SIMDNORM_INLINE void each(Index first, Index last, const F& f) const {
    const Index last_row = std::min(rows_per_block_ * last, shape_.rows);
    for (Index row = rows_per_block_ * first; row < last_row; row += rows_per_block_)
      f(BlockAlong<T, Arch>{row, static_cast<int>(std::min(rows_per_block_, last_row - row))});
  }

 private:
  static constexpr Index elements_per_task = 16384;
  RowShape shape_;
  Index rows_per_block_ = BlockAlong<T, Arch>::capacity;
};

/// Rows that lie side by side, in blocks of up to 256 bytes of each column.
template <class T, class Arch = simd::DefaultArch> class BlocksAcross {
 public:
  using Architecture = Arch;
  explicit BlocksAcross(RowShape shape)
      : shape_(shape), per_item_((shape.after + rows_per_block() - 1) / rows_per_block()) {}
  static constexpr Index rows_per_block() { return RowsAcross<T, Arch>::capacity; }
  Index count() const { return shape_.rows / shape_.after * per_item_; }
  Index elements() const { return std::min<Index>(rows_per_block(), shape_.after) * shape_.hidden; }
  Index per_task() const { return std::max<Index>(1, elements_per_task / elements()); }

  template <class F> SIMDNORM_INLINE void each(Index first, Index last, const F& f) const {
    for (Index b = first; b < std::min(last, count()); ++b) {
      const Index item = b / per_item_;
      const Index beside = b % per_item_ * rows_per_block();
      const Index rows = std::min<Index>(rows_per_block(), shape_.after - beside);
      f(RowsAcross<T, Arch>{item * shape_.after + beside, item, beside, static_cast<int>(rows)});
    }
  }

 private:
  static constexpr Index elements_per_task = 16384;
  RowShape shape_;
  Index per_item_;
};

}  // namespace simdnorm
