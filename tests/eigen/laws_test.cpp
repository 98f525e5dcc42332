// The functors against the pointer layer and against themselves: the same bits by every way there is to ask
// for a norm.
#include <simdnorm/simdnorm.hpp>

#include "support/tensors.hpp"

namespace {

using namespace support;
using simdnorm::Index;

template <class C> struct FunctorLaws : testing::Test {
  static constexpr int order = C::value;
  using TensorOfOrder = Eigen::Tensor<float, 4, order>;
  using MatrixOfOrder = Eigen::Tensor<float, 2, order>;
  const Index a = 5, b = 4, c = 6, d = 7;
  TensorOfOrder x{a, b, c, d}, dy{a, b, c, d}, y{a, b, c, d}, dx{a, b, c, d};

  void SetUp() override {
    Random random(1);
    fill_normal(random, x.data(), x.size());
    fill_normal(random, dy.data(), x.size());
  }
  static Eigen::Tensor<float, 1> random_vector(Index n, std::uint64_t seed) {
    Random random(seed);
    std::vector<float> values(size(n));
    fill_gamma(random, values.data(), n);
    return vector_of(values);
  }
};
using Orders = testing::Types<std::integral_constant<int, Eigen::RowMajor>,
                              std::integral_constant<int, Eigen::ColMajor>>;
TYPED_TEST_SUITE(FunctorLaws, Orders);

template <class A, class B> void expect_same(const A& a, const B& b, const char* what) {
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(first_difference(a.data(), b.data(), a.size()), -1) << what;
}

// Several axes at once are one axis of the reshaped tensor.
TYPED_TEST(FunctorLaws, SeveralAxesAreOneOfTheReshaped) {
  using Matrix = typename TestFixture::MatrixOfOrder;
  for (int first = 1; first < 4; ++first) {
    Index rows = 1, hidden = 1;
    for (int i = 0; i < 4; ++i) (i < first ? rows : hidden) *= this->x.dimension(static_cast<std::size_t>(i));
    const auto gamma = this->random_vector(hidden, 2), beta = this->random_vector(hidden, 3);
    const simdnorm::LayerNorm<float> several(gamma, beta, 1e-5f, simdnorm::last_axes(4 - first));
    const simdnorm::LayerNorm<float> one(gamma, beta, 1e-5f);
    simdnorm::Moments<float> moments, flat_moments;
    several.forward(this->x, this->y, moments);
    const Matrix flat_x = this->x.reshape(Eigen::array<Eigen::Index, 2>{rows, hidden});
    const Matrix flat_dy = this->dy.reshape(Eigen::array<Eigen::Index, 2>{rows, hidden});
    Matrix flat_y(rows, hidden), flat_dx(rows, hidden);
    one.forward(flat_x, flat_y, flat_moments);
    expect_same(this->y, flat_y, "y");
    Eigen::Tensor<float, 1> dgamma(hidden), dbeta(hidden), flat_dgamma(hidden), flat_dbeta(hidden);
    several.backward(this->dy, this->x, moments, this->dx, dgamma, dbeta);
    one.backward(flat_dy, flat_x, flat_moments, flat_dx, flat_dgamma, flat_dbeta);
    expect_same(this->dx, flat_dx, "dx");
    expect_same(dgamma, flat_dgamma, "dgamma");
    expect_same(dbeta, flat_dbeta, "dbeta");
  }
}

// An axis in the middle: the functor against the pointer layer with strides worked out by hand.
TYPED_TEST(FunctorLaws, TheFunctorIsThePointerLayer) {
  const bool row_major_order = this->order == Eigen::RowMajor;
  const Index before = row_major_order ? this->a : this->d * this->c;
  const Index hidden = this->b, after = row_major_order ? this->c * this->d : this->a;
  const RowShape shape{before * after, hidden, after};
  const auto gamma = this->random_vector(hidden, 2), beta = this->random_vector(hidden, 3);
  const simdnorm::LayerNorm<float> norm(gamma, beta, 1e-5f, simdnorm::axis(1));
  simdnorm::Moments<float> moments;
  Eigen::Tensor<float, 1> dgamma(hidden), dbeta(hidden);
  norm.forward(this->x, this->y, moments);
  norm.backward(this->dy, this->x, moments, this->dx, dgamma, dbeta);

  const Index n = this->x.size();
  std::vector<float> rows_of_y(size(n)), rows_of_dx(size(n)), of_gamma(size(hidden)), of_beta(size(hidden));
  std::vector<RowMoments<float>> kept(size(shape.rows));
  forward(Norm::layer, shape, packed(shape, this->x.data()), gamma.data(), beta.data(), 1e-5f,
          packed(shape, rows_of_y.data()), kept.data());
  backward(Norm::layer, shape, packed(shape, this->dy.data()), packed(shape, this->x.data()), gamma.data(),
           kept.data(), packed(shape, rows_of_dx.data()), of_gamma.data(), of_beta.data());
  expect_same(this->y, rows_of_y, "y");
  expect_same(this->dx, rows_of_dx, "dx");
  expect_same(dgamma, of_gamma, "dgamma");
  expect_same(dbeta, of_beta, "dbeta");
}

TYPED_TEST(FunctorLaws, CustomOpIsForward) {
  const auto gamma = this->random_vector(this->d, 2), beta = this->random_vector(this->d, 3);
  const simdnorm::LayerNorm<float> norm(gamma, beta, 1e-5f);
  norm.forward(this->x, this->y);
  const typename TestFixture::TensorOfOrder by_op = this->x.customOp(norm), by_call = norm(this->x);
  expect_same(by_op, this->y, "customOp");
  expect_same(by_call, this->y, "norm(x)");
}

TYPED_TEST(FunctorLaws, InPlaceEqualsOutOfPlace) {
  const auto gamma = this->random_vector(this->c, 2), beta = this->random_vector(this->c, 3);
  const simdnorm::LayerNorm<float> norm(gamma, beta, 1e-5f, simdnorm::axis(-2));
  simdnorm::Moments<float> moments;
  norm.forward(this->x, this->y, moments);
  norm.backward(this->dy, this->x, moments, this->dx);
  auto z = this->x, on_dy = this->dy, on_x = this->x;
  norm.forward(z, z);
  expect_same(z, this->y, "y on x");
  norm.backward(on_dy, this->x, moments, on_dy);
  expect_same(on_dy, this->dx, "dx on dy");
  norm.backward(this->dy, on_x, moments, on_x);
  expect_same(on_x, this->dx, "dx on x");
}

// A matrix and its transpose's map hold the same rows in the two storage orders.
TEST(MatrixLaws, BothStorageOrdersHaveTheSameRows) {
  const Index rows = 45, hidden = 30;
  const Eigen::MatrixXf columns = Eigen::MatrixXf::Random(rows, hidden);
  const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> by_rows = columns;
  Eigen::MatrixXf y(rows, hidden);
  Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> z(rows, hidden);
  const simdnorm::LayerNorm<float> norm(hidden);
  norm.forward(columns, y);
  norm.forward(by_rows, z);
  EXPECT_EQ((y - z).cwiseAbs().maxCoeff(), 0.f);
}

}  // namespace
