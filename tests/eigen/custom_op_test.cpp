// The functors inside tensor expressions: x.customOp(norm) and norm(x), on each device, with tensors,
// expressions, slices and chips on either side, and in place.
#define EIGEN_USE_THREADS
#include <simdnorm/simdnorm.hpp>

#include "support/tensors.hpp"

namespace {

using namespace support;
using simdnorm::Index;

template <int Order> struct CustomOp {
  using TensorOfOrder = Eigen::Tensor<float, 3, Order>;
  static constexpr Index batch = 40, tokens = 30, hidden = 120;
  static_assert(batch * tokens * hidden >= 2 * simdnorm::smallest_share, "enough for the pool");
  TensorOfOrder x{batch, tokens, hidden}, residual{batch, tokens, hidden}, expected{batch, tokens, hidden};
  Eigen::Tensor<float, 1> gamma{hidden}, beta{hidden};

  CustomOp() {
    Random random(1);
    fill_normal(random, x.data(), x.size());
    fill_normal(random, residual.data(), x.size());
    fill_gamma(random, gamma.data(), hidden);
    fill_normal(random, beta.data(), hidden);
  }
  simdnorm::LayerNorm<float> norm() const { return {gamma, beta, 1e-5f}; }
};

template <class A, class B> void expect_same(const A& a, const B& b) {
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(first_difference(a.data(), b.data(), a.size()), -1);
}

template <class C> struct InExpressions : testing::Test, CustomOp<C::value> {};
using Orders = testing::Types<std::integral_constant<int, Eigen::RowMajor>,
                              std::integral_constant<int, Eigen::ColMajor>>;
TYPED_TEST_SUITE(InExpressions, Orders);

TYPED_TEST(InExpressions, ATensor) {
  const auto norm = this->norm();
  norm.forward(this->x, this->expected);
  typename TestFixture::TensorOfOrder y = this->x.customOp(norm);
  expect_same(y, this->expected);
  y.setZero();
  y = norm(this->x);
  expect_same(y, this->expected);
}

TYPED_TEST(InExpressions, OnEachDevice) {
  const auto norm = this->norm();
  norm.forward(this->x, this->expected);
  Eigen::ThreadPool threads(3);
  const Eigen::ThreadPoolDevice pool(&threads, 3);
  const Eigen::DefaultDevice serial_device;
  typename TestFixture::TensorOfOrder y(this->x.dimensions());
  y.setZero();
  y.device(serial_device) = this->x.customOp(norm);
  expect_same(y, this->expected);
  y.setZero();
  y.device(pool) = this->x.customOp(norm);
  expect_same(y, this->expected);
  y.setZero();
  y.device(pool) = norm(this->x);
  expect_same(y, this->expected);
}

TYPED_TEST(InExpressions, OfAnExpression) {
  using Tensor = typename TestFixture::TensorOfOrder;
  const auto norm = this->norm();
  const Tensor sum = this->x + this->residual;
  norm.forward(sum, this->expected);
  Tensor y = (this->x + this->residual).customOp(norm);
  expect_same(y, this->expected);
  Eigen::ThreadPool threads(3);
  const Eigen::ThreadPoolDevice pool(&threads, 3);
  y.setZero();
  y.device(pool) = norm(this->x + this->residual);
  expect_same(y, this->expected);
}

// A tensor by its type, but without memory: evaluated first, as an expression is.
TYPED_TEST(InExpressions, OfAReferenceToAnExpression) {
  using Tensor = typename TestFixture::TensorOfOrder;
  const auto norm = this->norm();
  const Tensor sum = this->x + this->residual;
  norm.forward(sum, this->expected);
  const Eigen::TensorRef<const Tensor> reference = this->x + this->residual;
  const Tensor y = reference.customOp(norm);
  expect_same(y, this->expected);
}

TYPED_TEST(InExpressions, InPlace) {
  const auto norm = this->norm();
  norm.forward(this->x, this->expected);
  Eigen::ThreadPool threads(3);
  const Eigen::ThreadPoolDevice pool(&threads, 3);
  auto a = this->x, b = this->x;
  a = a.customOp(norm);
  expect_same(a, this->expected);
  b.device(pool) = b.customOp(norm);
  expect_same(b, this->expected);
  auto sum = this->x;
  const typename TestFixture::TensorOfOrder separate = this->x + this->residual;
  norm.forward(separate, this->expected);
  sum = (sum + this->residual).customOp(norm);
  expect_same(sum, this->expected);
}

// (UndefinedBehaviorSanitizer sees whether a null pointer is copied from.)
TYPED_TEST(InExpressions, WithoutRows) {
  using Tensor = typename TestFixture::TensorOfOrder;
  const Tensor nothing(0, 3, this->hidden);
  Eigen::TensorMap<Tensor> to(nullptr, nothing.dimensions());
  to = this->norm()(nothing);
  const Tensor y = this->norm()(nothing + nothing);
  EXPECT_EQ(y.size(), 0);
}

TYPED_TEST(InExpressions, OfMapsToMaps) {
  using Map = Eigen::TensorMap<typename TestFixture::TensorOfOrder>;
  const auto norm = this->norm();
  norm.forward(this->x, this->expected);
  std::vector<float> memory(size(2 * this->x.size() + 2));
  Map from(memory.data() + 1, this->batch, this->tokens, this->hidden);
  Map to(memory.data() + 1 + this->x.size(), this->batch, this->tokens, this->hidden);
  from = this->x;
  to = from.customOp(norm);
  expect_same(to, this->expected);
}

// One item of a larger tensor, which is a run of memory in one of the two orders only, and a slice, which is
// one in neither.
TYPED_TEST(InExpressions, OfChipsAndSlicesToChipsAndSlices) {
  using Tensor = typename TestFixture::TensorOfOrder;
  const auto norm = this->norm();
  Eigen::Tensor<float, 4, TypeParam::value> from(2, this->batch, this->tokens, this->hidden),
      to(from.dimensions());
  from.setZero();
  to.setConstant(7.f);
  from.template chip<0>(1) = this->x;
  norm.forward(this->x, this->expected);
  to.template chip<0>(1) = from.template chip<0>(1).customOp(norm);
  const Tensor got = to.template chip<0>(1), other = to.template chip<0>(0);
  expect_same(got, this->expected);
  for (Index i = 0; i < other.size(); ++i) ASSERT_EQ(other.data()[i], 7.f) << "the other chip was written";

  const Eigen::array<Eigen::Index, 3> first{1, 2, 0}, extent{3, 4, this->hidden};
  const Tensor part = this->x.slice(first, extent);
  Tensor part_expected(3, 4, this->hidden), y = this->x;
  norm.forward(part, part_expected);
  y.slice(first, extent) = this->x.slice(first, extent).customOp(norm);
  const Tensor slice = y.slice(first, extent);
  expect_same(slice, part_expected);
  Tensor back = y;
  back.slice(first, extent) = part;
  expect_same(back, this->x);  // nothing else changed
}

TYPED_TEST(InExpressions, AsPartOfALargerOne) {
  using Tensor = typename TestFixture::TensorOfOrder;
  const auto norm = this->norm();
  norm.forward(this->x, this->expected);
  const Tensor y = this->residual + this->x.customOp(norm);
  const Tensor twice = norm(this->x.customOp(norm));
  Tensor twice_expected(this->x.dimensions());
  norm.forward(this->expected, twice_expected);
  for (Index i = 0; i < y.size(); ++i)
    ASSERT_EQ(y.data()[i], this->residual.data()[i] + this->expected.data()[i]);
  expect_same(twice, twice_expected);
}

TYPED_TEST(InExpressions, OverOtherAxesAndWithoutParameters) {
  using Tensor = typename TestFixture::TensorOfOrder;
  const simdnorm::LayerNorm<float> middle(this->tokens, 1e-5f, simdnorm::axis(1));
  const simdnorm::LayerNorm<float> both(this->tokens * this->hidden, 1e-5f, simdnorm::last_axes(2));
  for (const auto& norm : {middle, both}) {
    norm.forward(this->x, this->expected);
    const Tensor y = this->x.customOp(norm);
    expect_same(y, this->expected);
  }
}

TEST(RMSNormInExpressions, OfTensorsAndExpressions) {
  CustomOp<Eigen::RowMajor> c;
  const simdnorm::RMSNorm<float> norm(c.gamma, 1e-6f);
  Eigen::ThreadPool threads(3);
  const Eigen::ThreadPoolDevice pool(&threads, 3);
  norm.forward(c.x, c.expected);
  Eigen::Tensor<float, 3, Eigen::RowMajor> y(c.x.dimensions());
  y.device(pool) = c.x.customOp(norm);
  expect_same(y, c.expected);
  y = norm(c.x);
  expect_same(y, c.expected);
  const Eigen::Tensor<float, 3, Eigen::RowMajor> sum = c.x * c.residual;
  norm.forward(sum, c.expected);
  y.device(pool) = norm(c.x * c.residual);
  expect_same(y, c.expected);
}

TEST(InExpressionsErrors, WrongSizesThrow) {
  Eigen::Tensor<float, 2, Eigen::RowMajor> x(3, 5), y(3, 5);
  x.setRandom();
  y.setConstant(7.f);
  const simdnorm::LayerNorm<float> norm(6);
  EXPECT_THROW(y = x.customOp(norm), std::invalid_argument);
  for (Index i = 0; i < y.size(); ++i) EXPECT_EQ(y.data()[i], 7.f);
}

}  // namespace
