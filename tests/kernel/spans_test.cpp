// Spans of a long row: they cut its columns by its length alone, and what they add is the sum of their folds.
#include <simdnorm/kernel/spans.hpp>

#include <gtest/gtest.h>

#include <simdnorm/kernel/blocks.hpp>
#include <simdnorm/kernel/source.hpp>

#include <vector>

#include "support/executors.hpp"
#include "support/row_families.hpp"

namespace {

using namespace simdnorm;

TEST(Spans, AreOneUpToTheirShortestLength) {
  for (Index hidden : {Index(1), Index(768), shortest_span}) {
    const Spans<> spans(hidden);
    EXPECT_EQ(spans.count(), 1);
    EXPECT_FALSE(spans.are_several());
    EXPECT_EQ(spans[0].begin, 0);
    EXPECT_EQ(spans[0].end, hidden);
  }
}

TEST(Spans, CutAllColumnsAtWholeSteps) {
  const Index huge = Index(1) << 40;
  for (Index hidden :
       {shortest_span + 1, 2 * shortest_span, 2 * shortest_span + 1, span_limit * shortest_span,
        span_limit * shortest_span + 1, Index(1000003), huge, huge + 1, huge + 63}) {
    const Spans<> spans(hidden);
    EXPECT_GE(spans.count(), 2);
    EXPECT_TRUE(spans.are_several());
    EXPECT_LE(spans.count(), span_limit);
    Index next = 0;
    for (int i = 0; i < spans.count(); ++i) {
      EXPECT_EQ(spans[i].begin, next) << hidden;
      EXPECT_LT(next, spans[i].end) << hidden;
      EXPECT_EQ(spans[i].begin % fold_step, 0);
      if (i + 1 < spans.count()) {
        EXPECT_EQ(spans[i].end - next, spans.length());
      }
      next = spans[i].end;
    }
    EXPECT_EQ(next, hidden);
    EXPECT_GE(spans.length(), shortest_span);
  }
}

// Few tasks of long rows hand out their spans; many tasks, or short rows, hand out themselves.
TEST(Spans, AreSharedWhereTasksAreFew) {
  std::vector<std::int64_t> tasks, elements;
  const support::Recorder recorder{&tasks, &elements};
  const auto seen = [&](Index hidden, Index count) {
    tasks.clear();
    Index runs = 0;
    const TasksOrSpans threads(recorder, hidden, count);
    threads(count, 5, [&](Index) {
      ++runs;
      if (threads.spans.threads.run != nullptr) threads.spans.share(3, [](Index) {});
    });
    EXPECT_EQ(runs, count);
    return tasks;
  };
  using Seen = std::vector<std::int64_t>;
  const Index shared = shortest_shared_row;
  EXPECT_EQ(seen(shortest_span, 1), Seen{1});
  EXPECT_EQ(seen(shared - 1, 1), Seen{1});
  EXPECT_EQ(seen(shared, 1), Seen{span_limit});
  EXPECT_EQ(elements.back(), 3 * (shared / span_limit));
  EXPECT_EQ(seen(shared, few_tasks - 1), Seen(few_tasks - 1, span_limit));
  EXPECT_EQ(seen(shared, few_tasks), Seen{few_tasks});
}

template <class T> struct SpanSums : testing::Test {};
using Elements = testing::Types<float, double>;
TYPED_TEST_SUITE(SpanSums, Elements);

// The sums of a block's rows by the folds of three spans, taken in any order, and by these added one after the other.
template <class T, class Block>
void check_sums(const Block& block, Index hidden, const Strided<const T>& rows) {
  using Sums = SumsOf<Block, 1>;
  using V = typename Sums::Vector;
  const LoadedRows<T> source{rows};
  const auto fold_columns = [&](Columns columns, Sums& sums) {
    block.folded([&](const auto& folded, int first) {
      fold(folded, columns,
           each_column<1>([&](auto at, auto* sum) { sum[0].add(source.doubles(folded, at)); }), sums, first);
    });
  };
  const int count = block.count();
  std::vector<Extended<T, V>> expected;
  const Spans<> spans(hidden);
  ASSERT_EQ(spans.count(), 3);
  for (int r = 0; r < count; r += V::width) {
    Extended<T, V> total[1];
    for (int i = 0; i < 3; ++i) {
      Sums of_span;
      fold_columns(spans[i], of_span);
      Extended<T, V> sum[1];
      of_span.load(r, count, sum);
      total[0] = i == 0 ? sum[0] : total[0] + sum[0];
    }
    expected.push_back(total[0]);
  }
  const support::Backwards backwards;
  const auto check = [&](const auto& spans_of_threads) {
    Sums sums;
    fold_spans(spans_of_threads, count, fold_columns, sums);
    for (int r = 0; r < count; r += V::width) {
      Extended<T, V> sum[1];
      sums.load(r, count, sum);
      double got[2][16] = {}, wanted[2][16] = {};  // of float one word
      to_words(sum[0], got[0], got[1]);
      to_words(expected[static_cast<std::size_t>(r / V::width)], wanted[0], wanted[1]);
      for (int i = 0; i < std::min<int>(V::width, count - r); ++i) {
        EXPECT_EQ(got[0][i], wanted[0][i]) << r + i;
        EXPECT_EQ(got[1][i], wanted[1][i]) << r + i;
      }
    }
  };
  check(spans);
  check(Spans<AnyExecutor>(hidden, any_executor(backwards)));
}

TYPED_TEST(SpanSums, AreAddedInTheirOrder) {
  using T = TypeParam;
  using Arch = simd::DefaultArch;
  const Index hidden = 2 * shortest_span + 77;
  for (int count : {1, 3, 8}) {
    std::vector<T> numbers(static_cast<std::size_t>(count * hidden));
    support::Random random(static_cast<std::uint64_t>(count));
    for (T& number : numbers) number = static_cast<T>(random.normal());
    check_sums<T>(BlockAlong<T, Arch>{0, count}, hidden, {numbers.data(), hidden, 1});
    check_sums<T>(RowsAcross<T, Arch>{0, 0, 0, count}, hidden, {numbers.data(), count * hidden, count});
  }
}

}  // namespace
