// The drivers of forward and backward: what they ask of an executor, and that each task ends its writer when its last row
// is written.
#include <simdnorm/kernel/backward.hpp>
#include <simdnorm/kernel/forward.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "support/executors.hpp"

namespace {

using namespace simdnorm;
using support::Recorder;

using Statistic = MeanSquare<float>;
using Along = BlocksAlong<float>;
using Across = BlocksAcross<float>;

struct Rows {
  RowShape shape;
  std::vector<float> x, y = x, dgamma = std::vector<float>(static_cast<std::size_t>(shape.hidden));
  std::vector<RowMoments<float>> moments =
      std::vector<RowMoments<float>>(static_cast<std::size_t>(shape.rows), {0, 0, 1, 1});

  // With `gap` numbers between two columns.
  explicit Rows(RowShape of, Index gap = 0)
      : shape(of),
        x(static_cast<std::size_t>(of.rows * of.hidden * (1 + gap)), 1.f),
        column_(of.after + gap) {}
  Strided<const float> read() const { return {x.data(), shape.hidden * column_, column_}; }
  Strided<float> written() { return {y.data(), shape.hidden * column_, column_}; }

 private:
  Index column_;
};

struct Asked {
  std::vector<std::int64_t> tasks, elements;
  Recorder recorder() { return {&tasks, &elements}; }
};
// Whole blocks, `each` in a task, as many tasks as that takes.
template <class Blocks> void expect_tasks(const Asked& asked, const Blocks& blocks, Index each) {
  ASSERT_EQ(asked.tasks.size(), 1u);
  EXPECT_EQ(asked.tasks[0], (blocks.count() + each - 1) / each);
  EXPECT_EQ(asked.elements[0], each * blocks.elements());
}

template <class Blocks> void check_tasks(Rows rows) {
  const Blocks blocks(rows.shape);
  Asked forward, backward, with_parameters;
  const float* const absent = nullptr;
  forward_rows<Statistic, RoundOnce>(rows.shape, rows.read(), absent, absent, 0.f, rows.written(),
                                     static_cast<RowMoments<float>*>(nullptr), forward.recorder());
  expect_tasks(forward, blocks, blocks.per_task());
  const auto run = [&](float* dgamma, Asked& asked) {
    backward_rows<Statistic, RoundOnce>(
        rows.shape, rows.read(), rows.read(), static_cast<const float*>(nullptr), rows.moments.data(),
        rows.written(), dgamma, static_cast<float*>(nullptr), GradientOptions{}, asked.recorder());
  };
  run(nullptr, backward);
  expect_tasks(backward, blocks, blocks.per_task());
  run(rows.dgamma.data(), with_parameters);
  expect_tasks(with_parameters, blocks, blocks_per_segment(blocks));
}

// What lies contiguous is cut into the blocks of contiguous rows, all else into those of rows side by side.
TEST(Drivers, TellTheExecutorItsTasks) {
  for (const RowShape shape : {RowShape{1000, 100}, RowShape{999, 7}, RowShape{1, 40}, RowShape{9, 20000}}) {
    check_tasks<Along>(Rows(shape));
    check_tasks<Across>(Rows(shape, 1));
  }
  for (const RowShape shape : {RowShape{1000, 100, 250}, RowShape{999, 7, 3}, RowShape{7, 40, 7}})
    check_tasks<Across>(Rows(shape));
}

TEST(Drivers, AskNothingOfAnExecutorWhereThereAreNoRows) {
  Rows rows({0, 5});
  Asked asked;
  const float* const absent = nullptr;
  forward_rows<Statistic, RoundOnce>(rows.shape, rows.read(), absent, absent, 0.f, rows.written(),
                                     static_cast<RowMoments<float>*>(nullptr), asked.recorder());
  backward_rows<Statistic, RoundOnce>(
      rows.shape, rows.read(), rows.read(), static_cast<const float*>(nullptr), rows.moments.data(),
      rows.written(), rows.dgamma.data(), static_cast<float*>(nullptr), GradientOptions{}, asked.recorder());
  EXPECT_EQ(asked.tasks.size(), 0u);
}

// dy * xhat is 1 everywhere: dgamma is the number of rows.
TEST(Drivers, GradientsReplaceWhatIsThereUnlessToldToAdd) {
  for (const bool told : {false, true}) {
    Rows rows({9, 5});
    std::fill(rows.dgamma.begin(), rows.dgamma.end(), 100.f);
    GradientOptions options;
    if (told) options.accumulate = true;
    backward_rows<Statistic, RoundOnce>(
        rows.shape, rows.read(), rows.read(), static_cast<const float*>(nullptr), rows.moments.data(),
        rows.written(), rows.dgamma.data(), static_cast<float*>(nullptr), options, Serial{});
    for (float value : rows.dgamma) EXPECT_EQ(value, told ? 109.f : 9.f);
  }
}

// Writes what happens into a list, and the rows by the way.
struct Listed {
  static constexpr int rows_at_once = 2;
  static constexpr bool shares_rows = false, pairs_blocks = false;
  std::vector<char>* list;

  template <class Block, class Sink, class Map>
  void write(const Block& rows, Columns columns, const Sink& sink, const Map& map) const {
    DirectWriter{}.write(rows, columns, sink, map);
    list->push_back('w');
  }
  void end() const { list->push_back('e'); }
  const Listed& rarely() const { return *this; }
};

TEST(Drivers, EndTheWriterOnceAfterTheRowsOfATask) {
  for (Index count : {1, 8, 9, 100, 1000}) {
    Rows rows({count, 100});
    std::vector<char> list;
    Index tasks = 0, written = 0;
    const auto executor = [&](Index all, Index, const auto& run) {
      for (Index task = 0; task < all; ++task) {
        list.clear();
        run(task);
        ASSERT_GE(list.size(), 2u);
        EXPECT_EQ(list.back(), 'e');
        EXPECT_EQ(std::count(list.begin(), list.end(), 'e'), 1);
        written += static_cast<Index>(list.size()) - 1;
      }
      tasks += all;
    };
    const Index pairs = count / 8 * 4 + (count % 8 + 1) / 2;  // of blocks of 8
    forward<Along>(rows.shape, LoadedRows<float>{rows.read()}, Statistic{0}, Scale<float>(nullptr),
                   StoredRows<float>{rows.written()}, Listed{&list}, MomentsSink<float>{nullptr}, executor);
    EXPECT_EQ(written, pairs);
    written = 0;
    backward<Along>(rows.shape, Statistic{0}, LoadedRows<float>{rows.read()}, LoadedRows<float>{rows.read()},
                    Scale<float>(nullptr), rows.moments.data(), StoredRows<float>{rows.written()},
                    Listed{&list}, NoParameterGradient{}, executor);
    EXPECT_EQ(written, pairs);
    EXPECT_GT(tasks, 0);
  }
}

}  // namespace
