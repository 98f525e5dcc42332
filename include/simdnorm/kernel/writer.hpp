// How the rows of a call are written: as they are computed, or, where they are too many for the caches, past these while
// the rows that come next are fetched.
//
// A writer says how many contiguous rows are best mapped at once, and its write(rows, hidden, sink, map) calls
// map(columns, part, read) for parts of their columns: `part` is the sink for them, and read(source) the source.
// end() comes after the last row that a thread writes. rarely() is the writer for rows that need care, one by one.
#pragma once

#include <algorithm>
#include <cstddef>

#include "../cache.hpp"
#include "sink.hpp"
#include "source.hpp"

namespace simdnorm {

/// All columns at once.
struct DirectWriter {
  static constexpr int rows_at_once = 2;

  template <class Rows, class Sink, class Map>
  SIMDNORM_INLINE void write(const Rows& /*rows*/, Index hidden, const Sink& sink, const Map& map) const {
    map(
        Columns{0, hidden}, sink, [](const auto& source) -> const auto& { return source; });
  }
  static void end() {}
  const DirectWriter& rarely() const { return *this; }
};

/// Whole cache lines of rows, past the caches.
template <class U> struct StreamedLines {
  Strided<U> operand;

  template <class Rows>
  SIMDNORM_INLINE void store(const Rows& rows, At<simd::All> at, typename Rows::Vector values) const {
    simd::stream(rows.address(operand, at), values);
  }
  template <class Rows> SIMDNORM_INLINE const StreamedLines& begin(const Rows&) const { return *this; }
  template <class Rows> SIMDNORM_INLINE void end(const Rows&) const {}
};

/// Rows of which, with the last look at a place, what lies `bytes_ahead` on is fetched.
template <class U> struct FetchedRows : LoadedRows<U> {
  Index bytes_ahead;
  FetchedRows(const LoadedRows<U>& rows, Index rows_ahead)
      : LoadedRows<U>(rows), bytes_ahead(rows_ahead * rows.operand.outer * static_cast<Index>(sizeof(U))) {}

  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector last(const Block& block, At<Lanes> at) const {
    if (at.lane * static_cast<Index>(sizeof(U)) % simd::cache_line == 0)
      simd::fetch(block.address(this->operand, at), bytes_ahead);
    return this->load(block, at);
  }
};

/// Whole cache lines past the caches, `Rows` rows in turns, with the same lines of the rows fetched that lie `rows_ahead`
/// on; the rest of the columns through the caches.
template <int Rows> struct StreamingWriter {
  static constexpr int rows_at_once = Rows;
  Index rows_ahead;

  template <class Block, class U, class Map>
  SIMDNORM_INLINE void write(const Block& rows, Index hidden, const StoredRows<U>& sink,
                             const Map& map) const {
    if constexpr (Block::capacity < Rows) {  // one row is left
      DirectWriter{}.write(rows, hidden, sink, map);
    } else {
      write_lines(rows, hidden, sink, map);
    }
  }
  static void end() { simd::end_of_streaming(); }
  static DirectWriter rarely() { return {}; }

 private:
  template <class Block, class U, class Map>
  SIMDNORM_INLINE void write_lines(const Block& rows, Index hidden, const StoredRows<U>& sink,
                                   const Map& map) const {
    constexpr Index line = simd::cache_line / static_cast<Index>(sizeof(U));
    const auto plain = [](const auto& source) -> const auto& { return source; };
    const auto address =
        reinterpret_cast<std::uintptr_t>(rows.address(sink.operand, At<simd::All>{{}, 0, 0}));
    const Index begin = std::min(hidden, static_cast<Index>(0 - address / sizeof(U)) & (line - 1));
    const Index end = begin + (hidden - begin) / line * line;
    if (begin > 0) map(Columns{0, begin}, sink, plain);
    if (begin < end)
      map(Lines{begin, end}, StreamedLines<U>{sink.operand},
          [&](const auto& source) { return FetchedRows(source, rows_ahead); });
    if (end < hidden) map(Columns{end, hidden}, sink, plain);
  }
};

/// Calls run(writer) with the writer that suits contiguous rows, read at `read` and written at `written`, of which
/// `Rows` are written in turns if they go past the caches. That is for rows too many for these, which are long enough to
/// pay; not in place, where each line has been read; and for rows in turns only if they begin at one place of a line.
template <int Rows, class Blocks, class Y, class Run, class... X>
void with_writer(RowShape shape, const Strided<Y>& written, const Run& run, const X*... read) {
  const auto bytes = [](Index count, std::size_t size) { return count * static_cast<Index>(size); };
  const Index bytes_per_row = bytes(shape.hidden, sizeof(Y));
  const Index of_all_operands = bytes(shape.rows * shape.hidden, sizeof(Y) + (sizeof(X) + ...));
  const auto in_place = [&] { return ((static_cast<const void*>(read) == written.data) || ...); };
  // A line holds whole steps of a kernel's columns, which are a line of what it computes in.
  constexpr bool whole_steps =
      simd::cache_line % sizeof(Y) == 0 && (sizeof(Y) <= sizeof(float) || std::is_same_v<Y, double>);
  const auto aligned = [&] {
    return whole_steps && reinterpret_cast<std::uintptr_t>(written.data) % sizeof(Y) == 0 &&
           (Rows == 1 || bytes(written.outer, sizeof(Y)) % simd::cache_line == 0);
  };
  if (of_all_operands > streaming_threshold() && bytes_per_row >= 512 && !in_place() && aligned()) {
    run(StreamingWriter<Rows>{Blocks(shape).rows_per_block()});
  } else {
    run(DirectWriter{});
  }
}

}  // namespace simdnorm
