// Rotary embeddings of Eigen objects: the bits of the pointer layer; heads and tokens as the shape has them; wrong shapes.
#include <simdnorm/simdnorm.hpp>

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "support/refused.hpp"

namespace {

using simdnorm::Index;
using simdnorm::Moments;
using simdnorm::Rotary;
using simdnorm::rotated;
using simdnorm::unrotated;
using support::refused;
constexpr auto halves = simdnorm::RotaryPairs::halves;

constexpr Index batch = 2, tokens = 5, heads = 3, head_dim = 22, rows = batch * tokens * heads;
template <int Layout> using Tensor = Eigen::Tensor<float, 4, Layout>;

template <class T> bool same(const T& a, const T& b) {
  return a.size() == b.size() &&
         std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(float)) == 0;
}

struct EigenRotary : testing::Test {
  std::vector<float> cosines = std::vector<float>(tokens * head_dim / 2), sines = cosines;
  Rotary<halves> rotary{cosines.data(), sines.data(), tokens, head_dim};
  Eigen::VectorXf gamma = Eigen::VectorXf::Random(head_dim), dgamma = gamma, dgamma_expected = gamma;
  simdnorm::RMSNorm<float> norm{gamma, 1e-6F};
  Moments<float> moments;
  Tensor<Eigen::RowMajor> x{batch, tokens, heads, head_dim}, y = x, expected = x, dx = x, dx_expected = x;

  EigenRotary() {
    simdnorm::rotary_tables(tokens, head_dim, 1e4, cosines.data(), sines.data());
    x.setRandom();
  }
};

TEST_F(EigenRotary, HasTheBitsOfPointers) {
  Rotary<halves> all = rotary;
  all.heads = heads;
  all.tokens = tokens;
  simdnorm::rms_norm_forward({rows, head_dim}, x.data(), gamma.data(), 1e-6F, rotated(expected.data(), all));
  norm.forward(x, rotated(y, rotary), moments);
  EXPECT_TRUE(same(y, expected));
  norm.backward(unrotated(y, rotary), x, moments, dx, dgamma);
  simdnorm::rms_norm_backward({rows, head_dim}, unrotated(y.data(), all), x.data(), gamma.data(),
                              moments.data(), dx_expected.data(), dgamma_expected.data());
  EXPECT_TRUE(same(dx, dx_expected));
  EXPECT_TRUE(same(dgamma, dgamma_expected));

  const std::vector<std::int32_t> positions = {0, 1, 2, 3, 4, 0, 1, 2, 3, 4};
  Rotary<halves> with_positions = rotary;
  with_positions.positions = positions.data();
  y = x;
  norm.forward(y, rotated(y, with_positions));  // in place
  EXPECT_TRUE(same(y, expected));
}
// Rows of one position are those of the batch, then.
TEST_F(EigenRotary, ColumnMajorHasTheSameNumbers) {
  norm.forward(x, rotated(y, rotary), moments);
  norm.backward(unrotated(y, rotary), x, moments, dx);
  const Eigen::array<int, 4> reversed = {3, 2, 1, 0};
  const Tensor<Eigen::ColMajor> columns = x.swap_layout().shuffle(reversed);
  Tensor<Eigen::ColMajor> out = columns, gradient = columns;
  norm.forward(columns, rotated(out, rotary), moments);
  expected = out.swap_layout().shuffle(reversed);
  EXPECT_TRUE(same(y, expected));
  norm.backward(unrotated(out, rotary), columns, moments, gradient);
  dx_expected = gradient.swap_layout().shuffle(reversed);
  EXPECT_TRUE(same(dx, dx_expected));

  const std::vector<std::int32_t> positions(batch * tokens, 0);
  Rotary<halves> with_positions = rotary;
  with_positions.positions = positions.data();
  refused({"heads of a rotary embedding must be at least 1"},
          [&] { norm.forward(columns, rotated(out, with_positions)); });
}
// q of one head in a wider matrix.
TEST_F(EigenRotary, SlicesOfAMatrix) {
  using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Matrix qkv = Matrix::Random(batch * tokens, 3 * head_dim);
  const Matrix before = qkv;
  Rotary<halves> of_head = rotary;
  of_head.heads = 1;
  of_head.tokens = tokens;
  Matrix alone(batch * tokens, head_dim);
  norm.forward(Matrix(qkv.leftCols(head_dim)), rotated(alone, of_head));
  auto q = qkv.leftCols(head_dim);
  norm.forward(q, rotated(q, of_head));
  EXPECT_TRUE(same(Matrix(q), alone));
  EXPECT_EQ(qkv.rightCols(2 * head_dim), before.rightCols(2 * head_dim));
  refused({"heads of a rotary embedding must be at least 1 but is 0 (rows 10, hidden 22)"},
          [&] { norm.forward(alone, rotated(alone, rotary)); });
}
TEST_F(EigenRotary, ErrorsSayWhatIsWrong) {
  Rotary<halves> of_four = rotary;
  of_four.length = 4;
  refused({"token 4 of y is at position 4, but the tables hold 4"},
          [&] { norm.forward(x, rotated(y, of_four), moments); });
  EXPECT_EQ(moments.rows(), 0);
  Tensor<Eigen::RowMajor> other(batch, tokens, heads, head_dim + 2);
  refused({"y has shape (2, 5, 3, 24) but x has shape (2, 5, 3, 22)"},
          [&] { norm.forward(x, rotated(other, rotary)); });
}

}  // namespace
