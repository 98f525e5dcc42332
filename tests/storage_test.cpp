// Shapes, strides and moments as they lie in memory.
#include <simdnorm/storage.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace {

using namespace simdnorm;

TEST(Storage, PackedRowsHaveNoGaps) {
  float data[24];
  const Strided<float> rows = packed({4, 6}, data);
  EXPECT_EQ(rows.data, data);
  EXPECT_EQ(rows.outer, 6);
  EXPECT_EQ(rows.column, 1);
  const Strided<float> beside = packed({4, 6, 2}, data);
  EXPECT_EQ(beside.outer, 12);
  EXPECT_EQ(beside.column, 2);
  // Every element of every row, once.
  std::vector<int> seen(24, 0);
  for (Index r = 0; r < 4; ++r) {
    for (Index c = 0; c < 6; ++c)
      ++seen[static_cast<std::size_t>(r / 2 * beside.outer + c * beside.column + r % 2)];
  }
  for (int count : seen) EXPECT_EQ(count, 1);
}

TEST(Storage, TrueMomentsAreThoseOfTheRowItself) {
  const RowMoments<float> plain{3.f, 1e-9f, 0.25f, 1.f};
  EXPECT_EQ(true_mean(plain), 3.f);
  EXPECT_EQ(true_rstd(plain), 0.25f);
  const RowMoments<float> scaled{3.f, 0.f, 0.25f, 0.5f};  // of x/2: x has twice the mean, and half the rstd
  EXPECT_EQ(true_mean(scaled), 6.f);
  EXPECT_EQ(true_rstd(scaled), 0.125f);
}

TEST(Storage, SerialRunsEachTaskOnceInOrder) {
  std::vector<Index> seen;
  Serial{}(4, 100, [&](Index task) { seen.push_back(task); });
  EXPECT_EQ(seen, (std::vector<Index>{0, 1, 2, 3}));
  Serial{}(0, 100, [&](Index) { FAIL(); });
}

}  // namespace
