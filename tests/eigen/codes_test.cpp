// Castings, codes with a tensor of scales, and expressions of Eigen's own 16-bit numbers: the bits of the pointer layer.
#define EIGEN_USE_THREADS
#include "support/eigen_types.hpp"
#include "support/refused.hpp"

namespace {

using namespace support;
TYPED_TEST_SUITE(EigenTypes, Pairs);

TYPED_TEST(EigenTypes, InExpressions) {
  using E = typename TestFixture::Number;
  const LayerNorm<E> norm(this->gamma, this->beta, 0x1p-17);
  Tensor<E> expected(batch, tokens, hidden);
  norm.forward(this->x, expected);
  const auto same = [&](const Tensor<E>& y) {
    ASSERT_EQ(std::memcmp(y.data(), expected.data(), size(y.size()) * sizeof(E)), 0);
  };
  Tensor<E> y = this->x.customOp(norm);
  same(y);
  y.setZero();
  Eigen::ThreadPool threads(3);
  const Eigen::ThreadPoolDevice pool(&threads, 3);
  y.device(pool) = norm(this->x);
  same(y);
  const Tensor<E> sum = this->x + this->dy;
  norm.forward(sum, expected);
  y = norm(this->x + this->dy);
  same(y);
}

// Castings are the functor's second argument.
TYPED_TEST(EigenTypes, Castings) {
  using E = typename TestFixture::Number;
  using U = typename TestFixture::Bits;
  Tensor<E> y(batch, tokens, hidden), other(batch, tokens, hidden);
  std::vector<U> expected(this->in.x.size());
  RMSNorm<E, simdnorm::RoundXhat>(this->gamma, 0x1p-17).forward(this->x, y);
  simdnorm::rms_norm_forward<simdnorm::RoundXhat>({rows, hidden}, this->in.x.data(), this->in.gamma.data(),
                                                  0x1p-17, expected.data());
  this->expect_same(y, expected);
  RMSNorm<E, simdnorm::OnePlusGamma>(this->gamma, 0x1p-17).forward(this->x, other);
  simdnorm::rms_norm_forward<simdnorm::OnePlusGamma>({rows, hidden}, this->in.x.data(), this->in.gamma.data(),
                                                     0x1p-17, expected.data());
  this->expect_same(other, expected);
  const Tensor<E> in_expression = this->x.customOp(RMSNorm<E, simdnorm::OnePlusGamma>(this->gamma, 0x1p-17));
  this->expect_same(in_expression, expected);
}

TYPED_TEST(EigenTypes, CodesWithATensorOfScales) {
  using E = typename TestFixture::Number;
  const LayerNorm<E> norm(this->gamma, this->beta, 0x1p-17);
  Tensor<std::int8_t> codes(batch, tokens, hidden);
  Eigen::Tensor<float, 2, Eigen::RowMajor> scales(batch, tokens);
  std::vector<std::int8_t> expected(this->in.x.size());
  std::vector<float> scales_expected(size(rows));
  Moments<float> moments;
  norm.forward(this->x, per_token(codes, scales), moments);
  simdnorm::layer_norm_forward({rows, hidden}, this->in.x.data(), this->in.gamma.data(), this->in.beta.data(),
                               0x1p-17, per_token(expected.data(), scales_expected.data()));
  this->expect_same(codes, expected);
  this->expect_same(scales, scales_expected);
  EXPECT_EQ(moments.rows(), rows);

  Eigen::ThreadPool threads(3);
  const Eigen::ThreadPoolDevice pool(&threads, 3);
  codes.setZero();
  norm.forward(this->x, per_token(codes, scales), pool);
  this->expect_same(codes, expected);
  Tensor<simdnorm::Float8E4M3> fp8(batch, tokens, hidden);
  std::vector<simdnorm::Float8E4M3> fp8_expected(this->in.x.size());
  norm.forward(this->x, per_tensor(fp8, 0.02F));
  simdnorm::layer_norm_forward({rows, hidden}, this->in.x.data(), this->in.gamma.data(), this->in.beta.data(),
                               0x1p-17, per_tensor(fp8_expected.data(), 0.02F));
  this->expect_same(fp8, fp8_expected);
}

// --- wrong shapes ---

TEST(EigenCodes, WrongShapesNameBoth) {
  Tensor<Eigen::bfloat16> x(batch, tokens, hidden);
  x.setZero();
  Tensor<std::int8_t> codes(batch, tokens, hidden), short_codes(batch, tokens, hidden - 1);
  codes.setConstant(7);
  const LayerNorm<float> norm(hidden);
  Eigen::Tensor<float, 2, Eigen::RowMajor> scales(batch, tokens + 1);
  scales.setConstant(9);
  refused({"LayerNorm.forward", "scales", "(3, 6)", "(3, 5, 40)", "15 rows"},
          [&] { norm.forward(x, per_token(codes, scales)); });
  Eigen::VectorXf enough(rows);
  enough.setConstant(9);
  refused({"LayerNorm.forward", "y has shape (3, 5, 39)", "(3, 5, 40)"},
          [&] { norm.forward(x, per_token(short_codes, enough)); });
  refused({"y has shape (3, 5, 39)", "(3, 5, 40)"}, [&] { norm.forward(x, per_tensor(short_codes, 1.0F)); });
  refused({"zero_point"}, [&] { norm.forward(x, per_tensor(codes, 1.0F, 200)); });
  Eigen::MatrixXf wide(2, rows);
  wide.setConstant(9);
  auto gaps = wide.row(0);
  refused({"scales", "with gaps"}, [&] { norm.forward(x, per_token(codes, gaps)); });
  for (Index i = 0; i < codes.size(); ++i) ASSERT_EQ(codes.data()[i], 7) << "written before the error";
  for (Index i = 0; i < scales.size(); ++i) ASSERT_EQ(scales.data()[i], 9) << "written before the error";
  EXPECT_EQ((wide.array() == 9).count(), wide.size());
  // Moments are not resized by a call that is refused.
  Moments<float> moments;
  refused({"scale must be"}, [&] { norm.forward(x, per_tensor(codes, 0.0F), moments); });
  EXPECT_EQ(moments.rows(), 0);
}

}  // namespace
