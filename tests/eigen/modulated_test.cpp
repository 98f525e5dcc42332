// adaLN of Eigen objects: the bits of the pointer layer, wherever scale and shift lie; wrong shapes; allocations.
#define EIGEN_USE_THREADS
#include <simdnorm/simdnorm.hpp>

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "support/allocations.hpp"
#include "support/refused.hpp"

namespace {

using simdnorm::Index;
using simdnorm::ModulatedLayerNorm;
using simdnorm::ModulatedRMSNorm;
using simdnorm::Moments;
using support::refused;

template <class T, int Rank = 3> using Tensor = Eigen::Tensor<T, Rank, Eigen::RowMajor>;
template <class T> using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Eigen::bfloat16;

constexpr Index batch = 3, tokens = 5, hidden = 37, rows = batch * tokens;

template <class T> bool same(const T& a, const T& b) {
  return a.size() == b.size() &&
         std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(typename T::Scalar)) ==
             0;
}
template <class T> simdnorm::stored_t<T>* bits(T& a) {
  return reinterpret_cast<simdnorm::stored_t<T>*>(a.data());
}

struct Twice {
  template <class Vector> Vector operator()(Vector x) const { return x + x; }
};

struct EigenModulated : testing::Test {
  Tensor<float> x{batch, tokens, hidden}, dy{batch, tokens, hidden}, y{batch, tokens, hidden}, expected = y;
  Matrix<float> modulation = Matrix<float>::Random(batch, 3 * hidden), gradients = modulation;
  simdnorm::RowShape shape{rows, hidden};
  simdnorm::Strided<const float> scale{modulation.data(), 3 * hidden, 1};
  simdnorm::Strided<const float> shift{modulation.data() + 2 * hidden, 3 * hidden, 1};
  ModulatedLayerNorm<float> norm{modulation.leftCols(hidden), modulation.rightCols(hidden), 1e-5F};
  Moments<float> moments;

  EigenModulated() {
    x.setRandom();
    dy.setRandom();
  }
};

TEST_F(EigenModulated, HasTheBitsOfPointers) {
  norm.forward(x, y, moments);
  simdnorm::modulated_layer_norm_forward(shape, batch, x.data(), scale, shift, 1e-5F, expected.data());
  EXPECT_TRUE(same(y, expected));
  EXPECT_EQ(moments.rows(), rows);
  Tensor<float> dx = x, dx_expected = x;
  Matrix<float> untouched = gradients;
  norm.backward(dy, x, moments, dx);
  simdnorm::modulated_layer_norm_backward(shape, batch, dy.data(), x.data(), scale, moments.data(),
                                          dx_expected.data());
  EXPECT_TRUE(same(dx, dx_expected));
  dx.setZero();
  norm.backward(dy, x, moments, dx, gradients.leftCols(hidden), gradients.rightCols(hidden));
  simdnorm::modulated_layer_norm_backward(
      shape, batch, dy.data(), x.data(), scale, moments.data(), dx_expected.data(),
      simdnorm::Strided<float>{untouched.data(), 3 * hidden, 1},
      simdnorm::Strided<float>{untouched.data() + 2 * hidden, 3 * hidden, 1});
  EXPECT_TRUE(same(dx, dx_expected));
  EXPECT_TRUE(same(gradients, untouched));

  const ModulatedRMSNorm<float> rms(modulation.leftCols(hidden), 1e-6F);
  rms.forward(x, y, moments);
  simdnorm::modulated_rms_norm_forward(shape, batch, x.data(), scale, 1e-6F, expected.data());
  EXPECT_TRUE(same(y, expected));
  Matrix<float> dscale(batch, hidden), dscale_expected(batch, hidden);
  rms.backward(dy, x, moments, dx, dscale);
  simdnorm::modulated_rms_norm_backward(shape, batch, dy.data(), x.data(), scale, moments.data(),
                                        dx_expected.data(), dscale_expected.data());
  EXPECT_TRUE(same(dx, dx_expected));
  EXPECT_TRUE(same(dscale, dscale_expected));
  rms.backward(dy, x, moments, dx);
  EXPECT_TRUE(same(dx, dx_expected));
}

TEST_F(EigenModulated, OfAnExpression) {
  const Tensor<float> twice = x * 2.0F;
  norm.forward(twice, expected);
  norm.forward(x * 2.0F, y);
  EXPECT_TRUE(same(y, expected));
}

TEST_F(EigenModulated, OnAPoolInAnExpressionAndWithFusions) {
  norm.forward(x, expected, moments);
  Eigen::ThreadPool threads(3);
  const Eigen::ThreadPoolDevice pool(&threads, 3);
  norm.forward(x, y, pool);
  EXPECT_TRUE(same(y, expected));
  y = x.customOp(norm);
  EXPECT_TRUE(same(y, expected));
  y = norm(x * 1.0F);
  EXPECT_TRUE(same(y, expected));

  norm.forward(x, simdnorm::mapped(Twice{}, y));
  const Tensor<float> twice = expected * 2.0F;
  EXPECT_TRUE(same(y, twice));

  Tensor<float> sum = x, zero = x;
  zero.setZero();
  norm.forward(simdnorm::residual_sum(x, zero, sum), simdnorm::added(zero, y), moments);
  EXPECT_TRUE(same(sum, x));
  const Tensor<float> with_zero = expected + zero;
  EXPECT_TRUE(same(y, with_zero));
  norm.backward(dy, x, moments, expected);
  norm.backward(dy, x, moments, simdnorm::residual_gradients(nullptr, y, sum));
  EXPECT_TRUE(same(y, expected));
  EXPECT_TRUE(same(sum, expected));
}

// Channels first: the items are what comes before the channels. And a column-major tensor, whose first dimension is the
// fastest; bfloat16; a matrix, whose rows are cut.
TEST_F(EigenModulated, ItemsOfOtherLayoutsAndTypes) {
  constexpr Index height = 2, width = 7, channels = 10;
  Tensor<float, 4> image(batch, channels, height, width), out = image, out_expected = image;
  image.setRandom();
  const Matrix<float> to_image = Matrix<float>::Random(batch, channels);
  const simdnorm::RowShape side_by_side{batch * height * width, channels, height * width};
  ModulatedLayerNorm<float>(to_image, nullptr, 1e-5F, simdnorm::axis(1)).forward(image, out);
  simdnorm::modulated_layer_norm_forward(side_by_side, batch, image.data(), to_image.data(), nullptr, 1e-5F,
                                         out_expected.data());
  EXPECT_TRUE(same(out, out_expected));

  Eigen::Tensor<float, 3> columns(hidden, tokens, batch), columns_out = columns;
  std::memcpy(columns.data(), x.data(), static_cast<std::size_t>(x.size()) * sizeof(float));
  Eigen::MatrixXf to_scale(hidden, batch), to_shift(hidden, batch);
  for (Index i = 0; i < batch; ++i) {
    to_scale.col(i) = modulation.row(i).head(hidden);
    to_shift.col(i) = modulation.row(i).tail(hidden);
  }
  norm.forward(x, y);
  ModulatedLayerNorm<float>(to_scale, to_shift, 1e-5F, simdnorm::axis(0)).forward(columns, columns_out);
  EXPECT_EQ(std::memcmp(columns_out.data(), y.data(), static_cast<std::size_t>(y.size()) * sizeof(float)), 0);

  const Matrix<float> flat = Eigen::Map<const Matrix<float>>(x.data(), rows, hidden);
  Matrix<float> flat_out(rows, hidden);
  norm.forward(flat, flat_out);
  EXPECT_EQ(std::memcmp(flat_out.data(), y.data(), static_cast<std::size_t>(y.size()) * sizeof(float)), 0);

  const Tensor<bfloat16> narrow = x.cast<bfloat16>();
  Tensor<bfloat16> narrow_out(batch, tokens, hidden), narrow_expected = narrow_out;
  Matrix<bfloat16> scales = modulation.leftCols(hidden).cast<bfloat16>();
  ModulatedRMSNorm<bfloat16>(scales, 1e-6F).forward(narrow, narrow_out);
  simdnorm::modulated_rms_norm_forward(shape, batch, bits(const_cast<Tensor<bfloat16>&>(narrow)),
                                       bits(scales), 1e-6F, bits(narrow_expected));
  EXPECT_TRUE(same(narrow_out, narrow_expected));
}

TEST_F(EigenModulated, WrongShapesAreNamed) {
  const std::string of_forward = "simdnorm: ModulatedLayerNorm.forward: ";
  y.setConstant(7);
  const Tensor<float> before = y;
  const auto forward = [&](const auto& to_scale, const auto& to_shift) {
    ModulatedLayerNorm<float>(to_scale, to_shift).forward(x, y, moments);
  };
  refused({of_forward + "scale has shape (3, 36) but x of shape (3, 5, 37) is normalized over 37 elements"},
          [&] { forward(Matrix<float>(batch, 36), nullptr); });
  refused(
      {of_forward + "scale has shape (5, 37), for 5 items, but the first dimensions of x of shape (3, 5, 37) "
                    "are not as many"},
      [&] { forward(Matrix<float>(tokens, hidden), nullptr); });
  refused({of_forward +
           "shift has shape (2, 37), but 3 items of 37 elements are needed for x of shape (3, 5, 37)"},
          [&] { forward(modulation.leftCols(hidden), Matrix<float>(2, hidden)); });
  const Eigen::Map<const Matrix<float>, 0, Eigen::Stride<Eigen::Dynamic, 2>> gaps(
      modulation.data(), batch, hidden, Eigen::Stride<Eigen::Dynamic, 2>(3 * hidden, 2));
  refused({of_forward + "scale of shape (3, 37) has gaps between the elements of an item"},
          [&] { forward(gaps, nullptr); });
  refused({"ModulatedLayerNorm.forward: y has shape (3, 4, 37) but x has shape (3, 5, 37)"}, [&] {
    Tensor<float> wrong(batch, 4, hidden);
    norm.forward(x, wrong);
  });
  refused({"modulated_layer_norm_forward: hidden must be at least 1"}, [&] {
    Tensor<float> empty(batch, tokens, 0);
    ModulatedLayerNorm<float>(Matrix<float>(batch, 0), nullptr).forward(empty, empty);
  });
  refused({"ModulatedLayerNorm: epsilon must be at least 0 but is -1"},
          [&] { ModulatedLayerNorm<float>(modulation, nullptr, -1.0F); });
  EXPECT_EQ(moments.rows(), 0) << "kept before the error";
  refused({"modulated_layer_norm_forward: y", "overlap"}, [&] {
    Eigen::Map<Matrix<float>> over(modulation.data(), batch, hidden);
    norm.forward(Matrix<float>(batch, hidden), over, moments);
  });
  EXPECT_EQ(moments.rows(), 0) << "kept before the error";
  EXPECT_TRUE(same(y, before));

  Tensor<float> none(0, tokens, hidden);
  EXPECT_NO_THROW(ModulatedLayerNorm<float>(Matrix<float>(0, hidden), nullptr).forward(none, none));
  norm.forward(x, y, moments);
  Tensor<float> dx = x;
  Matrix<float> wrong(batch, hidden + 1), right(batch, hidden);
  const std::string of_backward = "simdnorm: ModulatedLayerNorm.backward: ";
  refused({of_backward + "dshift has shape (3, 38), but 3 items of 37 elements are needed"},
          [&] { norm.backward(dy, x, moments, dx, right, wrong); });
  refused({of_backward + "moments hold 15 rows but x of shape (1, 5, 37) has 5"}, [&] {
    Tensor<float> one(1, tokens, hidden);
    const Eigen::VectorXf same_for_all = Eigen::VectorXf::Random(hidden);
    ModulatedLayerNorm<float>(same_for_all, nullptr).backward(one, one, moments, one);
  });
}

TEST_F(EigenModulated, NothingIsAllocated) {
#if defined(SIMDNORM_TEST_SANITIZER)
  GTEST_SKIP() << "a sanitizer's allocator is not counted";
#endif
  simdnorm::Workspace<float> workspace;
  Matrix<float> dscale(batch, hidden), dshift = dscale;
  Tensor<float> dx = x;
  const auto step = [&] {
    norm.forward(x, y, moments);
    norm.backward(dy, x, moments, dx, dscale, dshift, workspace, simdnorm::accumulate);
  };
  EXPECT_GE(support::count_allocations(step).calls, 1) << "the first call makes room";
  EXPECT_EQ(support::count_allocations(step).calls, 0);
}

}  // namespace
