// Chosen rows of Eigen tables: what may hold the table and the numbers, in both storage orders; wrong arguments.
#include "eigen/gathered.hpp"
#include "support/refused.hpp"

namespace {

using namespace chosen;
using support::refused;

// What may hold the table and the numbers.
struct Kinds : testing::Test {
  static constexpr Index table_rows = 11, hidden = 20;
  Eigen::VectorXf gamma = Eigen::VectorXf::Random(hidden), dgamma = gamma;
  simdnorm::RMSNorm<float> norm{gamma};
  Rows<float> table = Rows<float>::Random(table_rows, hidden);
  const std::vector<std::int32_t> numbers = {9, 0, 3, 3, 10, 1};
  Rows<float> y{6, hidden}, expected{6, hidden};
  Kinds() { norm.forward(rows_of(table, numbers.data(), 6), expected); }
};
TEST_F(Kinds, Vectors) {
  norm.forward(gathered(table, numbers), y);
  EXPECT_TRUE(same(y, expected));
  y.setZero();
  Eigen::Tensor<std::int64_t, 1> longer(6);
  for (Index r = 0; r < 6; ++r) longer(r) = numbers[static_cast<std::size_t>(r)];
  norm.forward(gathered(table, longer), y);
  EXPECT_TRUE(same(y, expected));
}
TEST_F(Kinds, SlicesOfATable) {
  Rows<float> wide = Rows<float>::Constant(table_rows, 2 * hidden, 7.0F), before = wide;
  wide.rightCols(hidden) = table;
  norm.forward(gathered(wide.rightCols(hidden), numbers), y);
  EXPECT_TRUE(same(y, expected));
  wide = before;
  const std::vector<std::int32_t> ascending = {2, 5, 10};
  const Rows<float> three = expected.topRows(3);
  Rows<float> normalized = three;
  norm.forward(three, normalized);
  norm.forward(three, gathered(wide.rightCols(hidden), ascending));
  for (Index r = 0; r < 3; ++r)
    before.row(ascending[static_cast<std::size_t>(r)]).rightCols(hidden) = normalized.row(r);
  EXPECT_TRUE(same(wide, before));
  // Elements that are apart: every second one of a row.
  Rows<float> spread = Rows<float>::Zero(table_rows, 2 * hidden);
  using Spread = Eigen::Map<Rows<float>, 0, Eigen::Stride<Eigen::Dynamic, 2>>;
  Spread apart(spread.data(), table_rows, hidden, Eigen::Stride<Eigen::Dynamic, 2>(2 * hidden, 2));
  apart = table;
  y.setZero();
  norm.forward(gathered(apart, numbers), y);
  EXPECT_TRUE(same(y, expected));
}
// (batch, time) numbers make (batch, time, hidden).
TEST_F(Kinds, TensorsOfNumbers) {
  Eigen::Tensor<std::int32_t, 2, Eigen::RowMajor> tokens(2, 3);
  std::copy(numbers.begin(), numbers.end(), tokens.data());
  Eigen::TensorMap<Eigen::Tensor<const float, 2, Eigen::RowMajor>> of_table(table.data(), table_rows, hidden);
  Eigen::Tensor<float, 3, Eigen::RowMajor> out(2, 3, hidden), dy(2, 3, hidden), dx = dy, dx_expected = dy;
  Moments<float> moments;
  norm.forward(gathered(of_table, tokens), out, moments);
  EXPECT_EQ(std::memcmp(out.data(), expected.data(), sizeof(float) * 6 * hidden), 0);
  dy.setRandom();
  Eigen::VectorXf dgamma_expected = gamma;
  norm.backward(dy, gathered(of_table, tokens), moments, dx, dgamma);
  Eigen::Tensor<float, 3, Eigen::RowMajor> copies(2, 3, hidden);
  for (Index r = 0; r < 6; ++r)
    std::copy_n(&table(numbers[static_cast<std::size_t>(r)], 0), hidden, copies.data() + r * hidden);
  norm.backward(dy, copies, moments, dx_expected, dgamma_expected);
  EXPECT_EQ(std::memcmp(dx.data(), dx_expected.data(), sizeof(float) * 6 * hidden), 0);
  EXPECT_TRUE(same(dgamma, dgamma_expected));
}
// Rows of (4, 5), normalized together.
TEST_F(Kinds, TablesOfMoreDimensions) {
  Eigen::TensorMap<Eigen::Tensor<const float, 3, Eigen::RowMajor>> of_table(table.data(), table_rows, 4, 5);
  Eigen::Tensor<float, 3, Eigen::RowMajor> out(6, 4, 5);
  const simdnorm::RMSNorm<float> both(gamma, 1e-6F, simdnorm::last_axes(2));
  both.forward(gathered(of_table, numbers), out);
  EXPECT_EQ(std::memcmp(out.data(), expected.data(), sizeof(float) * 6 * hidden), 0);
  refused({"RMSNorm.forward: x is rows of a table of shape (11, 4, 5) chosen by numbers of shape (6): all "
           "dimensions of the table but its first must be normalized"},
          [&] {
            const Eigen::VectorXf five = Eigen::VectorXf::Random(5);
            simdnorm::RMSNorm<float>(five).forward(gathered(of_table, numbers), out);
          });
}
// Rows of a column-major table are its columns.
TEST_F(Kinds, ColumnMajor) {
  Eigen::MatrixXf columns = table.transpose(), out(hidden, 6);
  const simdnorm::RMSNorm<float> first(gamma, 1e-6F, simdnorm::axis(0));
  first.forward(gathered(columns, numbers), out);
  EXPECT_TRUE(same(Rows<float>(out.transpose()), expected));
  Eigen::Tensor<std::int32_t, 2> tokens(3, 2);
  std::copy(numbers.begin(), numbers.end(), tokens.data());
  Eigen::TensorMap<Eigen::Tensor<const float, 2>> of_table(columns.data(), hidden, table_rows);
  Eigen::Tensor<float, 3> three(hidden, 3, 2);
  first.forward(gathered(of_table, tokens), three);
  EXPECT_EQ(std::memcmp(three.data(), expected.data(), sizeof(float) * 6 * hidden), 0);
  Eigen::MatrixXf lying(table_rows, 6);
  const Eigen::VectorXf six = Eigen::VectorXf::Random(6);
  const Eigen::MatrixXf before = table;
  refused({"x is rows of a table of shape (11, 20) chosen by numbers of shape (6): all dimensions of the "
           "table but "
           "its last, of a column-major one, must be normalized"},
          [&] { simdnorm::RMSNorm<float>(six).forward(gathered(before, numbers), lying); });
}
TEST_F(Kinds, InGroups) {
  const simdnorm::GroupedRMSNorm<float> grouped(4, gamma);
  grouped.forward(rows_of(table, numbers.data(), 6), expected);
  grouped.forward(gathered(table, numbers), y);
  EXPECT_TRUE(same(y, expected));
}

TEST_F(Kinds, ErrorsComeBeforeAnythingIsWritten) {
  const Rows<float> before = table, x = Rows<float>::Random(6, hidden);
  std::vector<std::int32_t> wrong = {0, 1, 2, 3, 4, 11};
  Moments<float> moments;
  refused({"rms_norm_forward: row 5 of x is to be row 11 of a table of 11 (rows 6, hidden 20)"},
          [&] { norm.forward(gathered(table, wrong), y, moments); });
  EXPECT_EQ(moments.rows(), 0);
  wrong[5] = -1;
  refused({"row 5 of y is to be row -1 of a table of 11"}, [&] { norm.forward(x, gathered(table, wrong)); });
  wrong[5] = 4;
  refused({"row 5 of y is to be written to row 4 of a table, which is not after"},
          [&] { norm.forward(x, gathered(table, wrong)); });
  wrong[5] = 8;
  refused({"y", "x", "overlap"}, [&] { norm.forward(table.topRows(6), gathered(table, wrong)); });
  wrong.pop_back();
  refused({"RMSNorm.forward: y is rows of a table of shape (11, 20) chosen by numbers of shape (5) but x has "
           "shape (6, 20)"},
          [&] { norm.forward(x, gathered(table, wrong)); });
  refused({"RMSNorm.forward: y has shape (6, 20) but x has shape (5, 20)"},
          [&] { norm.forward(gathered(table, wrong), y); });
  Rows<float> wide(11, hidden + 1);
  refused({"y is rows of a table of shape (11, 21) chosen by numbers of shape (6) but x has shape (6, 20)"},
          [&] { norm.forward(x, gathered(wide, numbers)); });
  refused({"gamma and beta have shape (20) but x of shape (6, 21)"},
          [&] { norm.forward(gathered(wide, numbers), y); });
  Eigen::Matrix<std::int32_t, 6, 2, Eigen::RowMajor> pairs;
  pairs.setZero();
  refused({"numbers of shape (6), which must have no gaps"},
          [&] { norm.forward(gathered(table, pairs.col(0)), y); });
  refused({"moments hold 0 rows but x of shape (6, 20) has 6"},
          [&] { norm.backward(x, gathered(table, numbers), moments, y); });
  EXPECT_TRUE(same(table, before));
}
TEST_F(Kinds, NoNumbersAreNoRows) {
  const std::vector<std::int32_t> none;
  Rows<float> nothing(0, hidden);
  const Rows<float> before = table;
  EXPECT_NO_THROW(norm.forward(gathered(table, none), nothing));
  EXPECT_NO_THROW(norm.forward(nothing, gathered(table, none)));
  EXPECT_TRUE(same(table, before));
}

}  // namespace
