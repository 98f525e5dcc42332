// The full sweep of backward against the oracle: dx over |mean|/deviation up to 1e7, dgamma and dbeta over up to
// a million rows. Prints the worst errors.
#include <simdnorm/storage.hpp>

#include "support/accuracy.hpp"

namespace {

using namespace support;
using simdnorm::Index;

template <class T> struct GradientSweep : testing::Test {};
using Elements = testing::Types<float, double>;
TYPED_TEST_SUITE(GradientSweep, Elements);

template <class T> const char* type_name() { return sizeof(T) == 4 ? "float" : "double"; }

TYPED_TEST(GradientSweep, EveryDxIsWithinItsBound) {
  using T = TypeParam;
  const Family shapes[] = {Family::normal,       Family::uniform,       Family::ramp,
                           Family::plus_minus_c, Family::outlier_first, Family::outlier_middle,
                           Family::outliers,     Family::log_uniform};
  const double kappas[] = {0, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7};
  std::vector<RowKind> kinds;
  for (double kappa : kappas)
    for (Family family : shapes)
      kinds.push_back(
          {family, kinds.size() % 3 == 0 ? -kappa : kappa, static_cast<int>(kinds.size() * 5 % 9) - 4});
  std::vector<Index> sizes = {100, 127, 128,  129,  255,  256,  257,  511,  512,
                              513, 768, 1000, 1023, 1024, 1025, 4095, 4096, 4097};
  for (Index hidden = 1; hidden <= 66; ++hidden) sizes.push_back(hidden);
  for (Norm norm : oracle::norms) {
    double worst[8] = {};
    Index rows = 0;
    for (Index hidden : sizes) {
      for (T epsilon : {T(1e-5), T(0)}) {
        const Problem<T> p = make_problem<T>(static_cast<Index>(kinds.size()), hidden, kinds,
                                             Parameters::gamma, epsilon, static_cast<std::uint64_t>(hidden));
        const Backward<T> out = run_backward(norm, p, run_forward(norm, p).moments);
        for (Index r = 0; r < p.rows; ++r, ++rows) {
          const Worst row = dx_error(norm, p.dy_row(r), p.row(r), p.gamma.data(), epsilon, hidden,
                                     out.dx.data() + r * hidden);
          EXPECT_LE(row.ratio, 1) << oracle::name(norm) << ", " << describe(kinds[size(r)]) << ", hidden "
                                  << hidden << ": " << row.got << " for " << row.expected;
          worst[r / 8] = std::max(worst[r / 8], row.ratio * dx_bound<T>);
        }
      }
    }
    std::printf("\n%s, %s: worst norm-wise error of dx, %lld rows\n", oracle::name(norm), type_name<T>(),
                static_cast<long long>(rows));
    for (int k = 0; k < 8; ++k) std::printf("|mean|/deviation %g: %.2g\n", kappas[k], worst[k]);
  }
}

TYPED_TEST(GradientSweep, ParameterGradientsOverUpToAMillionRows) {
  using T = TypeParam;
  const std::vector<RowKind> kinds = {{Family::normal, 0, 0},         {Family::uniform, 10, 2},
                                      {Family::ramp, -1e3, -3},       {Family::plus_minus_c, 1e4, 0},
                                      {Family::outlier_first, 10, 1}, {Family::normal, 1e6, -1},
                                      {Family::log_uniform, 0, 0}};
  for (Norm norm : oracle::norms) {
    for (Index rows : {1, 2, 7, 8, 9, 15, 16, 17, 63, 64, 65, 1023, 1024, 1025, 10000, 100000, 1000000}) {
      const Index hidden = 8;
      const Problem<T> p = make_problem<T>(rows, hidden, kinds, Parameters::gamma, T(1e-5), 1);
      const auto exact = oracle::parameter_gradients(norm, p.dy.data(), p.x.data(), p.epsilon, rows, hidden);
      // Contiguous, then side by side: the two have each its own order of sums.
      for (Index after : {Index(1), rows}) {
        const Layout<T> layout{{rows, hidden, after}, hidden * after, after};
        const std::vector<T> x = layout.spread(p.x), dy = layout.spread(p.dy);
        std::vector<T> y(x.size()), dgamma(size(hidden), nan_of<T>), dbeta(size(hidden), nan_of<T>);
        std::vector<RowMoments<T>> moments(size(rows));
        forward(norm, layout.shape, layout.of(x), p.gamma.data(), nullptr, p.epsilon, layout.of(y),
                moments.data());
        backward(norm, layout.shape, layout.of(dy), layout.of(x), p.gamma.data(), moments.data(),
                 layout.of(y), dgamma.data(), norm == Norm::layer ? dbeta.data() : nullptr);
        const double gamma_ratio = parameter_error(Gradient::dgamma, exact, dgamma.data()).ratio;
        EXPECT_LE(gamma_ratio, 1) << oracle::name(norm) << ", " << rows << " rows, after " << after;
        std::printf("%s %s, %7lld rows, %s: dgamma %.2f u", oracle::name(norm), type_name<T>(),
                    static_cast<long long>(rows), after == 1 ? "contiguous  " : "side by side",
                    gamma_ratio * dgamma_bound<T> / roundoff<T>);
        if (norm == Norm::layer) {
          const double beta_ratio = parameter_error(Gradient::dbeta, exact, dbeta.data()).ratio;
          EXPECT_LE(beta_ratio, 1) << rows << " rows, after " << after;
          std::printf(", dbeta %.2g", beta_ratio * dbeta_bound<T>);
        }
        std::printf("\n");
      }
    }
  }
}

// Where dy is one number in a whole column, no rounding of a partial sum averages out: 4096 such numbers, of
// which the worst for any order of sums is near the worst there is.
TYPED_TEST(GradientSweep, ConstantColumnsOfDyKeepTheirDigits) {
  using T = TypeParam;
  constexpr Index hidden = 4096;
  Random random(3);
  std::vector<T> row(size(hidden));
  for (T& value : row) value = static_cast<T>(random.log_uniform(-1, 1));
  for (Index rows : {8, 16, 17, 100, 3000}) {
    for (Index after : {Index(1), rows}) {
      const Layout<T> layout{{rows, hidden, after}, hidden * after, after};
      std::vector<T> dy(size(rows * hidden)), x(dy.size()), dbeta(size(hidden)), dgamma(size(hidden));
      for (std::size_t i = 0; i < dy.size(); ++i) dy[i] = row[i % size(hidden)];
      fill_normal(random, x.data(), rows * hidden);
      std::vector<T> laid_dy = layout.spread(dy), laid_x = layout.spread(x), dx(dy.size());
      std::vector<RowMoments<T>> moments(size(rows));
      forward(Norm::layer, layout.shape, layout.of(laid_x), nullptr, nullptr, T(1e-5), layout.of(dx),
              moments.data());
      backward(Norm::layer, layout.shape, layout.of(laid_dy), layout.of(laid_x), nullptr, moments.data(),
               layout.of(dx), dgamma.data(), dbeta.data());
      double worst = 0;
      for (std::size_t c = 0; c < size(hidden); ++c) {
        using namespace oracle;
        const quad exact = wide(row[c]) * wide(rows);
        worst = std::max(worst, narrow(oracle::abs((wide(dbeta[c]) - exact) / exact)));
      }
      std::printf("%s, %lld rows, %s: dbeta of a constant dy %.2g\n", type_name<T>(),
                  static_cast<long long>(rows), after == 1 ? "contiguous" : "side by side", worst);
      EXPECT_LE(worst, dbeta_bound<T>) << rows << " rows, after " << after;
    }
  }
}

}  // namespace
