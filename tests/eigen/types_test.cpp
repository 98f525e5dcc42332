// Eigen's own 16-bit numbers as operands of the functors: the bits of the pointer layer on the same memory.
#define EIGEN_USE_THREADS
#include "support/eigen_types.hpp"

namespace {

using namespace support;
TYPED_TEST_SUITE(EigenTypes, Pairs);

// Eigen and this library mean the same numbers by the same bits, and round floats to the same ones.
TYPED_TEST(EigenTypes, ConvertAsEigenDoes) {
  using E = typename TestFixture::Number;
  using U = typename TestFixture::Bits;
  for (std::uint32_t code = 0; code < 65536; ++code) {
    const U ours{static_cast<std::uint16_t>(code)};
    E theirs;
    std::memcpy(static_cast<void*>(&theirs), &ours, sizeof ours);
    const auto expected = static_cast<double>(static_cast<float>(theirs));
    ASSERT_TRUE(value_of(ours) == expected || (expected != expected && std::isnan(value_of(ours)))) << code;
  }
  Random random(1);
  for (int i = 0; i < 100000; ++i) {
    const auto value = static_cast<float>(random.log_uniform(-30, 20));
    const E theirs(value);
    ASSERT_EQ(
        std::memcmp(&theirs, std::array<U, 1>{simdnorm::simd::narrow_number<U>(value)}.data(), sizeof theirs),
        0)
        << value;
  }
}

TYPED_TEST(EigenTypes, ForwardAndBackwardOfOneType) {
  using E = typename TestFixture::Number;
  using U = typename TestFixture::Bits;
  const LayerNorm<E> norm(this->gamma, this->beta, 0x1p-17);
  Moments<float> moments;
  Tensor<E> y(batch, tokens, hidden), dx(batch, tokens, hidden);
  norm.forward(this->x, y, moments);
  std::vector<U> expected(this->in.x.size()), dx_expected(this->in.x.size());
  std::vector<RowMoments<float>> kept(size(rows));
  forward_of(Norm::layer, {rows, hidden}, this->in.x.data(), this->in.gamma.data(), this->in.beta.data(),
             0x1p-17, expected.data(), kept.data());
  this->expect_same(y, expected);
  ASSERT_EQ(moments.rows(), rows);
  EXPECT_EQ(moments.rstd(0), simdnorm::true_rstd(kept[0]));

  Eigen::VectorXf dgamma(hidden), dbeta(hidden);
  Eigen::VectorXd dgamma_double(hidden);
  std::vector<float> dgamma_expected(size(hidden)), dbeta_expected(size(hidden));
  norm.backward(this->dy, this->x, moments, dx, dgamma, dbeta);
  backward_of<Norm::layer>({rows, hidden}, this->in.dy.data(), this->in.x.data(), this->in.gamma.data(),
                           kept.data(), dx_expected.data(), dgamma_expected.data(), dbeta_expected.data());
  this->expect_same(dx, dx_expected);
  this->expect_same(dgamma, dgamma_expected);
  this->expect_same(dbeta, dbeta_expected);
  norm.backward(this->dy, this->x, moments, dx, dgamma_double, nullptr);
  for (Index c = 0; c < hidden; ++c)
    EXPECT_TRUE(static_cast<float>(dgamma_double[c]) == dgamma[c] || std::isnan(dgamma[c])) << c;
}

// gamma in float, x narrow, y in float; dx in float from a dy in float.
TYPED_TEST(EigenTypes, MixedWithFloat) {
  const std::vector<float> gamma_of_float = numbers<float>(this->in.gamma);
  const Eigen::VectorXf wide_gamma = Eigen::Map<const Eigen::VectorXf>(gamma_of_float.data(), hidden);
  const RMSNorm<float> norm(wide_gamma, 0x1p-17);
  Moments<float> moments;
  Tensor<float> y(batch, tokens, hidden), dx(batch, tokens, hidden);
  norm.forward(this->x, y, moments);
  std::vector<float> expected(this->in.x.size()), dx_expected(this->in.x.size());
  std::vector<RowMoments<float>> kept(size(rows));
  simdnorm::rms_norm_forward({rows, hidden}, this->in.x.data(), gamma_of_float.data(), 0x1p-17,
                             expected.data(), kept.data());
  this->expect_same(y, expected);
  norm.backward(y, this->x, moments, dx);
  simdnorm::rms_norm_backward({rows, hidden}, expected.data(), this->in.x.data(), gamma_of_float.data(),
                              kept.data(), dx_expected.data());
  this->expect_same(dx, dx_expected);
}

// One operand of double makes the call double: Moments<double>.
TYPED_TEST(EigenTypes, MixedWithDouble) {
  using E = typename TestFixture::Number;
  const LayerNorm<E> norm(this->gamma, this->beta, 0x1p-17);
  Moments<double> moments;
  Tensor<double> y(batch, tokens, hidden);
  norm.forward(this->x, y, moments);
  std::vector<double> expected(this->in.x.size());
  simdnorm::layer_norm_forward({rows, hidden}, this->in.x.data(), this->in.gamma.data(), this->in.beta.data(),
                               0x1p-17, expected.data());
  this->expect_same(y, expected);
  static_assert(std::is_same_v<decltype(moments.rstd(0)), double>);
}

TYPED_TEST(EigenTypes, MatricesOverOtherAxesAndInPlace) {
  using E = typename TestFixture::Number;
  using U = typename TestFixture::Bits;
  using Matrix = Eigen::Matrix<E, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Matrix m(rows, hidden);
  std::memcpy(static_cast<void*>(m.data()), this->in.x.data(), this->in.x.size() * sizeof(U));
  const LayerNorm<E> columns(rows, 0x1p-17, simdnorm::axis(0));
  std::vector<U> expected(this->in.x.size());
  simdnorm::layer_norm_forward({hidden, rows, hidden}, this->in.x.data(), nullptr, nullptr, 0x1p-17,
                               expected.data());
  Matrix y(rows, hidden);
  columns.forward(m, y);
  this->expect_same(y, expected);
  columns.forward(m, m);
  this->expect_same(m, expected);
}

}  // namespace
