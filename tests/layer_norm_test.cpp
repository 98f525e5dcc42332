// layer_norm_forward on raw pointers: accuracy for every hidden size and family of rows, and what its
// contract says.
#include <simdnorm/layer_norm.hpp>

#include "support/accuracy.hpp"
#include "support/executors.hpp"

namespace {

using namespace support;

template <class T> class LayerNormForward : public testing::Test {};
using Elements = testing::Types<float, double>;
TYPED_TEST_SUITE(LayerNormForward, Elements);

TYPED_TEST(LayerNormForward, EverySmallHiddenSizeIsWithinFiveUnits) {
  double worst = 0;
  for (simdnorm::Index hidden = 1; hidden <= 130; ++hidden) {
    worst = std::max(worst, check_forward<TypeParam>(Norm::layer, hidden, 2));
  }
  this->RecordProperty("worst_units", std::to_string(worst * forward_units));
}

TYPED_TEST(LayerNormForward, ModelAndOddSizesAreWithinFiveUnits) {
  double worst = 0;
  for (simdnorm::Index hidden :
       {191, 255, 256, 384, 511, 513, 577, 768, 1000, 1023, 1024, 1025, 1280, 1600}) {
    worst = std::max(worst, check_forward<TypeParam>(Norm::layer, hidden, 1));
  }
  for (simdnorm::Index hidden : {4096, 4097}) {
    worst = std::max(worst, check_forward<TypeParam>(Norm::layer, hidden, 1));
  }
  this->RecordProperty("worst_units", std::to_string(worst * forward_units));
}

TYPED_TEST(LayerNormForward, LongRowsAreWithinFiveUnits) {
  using T = TypeParam;
  const std::vector<RowKind> kinds = {{Family::normal, 0, 0},        {Family::plus_minus_c, 0, 3},
                                      {Family::ramp, 1e4, 0},        {Family::outlier_first, 10, -4},
                                      {Family::outliers, 1e3, 1},    {Family::normal, 1e7, 0},
                                      {Family::plus_minus_c, 1e6, 0}};
  const Problem<T> p = make_problem<T>(7, 65536, kinds, Parameters::both, T(1e-5), 65536);
  check_forward_rows(Norm::layer, p, run_forward(Norm::layer, p).y, "long rows");
}

// Rows aimed at kernels that measure the variance about a sampled mean: it is far from the row's, by many
// deviations.
TYPED_TEST(LayerNormForward, RowsWhoseSampleMisleadsAreWithinFiveUnits) {
  using T = TypeParam;
  for (Index hidden : {65, 80, 128, 300, 1000, 1024, 4096, 5000, 16384, 65536}) {
    const std::vector<RowKind> kinds = {
        {Family::outliers_first_16, 0, 0},    {Family::outliers_sampled, 0, 1},
        {Family::outliers_first_16, 1e3, -4}, {Family::outliers_sampled, -1e5, 0},
        {Family::outliers_sampled, 10, 3},    {Family::outliers_sampled, 1e5, sizeof(T) == 4 ? 48 : 250}};
    const Problem<T> p = make_problem<T>(6, hidden, kinds, Parameters::both, T(0), 7);
    const Forward<T> out = run_forward(Norm::layer, p);
    check_forward_rows(Norm::layer, p, out.y, "misleading sample");
    check_moments(Norm::layer, p, out.moments, "misleading sample");
  }
}

// A large mean, so that the row is folded about it, and one element so far from it that their difference is
// rounded, and makes most of the variance. rstd is then the nearest number all the same, and the mean has twice
// T's digits.
TYPED_TEST(LayerNormForward, AnOutlierOfALongRowKeepsTheDigitsOfItsMoments) {
  using T = TypeParam;
  const Index hidden = 65536;
  Random random(5);
  Problem<T> p = make_problem<T>(40, hidden, {{Family::uniform, 0, 0}}, Parameters::none, T(0), 1);
  for (Index r = 0; r < p.rows; ++r) {
    T* const x = p.x.data() + r * hidden;
    const T noise = sizeof(T) == 4 ? T(0x1p-8) : T(0x1p-20);
    for (Index c = 0; c < hidden; ++c) x[c] = T(1) + x[c] * noise;
    x[random.below(hidden)] = static_cast<T>(3.25 + random.uniform() / 4);
  }
  const Forward<T> out = run_forward(Norm::layer, p);
  for (Index r = 0; r < p.rows; ++r) {
    const oracle::Statistics exact = oracle::statistics(Norm::layer, p.row(r), hidden, p.epsilon);
    const RowMoments<T>& moments = out.moments[size(r)];
    EXPECT_EQ(moments.rstd, static_cast<T>(oracle::narrow(exact.rstd))) << "row " << r;
    const auto mean = oracle::wide(moments.mean) + oracle::wide(moments.mean_low);
    EXPECT_LE(oracle::narrow(oracle::abs(mean - exact.mean)), 1e-6 * roundoff<T>) << "row " << r;
  }
}

TYPED_TEST(LayerNormForward, MomentsDoNotChangeY) {
  using T = TypeParam;
  const Problem<T> p = make_problem<T>(5, 77, all_kinds<T>(0), Parameters::both, T(1e-5), 3);
  const Forward<T> with = run_forward(Norm::layer, p);
  std::vector<T> y(p.x.size(), nan_of<T>);
  simdnorm::layer_norm_forward(p.shape(), p.x.data(), p.gamma.data(), p.beta.data(), p.epsilon, y.data());
  EXPECT_EQ(first_difference(y, with.y), -1);
}

TYPED_TEST(LayerNormForward, AbsentGammaAndBetaAreOneAndZero) {
  using T = TypeParam;
  for (simdnorm::Index hidden : {1, 5, 16, 67, 129}) {
    Problem<T> p = make_problem<T>(9, hidden, all_kinds<T>(0), Parameters::none, T(1e-5), 4);
    const std::vector<T> plain = run_forward(Norm::layer, p).y;
    std::vector<T> literal(plain.size(), nan_of<T>);
    simdnorm::layer_norm_forward(p.shape(), p.x.data(), nullptr, nullptr, p.epsilon, literal.data(), nullptr);
    EXPECT_EQ(first_difference(plain, literal), -1);
    p.gamma.assign(size(hidden), T(1));
    EXPECT_EQ(first_difference(plain, run_forward(Norm::layer, p).y), -1) << "gamma 1";
    p.beta.assign(size(hidden), T(0));
    const std::vector<T> both = run_forward(Norm::layer, p).y;
    for (std::size_t i = 0; i < plain.size(); ++i)
      EXPECT_EQ(plain[i], both[i]) << "gamma 1, beta 0";  // -0 + 0 is 0
  }
}

TYPED_TEST(LayerNormForward, ConstantRowsGiveBetaBitForBit) {
  using T = TypeParam;
  Random random(5);
  for (simdnorm::Index hidden = 1; hidden <= 300; ++hidden) {
    for (T epsilon : {T(0), T(1e-12), T(1e-5)}) {
      const std::vector<RowKind> kinds = {
          {Family::constant, 0, 0}, {Family::constant, 1e6, 3}, {Family::constant, 1e3, -9}};
      const Problem<T> p = make_problem<T>(3, hidden, kinds, Parameters::both, epsilon, random.bits());
      const Forward<T> out = run_forward(Norm::layer, p);
      for (simdnorm::Index r = 0; r < 3; ++r) {
        EXPECT_EQ(first_difference(out.y.data() + r * hidden, p.beta.data(), hidden), -1)
            << "hidden " << hidden << " epsilon " << epsilon << " row " << r;
        EXPECT_EQ(bits_of(simdnorm::true_mean(out.moments[size(r)])), bits_of(p.row(r)[0]))
            << "hidden " << hidden;
        if (epsilon == T(0)) {
          EXPECT_EQ(simdnorm::true_rstd(out.moments[size(r)]), T(0));
        }
      }
    }
  }
}

TYPED_TEST(LayerNormForward, NoRowsIsNoWork) {
  using T = TypeParam;
  T y = T(7);
  const T x = T(1);
  simdnorm::layer_norm_forward({0, 1}, &x, nullptr, nullptr, T(0), &y);
  simdnorm::layer_norm_forward({0, 5}, static_cast<const T*>(nullptr), nullptr, nullptr, T(0),
                               static_cast<T*>(nullptr));
  EXPECT_EQ(y, T(7));
}

TYPED_TEST(LayerNormForward, AnExecutorGetsEveryRowOnce) {
  using T = TypeParam;
  for (simdnorm::Index hidden : {3, 768}) {
    for (simdnorm::Index rows : {1, 2, 3, 17, 1000}) {
      const Problem<T> p = make_problem<T>(rows, hidden, all_kinds<T>(0), Parameters::both, T(1e-5), 6);
      std::vector<simdnorm::Index> tasks, elements;
      const std::vector<T> y = run_forward(Norm::layer, p, Recorder{&tasks, &elements}).y;
      EXPECT_EQ(first_difference(y, run_forward(Norm::layer, p).y), -1);
      ASSERT_EQ(tasks.size(), 1u) << "one call of the executor a forward";
      EXPECT_GE(tasks[0] * elements[0], rows * hidden) << "tasks times their size cover the elements";
      EXPECT_EQ(first_difference(y, run_forward(Norm::layer, p, Backwards{}).y), -1);
    }
  }
}

}  // namespace
