// Chosen rows of Eigen tables: the bits of the call on copies of the rows, for all operands of both calls, in place, by threads;
// no other row touched.
#define EIGEN_USE_THREADS
#include "eigen/gathered.hpp"

#include <type_traits>

namespace {

using namespace chosen;

// The table as it should be once these rows are written.
template <class U, class Numbers>
Rows<U> with_rows(Rows<U> table, const Numbers& numbers, const Rows<U>& rows) {
  for (Index r = 0; r < rows.rows(); ++r)
    table.row(static_cast<Index>(numbers[static_cast<Index>(r)])) = rows.row(r);
  return table;
}
// All operands of both calls at once, elsewhere and in place, by a thread pool. U: of the rows, P: of gamma.
template <class U, class P, class I, class Norm> void check(const Norm& norm, Index hidden) {
  SCOPED_TRACE("hidden " + std::to_string(hidden));
  constexpr bool layer = std::is_same_v<Norm, simdnorm::LayerNorm<P>>;
  using T = simdnorm::compute_t<typename simdnorm::StoredAs<U>::type, typename simdnorm::StoredAs<P>::type>;
  constexpr Index table_rows = 90, count = 60;
  const Rows<U> table = Rows<T>::Random(table_rows, hidden).template cast<U>(),
                all_dy = Rows<T>::Random(table_rows, hidden).template cast<U>();
  Eigen::Matrix<I, Eigen::Dynamic, 1> numbers(count);
  for (Index r = 0; r < count; ++r) numbers[r] = static_cast<I>(r + r / 2);
  const Rows<U> x = rows_of(table, numbers, count), dy = rows_of(all_dy, numbers, count);
  Rows<U> y = x, dx = x;
  Eigen::Matrix<T, Eigen::Dynamic, 1> dgamma(hidden), dbeta = dgamma, dgamma_expected = dgamma,
                                                      dbeta_expected = dgamma;
  Moments<T> moments;
  norm.forward(x, y, moments);
  Moments<T> kept;
  Eigen::ThreadPool threads(3);
  const Eigen::ThreadPoolDevice pool(&threads, 3);
  const auto differentiate = [&](const auto& from, const auto& of, auto&& to, auto& to_gamma,
                                 [[maybe_unused]] auto& to_beta, const auto&... device) {
    if constexpr (layer) {
      norm.backward(from, of, moments, to, to_gamma, to_beta, device...);
    } else {
      norm.backward(from, of, moments, to, to_gamma, device...);
    }
  };
  differentiate(dy, x, dx, dgamma_expected, dbeta_expected);

  const Rows<U> elsewhere = Rows<U>::Constant(table_rows, hidden, U(7));
  Rows<U> from_table = x, out = elsewhere, in_place = table;
  norm.forward(gathered(in_place, numbers), gathered(in_place, numbers), kept, pool);
  EXPECT_TRUE(same(in_place, with_rows(table, numbers, y))) << "y on x";
  if constexpr (std::is_same_v<U, T>) {
    norm.forward(gathered(table, numbers), from_table, pool);
    EXPECT_TRUE(same(from_table, y)) << "x";
    norm.forward(x, gathered(out, numbers), pool);
    EXPECT_TRUE(same(out, with_rows(elsewhere, numbers, y))) << "y";
  }
  ASSERT_EQ(kept.rows(), count);
  EXPECT_EQ(kept.rstd(count - 1), moments.rstd(count - 1));

  const auto expect_sums = [&](const char* what) {
    EXPECT_TRUE(same(dgamma, dgamma_expected)) << what;
    if (layer) {
      EXPECT_TRUE(same(dbeta, dbeta_expected)) << what;
    }
    dgamma.setZero();
    dbeta.setZero();
  };
  out = elsewhere;
  differentiate(gathered(all_dy, numbers), gathered(table, numbers), gathered(out, numbers), dgamma, dbeta,
                pool);
  EXPECT_TRUE(same(out, with_rows(elsewhere, numbers, dx))) << "dx";
  expect_sums("all");
  if constexpr (std::is_same_v<U, T>) {
    in_place = all_dy;
    differentiate(gathered(in_place, numbers), x, gathered(in_place, numbers), dgamma, dbeta, pool);
    EXPECT_TRUE(same(in_place, with_rows(all_dy, numbers, dx))) << "dx on dy";
    expect_sums("dx on dy");
  }
}

TEST(EigenGathered, HasTheBitsOfCopies) {
  for (Index hidden : {1, 37, 200}) {
    const Eigen::VectorXf gamma = Eigen::VectorXf::Random(hidden), beta = Eigen::VectorXf::Random(hidden);
    check<float, float, std::int32_t>(simdnorm::LayerNorm<float>(gamma, beta), hidden);
  }
}
TEST(EigenGathered, OfBfloat16) {
  const Eigen::VectorXf gamma = Eigen::VectorXf::Random(72);
  check<Eigen::bfloat16, float, std::int64_t>(simdnorm::RMSNorm<float>(gamma), 72);
}

}  // namespace
