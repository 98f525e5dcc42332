// The full sweep of forward against the oracle: every hidden size up to 300 and those of models, every family
// of rows, every |mean|/deviation, deviations of 2^-4 to 2^4, with and without gamma and beta, contiguous and
// side by side. Prints the worst error in units, by |mean|/deviation and by family.
#include <simdnorm/storage.hpp>

#include "support/accuracy.hpp"

namespace {

using namespace support;
using simdnorm::Index;

constexpr Family all_families[] = {Family::normal,
                                   Family::uniform,
                                   Family::ramp,
                                   Family::plus_minus_c,
                                   Family::outliers,
                                   Family::outlier_first,
                                   Family::outlier_middle,
                                   Family::constant,
                                   Family::log_uniform,
                                   Family::outliers_first_16,
                                   Family::outliers_sampled};
constexpr int family_count = 11, kappa_count = 8;

template <class T> double kappa_of(int k) {
  constexpr double of_float[] = {0, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7};
  constexpr double of_double[] = {0, 10, 1e3, 1e5, 1e7, 1e10, 1e13, 5e15};
  return sizeof(T) == 4 ? of_float[k] : of_double[k];
}

// The worst error of each family with each kappa.
template <class T> class Table {
 public:
  void see(Index row, double units) {
    double& worst = worst_[size(row / family_count)][size(row % family_count)];
    worst = std::max(worst, units);
    ++rows_;
  }
  void print(Norm norm) const {
    std::printf("\n%s, %s: worst error in units, %lld rows\n|mean|/deviation", oracle::name(norm),
                sizeof(T) == 4 ? "float" : "double", static_cast<long long>(rows_));
    for (Family family : all_families) std::printf(" | %s", name(family));
    std::printf("\n");
    for (int k = 0; k < kappa_count; ++k) {
      std::printf("%16g", kappa_of<T>(k));
      for (int f = 0; f < family_count; ++f) std::printf(" | %.2f", worst_[k][f]);
      std::printf("\n");
    }
  }

 private:
  double worst_[kappa_count][family_count] = {};
  Index rows_ = 0;
};

template <class T> void check_size(Norm norm, Index hidden, int variants, Table<T>& table) {
  constexpr Index rows = kappa_count * family_count;
  const T epsilons[] = {T(1e-5), T(0), T(1e-12), T(0.25)};
  const Parameters parameters[] = {Parameters::both, Parameters::gamma, Parameters::none, Parameters::beta};
  for (int v = 0; v < variants; ++v) {
    const Index n = hidden + v;
    std::vector<RowKind> kinds;
    for (Index i = 0; i < rows; ++i) {
      const double kappa = kappa_of<T>(static_cast<int>(i / family_count));
      kinds.push_back({all_families[i % family_count], (i + n) % 2 == 0 ? kappa : -kappa,
                       static_cast<int>((i * 5 + n) % 9 - 4)});
    }
    const Problem<T> p = make_problem<T>(rows, hidden, kinds, parameters[n % 4], epsilons[(n + n / 4) % 4],
                                         static_cast<std::uint64_t>(hidden * 16 + v));
    const Forward<T> out = run_forward(norm, p);
    const T* beta = norm == Norm::layer ? or_null(p.beta) : nullptr;
    for (Index r = 0; r < rows; ++r) {
      const Worst row =
          forward_error(norm, p.row(r), or_null(p.gamma), beta, p.epsilon, hidden, out.y.data() + r * hidden);
      EXPECT_LE(row.ratio, 1) << oracle::name(norm) << ", " << describe(kinds[size(r)]) << ", hidden "
                              << hidden << ", column " << row.column << ": " << row.got << " for "
                              << row.expected;
      table.see(r, row.ratio * forward_units);
    }
    check_moments(norm, p, out.moments, "sweep");

    const Layout<T> layout{{rows, hidden, rows}, rows * hidden, rows};
    const std::vector<T> x = layout.spread(p.x);
    std::vector<T> y(x.size(), nan_of<T>);
    forward(norm, layout.shape, layout.of(x), or_null(p.gamma), beta, p.epsilon, layout.of(y));
    ASSERT_EQ(first_difference(layout.gather(y), out.y), -1) << "side by side, hidden " << hidden;
  }
}

template <class T> struct ForwardSweep : testing::Test {};
using Elements = testing::Types<float, double>;
TYPED_TEST_SUITE(ForwardSweep, Elements);

TYPED_TEST(ForwardSweep, EveryRowIsWithinFiveUnits) {
  for (Norm norm : oracle::norms) {
    Table<TypeParam> table;
    for (Index hidden = 1; hidden <= 300; ++hidden) check_size<TypeParam>(norm, hidden, 3, table);
    for (Index hidden = 1000; hidden <= 1025; ++hidden) check_size<TypeParam>(norm, hidden, 2, table);
    for (Index hidden : {384, 512, 768, 4095, 4096, 4097, 5120, 8192})
      check_size<TypeParam>(norm, hidden, 2, table);
    check_size<TypeParam>(norm, 65536, 1, table);
    table.print(norm);
  }
}

}  // namespace
