// Which operands are refused, against a count of the bytes that each occupies. (What the messages say:
// errors_test.cpp.)
#include <simdnorm/check.hpp>

#include <gtest/gtest.h>

#include <set>
#include <simdnorm/config.hpp>

#include "support/row_families.hpp"

namespace {

using namespace simdnorm;
using support::Random;

template <class T> std::set<std::uintptr_t> places(RowShape shape, const Strided<T>& rows) {
  std::set<std::uintptr_t> out;
  for (Index r = 0; r < shape.rows; ++r) {
    for (Index c = 0; c < shape.hidden; ++c) {
      out.insert(reinterpret_cast<std::uintptr_t>(rows.data + r / shape.after * rows.outer + c * rows.column +
                                                  r % shape.after));
    }
  }
  return out;
}

bool is_accepted(RowShape shape, const Strided<const float>& x, const Strided<float>& y) {
  try {
    const float* const none = nullptr;
    const RowMoments<float>* const no_moments = nullptr;
    check_forward("check", shape, x, none, none, 0.f, y, no_moments);
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

// Random shapes and strides in a small buffer. What is accepted must be harmless: y's elements apart from
// each other, and y either x itself or apart from x. What is refused must not be: but for patterns so
// entangled that the check does not follow them, which must be rare.
TEST(Check, AcceptsWhatDoesNotOverlap) {
  Random random(1);
  std::vector<float> memory(4000);
  int accepted = 0, refused_though_harmless = 0;
  for (int i = 0; i < 40000; ++i) {
    const Index after = 1 + random.below(3), before = 1 + random.below(3), hidden = 1 + random.below(4);
    const RowShape shape{before * after, hidden, after};
    const auto operand = [&] {
      const Index column = random.below(2) == 0 ? after : random.below(9);
      const Index outer = random.below(2) == 0 ? hidden * after + random.below(6) : random.below(40);
      return Strided<float>{memory.data() + random.below(40), outer, column};
    };
    Strided<float> x = operand(), y = operand();
    if (random.below(3) == 0) {  // the same strides, another place: interleaved or not
      y.outer = x.outer;
      y.column = x.column;
    }
    if (random.below(10) == 0) y = x;
    const Strided<const float> read{x.data, x.outer, x.column};
    const auto of_x = places(shape, x), of_y = places(shape, y);
    const bool whole = static_cast<Index>(of_y.size()) == shape.rows * shape.hidden;
    bool apart = true;
    for (std::uintptr_t place : of_y) apart = apart && of_x.count(place) == 0;
    const bool same =
        x.data == y.data && (x.outer == y.outer || before == 1) && (x.column == y.column || hidden == 1);
    const bool harmless = whole && (apart || same);
    if (is_accepted(shape, read, y)) {
      ++accepted;
      ASSERT_TRUE(harmless) << "rows " << shape.rows << " hidden " << hidden << " after " << after << " x +"
                            << x.data - memory.data() << " outer " << x.outer << " column " << x.column
                            << "; y +" << y.data - memory.data() << " outer " << y.outer << " column "
                            << y.column;
    } else if (harmless) {
      ++refused_though_harmless;
    }
  }
  EXPECT_GT(accepted, 4000) << "the test's operands are nearly all refused: it shows nothing";
  EXPECT_LT(refused_though_harmless, accepted / 2);
}

// Every other column each, of rows that lie further apart in one operand than in the other.
TEST(Check, AcceptsColumnsBesideEachOther) {
  float memory[32];
  EXPECT_TRUE(is_accepted({2, 2}, {memory, 8, 2}, {memory + 1, 12, 2}));
  EXPECT_TRUE(is_accepted({2, 2}, {memory + 1, 12, 2}, {memory, 8, 2})) << "whichever begins first";
  EXPECT_FALSE(is_accepted({2, 2}, {memory, 9, 2}, {memory + 1, 12, 2}))
      << "its second row is on y's columns";
  EXPECT_FALSE(is_accepted({2, 2}, {memory, 8, 2}, {memory + 1, 13, 2}));
}

// A stride that leads nowhere, of one row or one column, makes no difference.
TEST(Check, AcceptsTheSameRowsUnderUnusedStrides) {
  float memory[32];
  EXPECT_TRUE(is_accepted({1, 4}, {memory, 4, 1}, {memory, 9, 1}));
  EXPECT_TRUE(is_accepted({3, 4, 3}, {memory, 12, 3}, {memory, 0, 3}));
  EXPECT_FALSE(is_accepted({2, 4}, {memory, 4, 1}, {memory, 9, 1}));
  EXPECT_TRUE(is_accepted({2, 1}, {memory, 4, 1}, {memory, 4, 2}));
  EXPECT_FALSE(is_accepted({2, 2}, {memory, 4, 1}, {memory, 4, 2}));
  EXPECT_FALSE(is_accepted({3, 1}, {memory, 2, 0}, {memory + 2, 2, 0}))
      << "of one column, whose stride is 0, the rows lie on each other";
}

// Of each number of rows side by side, the bytes from the first element to behind the last.
TEST(Check, RegionsOfRows) {
  const double numbers[200] = {};
  for (Index after : {1, 2, 3}) {
    for (Index before : {1, 2, 5}) {
      const Index hidden = 4, column = after + 1, outer = 20;
      const Region rows = Check("check", {before * after, hidden, after})
                              .rows("x", Strided<const double>{numbers, outer, column});
      EXPECT_EQ(rows.begin, reinterpret_cast<std::uintptr_t>(numbers));
      const Index last = (before - 1) * outer + (hidden - 1) * column + after - 1;
      EXPECT_EQ(rows.end, reinterpret_cast<std::uintptr_t>(numbers + last + 1)) << before << ", " << after;
      EXPECT_EQ(rows.width, 8 * after);
      EXPECT_EQ(rows.column, 8 * column);
      EXPECT_EQ(rows.run, 8 * ((hidden - 1) * column + after));
      EXPECT_EQ(rows.outer, 8 * outer);
    }
  }
}

TEST(Check, RowsAreAMultipleOfThoseSideBySide) {
  for (Index after : {1, 2, 3, 4}) {
    for (Index rows : {0, 1, 2, 3, 4, 6, 9}) {
      if (rows % after == 0) {
        EXPECT_NO_THROW(Check("check", {rows, 5, after})) << rows << ", " << after;
      } else {
        EXPECT_THROW(Check("check", {rows, 5, after}), std::invalid_argument) << rows << ", " << after;
      }
    }
  }
  for (Index after : {0, -1, -2}) EXPECT_THROW(Check("check", {4, 5, after}), std::invalid_argument) << after;
}

TEST(Check, RegionsOfArrays) {
  const float numbers[8] = {};
  const Region none = Check::array("gamma", static_cast<const float*>(nullptr), 8);
  EXPECT_EQ(none.begin, none.end);
  const Region all = Check::array("gamma", numbers, 8);
  EXPECT_EQ(all.end - all.begin, 32u);
  const Check check("check", {1, 8});
  EXPECT_NO_THROW(check.apart(none, all));
  EXPECT_THROW(check.apart(all, Check::array("beta", numbers + 7, 1)), std::invalid_argument);
  EXPECT_NO_THROW(check.apart(all, Check::array("beta", numbers + 8, 1)));
}

TEST(Message, HoldsAllItsWords) {
  Message message;
  message << "four kinds " << Index(-5) << " " << 0.5;
  try {
    message.fail();
    ADD_FAILURE() << "did not throw";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "simdnorm: four kinds -5 0.500000");
  }
}

}  // namespace
