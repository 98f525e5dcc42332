// The objects that an operator takes: maps, references and fixed sizes of tensors; matrices, arrays, maps,
// references and blocks; vectors; and the last arguments in any order.
#include <simdnorm/simdnorm.hpp>

#include "support/tensors.hpp"

namespace {

using namespace support;
using Eigen::ColMajor;
using Eigen::RowMajor;
using simdnorm::Index;

// Runs forward and backward with four objects of the shape (rows x columns) or (size), which may be of
// different types, and compares with the rows of the pointer layer.
template <class X, class Y, class Dy, class Dx> void check(X&& x, Y&& y, Dy&& dy, Dx&& dx) {
  const std::vector<Index> sizes = sizes_of(x);
  const RowMap map{sizes, row_major<std::decay_t<X>>(), static_cast<int>(sizes.size()) - 1, 1};
  const Expected<float> e = expect(Norm::layer, map, 1e-5f, Parameters::both, 1);
  scatter(map, e.p.x, x);
  scatter(map, e.p.dy, dy);
  const Eigen::VectorXf gamma = Eigen::Map<const Eigen::VectorXf>(e.p.gamma.data(), map.hidden());
  const Eigen::Tensor<float, 1, RowMajor> beta =
      Eigen::TensorMap<const Eigen::Tensor<float, 1, RowMajor>>(e.p.beta.data(), map.hidden());
  const simdnorm::LayerNorm<float> norm(gamma, beta, 1e-5f);
  simdnorm::Moments<float> moments;
  norm.forward(x, y, moments);
  EXPECT_EQ(first_difference(gather(map, y), e.forward.y), -1) << "y";
  Eigen::RowVectorXf dgamma(map.hidden());
  Eigen::ArrayXf dbeta(map.hidden());
  norm.backward(dy, x, moments, dx, dgamma, dbeta);
  EXPECT_EQ(first_difference(gather(map, dx), e.gradients.dx), -1) << "dx";
  EXPECT_LE(parameter_ratio(Gradient::dgamma, e, dgamma.data()), 1);
  EXPECT_LE(parameter_ratio(Gradient::dbeta, e, dbeta.data()), 1);
}

// Which types an operator takes: what is computed where it is read has no memory of its own.
TEST(Objects, LieInMemory) {
  using Matrix = Eigen::MatrixXf;
  using Tensor = Eigen::Tensor<float, 2>;
  EXPECT_TRUE(simdnorm::has_memory<Matrix>());
  EXPECT_TRUE(simdnorm::has_memory<Eigen::Block<const Matrix>>());
  EXPECT_FALSE(simdnorm::has_memory<decltype(Matrix() + Matrix())>());
  EXPECT_TRUE(simdnorm::has_memory<Tensor>());
  EXPECT_TRUE(simdnorm::has_memory<Eigen::TensorMap<const Tensor>>());
  EXPECT_FALSE(simdnorm::has_memory<decltype(Tensor() + Tensor())>());
  EXPECT_FALSE(simdnorm::has_memory<float>());
}

TEST(Objects, TensorMaps) {
  std::vector<float> memory(4 * 3 * 5 * 7 + 3);
  using Map = Eigen::TensorMap<Eigen::Tensor<float, 3, RowMajor>>;
  float* p = memory.data() + 1;  // aligned to an element
  check(Map(p, 3, 5, 7), Map(p + 105, 3, 5, 7), Map(p + 210, 3, 5, 7), Map(p + 315, 3, 5, 7));
  using ColumnMap = Eigen::TensorMap<Eigen::Tensor<float, 3, ColMajor>>;
  check(ColumnMap(p, 3, 5, 7), ColumnMap(p + 105, 3, 5, 7), ColumnMap(p + 210, 3, 5, 7),
        ColumnMap(p + 315, 3, 5, 7));
}

// As TensorFlow hands out what is only read.
TEST(Objects, TensorMapsOfConstNumbers) {
  std::vector<float> numbers(5 * 11);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i * i % 17) - 7.5f;
  using Map = Eigen::TensorMap<Eigen::Tensor<float, 2, RowMajor>>;
  using ConstMap = Eigen::TensorMap<Eigen::Tensor<const float, 2, RowMajor>>;
  using ConstVector = Eigen::TensorMap<Eigen::Tensor<const float, 1, RowMajor>>;
  const Map x(numbers.data(), 5, 11);
  const ConstMap const_x(numbers.data(), 5, 11), const_items(numbers.data() + 1, 1, 11);
  const ConstVector const_gamma(numbers.data() + 2, 11), const_beta(numbers.data() + 5, 11);
  const Eigen::Tensor<float, 1, RowMajor> gamma = const_gamma, beta = const_beta;
  const Eigen::Tensor<float, 2, RowMajor> items = const_items;
  Eigen::Tensor<float, 2, RowMajor> y(5, 11), expected(5, 11);
  const auto expect_same = [&](const auto& norm_of_const, const auto& norm) {
    norm_of_const.forward(const_x, y);
    norm.forward(x, expected);
    EXPECT_TRUE(std::equal(y.data(), y.data() + y.size(), expected.data()));
  };
  expect_same(simdnorm::LayerNorm<float>(const_gamma, const_beta), simdnorm::LayerNorm<float>(gamma, beta));
  expect_same(simdnorm::RMSNorm<float>(const_gamma, 1e-5f), simdnorm::RMSNorm<float>(gamma, 1e-5f));
  expect_same(simdnorm::ModulatedLayerNorm<float>(const_items, const_items),
              simdnorm::ModulatedLayerNorm<float>(items, items));
}

TEST(Objects, FixedSizeTensors) {
  using Fixed = Eigen::TensorFixedSize<float, Eigen::Sizes<3, 5, 7>, RowMajor>;
  check(Fixed(), Fixed(), Fixed(), Fixed());
  using FixedColumns = Eigen::TensorFixedSize<float, Eigen::Sizes<9, 20>, ColMajor>;
  check(FixedColumns(), FixedColumns(), Eigen::Tensor<float, 2, ColMajor>(9, 20), FixedColumns());
}

TEST(Objects, TensorReferences) {
  using Tensor = Eigen::Tensor<float, 2, RowMajor>;
  Tensor x(6, 11), y(6, 11), dy(6, 11), dx(6, 11);
  const RowMap map{{6, 11}, true, 1, 1};
  const Expected<float> e = expect(Norm::layer, map, 1e-5f, Parameters::none, 2);
  scatter(map, e.p.x, x);
  scatter(map, e.p.dy, dy);
  const Eigen::TensorRef<Tensor> x_reference(x), dy_reference(dy);
  const simdnorm::LayerNorm<float> norm(11);
  simdnorm::Moments<float> moments;
  norm.forward(x_reference, y, moments);
  EXPECT_EQ(first_difference(gather(map, y), e.forward.y), -1);
  norm.backward(dy_reference, x_reference, moments, dx);
  EXPECT_EQ(first_difference(gather(map, dx), e.gradients.dx), -1);
}

TEST(Objects, ConstantObjectsAreRead) {
  using Tensor = Eigen::Tensor<float, 2, RowMajor>;
  Tensor x(6, 11), y(6, 11), z(6, 11);
  x.setRandom();
  const Tensor& constant = x;
  const Eigen::TensorMap<const Tensor> map(x.data(), 6, 11);
  const simdnorm::LayerNorm<float> norm(11);
  norm.forward(constant, y);
  norm.forward(map, z);
  for (Index i = 0; i < 66; ++i) EXPECT_EQ(y.data()[i], z.data()[i]);
  const Eigen::MatrixXf matrix = Eigen::MatrixXf::Random(6, 11);
  Eigen::MatrixXf a(6, 11), b(6, 11);
  norm.forward(matrix, a);
  norm.forward(Eigen::Map<const Eigen::MatrixXf>(matrix.data(), 6, 11), b);
  EXPECT_EQ((a - b).cwiseAbs().maxCoeff(), 0.f);
}

TEST(Objects, MatricesAndArrays) {
  using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, RowMajor>;
  using Columns = Eigen::MatrixXf;
  for (Index rows : {1, 2, 5, 40}) {
    for (Index hidden : {1, 3, 16, 33}) {
      check(Rows(rows, hidden), Rows(rows, hidden), Rows(rows, hidden), Rows(rows, hidden));
      check(Columns(rows, hidden), Columns(rows, hidden), Columns(rows, hidden), Columns(rows, hidden));
      check(Eigen::ArrayXXf(rows, hidden), Columns(rows, hidden), Columns(rows, hidden),
            Eigen::ArrayXXf(rows, hidden));
    }
  }
  using Fixed = Eigen::Matrix<float, 5, 9, RowMajor>;
  check(Fixed(), Fixed(), Rows(5, 9), Fixed());
  using FixedRows = Eigen::Matrix<float, 5, Eigen::Dynamic>;
  check(FixedRows(5, 9), Columns(5, 9), Columns(5, 9), FixedRows(5, 9));
}

TEST(Objects, BlocksOfWiderMatrices) {
  using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, RowMajor>;
  for (Index rows : {1, 2, 9, 40}) {
    for (Index hidden : {1, 2, 8, 31}) {
      Rows x = Rows::Constant(rows + 4, hidden + 5, 3.f), y = x, dy = x, dx = x;
      const auto block = [&](Rows& m) { return m.block(2, 3, rows, hidden); };
      check(block(x), block(y), block(dy), block(dx));
      // Around the block, y is as it was.
      Rows outside = y;
      block(outside).setConstant(3.f);
      EXPECT_EQ((outside.array() - 3.f).abs().maxCoeff(), 0.f);
      check(block(x), Rows(rows, hidden), Rows(rows, hidden), block(dx));

      Eigen::MatrixXf cx = Eigen::MatrixXf::Constant(rows + 4, hidden + 5, 3.f), cy = cx, cdy = cx, cdx = cx;
      const auto column_block = [&](Eigen::MatrixXf& m) { return m.block(2, 3, rows, hidden); };
      check(column_block(cx), column_block(cy), column_block(cdy), column_block(cdx));
      Eigen::MatrixXf column_outside = cy;
      column_block(column_outside).setConstant(3.f);
      EXPECT_EQ((column_outside.array() - 3.f).abs().maxCoeff(), 0.f);
    }
  }
}

TEST(Objects, MapsAndReferences) {
  using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, RowMajor>;
  std::vector<float> memory(4 * 200);
  float* p = memory.data() + 1;
  using Map = Eigen::Map<Rows>;
  check(Map(p, 6, 13), Map(p + 200, 6, 13), Map(p + 400, 6, 13), Map(p + 600, 6, 13));
  using Spaced = Eigen::Map<Rows, 0, Eigen::OuterStride<>>;
  const Eigen::OuterStride<> stride(17);
  check(Spaced(p, 6, 13, stride), Spaced(p + 200, 6, 13, stride), Spaced(p + 400, 6, 13, stride),
        Spaced(p + 600, 6, 13, stride));
  Rows x(6, 13), y(6, 13), dy(6, 13), dx(6, 13);
  check(Eigen::Ref<Rows>(x), Eigen::Ref<Rows>(y), Eigen::Ref<Rows>(dy), Eigen::Ref<Rows>(dx));
  Eigen::MatrixXf wide(20, 20);
  check(Eigen::Ref<Eigen::MatrixXf>(wide.topLeftCorner(6, 7)), Eigen::MatrixXf(6, 7), Eigen::MatrixXf(6, 7),
        Eigen::Ref<Eigen::MatrixXf>(wide.bottomRightCorner(6, 7)));
}

// Columns that are normalized must lie side by side (errors_test.cpp), but not the only one there is.
TEST(Objects, TheOnlyColumnOfAMatrix) {
  using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, RowMajor>;
  using Stride = Eigen::Stride<Eigen::Dynamic, 2>;
  Eigen::VectorXf memory = Eigen::VectorXf::Random(300), y(30), expected(30);
  const Eigen::Map<const Matrix, 0, Stride> x(memory.data(), 30, 1, Stride(10, 2));
  const simdnorm::LayerNorm<float> norm(nullptr, nullptr, 1e-5f, simdnorm::axis(0));
  norm.forward(Eigen::VectorXf(x.col(0)), expected);
  Eigen::Map<Matrix> as_matrix(y.data(), 30, 1);
  norm.forward(x, as_matrix);
  EXPECT_EQ(first_difference(y.data(), expected.data(), 30), -1);
}

// A column of a row-major matrix, or a row of a column-major one: elements at a distance.
TEST(Objects, VectorsWithAndWithoutStride) {
  check(Eigen::VectorXf(40), Eigen::VectorXf(40), Eigen::VectorXf(40), Eigen::VectorXf(40));
  check(Eigen::RowVectorXf(40), Eigen::RowVectorXf(40), Eigen::RowVectorXf(40), Eigen::RowVectorXf(40));
  check(Eigen::ArrayXf(7), Eigen::VectorXf(7), Eigen::ArrayXf(7), Eigen::VectorXf(7));
  Eigen::MatrixXf m(5, 40), n(40, 5);
  check(m.row(2), m.row(3), m.row(0), m.row(1));
  check(n.col(2), n.col(3), n.col(0), n.col(1));
  std::vector<float> memory(400);
  using Spaced = Eigen::Map<Eigen::VectorXf, 0, Eigen::InnerStride<>>;
  const Eigen::InnerStride<> stride(3);
  check(Spaced(memory.data(), 30, stride), Eigen::VectorXf(30), Spaced(memory.data() + 100, 30, stride),
        Spaced(memory.data() + 200, 30, stride));
}

// gamma and beta are viewed, not copied: a later change of their elements is seen.
TEST(Objects, GammaAndBetaAreViews) {
  Eigen::Tensor<float, 1> gamma(2), beta(2);
  gamma.setConstant(1.f);
  beta.setConstant(0.f);
  const simdnorm::LayerNorm<float> norm(gamma, beta, 0.f);
  const simdnorm::LayerNorm<float> copy = norm;
  Eigen::Tensor<float, 1> x(2), y(2);
  x.setValues({-5.f, 5.f});
  gamma(0) = 4.f;
  beta(1) = -1.f;
  copy.forward(x, y);
  EXPECT_EQ(y(0), -4.f);
  EXPECT_EQ(y(1), 0.f);
}

TEST(LastArguments, InAnyOrder) {
  const Index rows = 40, hidden = 24;
  Eigen::Tensor<float, 2, RowMajor> x(rows, hidden), dy(rows, hidden), y(rows, hidden),
      expected(rows, hidden);
  x.setRandom();
  dy.setRandom();
  const simdnorm::LayerNorm<float> norm(hidden);
  const Eigen::DefaultDevice device;
  simdnorm::Moments<float> moments, again;
  norm.forward(x, expected, moments, device);
  norm.forward(x, y, device, again);
  for (Index i = 0; i < x.size(); ++i) EXPECT_EQ(y.data()[i], expected.data()[i]);
  for (Index r = 0; r < rows; ++r) EXPECT_EQ(moments.rstd(r), again.rstd(r));

  Eigen::Tensor<float, 1> gamma_a(hidden), gamma_b(hidden), beta_a(hidden), beta_b(hidden);
  Eigen::Tensor<float, 2, RowMajor> dx(rows, hidden);
  simdnorm::Workspace<float> workspace;
  norm.backward(dy, x, moments, dx, gamma_a, beta_a, workspace, device);
  norm.backward(dy, x, moments, dx, gamma_b, beta_b, device, workspace);
  for (Index c = 0; c < hidden; ++c) EXPECT_EQ(gamma_a(c), gamma_b(c));
  norm.backward(dy, x, moments, dx, gamma_a, beta_a, simdnorm::accumulate, workspace);
  norm.backward(dy, x, moments, dx, gamma_b, beta_b, device, simdnorm::accumulate);
  for (Index c = 0; c < hidden; ++c) {
    EXPECT_EQ(gamma_a(c), gamma_b(c));
    EXPECT_EQ(beta_a(c), beta_b(c));
  }
}

TEST(LastArguments, NullptrForAGradientThatIsNotWanted) {
  const Index rows = 9, hidden = 24;
  Eigen::Tensor<float, 2, RowMajor> x(rows, hidden), dy(rows, hidden), dx(rows, hidden), y(rows, hidden);
  x.setRandom();
  dy.setRandom();
  const simdnorm::LayerNorm<float> norm(hidden);
  simdnorm::Moments<float> moments;
  norm.forward(x, y, moments);
  Eigen::Tensor<float, 1> dgamma(hidden), dbeta(hidden), gamma_alone(hidden), beta_alone(hidden);
  norm.backward(dy, x, moments, dx, dgamma, dbeta);
  norm.backward(dy, x, moments, dx, gamma_alone, nullptr);
  norm.backward(dy, x, moments, dx, nullptr, beta_alone);
  norm.backward(dy, x, moments, dx, nullptr, nullptr);
  for (Index c = 0; c < hidden; ++c) {
    EXPECT_EQ(dgamma(c), gamma_alone(c));
    EXPECT_EQ(dbeta(c), beta_alone(c));
  }
}

TEST(LastArguments, AccumulateAddsAndNothingOverwrites) {
  const Index rows = 9, hidden = 8;
  Eigen::Tensor<float, 2, RowMajor> x(rows, hidden), dy(rows, hidden), dx(rows, hidden), y(rows, hidden);
  x.setRandom();
  dy.setConstant(0.5f);
  const simdnorm::LayerNorm<float> norm(hidden);
  simdnorm::Moments<float> moments;
  norm.forward(x, y, moments);
  Eigen::Tensor<float, 1> dgamma(hidden), dbeta(hidden);
  dgamma.setConstant(nan_of<float>);
  dbeta.setConstant(nan_of<float>);
  norm.backward(dy, x, moments, dx, dgamma, dbeta);
  const Eigen::Tensor<float, 1> once = dgamma;
  for (Index c = 0; c < hidden; ++c) EXPECT_EQ(dbeta(c), 4.5f);
  norm.backward(dy, x, moments, dx, dgamma, dbeta, simdnorm::accumulate);
  for (Index c = 0; c < hidden; ++c) {
    EXPECT_EQ(dbeta(c), 9.f);
    EXPECT_NEAR(static_cast<double>(dgamma(c)), 2 * static_cast<double>(once(c)), 1e-6);
  }
}

}  // namespace
