// How the rows of a call are written: as they are computed, or, where they are too many for the caches, past these, or through
// them, one after the other or while the rows that come next are fetched.
//
// A writer says how many contiguous rows are best mapped at once, and whether threads may share the columns of a row; then
// share(rows, span, hidden, sink) is what one thread writes of them, no vector of which reaches into what another does. Its
// write(rows, columns, sink, map) calls map(columns, part, read) for parts of them: `part` is the sink for these, and
// read(source) the source. What is folded before that is folded_by(writer, source).
// pairs_blocks: whether two blocks of short rows are measured as one (rows_measured). end() comes after the last row that a thread
// writes. rarely() is the writer for rows that need care, one by one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <tuple>

#include "../cache.hpp"
#include "blocks.hpp"
#include "sink.hpp"
#include "source.hpp"
#include "spans.hpp"

namespace simdnorm {

/// How far on is fetched as rows are folded that follow one another without gaps, in bytes of all that is read together. Of others
/// it is the same place of the row that comes `after_gaps` on.
inline constexpr Index fetched_as_folded = 8192;

/// All columns at once.
struct DirectWriter {
  static constexpr int rows_at_once = 2;
  static constexpr bool shares_rows = true;
  bool pairs_blocks = false;

  template <class Rows, class Sink, class Map>
  SIMDNORM_INLINE void write(const Rows& /*rows*/, Columns columns, const Sink& sink, const Map& map) const {
    map(
        columns, sink, [](const auto& source) -> const auto& { return source; });
  }
  template <class Rows, class Sink>
  static Columns share(const Rows& /*rows*/, Columns span, Index /*hidden*/, const Sink& /*sink*/) {
    return span;
  }
  static void end() {}
  const DirectWriter& rarely() const { return *this; }
};

/// The same of one row after the other: memory that is written in its order is brought to the caches ahead of that.
struct RowByRowWriter : DirectWriter {
  static constexpr int rows_at_once = 1;
};

/// Whole cache lines past the caches, `Rows` rows in turns, with the same lines of the rows fetched that lie `rows_ahead`
/// on; the rest of the columns through the caches, to which the last line of those rows is brought before: other rows may begin
/// in it, and a store that waits for it holds up all that come after. As rows are folded, what lies `folded_ahead` on is fetched too.
template <int Rows> struct StreamingWriter {
  static constexpr int rows_at_once = Rows;
  static constexpr bool shares_rows = true, pairs_blocks = false;
  Index rows_ahead;
  FetchAhead<1> folded_ahead;

  template <class Block, class Sink, class Map>
  SIMDNORM_INLINE void write(const Block& rows, Columns columns, const Sink& sink, const Map& map) const {
    if constexpr (Block::capacity < Rows) {  // one row is left
      DirectWriter{}.write(rows, columns, sink, map);
    } else {
      write_lines(rows, columns, sink, map);
    }
  }
  /// From line to line: what sums columns (parameter_gradient.hpp) takes a whole vector where a few of its columns are meant.
  template <class Block, class Sink>
  static SIMDNORM_INLINE Columns share(const Block& rows, Columns span, Index hidden, const Sink& sink) {
    if constexpr (Block::capacity < Rows) {  // one row is left
      return DirectWriter::share(rows, span, hidden, sink);
    } else {
      const auto line_at = [&](Index border) SIMDNORM_INLINE_LAMBDA {
        return border == 0 ? 0 : std::min(hidden, border + columns_before_line(rows, border, sink));
      };
      return {line_at(span.begin), line_at(span.end)};
    }
  }
  static void end() { simd::end_of_streaming(); }
  static DirectWriter rarely() { return {}; }

 private:
  template <class Sink>
  static constexpr Index line_of = simd::cache_line / static_cast<Index>(sizeof(*Sink::operand.data));
  /// From this column to where a line of what is written begins.
  template <class Block, class Sink>
  static SIMDNORM_INLINE Index columns_before_line(const Block& rows, Index column, const Sink& sink) {
    const auto address =
        reinterpret_cast<std::uintptr_t>(rows.address(sink.operand, At<simd::All>{{}, column, 0}));
    return static_cast<Index>(0 - address / sizeof(*sink.operand.data)) & (line_of<Sink> - 1);
  }
  template <class Block, class Sink, class Map>
  SIMDNORM_INLINE void write_lines(const Block& rows, Columns columns, const Sink& sink,
                                   const Map& map) const {
    constexpr Index line = line_of<Sink>;
    const auto plain = [](const auto& source) -> const auto& { return source; };
    const Index before = columns_before_line(rows, columns.begin, sink);
    const Index begin = std::min(columns.end, columns.begin + before);
    const Index end = begin + (columns.end - begin) / line * line;
    if (end < columns.end) {
      simd::unroll<Rows>([&](auto r) SIMDNORM_INLINE_LAMBDA {
        simd::fetch<1>(rows.address(sink.operand, At<simd::All>{{}, columns.end - 1, r}),
                       FetchAhead<1>{rows_ahead, 0}.in(sink.operand));
      });
    }
    if (columns.begin < begin) map(Columns{columns.begin, begin}, sink, plain);
    if (begin < end)
      map(Lines{begin, end}, sink.written(PastCaches<typename Block::Vector>{rows_ahead}),
          [&](const auto& source) {
            return FetchedRows<std::decay_t<decltype(source)>>{source, rows_ahead};
          });
    if (end < columns.end) map(Columns{end, columns.end}, sink, plain);
  }
};

/// The source to fold of rows that such a writer writes afterwards.
template <class Writer, class Source>
SIMDNORM_INLINE const Source& folded_by(const Writer& /*writer*/, const Source& source) {
  return source;
}
template <int Rows, class Source, class = std::enable_if_t<is_fetched_first<Source>>>
SIMDNORM_INLINE FetchedFirst<Source> folded_by(const StreamingWriter<Rows>& writer, const Source& source) {
  return {source, writer.folded_ahead};
}

/// All columns at once through the caches, with those of the rows fetched that lie `rows_ahead` on.
struct FetchingWriter {
  static constexpr int rows_at_once = 2;
  static constexpr bool shares_rows = true, pairs_blocks = false;
  Index rows_ahead;

  template <class Rows, class Sink, class Map>
  SIMDNORM_INLINE void write(const Rows& /*rows*/, Columns columns, const Sink& sink, const Map& map) const {
    map(columns, sink.written(ThroughCaches{rows_ahead}), [&](const auto& source) {
      return FetchedRows<std::decay_t<decltype(source)>>{source, rows_ahead};
    });
  }
  template <class Rows, class Sink>
  static Columns share(const Rows& rows, Columns span, Index hidden, const Sink& sink) {
    return DirectWriter::share(rows, span, hidden, sink);
  }
  static void end() {}
  static DirectWriter rarely() { return {}; }
};

/// Bytes that are read again of the rows that are measured as one before such a writer writes them: with what is fetched meanwhile three
/// quarters of a first-level cache of 32 KiB.
template <class Writer> inline constexpr Index kept_from_measuring = 24576;
template <int Rows>
inline constexpr Index kept_from_measuring<StreamingWriter<Rows>> = 24576 - fetched_as_folded;

/// How many rows these are.
template <class Writer, class Blocks> Index rows_measured(const Blocks& blocks, bool in_pairs = false) {
  return blocks.rows_measured(Writer::rows_at_once, kept_from_measuring<Writer>, in_pairs);
}

/// Writes all columns of some rows, by one thread or by all.
template <class Writer, class Rows, class Sink, class Map, class Threads>
SIMDNORM_INLINE void write_spans(const Spans<Threads>& spans, const Writer& writer, const Rows& rows,
                                 const Sink& sink, const Map& map) {
  const Columns all{0, spans.hidden};
  if constexpr (!Writer::shares_rows || std::is_same_v<Threads, Serial>) {
    writer.write(rows, all, sink, map);
  } else {
    const auto write = [&](Columns columns) { writer.write(rows, columns, sink, map); };
    if (SIMDNORM_UNLIKELY(spans.threads.run != nullptr)) {
      spans.share(rows.count(), [&](Index i) {
        write(Writer::share(rows, spans[i], spans.hidden, sink));
        writer.end();
      });
    } else {
      write(all);
    }
  }
}

/// Whether the rows of all operands together are too many for the caches.
template <class... X> bool are_beyond_caches(RowShape shape, const std::tuple<Strided<X>...>& /*operands*/) {
  return shape.rows * shape.hidden * static_cast<Index>((sizeof(X) + ...)) > streaming_threshold();
}
template <class... X>
FetchAhead<1> folded_ahead(Index hidden, Index after_gaps, const std::tuple<Strided<X>...>& read) {
  const bool no_gaps = std::apply([&](const auto&... rows) { return ((rows.outer == hidden) && ...); }, read);
  if (!no_gaps) return {after_gaps, 0};
  return {0, fetched_as_folded / static_cast<Index>(sizeof...(X))};
}

/// How many of the operands lie at a place.
template <class... X> int operands_at(const void* place, const std::tuple<Strided<X>...>& operands) {
  return std::apply([&](const auto&... rows) { return ((rows.data == place) + ...); }, operands);
}

/// Bytes of a row from which on rows beyond the caches are written past them.
inline constexpr Index shortest_past_caches = 512;
/// The same for one after the other through the caches. (Of shorter ones two in turns are written sooner.)
template <class Vector>
inline constexpr Index shortest_row_by_row =
    Index{sizeof(typename Vector::Scalar)} * Vector::width == simd::cache_line ? 320 : 448;

/// Calls run(writer) with the writer that suits contiguous rows, read from all of `read` and written to `written`, of which
/// `Rows` are written in turns if they go past the caches. That is for rows too many for these, which are long enough to
/// pay; not in place, where each line has been read; and for rows in turns only if they begin at one place of a line. Single rows
/// from memory that do not go past the caches are written one after the other, if they are not too short for that either.
template <int Rows, class Blocks, class Y, class... X, class Run>
SIMDNORM_INLINE void with_writer(RowShape shape, const std::tuple<Strided<X>...>& read,
                                 const Strided<Y>& written, const Run& run) {
  const auto bytes = [](Index count, std::size_t size) { return count * static_cast<Index>(size); };
  const Index bytes_per_row = bytes(shape.hidden, sizeof(Y));
  // A line holds whole steps of a kernel's columns, which are a line of what it computes in.
  constexpr bool whole_steps =
      simd::cache_line % sizeof(Y) == 0 && (sizeof(Y) <= sizeof(float) || std::is_same_v<Y, double>);
  const auto aligned = [&] {
    return whole_steps && reinterpret_cast<std::uintptr_t>(written.data) % sizeof(Y) == 0 &&
           (Rows == 1 || bytes(written.outer, sizeof(Y)) % simd::cache_line == 0);
  };
  const bool beyond_caches = are_beyond_caches(shape, std::tuple_cat(read, std::tuple(written)));
  const bool from_memory = beyond_caches && operands_at(written.data, read) == 0;
  if (from_memory && bytes_per_row >= shortest_past_caches && aligned()) {
    const Index rows_ahead = rows_measured<StreamingWriter<Rows>>(Blocks(shape));
    const Index after_gaps =
        Rows == 1 ? rows_ahead : 0;  // a backward, which writes rows in turns, gains nothing
    run(StreamingWriter<Rows>{rows_ahead, folded_ahead(shape.hidden, after_gaps, read)});
    return;
  }
  if constexpr (Rows == 1) {
    using Vector = simd::Vector<typename Blocks::Scalar, typename Blocks::Architecture>;
    if (from_memory && bytes_per_row >= shortest_row_by_row<Vector>) {
      run(RowByRowWriter{});
      return;
    }
  }
  run(DirectWriter{!beyond_caches});
}

/// run(a sink like `sink`, writer) with what suits it where it writes `y`, and `read` is all that is read.
template <int Rows, class Blocks, class Read, class Sink, class Y, class Run>
SIMDNORM_INLINE void with_lines(RowShape shape, const Read& read, const Sink& sink, const Strided<Y>& y,
                                const Run& run) {
  if constexpr (Blocks::across) {
    run(sink, DirectWriter{});
  } else {
    const LinesOf<Sink, Y> lines{sink, y};
    with_writer<Rows, Blocks>(shape, read, y,
                              [&](const auto& writer) SIMDNORM_INLINE_LAMBDA { run(lines, writer); });
  }
}

/// The same where it writes `y`, and of `others` those that are not const. Past the caches only where the lines of all that is written
/// begin at the same columns, and one or two vectors are one (StreamedLines).
template <int Rows, class Blocks, class Read, class Sink, class Y, class... X, class Run>
void with_lines_of_all(RowShape shape, const Read& read, const Sink& sink, const Strided<Y>& y,
                       const std::tuple<Strided<X>...>& others, const Run& run) {
  using Vector = simd::Vector<typename Blocks::Scalar, typename Blocks::Architecture>;
  const auto all_read = std::tuple_cat(read, others);
  if constexpr (Blocks::across) {
    run(sink, DirectWriter{});
  } else if constexpr (2 * Vector::width * static_cast<Index>(sizeof(Y)) >= simd::cache_line &&
                       sizeof(Y) == sizeof(typename Blocks::Scalar) &&
                       ((std::is_const_v<X> || sizeof(X) == sizeof(Y)) && ...)) {
    const auto lines = [](const auto& rows) {
      return std::pair{reinterpret_cast<std::uintptr_t>(rows.data) % simd::cache_line,
                       rows.outer * static_cast<Index>(sizeof(Y)) % simd::cache_line};
    };
    const bool alike = std::apply(
        [&](const auto&... rows) {
          return (
              (std::is_const_v<X> || (lines(rows) == lines(y) && operands_at(rows.data, all_read) == 1)) &&
              ...);
        },
        others);
    if (alike) {
      with_lines<Rows, Blocks>(shape, all_read, sink, y, run);
    } else {
      run(LinesOf<Sink, Y>{sink, y}, DirectWriter{});
    }
  } else if (are_beyond_caches(shape, std::tuple_cat(all_read, std::tuple(y)))) {
    run(sink, FetchingWriter{rows_measured<FetchingWriter>(Blocks(shape))});
  } else {
    run(sink, DirectWriter{true});
  }
}

/// with_lines of an output. (Outputs other than rows as they are: quantize.hpp, residual_add.hpp.)
template <int Rows, class Blocks, class Read, class Y, class Run>
SIMDNORM_INLINE void with_sink(RowShape shape, const Read& read, const Strided<Y>& y, const Run& run) {
  with_lines<Rows, Blocks>(shape, read, StoredRows<Y>{y}, y, run);
}

}  // namespace simdnorm
