// Blocks of rows: every column and every row is visited once, at its own address.
#include <simdnorm/kernel/row.hpp>

#include <gtest/gtest.h>

#include "support/row_families.hpp"

namespace {

using namespace simdnorm;

template <class K> struct Rows : testing::Test {};
template <class T, class Arch> struct Kind {
  using Scalar = T;
  using Architecture = Arch;
};
using Kinds = testing::Types<Kind<float, simd::DefaultArch>, Kind<double, simd::DefaultArch>,
                             Kind<float, simd::NoSimd>, Kind<double, simd::NoSimd>>;
TYPED_TEST_SUITE(Rows, Kinds);

int lanes_of(simd::All, int width) { return width; }
int lanes_of(simd::First lanes, int width) {
  EXPECT_GE(lanes.count, 1);
  EXPECT_LT(lanes.count, width)
      << "a whole vector is All: not each instruction set takes it for its first elements";
  return lanes.count;
}

// Adds 1 to each element that the block visits.
template <class T, class Block>
void visit(const Block& block, Index first, Index end, const Strided<T>& operand) {
  block.columns(first, end, [&](auto column) {
    EXPECT_EQ(column.row, 0);
    EXPECT_EQ(column.lane, 0) << "each is visited by itself";
    block.rows(column, [&](auto at) {
      EXPECT_EQ(at.lane, 0);
      T* p = block.address(operand, at);
      for (int i = 0; i < lanes_of(at.lanes, Block::width); ++i) p[i] += T(1);
    });
  });
}

TYPED_TEST(Rows, AlongVisitEachElementOnce) {
  using T = typename TypeParam::Scalar;
  using Arch = typename TypeParam::Architecture;
  for (Index hidden = 1; hidden <= 70; ++hidden) {
    for (Index first : {Index(0), Index(16)}) {
      std::vector<T> memory(static_cast<std::size_t>(6 * (hidden + 3)), T(0));
      const Strided<T> rows{memory.data(), hidden + 3, 1};
      visit(RowsAlong<T, Arch, 2>{1}, first, hidden, rows);
      visit(RowsAlong<T, Arch, 1>{4}, first, hidden, rows);
      for (Index r = 0; r < 6; ++r) {
        for (Index c = 0; c < hidden + 3; ++c) {
          const bool meant = (r == 1 || r == 2 || r == 4) && c >= first && c < hidden;
          ASSERT_EQ(memory[static_cast<std::size_t>(r * (hidden + 3) + c)], meant ? T(1) : T(0))
              << r << ", " << c;
        }
      }
    }
  }
}

TYPED_TEST(Rows, AcrossVisitEachElementOnce) {
  using T = typename TypeParam::Scalar;
  using Arch = typename TypeParam::Architecture;
  const int capacity = RowsAcross<T, Arch>::capacity;
  const Index after = capacity + 9, hidden = 5;
  for (int count = 1; count <= capacity; ++count) {
    std::vector<T> memory(static_cast<std::size_t>(2 * hidden * after), T(0));
    const Strided<T> rows{memory.data(), hidden * after, after};
    visit(RowsAcross<T, Arch>{after + 4, 1, 4, count}, 1, hidden, rows);
    for (Index item = 0; item < 2; ++item) {
      for (Index c = 0; c < hidden; ++c) {
        for (Index a = 0; a < after; ++a) {
          const bool meant = item == 1 && c >= 1 && a >= 4 && a < 4 + count;
          ASSERT_EQ(memory[static_cast<std::size_t>((item * hidden + c) * after + a)], meant ? T(1) : T(0));
        }
      }
    }
  }
}

// Every element once, between the prepare and the finish of its column.
template <class Block, class Range> void check_visit(const Block& block, Range range, Index hidden) {
  using T = typename Block::Scalar;
  const Index rows = 100;
  std::vector<T> memory(static_cast<std::size_t>(rows * hidden), T(0));
  std::vector<int> prepared(static_cast<std::size_t>(hidden), 0), finished = prepared;
  const Index column = std::is_same_v<Block, RowsAcross<T, typename Block::Architecture>> ? rows : 1;
  const Strided<T> operand{memory.data(), column == 1 ? hidden : hidden * rows, column};
  const bool along = column == 1;
  const auto width = [&](auto at) { return along ? lanes_of(at.lanes, Block::width) : 1; };
  block.visit(
      range,
      [&](auto at) {
        EXPECT_EQ(at.row, 0) << "of all rows";
        for (int i = 0; i < width(at); ++i) ++prepared[static_cast<std::size_t>(at.column + i)];
        return at.column;
      },
      [&](auto at, Index& first) {
        EXPECT_EQ(at.column, first);
        EXPECT_EQ(prepared[static_cast<std::size_t>(first)], 1);
        EXPECT_EQ(finished[static_cast<std::size_t>(first)], 0);
        T* p = block.address(operand, at);
        for (int i = 0; i < lanes_of(at.lanes, Block::width); ++i) p[i] += T(1);
      },
      [&](auto at, const Index& first) {
        EXPECT_EQ(at.column, first);
        EXPECT_EQ(at.row, 0);
        for (int i = 0; i < width(at); ++i) ++finished[static_cast<std::size_t>(first + i)];
      });
  for (Index c = 0; c < hidden; ++c) {
    const bool meant = c >= range.begin && c < range.end;
    EXPECT_EQ(prepared[static_cast<std::size_t>(c)], meant) << c;
    EXPECT_EQ(finished[static_cast<std::size_t>(c)], meant) << c;
    for (Index r = 0; r < rows; ++r) {
      const bool of_block = meant && r >= 1 && r < 1 + block.count();
      EXPECT_EQ(memory[static_cast<std::size_t>(along ? r * hidden + c : c * rows + r)],
                of_block ? T(1) : T(0))
          << r << ", " << c;
    }
  }
}

TYPED_TEST(Rows, VisitsPrepareAndFinishEachColumnOnce) {
  using T = typename TypeParam::Scalar;
  using Arch = typename TypeParam::Architecture;
  for (Index hidden : {1, 7, 16, 33, 70}) {
    for (Index begin : {0, 1, 5}) {
      if (begin >= hidden) continue;
      check_visit(RowsAlong<T, Arch, 1>{1}, Columns{begin, hidden}, hidden);
      check_visit(RowsAlong<T, Arch, 2>{1}, Columns{begin, hidden}, hidden);
      check_visit(RowsAcross<T, Arch>{1, 0, 1, 37}, Columns{begin, hidden}, hidden);
      const Index line = 64 / static_cast<Index>(sizeof(T)), whole = (hidden - begin) / line * line;
      check_visit(RowsAlong<T, Arch, 1>{1}, Lines{begin, begin + whole}, hidden);
      check_visit(RowsAlong<T, Arch, 2>{1}, Lines{begin, begin + whole}, hidden);
      check_visit(RowsAlong<T, Arch, 1>{1}, InTwos<Columns>{{begin, hidden}}, hidden);
      check_visit(RowsAlong<T, Arch, 2>{1}, InTwos<Columns>{{begin, hidden}}, hidden);
      const Index twos = (hidden - begin) / (2 * line) * (2 * line);
      check_visit(RowsAlong<T, Arch, 2>{1}, InTwos<Lines>{{begin, begin + twos}}, hidden);
    }
  }
}

// Two vectors together are neighbours of one row, the first of them first.
TYPED_TEST(Rows, VisitedInTwosVectorsAreNeighbours) {
  using T = typename TypeParam::Scalar;
  using Arch = typename TypeParam::Architecture;
  using Block = RowsAlong<T, Arch, 2>;
  const Index hidden = 6 * Block::width + 1, in_twos = 6 * Block::width;
  Index next = 0;
  int part = 0, row = 0;
  const auto nothing = [](auto...) { return 0; };
  Block{0}.visit(
      InTwos<Columns>{{0, hidden}}, nothing,
      [&](auto at, int) {
        EXPECT_EQ(at.together, at.column < in_twos ? 2 : 1);
        EXPECT_EQ(at.lane, part * Block::width);
        EXPECT_EQ(at.column, next + at.lane);
        EXPECT_EQ(at.row, row);
        if (++part < at.together) return;
        part = 0;
        if (++row < 2) return;
        row = 0;
        next += at.together * Block::width;
      },
      nothing);
  EXPECT_EQ(next, in_twos + Block::width);
}

TYPED_TEST(Rows, ARowOfABlockIsThatRow) {
  using T = typename TypeParam::Scalar;
  using Arch = typename TypeParam::Architecture;
  const Index hidden = 7;
  std::vector<T> memory(100, T(0));
  const Strided<T> beside{memory.data() + 50, 0, 6};
  const RowsAcross<T, Arch> row = RowsAcross<T, Arch>{0, 0, 1, 4}.row(2);
  EXPECT_EQ(row.first_row, 2);
  visit(row, 0, hidden, beside);
  for (Index i = 0; i < 100; ++i) {
    const bool meant = i >= 50 && (i - 50) % 6 == 3 && i < 50 + 6 * hidden;
    EXPECT_EQ(memory[static_cast<std::size_t>(i)], meant ? T(1) : T(0)) << i;
  }
  const RowsAcross<T, Arch> contiguous = RowsAlong<T, Arch, 2>{3}.row(1);
  EXPECT_EQ(contiguous.first_row, 4);
  EXPECT_EQ(contiguous.item, 4);
  EXPECT_EQ(contiguous.beside, 0);
  EXPECT_EQ(contiguous.count(), 1);
}

TYPED_TEST(Rows, AbsentParametersAreOnesAndZerosInEveryColumn) {
  using T = typename TypeParam::Scalar;
  using Arch = typename TypeParam::Architecture;
  const RowsAlong<T, Arch, 1> block{0};
  const Index hidden = 100;
  std::vector<T> values(100);
  for (std::size_t i = 0; i < 100; ++i) values[i] = static_cast<T>(i);
  const auto given = parameter_or<T, 1>(values.data()), absent = parameter_or<T, 1>(nullptr),
             no_shift = parameter_or<T, 0>(nullptr);
  const auto check = [&](auto at) {
    T a[16], b[16], c[16];
    simd::store(simd::All{}, a, block.parameter(given, at));
    simd::store(simd::All{}, b, block.parameter(absent, at));
    simd::store(simd::All{}, c, block.parameter(no_shift, at));
    for (int i = 0; i < lanes_of(at.lanes, block.width); ++i) {
      EXPECT_EQ(a[i], static_cast<T>(at.column + i));
      EXPECT_EQ(b[i], T(1));
      EXPECT_EQ(c[i], T(0));
    }
  };
  const auto nothing = [](auto...) { return 0; };
  block.columns(0, hidden, check);
  for (Index begin : {0, 3})  // of neighbouring vectors too
    block.visit(
        Columns{begin, hidden}, nothing, [&](auto at, int) { check(at); }, nothing);
  block.visit(
      InTwos<Columns>{{3, hidden}}, nothing, [&](auto at, int) { check(at); }, nothing);
}

}  // namespace
