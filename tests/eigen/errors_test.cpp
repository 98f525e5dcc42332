// Wrong arguments to the functors: std::invalid_argument that names the call and both shapes, and nothing
// written.
#include <simdnorm/simdnorm.hpp>

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace {

using simdnorm::Index;
using simdnorm::LayerNorm;
using simdnorm::RMSNorm;
using Rows = Eigen::Tensor<float, 2, Eigen::RowMajor>;

struct FunctorErrors : testing::Test {
  static constexpr float untouched = 7.f;
  Rows x{3, 8}, y{3, 8}, dy{3, 8}, dx{3, 8};
  Eigen::Tensor<float, 1> gamma{8}, beta{8}, dgamma{8}, dbeta{8};
  simdnorm::Moments<float> moments;

  void SetUp() override {
    x.setRandom();
    dy.setRandom();
    gamma.setRandom();
    beta.setRandom();
    LayerNorm<float>(8).forward(x, y, moments);
    for (Rows* tensor : {&y, &dx}) tensor->setConstant(untouched);
    for (Eigen::Tensor<float, 1>* vector : {&dgamma, &dbeta}) vector->setConstant(untouched);
  }
  void refused(const std::function<void()>& call, const std::vector<std::string>& words) {
    std::vector<float> rstd;
    for (Index r = 0; r < moments.rows(); ++r) rstd.push_back(moments.rstd(r));
    try {
      call();
      ADD_FAILURE() << "was not refused";
    } catch (const std::invalid_argument& error) {
      const std::string message = error.what();
      EXPECT_EQ(message.rfind("simdnorm: ", 0), 0u) << message;
      for (const std::string& word : words)
        EXPECT_NE(message.find(word), std::string::npos) << '"' << word << "\" in: " << message;
    }
    for (const Rows* tensor : {&y, &dx}) {
      for (Index i = 0; i < tensor->size(); ++i)
        ASSERT_EQ(tensor->data()[i], untouched) << "written before the error";
    }
    for (const Eigen::Tensor<float, 1>* vector : {&dgamma, &dbeta}) {
      for (Index i = 0; i < vector->size(); ++i)
        ASSERT_EQ(vector->data()[i], untouched) << "written before the error";
    }
    ASSERT_EQ(static_cast<std::size_t>(moments.rows()), rstd.size())
        << "moments were resized before the error";
    for (Index r = 0; r < moments.rows(); ++r) {
      ASSERT_EQ(moments.rstd(r), rstd[static_cast<std::size_t>(r)])
          << "moments were written before the error";
    }
  }
};

TEST_F(FunctorErrors, EpsilonOfTheConstructor) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (float epsilon : {-1e-5f, nan, -std::numeric_limits<float>::infinity()}) {
    refused([&] { LayerNorm<float>(gamma, beta, epsilon); }, {"LayerNorm", "epsilon"});
    refused([&] { LayerNorm<float>(8, epsilon); }, {"LayerNorm", "epsilon"});
    refused([&] { RMSNorm<float>(gamma, epsilon); }, {"RMSNorm", "epsilon"});
    refused([&] { RMSNorm<float>(8, epsilon); }, {"RMSNorm", "epsilon"});
  }
}

TEST_F(FunctorErrors, GammaAndBetaOfDifferentSize) {
  const Eigen::Tensor<float, 1> longer(9);
  refused([&] { LayerNorm<float>(gamma, longer); }, {"LayerNorm", "(8)", "(9)"});
  refused([&] { LayerNorm<float>(longer, beta); }, {"LayerNorm", "(9)", "(8)"});
}

// A hidden size below 1 must be refused, by the constructor or by the call.
TEST_F(FunctorErrors, HiddenBelowOne) {
  for (Index hidden : {Index(0), Index(-1), Index(-8)}) {
    refused([&] { LayerNorm<float>(hidden).forward(x, y); }, {"LayerNorm", std::to_string(hidden)});
    refused([&] { RMSNorm<float>(hidden).forward(x, y); }, {"RMSNorm", std::to_string(hidden)});
  }
}

TEST_F(FunctorErrors, ParametersThatDoNotFitX) {
  Rows wide(3, 9), wide_y(3, 9);
  wide.setRandom();
  refused([&] { LayerNorm<float>(gamma, beta).forward(wide, wide_y); },
          {"LayerNorm.forward", "(8)", "(3, 9)"});
  refused([&] { LayerNorm<float>(8).forward(wide, wide_y); }, {"LayerNorm.forward", "8", "(3, 9)"});
  refused([&] { RMSNorm<float>(gamma).forward(wide, wide_y, moments); },
          {"RMSNorm.forward", "(8)", "(3, 9)"});
  refused([&] { LayerNorm<float>(gamma, beta).backward(wide, wide, moments, wide_y); },
          {"LayerNorm.backward", "(8)", "(3, 9)"});
  refused([&] { LayerNorm<float>(gamma, beta, 1e-5f, simdnorm::axis(0)).forward(x, y); },
          {"LayerNorm.forward", "(8)", "(3, 8)"});
  refused([&] { LayerNorm<float>(gamma, beta, 1e-5f, simdnorm::last_axes(2)).forward(x, y); },
          {"LayerNorm.forward", "(8)", "(3, 8)", "24"});
}

TEST_F(FunctorErrors, AxesThatDoNotExist) {
  using simdnorm::Axes;
  for (const Axes& axes :
       {Axes{2, 1}, Axes{-3, 1}, Axes{0, 3}, Axes{1, 2}, Axes{0, 0}, Axes{0, -1}, Axes{-1, 2}, Axes{-3, 3},
        Axes{2147483647, 1}, Axes{0, 2147483647}, Axes{-2147483647 - 1, 1}, Axes{1, 2147483647}}) {
    refused([&] { LayerNorm<float>(nullptr, nullptr, 1e-5f, axes).forward(x, y); },
            {"LayerNorm.forward", "(3, 8)", "ax"});
    refused([&] { RMSNorm<float>(nullptr, 1e-5f, axes).backward(dy, x, moments, dx); },
            {"RMSNorm.backward", "(3, 8)", "ax"});
  }
}

TEST_F(FunctorErrors, ShapesOfForward) {
  const LayerNorm<float> norm(gamma, beta);
  Rows more_rows(4, 8), longer(3, 9), transposed(8, 3);
  for (Rows* wrong : {&more_rows, &longer, &transposed}) {
    wrong->setConstant(untouched);
    const std::string shape =
        "(" + std::to_string(wrong->dimension(0)) + ", " + std::to_string(wrong->dimension(1)) + ")";
    refused([&] { norm.forward(x, *wrong); },
            {"LayerNorm.forward", "y has shape " + shape, "x has shape (3, 8)"});
    refused([&] { norm.forward(x, *wrong, moments); },
            {"LayerNorm.forward", "y has shape " + shape, "x has shape (3, 8)"});
    refused([&] { RMSNorm<float>(gamma).forward(x, *wrong); }, {"RMSNorm.forward", "y", shape, "(3, 8)"});
    for (Index i = 0; i < wrong->size(); ++i) ASSERT_EQ(wrong->data()[i], untouched);
  }
}

TEST_F(FunctorErrors, ShapesOfBackward) {
  const LayerNorm<float> norm(gamma, beta);
  const RMSNorm<float> rms(gamma);
  Rows wrong(4, 8);
  wrong.setConstant(untouched);
  refused([&] { norm.backward(wrong, x, moments, dx); },
          {"LayerNorm.backward", "dy has shape (4, 8)", "x has shape (3, 8)"});
  refused([&] { norm.backward(dy, x, moments, wrong); },
          {"LayerNorm.backward", "dx has shape (4, 8)", "x has shape (3, 8)"});
  refused([&] { norm.backward(dy, wrong, moments, dx); }, {"LayerNorm.backward", "3", "(4, 8)"});
  refused([&] { rms.backward(wrong, x, moments, dx, dgamma); },
          {"RMSNorm.backward", "dy has shape (4, 8)", "(3, 8)"});
  Eigen::Tensor<float, 1> longer(9);
  longer.setConstant(untouched);
  refused([&] { norm.backward(dy, x, moments, dx, longer, dbeta); },
          {"LayerNorm.backward", "dgamma has shape (9)", "(3, 8)"});
  refused([&] { norm.backward(dy, x, moments, dx, dgamma, longer); },
          {"LayerNorm.backward", "dbeta has shape (9)", "(3, 8)"});
  refused([&] { norm.backward(dy, x, moments, dx, nullptr, longer); },
          {"LayerNorm.backward", "dbeta has shape (9)", "(3, 8)"});
  refused([&] { rms.backward(dy, x, moments, dx, longer); },
          {"RMSNorm.backward", "dgamma has shape (9)", "(3, 8)"});
  for (Index i = 0; i < longer.size(); ++i) ASSERT_EQ(longer(i), untouched);
}

TEST_F(FunctorErrors, MomentsOfAnotherForward) {
  const LayerNorm<float> norm(gamma, beta);
  simdnorm::Moments<float> none, four;
  four.resize(4);
  refused([&] { norm.backward(dy, x, none, dx, dgamma, dbeta); },
          {"LayerNorm.backward", "moments", "0", "(3, 8)"});
  refused([&] { norm.backward(dy, x, four, dx); }, {"LayerNorm.backward", "moments", "4", "(3, 8)"});
  refused([&] { RMSNorm<float>(gamma).backward(dy, x, four, dx, dgamma); },
          {"RMSNorm.backward", "moments", "4", "(3, 8)"});
}

TEST_F(FunctorErrors, PartialOverlap) {
  const LayerNorm<float> norm(gamma, beta);
  std::vector<float> memory(64, 1.f);
  using Map = Eigen::TensorMap<Rows>;
  Map a(memory.data(), 3, 8), b(memory.data() + 8, 3, 8), c(memory.data() + 24, 3, 8);
  const std::vector<float> before = memory;
  refused([&] { norm.forward(a, b); }, {"x", "y", "overlap"});
  refused([&] { norm.forward(b, a, moments); }, {"x", "y", "overlap"});
  refused([&] { norm.backward(a, c, moments, b); }, {"dy", "dx", "overlap"});
  refused([&] { norm.backward(c, a, moments, b); }, {"x", "dx", "overlap"});
  Eigen::TensorMap<Eigen::Tensor<float, 1>> inside(memory.data() + 4, 8);
  refused([&] { norm.backward(c, a, moments, dx, inside, dbeta); }, {"dgamma", "x", "overlap"});
  refused([&] { norm.backward(dy, x, moments, dx, inside, inside); }, {"dgamma", "dbeta", "overlap"});
  EXPECT_EQ(memory, before);
  // A row down, in a matrix.
  Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> m(4, 8);
  m.setConstant(1.f);
  refused([&] { norm.forward(m.topRows(3), m.bottomRows(3)); }, {"x", "y", "overlap"});
  EXPECT_EQ((m.array() - 1.f).abs().maxCoeff(), 0.f);
  Eigen::MatrixXf beside(3, 16);
  beside.setConstant(1.f);
  EXPECT_NO_THROW(norm.forward(beside.leftCols(8), beside.rightCols(8)));
}

TEST_F(FunctorErrors, ParametersMustNotBeTheOutput) {
  Rows one(1, 8), out(1, 8);
  one.setRandom();
  const Eigen::TensorMap<Eigen::Tensor<float, 1>> on_out(out.data(), 8);
  refused([&] { LayerNorm<float>(on_out, beta).forward(one, out); }, {"gamma", "y", "overlap"});
  refused([&] { LayerNorm<float>(gamma, on_out).forward(one, out); }, {"beta", "y", "overlap"});
}

TEST_F(FunctorErrors, ExpressionsThatLieNowhere) {
  const Eigen::TensorRef<const Rows> sum = x + dy;
  refused([&] { LayerNorm<float>(8).forward(sum, y); }, {"LayerNorm.forward", "x of shape (3, 8)"});
}

TEST_F(FunctorErrors, GammaWithGaps) {
  Eigen::MatrixXf m = Eigen::MatrixXf::Random(4, 8);
  refused([&] { LayerNorm<float>(m.row(1), nullptr).forward(x, y); }, {"gamma"});
  Eigen::VectorXf wide(16);
  Eigen::Map<Eigen::VectorXf, 0, Eigen::InnerStride<>> spaced(wide.data(), 8, Eigen::InnerStride<>(2));
  refused([&] { LayerNorm<float>(8).backward(dy, x, moments, dx, spaced, dbeta); },
          {"dgamma", "(8)", "gaps"});
}

// Rows side by side must be neighbours; a row alone may have any stride (functor_test.cpp).
TEST_F(FunctorErrors, RowsSideBySideWithGaps) {
  std::vector<float> memory(3 * 16, untouched);
  using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Eigen::Map<const Matrix, 0, Eigen::Stride<Eigen::Dynamic, 2>> spaced(
      memory.data(), 3, 8, Eigen::Stride<Eigen::Dynamic, 2>(16, 2));
  Matrix out = Matrix::Constant(3, 8, untouched);
  const LayerNorm<float> norm(nullptr, nullptr, 1e-5f, simdnorm::axis(0));
  refused([&] { norm.forward(spaced, out); }, {"LayerNorm.forward", "x of shape (3, 8)", "inner stride 2"});
  EXPECT_EQ((out.array() - untouched).abs().maxCoeff(), 0.f);
}

TEST_F(FunctorErrors, MatrixWhoseAxesDoNotMerge) {
  Eigen::MatrixXf m(6, 10), out(3, 8);
  m.setConstant(1.f);
  out.setConstant(untouched);
  const LayerNorm<float> norm(nullptr, nullptr, 1e-5f, simdnorm::last_axes(2));
  refused([&] { norm.forward(m.topLeftCorner(3, 8), out); }, {"x", "(3, 8)", "gaps"});
  EXPECT_EQ((out.array() - untouched).abs().maxCoeff(), 0.f);
}

// Nothing is written before an error: not the size of what forward keeps either.
TEST_F(FunctorErrors, MomentsKeepTheirSize) {
  simdnorm::Moments<float> kept;
  kept.resize(7);
  Eigen::MatrixXf m = Eigen::MatrixXf::Ones(6, 10), out(3, 8);
  std::vector<float> memory(25);
  Eigen::TensorMap<Rows> first(memory.data(), 3, 8), second(memory.data() + 1, 3, 8);
  const LayerNorm<float> norm(8);
  const simdnorm::RMSNorm<float> rms(8);
  refused([&] { norm.forward(first, second, kept); }, {"x", "y", "overlap"});
  refused([&] { rms.forward(first, second, kept); }, {"x", "y", "overlap"});
  refused(
      [&] {
        LayerNorm<float>(nullptr, nullptr, 1e-5f, simdnorm::last_axes(2))
            .forward(m.topLeftCorner(3, 8), out, kept);
      },
      {"x", "(3, 8)", "gaps"});
  EXPECT_EQ(kept.rows(), 7);
}

}  // namespace
