// How rows are written: which calls go past the caches, and that the parts of a row are its columns, whole lines at the
// places of lines.
#include <simdnorm/cache.hpp>
#include <simdnorm/kernel/blocks.hpp>
#include <simdnorm/kernel/residual_sum.hpp>
#include <simdnorm/kernel/rotated.hpp>
#include <simdnorm/kernel/writer.hpp>

#include <gtest/gtest.h>

#include <array>
#include <utility>
#include <vector>

namespace {

using namespace simdnorm;

template <class K> struct Writers : testing::Test {
  ~Writers() override { set_streaming_threshold(last_cache_bytes() / 8 * 3); }
};
using Elements = testing::Types<float, double>;
TYPED_TEST_SUITE(Writers, Elements);

// The rows ahead that are fetched where a call goes past the caches, 0 where it does not, and `row_by_row` where one row is
// written after the other.
constexpr Index row_by_row = -2;
template <int Rows, class T, class Y, class... X>
Index streams(RowShape shape, const Strided<Y>& written, const X*... read) {
  Index ahead = -1;
  const std::tuple all_read{packed(shape, read)...};
  with_writer<Rows, BlocksAlong<T>>(shape, all_read, written, [&](const auto& writer) {
    using Writer = std::decay_t<decltype(writer)>;
    if constexpr (std::is_same_v<Writer, DirectWriter>) {
      ahead = 0;
    } else if constexpr (std::is_same_v<Writer, RowByRowWriter>) {
      EXPECT_EQ(Writer::rows_at_once, 1);
      ahead = row_by_row;
    } else {
      EXPECT_EQ(Writer::rows_at_once, Rows);
      ahead = writer.rows_ahead;
    }
  });
  return ahead;
}

TYPED_TEST(Writers, StreamWhatIsLargerThanTheThreshold) {
  using T = TypeParam;
  alignas(64) std::array<T, 64> x{}, dy{}, y{};
  const Index hidden = 4096 / static_cast<Index>(sizeof(T));
  const RowShape shape{100, hidden};  // 400 KiB an operand
  const auto rows = packed(shape, y.data());
  const Index ahead = 4;
  const Index two = 2 * 100 * 4096, three = 3 * 100 * 4096;
  for (const Index more : {0, 1}) {
    set_streaming_threshold(two - more);
    EXPECT_EQ((streams<1, T>(shape, rows, x.data())), more * ahead);
    set_streaming_threshold(three - more);
    EXPECT_EQ((streams<2, T>(shape, rows, dy.data(), x.data())), more * ahead);
  }
}

// How many rows are measured as one depends on what is read of them, on how many are written in turns, and on what is fetched.
TEST(WritersOfRows, LeaveRoomForWhatIsFetched) {
  using Arch = simd::DefaultArch;
  const BlocksAlong<float, Arch, 4> x({100, 768}), long_x({100, 3072});
  EXPECT_EQ(rows_measured<DirectWriter>(x), 8);
  EXPECT_EQ(rows_measured<StreamingWriter<1>>(x), 4);
  EXPECT_EQ(rows_measured<DirectWriter>(long_x), 2);
  EXPECT_EQ(rows_measured<StreamingWriter<1>>(long_x), 1);
  const BlocksAlong<float, Arch, 8> dy_and_x({100, 768});
  EXPECT_EQ(rows_measured<DirectWriter>(dy_and_x), 4);
  EXPECT_EQ(rows_measured<FetchingWriter>(dy_and_x), 4);
  EXPECT_EQ(rows_measured<StreamingWriter<2>>(dy_and_x), 2);
  const BlocksAlong<float, Arch, 4> short_x({100, 128});
  EXPECT_EQ(rows_measured<DirectWriter>(short_x), 8);
  EXPECT_EQ(rows_measured<DirectWriter>(short_x, true), 16);
}

// Only of rows in the caches, however they are written beyond these, in place or not.
TYPED_TEST(Writers, PairBlocksOfRowsInTheCaches) {
  using T = TypeParam;
  alignas(64) std::array<T, 64> x{}, y{};
  for (const Index bytes_per_row : {64, 448, 512}) {
    const RowShape shape{100, bytes_per_row / static_cast<Index>(sizeof(T))};
    const std::tuple read(packed<const T>(shape, x.data()));
    const auto pairs_blocks = [&](T* written) {
      bool pairs = false;
      with_writer<1, BlocksAlong<T>>(shape, read, packed(shape, written),
                                     [&](const auto& writer) { pairs = writer.pairs_blocks; });
      return pairs;
    };
    const auto pairs_rotated_blocks = [&](T* written) {
      bool pairs = false;
      with_sink<1, BlocksAlong<T>>(shape, read,
                                   rotated(packed(shape, written), Rotary<RotaryPairs::halves>{}),
                                   [&](const auto&, const auto& writer) { pairs = writer.pairs_blocks; });
      return pairs;
    };
    for (T* written : {x.data(), y.data()}) {
      set_streaming_threshold(2 * 100 * bytes_per_row);
      EXPECT_TRUE(pairs_blocks(written));
      EXPECT_TRUE(pairs_rotated_blocks(written));
      set_streaming_threshold(2 * 100 * bytes_per_row - 1);
      EXPECT_FALSE(pairs_blocks(written));
      EXPECT_FALSE(pairs_rotated_blocks(written));
    }
  }
}

// What comes next in memory is fetched as rows are folded: of all that is read together as many bytes; of rows that come after
// gaps, those of a forward's next block.
TYPED_TEST(Writers, FetchWhatComesNextAsRowsAreFolded) {
  using T = TypeParam;
  alignas(64) std::array<T, 64> x{}, dy{}, y{};
  set_streaming_threshold(0);
  const RowShape shape{100, 1024};
  const auto rows = [&](const auto& array, Index gap) {
    return Strided<const T>{array.data(), shape.hidden + gap, 1};
  };
  const auto ahead = [&](const auto&... read) {
    std::pair<Index, Index> rows_and_bytes{-1, -1};
    with_writer<sizeof...(read), BlocksAlong<T>>(
        shape, std::tuple{read...}, packed(shape, y.data()), [&](const auto& writer) {
          if constexpr (!std::is_base_of_v<DirectWriter, std::decay_t<decltype(writer)>>)
            rows_and_bytes = {writer.folded_ahead.rows, writer.folded_ahead.bytes};
        });
    return rows_and_bytes;
  };
  const Index of_block = sizeof(T) == sizeof(float) ? 4 : 2;
  EXPECT_EQ(ahead(rows(x, 0)), std::pair(Index(0), fetched_as_folded));
  EXPECT_EQ(ahead(rows(x, 0), rows(dy, 0)), std::pair(Index(0), fetched_as_folded / 2));
  EXPECT_EQ(ahead(rows(x, 16)), std::pair(of_block, Index(0)));
  EXPECT_EQ(ahead(rows(x, 0), rows(dy, 16)), std::pair(Index(0), Index(0)));
  const auto with_gaps = rows(x, 16);
  EXPECT_EQ((FetchAhead<1>{2, 5}.in(with_gaps)), 2 * (1024 + 16) * static_cast<Index>(sizeof(T)) + 5);
}

// Of plain rows, and of sums, by writers that go past the caches.
TYPED_TEST(Writers, FoldWhatTheyReadOrTheSameFetched) {
  using T = TypeParam;
  struct Others : LoadedRows<T> {};
  std::vector<T> memory(64);
  const LoadedRows<T> x{{memory.data(), 16, 1}};
  const StreamingWriter<1> streaming{4, {0, 128}};
  const FetchedFirst<LoadedRows<T>> plain = folded_by(streaming, x);
  EXPECT_EQ(plain.first().ahead.bytes, 128);
  EXPECT_EQ(plain.first().source.operand.data, memory.data());
  const MadeRows<Plus<LoadedRows<T>, LoadedRows<T>>> sum{{x, x}};
  const FetchedFirst<std::decay_t<decltype(sum)>> of_sum = folded_by(streaming, sum);
  EXPECT_EQ(of_sum.first().ahead.bytes, 128);
  const KeptRows<Plus<LoadedRows<T>, LoadedRows<T>>, T> kept({x, x}, {memory.data() + 32, 16, 1});
  const FetchedFirst<std::decay_t<decltype(kept)>> of_kept = folded_by(StreamingWriter<2>{4, {4, 0}}, kept);
  EXPECT_EQ(of_kept.first().ahead.rows, 4);
  EXPECT_EQ(of_kept.first().source.kept.operand.data, memory.data() + 32);
  EXPECT_EQ(&read_again(of_kept), static_cast<const decltype(kept)*>(&of_kept));
  const Others others{x};
  EXPECT_EQ(&folded_by(streaming, others), &others);
  EXPECT_EQ(&folded_by(DirectWriter{}, x), &x);
  EXPECT_EQ(&folded_by(RowByRowWriter{}, x), &x);
}

TYPED_TEST(Writers, StreamNothingInPlaceNorShortRowsNorRowsInTurnsThatBeginAnywhere) {
  using T = TypeParam;
  alignas(64) std::array<T, 64> x{}, dy{}, y{};
  set_streaming_threshold(0);
  const Index line = 64 / static_cast<Index>(sizeof(T)), shortest = 8 * line;
  const RowShape shape{3, shortest};
  const auto to = [&](T* first, Index gap) { return Strided<T>{first, shortest + gap, 1}; };
  EXPECT_GT((streams<2, T>(shape, to(y.data(), 0), dy.data(), x.data())), 0);
  EXPECT_EQ((streams<2, T>({3, shortest - 1}, to(y.data(), 0), dy.data(), x.data())), 0);
  EXPECT_EQ((streams<2, T>(shape, to(y.data(), 0), x.data(), y.data())), 0);
  EXPECT_EQ((streams<2, T>(shape, to(y.data(), 0), y.data(), x.data())), 0);
  for (Index gap : {Index(1), line - 1})
    EXPECT_EQ((streams<2, T>(shape, to(y.data() + 1, gap), dy.data(), x.data())), 0);
  for (Index gap : {Index(0), line, 3 * line})
    EXPECT_GT((streams<2, T>(shape, to(y.data() + 1, gap), dy.data(), x.data())), 0);
}

// Single rows go past the caches from eight lines on, wherever they begin; shorter ones from five or seven lines on go through them
// one after the other.
TYPED_TEST(Writers, StreamSingleRowsOrWriteThemInOrder) {
  using T = TypeParam;
  alignas(64) std::array<T, 64> x{}, y{};
  set_streaming_threshold(0);
  const Index line = 64 / static_cast<Index>(sizeof(T));
  const Index shortest = (simd::Vector<T>::width == line ? 5 : 7) * line, streamed = 8 * line;
  for (Index gap : {Index(0), Index(1), line - 1, line}) {
    const auto how = [&](Index hidden, T* first, const T* read) {
      return streams<1, T>({3, hidden}, Strided<T>{first, hidden + gap, 1}, read);
    };
    for (T* const first : {y.data(), y.data() + 1}) {
      EXPECT_EQ(how(shortest - 1, first, x.data()), 0);
      EXPECT_EQ(how(shortest, first, x.data()), row_by_row);
      EXPECT_EQ(how(streamed - 1, first, x.data()), row_by_row);
      EXPECT_GT(how(streamed, first, x.data()), 0);
      EXPECT_EQ(how(streamed, first, first), 0);
      EXPECT_EQ(how(shortest, first, first), 0);
    }
    // An address that no T lies at; it is not read.
    T* const between = reinterpret_cast<T*>(reinterpret_cast<std::uintptr_t>(y.data()) + 2);
    EXPECT_EQ(how(streamed, between, x.data()), row_by_row);
  }
  const RowShape seven{3, 7 * line};
  set_streaming_threshold(3 * 2 * 7 * 64);
  EXPECT_EQ((streams<1, T>(seven, packed(seven, y.data()), x.data())), 0);
  set_streaming_threshold(3 * 2 * 7 * 64 - 1);
  EXPECT_EQ((streams<1, T>(seven, packed(seven, y.data()), x.data())), row_by_row);
}

// Of all columns, or of those from one on.
TYPED_TEST(Writers, PartsAreTheColumnsOnce) {
  using T = TypeParam;
  using Arch = simd::DefaultArch;
  const Index line = 64 / static_cast<Index>(sizeof(T));
  std::vector<T> memory(static_cast<std::size_t>(4 * 80 + 32));
  const StreamingWriter<1> one{2, {0, 0}};
  const StreamingWriter<2> two{4, {0, 0}};
  const auto check_from = [&](Index first, const auto& rows, Index hidden, const StoredRows<T>& sink,
                              Index ahead, bool may_stream, const auto& writer) {
    Index next = first;
    bool streamed = false;
    const LoadedRows<T> x{{memory.data(), 80, 1}};
    writer.write(rows, Columns{first, hidden}, sink, [&](auto columns, const auto& part, const auto& read) {
      EXPECT_EQ(columns.begin, next);
      EXPECT_LT(columns.begin, columns.end);
      next = columns.end;
      using Part = std::decay_t<decltype(part)>;
      if constexpr (std::is_same_v<Part, StreamedLines<T, simd::Vector<T>>>) {
        const FetchedRows<LoadedRows<T>> source = read(x);
        EXPECT_EQ(source.rows_ahead, ahead);
        const T* begin = part.operand.data + rows.first_row * part.operand.outer + columns.begin;
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(begin) % 64, 0u);
        EXPECT_EQ((columns.end - columns.begin) % line, 0);
        streamed = true;
      } else {
        const LoadedRows<T> source = read(x);
        EXPECT_EQ(source.operand.data, x.operand.data);
        const Index longest = may_stream && hidden - first >= 2 * line ? line - 1 : hidden;
        EXPECT_LE(columns.end - columns.begin, longest);
      }
    });
    EXPECT_EQ(next, hidden);
    EXPECT_EQ(streamed, may_stream && hidden - first >= 2 * line) << hidden;
  };
  const auto check = [&](const auto& rows, Index hidden, const StoredRows<T>& sink, Index ahead,
                         bool may_stream, const auto& writer) {
    check_from(0, rows, hidden, sink, ahead, may_stream, writer);
    if (hidden > 2 * line) check_from(hidden - 2 * line, rows, hidden, sink, ahead, may_stream, writer);
  };
  for (Index hidden : {Index(1), line - 1, 2 * line, 2 * line + 1, 70 / 16 * line + 3}) {
    for (Index offset = 0; offset < 16; ++offset) {
      const StoredRows<T> sink{{memory.data() + offset, 80, 1}};
      check(RowsAlong<T, Arch, 1>{1}, hidden, sink, 2, true, one);
      check(RowsAlong<T, Arch, 2>{1}, hidden, sink, 4, true, two);
      check(RowsAlong<T, Arch, 1>{1}, hidden, sink, 4, false, two);
      check(RowsAlong<T, Arch, 2>{1}, hidden, sink, 0, false, DirectWriter{});
      check(RowsAlong<T, Arch, 1>{1}, hidden, sink, 0, false, RowByRowWriter{});
    }
  }
}

TYPED_TEST(Writers, ThroughTheCachesRowsAreFetched) {
  using T = TypeParam;
  std::vector<T> memory(128);
  const LoadedRows<T> x{{memory.data(), 16, 1}};
  const StoredRows<T> sink{{memory.data() + 64, 16, 1}};
  int parts = 0;
  FetchingWriter{3}.write(RowsAlong<T, simd::DefaultArch, 2>{1}, Columns{2, 13}, sink,
                          [&](Columns columns, const StoredRows<T>& part, const auto& read) {
                            ++parts;
                            EXPECT_EQ(columns.begin, 2);
                            EXPECT_EQ(columns.end, 13);
                            EXPECT_EQ(part.operand.data, sink.operand.data);
                            const FetchedRows<LoadedRows<T>> source = read(x);
                            EXPECT_EQ(source.rows_ahead, 3);
                          });
  EXPECT_EQ(parts, 1);
}

// What several outputs are written by: past the caches only where one or two vectors are a line, the lines of all begin together, and
// none is what is read.
TYPED_TEST(Writers, SeveralOutputsShareTheirLines) {
  using T = TypeParam;
  using V = simd::Vector<T>;
  constexpr Index line = 64 / static_cast<Index>(sizeof(T));
  constexpr bool whole_lines = 2 * V::width >= line;
  alignas(64) std::array<T, 64> x{}, y{}, y_2{};
  const RowShape shape{3, 8 * line};
  enum class How { directly, past_caches, through_caches };
  const auto how = [&](T* first, T* second, Index gap, const T* read) {
    const Strided<T> rows{first, shape.hidden, 1}, rows_2{second, shape.hidden + gap, 1};
    How found = How::directly;
    with_lines_of_all<2, BlocksAlong<T>>(shape, std::tuple{packed(shape, read)}, StoredRows<T>{rows}, rows,
                                         std::tuple{rows_2}, [&](const auto&, const auto& writer) {
                                           using Writer = std::decay_t<decltype(writer)>;
                                           if (std::is_same_v<Writer, StreamingWriter<2>>)
                                             found = How::past_caches;
                                           if (std::is_same_v<Writer, FetchingWriter>)
                                             found = How::through_caches;
                                         });
    return found;
  };
  const How alike = whole_lines ? How::past_caches : How::through_caches;
  const How unlike = whole_lines ? How::directly : How::through_caches;
  set_streaming_threshold(0);
  EXPECT_EQ(how(y.data(), y_2.data(), 0, x.data()), alike);
  EXPECT_EQ(how(y.data() + 3, y_2.data() + 3 + line, 2 * line, x.data()), alike);
  EXPECT_EQ(how(y.data(), y_2.data() + 1, 0, x.data()), unlike);
  EXPECT_EQ(how(y.data(), y_2.data(), 1, x.data()), unlike);
  EXPECT_EQ(how(y.data(), y_2.data(), 0, y.data()), unlike);
  EXPECT_EQ(how(y.data(), y_2.data(), 0, y_2.data()), unlike);
  set_streaming_threshold(3 * 3 * 8 * 64);
  EXPECT_EQ(how(y.data(), y_2.data(), 0, x.data()), How::directly);
}

// What threads write of rows that they share is all of it once, and no vector of one, also where it begins with columns that are
// fewer than a vector, reaches into what another writes.
TYPED_TEST(Writers, SharesDoNotTouch) {
  using T = TypeParam;
  using Arch = simd::DefaultArch;
  constexpr Index width = simd::Vector<T, Arch>::width, span = 128;
  std::vector<T> memory(static_cast<std::size_t>(3 * 1024 + 32));
  const auto check = [&](const auto& rows, Index hidden, const StoredRows<T>& sink, const auto& writer) {
    Index next = 0, reached = 0;
    for (Index begin = 0; begin < hidden; begin += span) {
      const Columns columns =
          writer.share(rows, Columns{begin, std::min(hidden, begin + span)}, hidden, sink);
      EXPECT_EQ(columns.begin, next);
      next = columns.end;
      if (columns.begin == columns.end) continue;
      EXPECT_LE(reached, columns.begin);
      writer.write(rows, columns, sink, [&](auto part, const auto&, const auto&) {
        reached = part.begin + (part.end - part.begin + width - 1) / width * width;
      });
    }
    EXPECT_EQ(next, hidden);
  };
  for (Index hidden : {Index(1), span + 1, 2 * span, 3 * span + 5, 3 * span + 77}) {
    for (Index offset = 0; offset < 16; ++offset) {
      const StoredRows<T> sink{{memory.data() + offset, 1024, 1}};
      check(RowsAlong<T, Arch, 1>{1}, hidden, sink, StreamingWriter<1>{2, {0, 0}});
      check(RowsAlong<T, Arch, 2>{1}, hidden, sink, StreamingWriter<2>{4, {0, 0}});
      check(RowsAlong<T, Arch, 1>{1}, hidden, sink, StreamingWriter<2>{4, {0, 0}});
      check(RowsAlong<T, Arch, 2>{1}, hidden, sink, DirectWriter{});
    }
  }
}

TYPED_TEST(Writers, FetchedRowsAreThoseThatAreLoaded) {
  using T = TypeParam;
  using Arch = simd::DefaultArch;
  using V = simd::Vector<T, Arch>;
  std::vector<T> memory(64);
  for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<T>(i);
  const LoadedRows<T> rows{{memory.data(), 16, 1}};
  const FetchedRows<LoadedRows<T>> source{rows, 2};
  const FetchedAsRead<LoadedRows<T>> as_read{rows, {0, 64}};
  for (int lane : {0, 1}) {
    const RowsAlong<T, Arch, 2> two{1};
    const At<simd::All> at{{}, 3, 1, lane};
    for (const V loaded : {source.last(two, at), as_read.load(two, at)}) {
      T values[16];
      simd::store(simd::All{}, values, loaded);
      for (int i = 0; i < V::width; ++i) EXPECT_EQ(values[i], static_cast<T>(2 * 16 + 3 + i));
    }
  }
}

}  // namespace
