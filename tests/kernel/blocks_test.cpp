// How rows are cut into blocks: each row in one block, in order, whatever the number of rows; the cut depends
// on the shape alone.
#include <simdnorm/kernel/blocks.hpp>

#include <gtest/gtest.h>

#include <simdnorm/kernel/parameter_gradient.hpp>

namespace {

using namespace simdnorm;

template <class Blocks> void check_cover(RowShape shape) {
  const Blocks blocks(shape);
  std::vector<int> seen(static_cast<std::size_t>(shape.rows), 0);
  Index blocks_seen = 0, next_row = 0;
  blocks.each(0, blocks.count(), [&](const auto& block) {
    ++blocks_seen;
    EXPECT_EQ(block.first_row, next_row) << "in order";
    next_row += block.count();
    EXPECT_GE(block.count(), 1);
    EXPECT_LE(block.count(), std::decay_t<decltype(block)>::capacity);
    for (int r = 0; r < block.count(); ++r) ++seen[static_cast<std::size_t>(block.first_row + r)];
  });
  EXPECT_EQ(blocks_seen, blocks.count());
  for (std::size_t r = 0; r < seen.size(); ++r) ASSERT_EQ(seen[r], 1) << "row " << r << " of " << shape.rows;
  // Any split into tasks gives the same blocks; blocks past the end do not exist.
  std::vector<Index> by_tasks;
  for (Index first = 0; first < blocks.count(); first += 3) {
    blocks.each(first, first + 3, [&](const auto& block) { by_tasks.push_back(block.first_row); });
  }
  EXPECT_EQ(static_cast<Index>(by_tasks.size()), blocks.count());
  EXPECT_GE(blocks.per_task(), 1);
  EXPECT_GE(blocks.elements(), 1);
}

TEST(Blocks, OfContiguousRows) {
  for (Index rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 31, 64, 65, 1000, 1001}) {
    for (Index hidden : {1, 64, 1000, 100000}) {
      check_cover<BlocksAlong<float>>({rows, hidden});
      check_cover<BlocksAlong<double>>({rows, hidden});
    }
  }
}

TEST(Blocks, OfContiguousRowsFitTheCaches) {
  const Index shapes[][3] = {
      {100, 64, 8},    {100, 384, 8},  {100, 385, 4},   {100, 16384, 4},
      {100, 16385, 2}, {16385, 64, 8}, {16385, 1000, 4}};  // rows, hidden, rows of a block
  for (const auto& s : shapes) {
    const RowShape shape{s[0], s[1]};
    const BlocksAlong<float> blocks(shape);
    EXPECT_EQ(blocks.count(), (s[0] + s[2] - 1) / s[2]) << s[0] << " x " << s[1];
    EXPECT_EQ(blocks.elements(), s[2] * s[1]);
    EXPECT_EQ(blocks.rows_per_block(), s[2]);
    check_cover<BlocksAlong<float>>(shape);
  }
}

// First rows and numbers of rows of what is measured as one, so many rows at once; a task's own alone, whatever comes before and after.
template <class Blocks>
std::vector<std::pair<Index, int>> measured(const Blocks& blocks, Index first, Index last, Index at_once) {
  std::vector<std::pair<Index, int>> rows;
  blocks.each_measured(first, last, at_once,
                       [&](const auto& block) { rows.emplace_back(block.first_row, block.count()); });
  return rows;
}
TEST(Blocks, AreMeasuredInOtherNumbersOfRows) {
  using Rows = std::vector<std::pair<Index, int>>;
  const BlocksAlong<float> of_8({45, 128}), of_4({11, 1000});
  EXPECT_EQ(measured(of_8, 0, of_8.count(), 16), (Rows{{0, 16}, {16, 16}, {32, 13}}));
  EXPECT_EQ(measured(of_8, 1, 4, 16), (Rows{{8, 16}, {24, 8}}));
  EXPECT_EQ(measured(of_8, 1, 3, 8), (Rows{{8, 8}, {16, 8}}));
  EXPECT_EQ(measured(of_8, 1, 2, 4), (Rows{{8, 4}, {12, 4}}));
  EXPECT_EQ(measured(of_4, 0, 2, 8), (Rows{{0, 8}}));
  EXPECT_EQ(measured(of_4, 1, 3, 2), (Rows{{4, 2}, {6, 2}, {8, 2}, {10, 1}}));
  EXPECT_EQ(measured(of_4, 2, 3, 1), (Rows{{8, 1}, {9, 1}, {10, 1}}));
  const BlocksAcross<float> beside({130, 7, 130});
  EXPECT_EQ(measured(beside, 0, beside.count(), 2), (Rows{{0, 64}, {64, 64}, {128, 2}}));
}

// As many rows as there is room for what is read of them, a power of two, but no fewer than are mapped at once.
TEST(Blocks, MeasureAsManyRowsAsStayInTheCache) {
  const auto rows_of = [](auto type, Index hidden, Index at_once, bool in_pairs = false) {
    return typename decltype(type)::type({45, hidden}).rows_measured(at_once, 1 << 14, in_pairs);
  };
  const TypeOf<BlocksAlong<float>> floats;
  EXPECT_EQ(rows_of(floats, 1, 1), 8);
  EXPECT_EQ(rows_of(floats, 512, 1), 8);
  EXPECT_EQ(rows_of(floats, 513, 1), 4);
  EXPECT_EQ(rows_of(floats, 1024, 1), 4);
  EXPECT_EQ(rows_of(floats, 1025, 1), 2);
  EXPECT_EQ(rows_of(floats, 2049, 1), 1);
  EXPECT_EQ(rows_of(floats, 2049, 2), 2);
  EXPECT_EQ(rows_of(floats, Index(1) << 40, 2), 2);
  EXPECT_EQ(rows_of(floats, 128, 2, true), 16);
  EXPECT_EQ(rows_of(floats, 129, 2, true), 8);
  const TypeOf<BlocksAlong<double>> doubles;
  EXPECT_EQ(rows_of(doubles, 64, 2, true), 16);
  EXPECT_EQ(rows_of(doubles, 65, 2, true), 8);
  EXPECT_EQ(rows_of(doubles, 513, 2), 2);
  const TypeOf<BlocksAlong<float, simd::DefaultArch, 12>> of_sums;
  EXPECT_EQ(rows_of(of_sums, 170, 2), 8);
  EXPECT_EQ(rows_of(of_sums, 171, 2), 4);
  EXPECT_EQ(rows_of(TypeOf<BlocksAcross<float>>{}, 1 << 20, 2), 64);
}

// The blocks of contiguous rows know what is read of them, not what is written.
TEST(Blocks, FitHowOperandsLie) {
  const float* const x = nullptr;
  float* const y = nullptr;
  const auto is = [](auto expected, RowShape shape, const auto& read, const auto& others) {
    bool is_expected = false;
    with_blocks<float>(shape, read, others, [&](auto blocks) {
      is_expected = std::is_same_v<decltype(blocks), decltype(expected)>;
    });
    return is_expected;
  };
  const RowShape shape{45, 7};
  const std::tuple one(packed(shape, x));
  const std::tuple written(packed(shape, y));
  const std::tuple two(packed(shape, x), packed(shape, x));
  using Arch = simd::DefaultArch;
  EXPECT_TRUE(is(TypeOf<BlocksAlong<float, Arch, 4>>{}, shape, one, written));
  EXPECT_TRUE(is(TypeOf<BlocksAlong<float, Arch, 8>>{}, shape, two, written));
  const TypeOf<BlocksAcross<float>> across;
  EXPECT_TRUE(is(across, {45, 7, 3}, one, written));
  EXPECT_TRUE(is(across, shape, std::tuple(Strided<const float>{x, 14, 2}), written));
  EXPECT_TRUE(is(across, shape, one, std::tuple(Strided<float>{y, 14, 2})));
}

// What is read of a column, of which no operand may be known.
TEST(Blocks, KnowWhatIsReadOfAColumn) {
  EXPECT_EQ((bytes_of_column<std::tuple<Strided<const float>, Strided<const double>>>), 12u);
  EXPECT_EQ((bytes_of_column<std::tuple<Strided<const BFloat16>>>), 2u);
  EXPECT_EQ((bytes_of_column<std::tuple<Strided<const BFloat16>, Strided<const BFloat16>, Strided<float>>>),
            8u);
  EXPECT_EQ(bytes_of_column<std::tuple<>>, sizeof(float));
}

TEST(Blocks, OfRowsSideBySide) {
  for (Index after : {1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 1000}) {
    for (Index before : {1, 2, 5}) {
      check_cover<BlocksAcross<float>>({before * after, 7, after});
      check_cover<BlocksAcross<double>>({before * after, 7, after});
    }
  }
}

// A block across rows never holds rows of two items: its rows must lie side by side.
TEST(Blocks, OfRowsSideBySideStayInTheirItem) {
  for (Index after : {1, 3, 64, 100}) {
    const RowShape shape{5 * after, 7, after};
    const BlocksAcross<float> blocks(shape);
    blocks.each(0, blocks.count(), [&](const auto& block) {
      EXPECT_EQ(block.item, block.first_row / after);
      EXPECT_EQ(block.beside, block.first_row % after);
      EXPECT_LE(block.beside + block.count(), after);
    });
  }
}

// What is folded together, and what is mapped together, are the rows of the block, each once and in order.
TEST(Blocks, OfContiguousRowsAreFoldedAndMappedWhole) {
  using Block = BlockAlong<float, simd::DefaultArch>;
  for (int count = 1; count <= Block::capacity; ++count) {
    const Block block{3, count};
    int folded = 0, folded_by_two = 0, mapped = 0;
    block.folded([&](const auto& rows, int first) {
      EXPECT_EQ(first, folded);
      EXPECT_EQ(rows.first_row, 3 + folded);
      EXPECT_EQ(rows.count(), 1);
      folded += rows.count();
    });
    block.folded<2>([&](const auto& rows, int first) {
      EXPECT_EQ(first, folded_by_two);
      EXPECT_EQ(rows.first_row, 3 + folded_by_two);
      EXPECT_EQ(rows.count(), count - folded_by_two > 1 ? 2 : 1);
      folded_by_two += rows.count();
    });
    block.mapped<2>([&](const auto& rows, int first) {
      EXPECT_EQ(first, mapped);
      EXPECT_EQ(rows.first_row, 3 + mapped);
      mapped += rows.count();
    });
    EXPECT_EQ(folded, count);
    EXPECT_EQ(folded_by_two, count);
    EXPECT_EQ(mapped, count);
    for (int r = 0; r < count; ++r) {
      EXPECT_EQ(block.row(r).first_row, 3 + r);
      EXPECT_EQ(block.row(r).count(), 1);
    }
  }
}

// What an executor is told: the elements of a whole block, and tasks of as many blocks as have 16384 of them at most.
template <class Blocks> void check_tasks(RowShape shape, Index elements) {
  const Blocks blocks(shape);
  EXPECT_EQ(blocks.elements(), elements);
  EXPECT_TRUE(blocks.per_task() == 1 || blocks.per_task() * elements <= 16384) << blocks.per_task();
  EXPECT_GT((blocks.per_task() + 1) * elements, 16384);
}
TEST(Blocks, TasksHaveEnoughElements) {
  check_tasks<BlocksAlong<float>>({1000, 7}, 8 * 7);
  check_tasks<BlocksAlong<float>>({1000, 1000}, 4 * 1000);
  check_tasks<BlocksAlong<float>>({1000, 100000}, 2 * 100000);
  check_tasks<BlocksAcross<float>>({1000, 7, 5}, 5 * 7);
  check_tasks<BlocksAcross<float>>({1000, 29, 5}, 5 * 29);  // 113 of which are one too many
  check_tasks<BlocksAcross<float>>({1000, 7, 500}, 64 * 7);
  check_tasks<BlocksAcross<double>>({1000, 100000, 500}, 32 * 100000);
}

// The segments of the sums over rows: as few rows as make no more than 64 of them, but 64 rows at least.
template <class Blocks> void check_segments(RowShape shape) {
  const Blocks blocks(shape);
  const Index each = blocks_per_segment(blocks), count = segment_count(blocks), limit = 64;
  EXPECT_LE(count, limit) << shape.rows;
  EXPECT_LT((count - 1) * each, blocks.count()) << "one is empty";
  EXPECT_GE(count * each, blocks.count());
  EXPECT_GE(each * blocks.rows_per_block(), 64);
  const bool smallest = (each - 1) * blocks.rows_per_block() < 64;
  EXPECT_TRUE(smallest || (each - 1) * limit < blocks.count()) << "of more rows than need be: " << shape.rows;
}
TEST(Blocks, SegmentsAreFewAndNotSmall) {
  for (Index rows : {1, 63, 64, 65, 128, 129, 4095, 4096, 4097, 4104, 4105, 8192, 8200, 100000}) {
    for (Index hidden : {1, 1000, 100000}) {
      check_segments<BlocksAlong<float>>({rows, hidden});
      check_segments<BlocksAlong<double>>({rows, hidden});
    }
    check_segments<BlocksAcross<float>>({rows, 7, rows});
    check_segments<BlocksAcross<double>>({rows, 7, rows});
    check_segments<BlocksAcross<double>>({3 * rows, 7, 3});
  }
}

// The cut must not depend on the width of vectors: sums over rows would get other bits.
TEST(Blocks, AreTheSameForEveryWidth) {
  const RowShape shape{1000, 7, 250};
  EXPECT_EQ((BlocksAcross<float, simd::DefaultArch>(shape).count()),
            (BlocksAcross<float, simd::NoSimd>(shape).count()));
  EXPECT_EQ((BlocksAcross<double, simd::DefaultArch>(shape).count()),
            (BlocksAcross<double, simd::NoSimd>(shape).count()));
  EXPECT_EQ((BlocksAlong<float, simd::DefaultArch>(shape).per_task()),
            (BlocksAlong<float, simd::NoSimd>(shape).per_task()));
}

}  // namespace
