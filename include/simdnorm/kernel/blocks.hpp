// How the rows of a shape are cut into blocks.
#pragma once

#include <tuple>

#include "../dispatch/call.hpp"
#include "row.hpp"

namespace simdnorm {

/// A few contiguous rows, folded one by one and mapped in pairs. (Of rows side by side, RowsAcross is the block.)
template <class T, class Arch> struct BlockAlong {
  using Scalar = T;
  using Architecture = Arch;
  static constexpr int capacity = 16;

  Index first_row;
  int row_count;

  int count() const { return row_count; }
  RowsAcross<T, Arch> row(int r) const { return {first_row + r, first_row + r, 0, 1}; }
  /// Calls f(rows, r) for the rows to be folded together, `Rows` at once, of which the first is row r of the block.
  template <int Rows = 1, class F> SIMDNORM_LOOP void folded(F&& f) const {
    int r = 0;
    if constexpr (Rows > 1)
      for (; r + Rows <= row_count; r += Rows) f(RowsAlong<T, Arch, Rows>{first_row + r}, r);
    for (; r < row_count; ++r) f(RowsAlong<T, Arch, 1>{first_row + r}, r);
  }
  /// The same for rows to be mapped together, which share each load of gamma and beta.
  template <int Rows, class F> SIMDNORM_INLINE void mapped(F&& f) const {
    int r = 0;
    for (; r + Rows <= row_count; r += Rows) f(RowsAlong<T, Arch, Rows>{first_row + r}, r);
    for (; r < row_count; ++r) f(RowsAlong<T, Arch, 1>{first_row + r}, r);
  }
};

/// Blocks that are worth handing to another thread.
inline Index blocks_per_task_of(Index elements_per_block) {
  constexpr Index elements_per_task = 16384;
  return std::max<Index>(1, elements_per_task / elements_per_block);
}

/// How many runs of so many blocks there are.
template <class Blocks> Index task_count(const Blocks& blocks, Index blocks_per_task) {
  return (blocks.count() + blocks_per_task - 1) / blocks_per_task;
}

/// Calls task(number, first block, last block) for runs of so many blocks each, by an executor; returns how many.
template <class Blocks, class Executor, class Task>
SIMDNORM_INLINE Index in_tasks(const Blocks& blocks, Index blocks_per_task, Executor&& executor,
                               const Task& run) {
  const Index tasks = task_count(blocks, blocks_per_task);
  executor(tasks, blocks_per_task * blocks.elements(),
           [&](Index task) { run(task, task * blocks_per_task, (task + 1) * blocks_per_task); });
  return tasks;
}

/// Calls f(part, the executor of its rows) for the parts of a call, of as many elements each: many parts, or small ones, are tasks;
/// of a few large ones each is spread over the threads. Where there are threads either executor is an AnyExecutor, so that f is
/// compiled once.
template <class Executor, class F>
void each_part(Index count, Index elements, const Executor& executor, const F& f) {
  constexpr Index many = 32, small = 65536;
  if constexpr (std::is_same_v<Executor, Serial>) {
    for (Index part = 0; part < count; ++part) f(part, executor);
  } else if (count >= many || elements < small) {
    executor(count, elements, [&](Index part) { f(part, any_executor(Serial{})); });
  } else {
    for (Index part = 0; part < count; ++part) f(part, any_executor(executor));
  }
}

/// A type as an argument.
template <class T> struct TypeOf { using type = T; };

/// Contiguous rows, in blocks of 8, or of 4 or 2 long ones, of which tasks and segments are made. As many of them are measured as one as
/// stay in the first-level cache until they are read again, `Bytes` of each column in all; of short rows in the caches two blocks: what
/// follows from the sums of a vector of rows takes long, and that of another need not wait for it. (From memory this is slower:
/// benchmarks/README.md.)
template <class T, class Arch = simd::DefaultArch, std::size_t Bytes = sizeof(T)> class BlocksAlong {
 public:
  using Scalar = T;
  using Architecture = Arch;
  static constexpr bool across = false;
  explicit BlocksAlong(RowShape shape) : shape_(shape) {
    const Index bytes_per_row = shape.hidden * static_cast<Index>(sizeof(T));
    if (bytes_per_row > 1536) log2_rows_ = bytes_per_row > 65536 ? 1 : 2;
  }
  Index rows_per_block() const { return Index(1) << log2_rows_; }
  /// How many rows are measured as one: as many as `bytes` hold of what is read of them, but no fewer than are mapped at once.
  Index rows_measured(Index mapped_at_once, Index bytes, bool in_pairs) const {
    constexpr Index most = BlockAlong<T, Arch>::capacity,
                    longest_in_pairs = 512 / static_cast<Index>(sizeof(T));
    const Index bytes_per_row = shape_.hidden * static_cast<Index>(Bytes);
    Index rows = in_pairs && shape_.hidden <= longest_in_pairs ? most : most / 2;
    while (rows > mapped_at_once && rows * bytes_per_row > bytes) rows /= 2;
    return rows;
  }
  Index count() const { return (shape_.rows + rows_per_block() - 1) >> log2_rows_; }
  Index elements() const { return shape_.hidden << log2_rows_; }  // of one block
  Index per_task() const { return blocks_per_task_of(elements()); }

  /// Calls f(block) for the blocks [first, last) that exist.
  template <class F> SIMDNORM_INLINE void each(Index first, Index last, const F& f) const {
    each_measured(first, last, rows_per_block(), f);
  }
  /// The same of their rows, so many as one.
  template <class F>
  SIMDNORM_INLINE void each_measured(Index first, Index last, Index rows, const F& f) const {
    const Index last_row = std::min(rows_per_block() * last, shape_.rows);
    for (Index row = rows_per_block() * first; row < last_row; row += rows)
      f(BlockAlong<T, Arch>{row, static_cast<int>(std::min(rows, last_row - row))});
  }

 private:
  RowShape shape_;
  int log2_rows_ = 3;
};

/// Rows that lie side by side, in blocks of up to 256 bytes of each column.
template <class T, class Arch = simd::DefaultArch> class BlocksAcross {
 public:
  using Scalar = T;
  using Architecture = Arch;
  static constexpr bool across = true;
  explicit BlocksAcross(RowShape shape)
      : shape_(shape), per_item_((shape.after + rows_per_block() - 1) / rows_per_block()) {}
  static constexpr Index rows_per_block() { return RowsAcross<T, Arch>::capacity; }
  Index count() const { return shape_.rows / shape_.after * per_item_; }
  Index elements() const { return std::min<Index>(rows_per_block(), shape_.after) * shape_.hidden; }
  Index per_task() const { return blocks_per_task_of(elements()); }

  template <class F> SIMDNORM_INLINE void each(Index first, Index last, const F& f) const {
    for (Index b = first; b < std::min(last, count()); ++b) {
      const Index item = b / per_item_;
      const Index beside = b % per_item_ * rows_per_block();
      const Index rows = std::min<Index>(rows_per_block(), shape_.after - beside);
      f(RowsAcross<T, Arch>{item * shape_.after + beside, item, beside, static_cast<int>(rows)});
    }
  }
  static Index rows_measured(Index /*mapped_at_once*/, Index /*bytes*/, bool /*in_pairs*/) {
    return rows_per_block();
  }
  template <class F>
  SIMDNORM_INLINE void each_measured(Index first, Index last, Index /*rows*/, const F& f) const {
    each(first, last, f);
  }

 private:
  RowShape shape_;
  Index per_item_;
};

/// Bytes of a column of all operands; of none, as of rows that are computed, those of a float.
template <class Operands> inline constexpr std::size_t bytes_of_column = sizeof(float);
template <class X, class... More>
inline constexpr std::size_t bytes_of_column<std::tuple<Strided<X>, Strided<More>...>> = (sizeof(X) + ... +
                                                                                          sizeof(More));

/// run(TypeOf<blocks>) with the blocks that fit how all operands lie in memory, those that are read and others.
template <class T, class Read, class Others, class Run>
void with_blocks(RowShape shape, const Read& read, const Others& others, const Run& run) {
  const auto contiguous = [](const auto&... rows) { return ((rows.column == 1) && ...); };
  if (shape.after == 1 && std::apply(contiguous, std::tuple_cat(read, others))) {
    run(TypeOf<BlocksAlong<T, simd::DefaultArch, bytes_of_column<Read>>>{});
  } else {
    run(TypeOf<BlocksAcross<T>>{});
  }
}

}  // namespace simdnorm
