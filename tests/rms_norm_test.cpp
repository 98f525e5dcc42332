// rms_norm_forward on raw pointers: accuracy for every hidden size and family of rows, and what its contract
// says.
#include <simdnorm/rms_norm.hpp>

#include "support/accuracy.hpp"
#include "support/executors.hpp"

namespace {

using namespace support;

template <class T> class RmsNormForward : public testing::Test {};
using Elements = testing::Types<float, double>;
TYPED_TEST_SUITE(RmsNormForward, Elements);

TYPED_TEST(RmsNormForward, EverySmallHiddenSizeIsWithinFiveUnits) {
  double worst = 0;
  for (simdnorm::Index hidden = 1; hidden <= 130; ++hidden) {
    worst = std::max(worst, check_forward<TypeParam>(Norm::rms, hidden, 2));
  }
  this->RecordProperty("worst_units", std::to_string(worst * forward_units));
}

TYPED_TEST(RmsNormForward, ModelAndOddSizesAreWithinFiveUnits) {
  double worst = 0;
  for (simdnorm::Index hidden :
       {191, 255, 256, 384, 511, 513, 577, 768, 1000, 1023, 1024, 1025, 1280, 1600}) {
    worst = std::max(worst, check_forward<TypeParam>(Norm::rms, hidden, 1));
  }
  for (simdnorm::Index hidden : {4096, 4097}) {
    worst = std::max(worst, check_forward<TypeParam>(Norm::rms, hidden, 1));
  }
  this->RecordProperty("worst_units", std::to_string(worst * forward_units));
}

TYPED_TEST(RmsNormForward, LongRowsAreWithinFiveUnits) {
  using T = TypeParam;
  const std::vector<RowKind> kinds = {{Family::normal, 0, 0},        {Family::plus_minus_c, 0, 3},
                                      {Family::ramp, 1e4, 0},        {Family::outlier_first, 10, -4},
                                      {Family::outliers, 1e3, 1},    {Family::normal, 1e7, 0},
                                      {Family::plus_minus_c, 1e6, 0}};
  const Problem<T> p = make_problem<T>(7, 65536, kinds, Parameters::both, T(1e-5), 65536);
  check_forward_rows(Norm::rms, p, run_forward(Norm::rms, p).y, "long rows");
}

TYPED_TEST(RmsNormForward, MomentsDoNotChangeY) {
  using T = TypeParam;
  const Problem<T> p = make_problem<T>(5, 77, all_kinds<T>(0), Parameters::both, T(1e-5), 3);
  const Forward<T> with = run_forward(Norm::rms, p);
  std::vector<T> y(p.x.size(), nan_of<T>);
  simdnorm::rms_norm_forward(p.shape(), p.x.data(), p.gamma.data(), p.epsilon, y.data());
  EXPECT_EQ(first_difference(y, with.y), -1);
}

TYPED_TEST(RmsNormForward, AbsentGammaIsOne) {
  using T = TypeParam;
  for (simdnorm::Index hidden : {1, 5, 16, 67, 129}) {
    Problem<T> p = make_problem<T>(9, hidden, all_kinds<T>(0), Parameters::none, T(1e-5), 4);
    const std::vector<T> plain = run_forward(Norm::rms, p).y;
    std::vector<T> literal(plain.size(), nan_of<T>);
    simdnorm::rms_norm_forward(p.shape(), p.x.data(), nullptr, p.epsilon, literal.data(), nullptr);
    EXPECT_EQ(first_difference(plain, literal), -1);
    p.gamma.assign(size(hidden), T(1));
    EXPECT_EQ(first_difference(plain, run_forward(Norm::rms, p).y), -1) << "gamma 1";
  }
}

TYPED_TEST(RmsNormForward, ZeroRowsGiveZeroAndHaveNoMean) {
  using T = TypeParam;
  for (simdnorm::Index hidden = 1; hidden <= 300; ++hidden) {
    for (T epsilon : {T(0), T(1e-12), T(1e-5)}) {
      Problem<T> p = make_problem<T>(3, hidden, {{Family::normal, 0, 0}}, Parameters::gamma, epsilon, 5);
      std::fill(p.x.begin() + hidden, p.x.begin() + 2 * hidden, T(0));
      const Forward<T> out = run_forward(Norm::rms, p);
      for (simdnorm::Index c = 0; c < hidden; ++c)
        EXPECT_EQ(out.y[size(hidden + c)], T(0)) << "hidden " << hidden;
      if (epsilon == T(0)) {
        EXPECT_EQ(out.moments[1].rstd, T(0));
      }
      for (const RowMoments<T>& m : out.moments) {
        EXPECT_EQ(bits_of(m.mean), bits_of(T(0)));
        EXPECT_EQ(bits_of(m.mean_low), bits_of(T(0)));
      }
    }
  }
}

TYPED_TEST(RmsNormForward, NoRowsIsNoWork) {
  using T = TypeParam;
  T y = T(7);
  const T x = T(1);
  simdnorm::rms_norm_forward({0, 1}, &x, nullptr, T(0), &y);
  simdnorm::rms_norm_forward({0, 5}, static_cast<const T*>(nullptr), nullptr, T(0), static_cast<T*>(nullptr));
  EXPECT_EQ(y, T(7));
}

TYPED_TEST(RmsNormForward, AnExecutorGetsEveryRowOnce) {
  using T = TypeParam;
  for (simdnorm::Index hidden : {3, 768}) {
    for (simdnorm::Index rows : {1, 2, 3, 17, 1000}) {
      const Problem<T> p = make_problem<T>(rows, hidden, all_kinds<T>(0), Parameters::both, T(1e-5), 6);
      std::vector<simdnorm::Index> tasks, elements;
      const std::vector<T> y = run_forward(Norm::rms, p, Recorder{&tasks, &elements}).y;
      EXPECT_EQ(first_difference(y, run_forward(Norm::rms, p).y), -1);
      ASSERT_EQ(tasks.size(), 1u) << "one call of the executor a forward";
      EXPECT_GE(tasks[0] * elements[0], rows * hidden) << "tasks times their size cover the elements";
      EXPECT_EQ(first_difference(y, run_forward(Norm::rms, p, Backwards{}).y), -1);
    }
  }
}

}  // namespace
