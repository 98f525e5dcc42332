// dx, dgamma and dbeta: against the oracle for many shapes, against finite differences, and in every
// combination of outputs.
#include "support/operators.hpp"

#include <simdnorm/storage.hpp>

#include <cmath>

#include "support/accuracy.hpp"

namespace {

using namespace support;
using simdnorm::Index;

// Rows of moderate and of huge kappa, outliers in both places; no constant rows, whose dx is measured in
// extremes_test.
std::vector<RowKind> gradient_kinds(bool steep) {
  const double k = steep ? 1 : 0;
  return {{Family::normal, 0, 0},
          {Family::uniform, 10 * k, 2},
          {Family::ramp, -1e3 * k, -3},
          {Family::plus_minus_c, 1e4 * k, 0},
          {Family::outlier_first, 10 * k, 1},
          {Family::normal, 1e6 * k, -1},
          {Family::log_uniform, 0, 0},
          {Family::normal, -1e7 * k, 4},
          {Family::outlier_middle, 0, 0},
          {Family::outliers, 1e2 * k, -4},
          {Family::uniform, 1e5 * k, 3}};
}

template <class T> void check_gradients(Norm norm, const Problem<T>& p, const Backward<T>& out) {
  for (Index r = 0; r < p.rows; ++r) {
    const Worst row = dx_error(norm, p.dy_row(r), p.row(r), or_null(p.gamma), p.epsilon, p.hidden,
                               out.dx.data() + r * p.hidden);
    ASSERT_LE(row.ratio, 1) << "dx, row " << r << " of " << p.rows << ", hidden " << p.hidden
                            << ", worst column " << row.column << ": " << row.got << " for " << row.expected;
  }
  const auto exact = oracle::parameter_gradients(norm, p.dy.data(), p.x.data(), p.epsilon, p.rows, p.hidden);
  const Worst gamma = parameter_error(Gradient::dgamma, exact, out.dgamma.data());
  ASSERT_LE(gamma.ratio, 1) << "dgamma, rows " << p.rows << ", hidden " << p.hidden << ", column "
                            << gamma.column << ": " << gamma.got << " for " << gamma.expected;
  if (norm == Norm::layer) {
    const Worst beta = parameter_error(Gradient::dbeta, exact, out.dbeta.data());
    ASSERT_LE(beta.ratio, 1) << "dbeta, rows " << p.rows << ", hidden " << p.hidden << ", column "
                             << beta.column << ": " << beta.got << " for " << beta.expected;
  }
}

template <class T> struct Gradients : testing::Test {};
using Elements = testing::Types<float, double>;
TYPED_TEST_SUITE(Gradients, Elements);

template <class T> void check_shape(Index rows, Index hidden, bool steep, T epsilon, Parameters parameters) {
  for (Norm norm : oracle::norms) {
    SCOPED_TRACE(oracle::name(norm));
    const Problem<T> p = make_problem<T>(rows, hidden, gradient_kinds(steep), parameters, epsilon,
                                         static_cast<std::uint64_t>(rows * 10007 + hidden));
    check_gradients(norm, p, run_backward(norm, p, run_forward(norm, p).moments));
    if (testing::Test::HasFatalFailure()) return;
  }
}

TYPED_TEST(Gradients, EveryNumberOfRowsAgainstTheOracle) {
  for (Index rows : {0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 33, 63, 64, 65, 127, 128, 129}) {
    for (Index hidden : {1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 100}) {
      const bool gamma = (rows + hidden) % 3 != 0;
      check_shape<TypeParam>(rows, hidden, true, TypeParam(1e-5),
                             gamma ? Parameters::gamma : Parameters::none);
      if (this->HasFatalFailure()) return;
    }
  }
}

TYPED_TEST(Gradients, ManyAndLongRowsAgainstTheOracle) {
  const Index shapes[][2] = {{1000, 64}, {1000, 128}, {1001, 9},  {11, 768},
                             {12, 1000}, {11, 1023},  {11, 1024}, {11, 4097}};
  for (const auto& shape : shapes) {
    check_shape<TypeParam>(shape[0], shape[1], true, TypeParam(1e-5), Parameters::gamma);
    check_shape<TypeParam>(shape[0], shape[1], false, TypeParam(0), Parameters::both);
    if (this->HasFatalFailure()) return;
  }
}

TYPED_TEST(Gradients, EverySmallHiddenSizeAgainstTheOracle) {
  for (Index hidden = 1; hidden <= 130; ++hidden) {
    check_shape<TypeParam>(11, hidden, hidden % 2 == 0, TypeParam(1e-6), Parameters::gamma);
    if (this->HasFatalFailure()) return;
  }
}

TYPED_TEST(Gradients, AHundredThousandRowsAgainstTheOracle) {
  using T = TypeParam;
  const Problem<T> p = make_problem<T>(100000, 8, gradient_kinds(true), Parameters::gamma, T(1e-5), 9);
  const Backward<T> out = run_backward(Norm::layer, p, run_forward(Norm::layer, p).moments);
  const auto exact =
      oracle::parameter_gradients(Norm::layer, p.dy.data(), p.x.data(), p.epsilon, p.rows, p.hidden);
  EXPECT_LE(parameter_error(Gradient::dgamma, exact, out.dgamma.data()).ratio, 1);
  EXPECT_LE(parameter_error(Gradient::dbeta, exact, out.dbeta.data()).ratio, 1);
}

// Where dy is one number in every row, each rounding of a partial sum is made again and again and nothing
// averages out.
TYPED_TEST(Gradients, AConstantDyOverManyRowsKeepsItsDigits) {
  using T = TypeParam;
  for (Index rows : {7, 16, 63, 1000, 20000}) {
    const Index hidden = 64;
    Problem<T> p = make_problem<T>(rows, hidden, {{Family::normal, 0, 0}}, Parameters::none, T(1e-5), 10);
    Random random(static_cast<std::uint64_t>(rows));
    std::vector<T> row(size(hidden));
    for (T& value : row) value = static_cast<T>(random.log_uniform(-1, 1));
    for (std::size_t i = 0; i < p.dy.size(); ++i) p.dy[i] = row[i % size(hidden)];
    const Backward<T> out = run_backward(Norm::layer, p, run_forward(Norm::layer, p).moments);
    double worst = 0;
    for (std::size_t c = 0; c < size(hidden); ++c) {
      using namespace oracle;
      const quad exact = wide(row[c]) * wide(rows);
      worst = std::max(worst, narrow(oracle::abs((wide(out.dbeta[c]) - exact) / exact)));
    }
    EXPECT_LE(worst, dbeta_bound<T>) << rows << " rows: " << worst / roundoff<T> << " u";
  }
}

// One large dy among small ones, each of which is lost, or rounded up, when it is added to the large one alone.
TYPED_TEST(Gradients, ALargeDyAmongSmallOnesKeepsTheirDigits) {
  using T = TypeParam;
  const Index hidden = 128;
  for (Index rows : {4, 8, 16, 17, 64, 300}) {
    for (Index after : {Index(1), rows}) {
      std::vector<T> x(size(rows * hidden)), dy(x.size());
      Random random(11);
      for (Index r = 0; r < rows; ++r) {
        for (Index c = 0; c < hidden; ++c) {
          const auto i = size(r * hidden + c);
          x[i] = static_cast<T>(c % 2 == 0 ? 1 : -1);  // and so is xhat
          // Columns that are aimed, then columns of magnitudes of all kinds.
          const double small = 1.0001 * roundoff<T> / static_cast<double>(Index(1) << c % 5);
          dy[i] = static_cast<T>(c >= 16 ? std::abs(random.log_uniform(-20, 0)) : r == c ? 1 : small);
        }
      }
      const Layout<T> layout{{rows, hidden, after}, hidden * after, after};
      const std::vector<T> laid_x = layout.spread(x), laid_dy = layout.spread(dy);
      std::vector<T> dx(laid_x.size()), dgamma(size(hidden)), dbeta(size(hidden));
      std::vector<RowMoments<T>> moments(size(rows));
      forward(Norm::layer, layout.shape, layout.of(laid_x), nullptr, nullptr, T(0), layout.of(dx),
              moments.data());
      backward(Norm::layer, layout.shape, layout.of(laid_dy), layout.of(laid_x), nullptr, moments.data(),
               layout.of(dx), dgamma.data(), dbeta.data());
      const auto exact = oracle::parameter_gradients(Norm::layer, dy.data(), x.data(), T(0), rows, hidden);
      EXPECT_LE(parameter_error(Gradient::dgamma, exact, dgamma.data()).ratio, 1)
          << rows << ", after " << after;
      EXPECT_LE(parameter_error(Gradient::dbeta, exact, dbeta.data()).ratio, 1)
          << rows << ", after " << after;
    }
  }
}

// Loss = sum(dy * y): dx, dgamma and dbeta are its slopes. Central differences with step h are off by h^2
// (their third derivative) and by the roundings of y over h; 1e-7 leaves room for both, and is far below any
// wrong term of a formula.
TEST(GradientsOfDouble, AgreeWithFiniteDifferences) {
  for (Norm norm : oracle::norms) {
    for (Index hidden : {1, 2, 3, 8, 13, 33}) {
      SCOPED_TRACE(std::string(oracle::name(norm)) + " hidden " + std::to_string(hidden));
      const Index rows = 3;
      const Parameters parameters = norm == Norm::layer ? Parameters::both : Parameters::gamma;
      Problem<double> p = make_problem<double>(rows, hidden, {{Family::normal, 1, 0}}, parameters, 0.1, 11);
      const Backward<double> out = run_backward(norm, p, run_forward(norm, p).moments);
      const auto loss = [&] {
        const std::vector<double> y = run_forward(norm, p).y;
        double sum = 0;
        for (std::size_t i = 0; i < y.size(); ++i) sum += y[i] * p.dy[i];
        return sum;
      };
      const auto slope = [&](double& value) {
        const double middle = value, h = 1e-5;
        value = middle + h;
        const double above = loss();
        value = middle - h;
        const double below = loss();
        value = middle;
        return (above - below) / (2 * h);
      };
      for (std::size_t i = 0; i < p.x.size(); ++i) EXPECT_NEAR(slope(p.x[i]), out.dx[i], 1e-7) << "dx " << i;
      for (std::size_t c = 0; c < size(hidden); ++c) {
        EXPECT_NEAR(slope(p.gamma[c]), out.dgamma[c], 1e-7) << "dgamma " << c;
        if (norm == Norm::layer) {
          EXPECT_NEAR(slope(p.beta[c]), out.dbeta[c], 1e-7) << "dbeta " << c;
        }
      }
    }
  }
}

// Each of dgamma and dbeta alone, both, or neither; dx and what is asked for have the same bits, and the rest
// is not touched.
TYPED_TEST(Gradients, AnySubsetOfParameterGradients) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    for (Index hidden : {1, 7, 16, 40}) {
      for (Index rows : {0, 1, 5, 200}) {
        const Problem<T> p =
            make_problem<T>(rows, hidden, gradient_kinds(true), Parameters::gamma, T(1e-5), 12);
        const std::vector<RowMoments<T>> moments = run_forward(norm, p).moments;
        const Backward<T> all = run_backward(norm, p, moments);
        for (int subset = 0; subset < (norm == Norm::layer ? 4 : 2); ++subset) {
          const bool gamma = (subset & 1) != 0, beta = (subset & 2) != 0;
          std::vector<T> dx(p.x.size(), nan_of<T>), dgamma(size(hidden), nan_of<T>),
              dbeta(size(hidden), nan_of<T>);
          backward(norm, p.shape(), packed(p.shape(), p.dy.data()), packed(p.shape(), p.x.data()),
                   p.gamma.data(), moments.data(), packed(p.shape(), dx.data()),
                   gamma ? dgamma.data() : nullptr, beta ? dbeta.data() : nullptr);
          EXPECT_EQ(first_difference(dx, all.dx), -1) << "subset " << subset;
          if (gamma) {
            EXPECT_EQ(first_difference(dgamma, all.dgamma), -1) << "subset " << subset;
          }
          if (beta) {
            EXPECT_EQ(first_difference(dbeta, all.dbeta), -1) << "subset " << subset;
          }
        }
      }
    }
  }
}

TYPED_TEST(Gradients, AccumulateAddsToWhatIsThere) {
  using T = TypeParam;
  using namespace oracle;
  for (Norm norm : norms) {
    for (simdnorm::Index rows : {0, 1, 9, 300}) {
      const simdnorm::Index hidden = 37;
      const Problem<T> p =
          make_problem<T>(rows, hidden, gradient_kinds(true), Parameters::gamma, T(1e-5), 13);
      const std::vector<RowMoments<T>> moments = run_forward(norm, p).moments;
      const Backward<T> plain = run_backward(norm, p, moments);
      std::vector<T> before(size(hidden)), dx(p.x.size(), nan_of<T>);
      Random random(14);
      fill_normal(random, before.data(), hidden);
      std::vector<T> dgamma = before, dbeta = before;
      backward(norm, p.shape(), packed(p.shape(), p.dy.data()), packed(p.shape(), p.x.data()), p.gamma.data(),
               moments.data(), packed(p.shape(), dx.data()), dgamma.data(),
               norm == Norm::layer ? dbeta.data() : nullptr, {true, nullptr});
      EXPECT_EQ(first_difference(dx, plain.dx), -1);
      const auto exact = parameter_gradients(norm, p.dy.data(), p.x.data(), p.epsilon, rows, hidden);
      for (std::size_t c = 0; c < size(hidden); ++c) {
        // The sum with what was there may round once more.
        const quad gamma_sum = exact.dgamma[c] + wide(before[c]), beta_sum = exact.dbeta[c] + wide(before[c]);
        const quad u = wide(roundoff<T>);
        EXPECT_LE(narrow(oracle::abs(wide(dgamma[c]) - gamma_sum)),
                  narrow(wide(dgamma_bound<T>) * exact.dgamma_magnitude[c] + u * oracle::abs(gamma_sum)));
        if (norm == Norm::layer) {
          EXPECT_LE(narrow(oracle::abs(wide(dbeta[c]) - beta_sum)),
                    narrow(wide(dbeta_bound<T>) * exact.dbeta_magnitude[c] + u * oracle::abs(beta_sum)));
        } else {
          EXPECT_EQ(bits_of(dbeta[c]), bits_of(before[c]));
        }
        if (rows == 0) {
          EXPECT_EQ(bits_of(dgamma[c]), bits_of(before[c]));
          EXPECT_EQ(bits_of(dbeta[c]), bits_of(before[c]));
        }
      }
    }
  }
}

// One or two rows, whose sums are stored at once, have the bits of totals: those that are added to zeros. Nothing else is written.
TYPED_TEST(Gradients, OfFewRowsAreWhatTheirTotalsAre) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    for (Index hidden : {1, 7, 16, 17, 100, 16389}) {
      Problem<T> p = every_path<T>(12, hidden, 77);
      for (std::size_t i = 0; i < p.dy.size(); i += 5) p.dy[i] = -T(0);
      p.dy[p.dy.size() - 1] = std::numeric_limits<T>::infinity();
      p.dy[size(7 * hidden)] = std::copysign(std::numeric_limits<T>::quiet_NaN(), T(-1));
      const std::vector<RowMoments<T>> moments = run_forward(norm, p).moments;
      for (Index first = 0; first + 3 <= p.rows; ++first) {
        for (const Index rows : {1, 2, 3}) {
          const RowShape shape{rows, hidden};
          const auto gradients = [&](bool accumulate, T before, const Executor& executor) {
            std::vector<T> dx(size(rows * hidden)), sums[2];
            for (auto& sum : sums) sum.assign(size(hidden + 5), before);
            backward(norm, shape, packed(shape, p.dy_row(first)), packed(shape, p.row(first)), p.gamma.data(),
                     moments.data() + first, packed(shape, dx.data()), sums[0].data(),
                     norm == Norm::layer ? sums[1].data() : nullptr, {accumulate, nullptr}, executor);
            for (auto& sum : sums) {
              for (std::size_t c = size(hidden); c < sum.size(); ++c)
                EXPECT_EQ(bits_of(sum[c]), bits_of(before));
              sum.resize(size(hidden));
            }
            return std::pair{sums[0], norm == Norm::layer ? sums[1] : std::vector<T>{}};
          };
          const auto expected = gradients(true, T(0), serial);
          for (const Executor& executor : {Executor(serial), Executor(Threads{3})}) {
            const auto stored = gradients(false, T(-3), executor);
            ASSERT_EQ(first_difference(stored.first, expected.first), -1) << rows << " from " << first;
            ASSERT_EQ(first_difference(stored.second, expected.second), -1) << rows << " from " << first;
          }
        }
      }
    }
  }
}

TYPED_TEST(Gradients, NoRowsMakeParameterGradientsZero) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    std::vector<T> dgamma(5, nan_of<T>), dbeta(5, nan_of<T>);
    const RowShape shape{0, 5};
    const T* none = nullptr;
    backward(norm, shape, packed(shape, none), packed(shape, none), none,
             static_cast<const RowMoments<T>*>(nullptr), packed(shape, static_cast<T*>(nullptr)),
             dgamma.data(), norm == Norm::layer ? dbeta.data() : nullptr);
    for (T value : dgamma) EXPECT_EQ(bits_of(value), bits_of(T(0)));
    if (norm == Norm::layer) {
      for (T value : dbeta) EXPECT_EQ(bits_of(value), bits_of(T(0)));
    }
  }
}

// Nor where the shape is one that the operators refuse.
TYPED_TEST(Gradients, NoRowsTakeNoWorkspace) {
  for (const RowShape shape :
       {RowShape{0, 5}, RowShape{-1, 5}, RowShape{-1000, 5}, RowShape{3, 0}, RowShape{3, 5, 0}}) {
    EXPECT_EQ(LayerNormOperator<TypeParam>::workspace_bytes(shape), 0);
  }
  EXPECT_GT(LayerNormOperator<TypeParam>::workspace_bytes({1, 1, 1}), 0);
}

// Memory that the caller gives: the same bits, whatever lies in it, and not a byte beyond what was asked for.
TYPED_TEST(Gradients, AWorkspaceOfTheStatedSizeIsEnough) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    for (Index hidden : {1, 16, 100}) {
      for (Index rows : {1, 64, 65, 1000}) {
        const Layout<T> contiguous{{rows, hidden}, hidden, 1},
            side_by_side{{rows, hidden, rows}, rows * hidden, rows}, with_gaps{{rows, hidden}, 2 * hidden, 2};
        for (const Layout<T>& layout : {contiguous, side_by_side, with_gaps}) {
          const Problem<T> p =
              make_problem<T>(rows, hidden, gradient_kinds(true), Parameters::gamma, T(1e-5), 15);
          const std::vector<RowMoments<T>> moments = run_forward(norm, p).moments;
          const std::vector<T> x = layout.spread(p.x), dy = layout.spread(p.dy);
          const RowShape shape = layout.shape;
          const std::size_t bytes = size(LayerNormOperator<T>::workspace_bytes(shape));
          ASSERT_GT(bytes, 0u);
          struct alignas(64) Line {
            unsigned char bytes[64];
          };
          std::vector<Line> memory(bytes / 64 + 2);
          unsigned char* first =
              memory[0].bytes + sizeof(double);  // which takes most of what comes before a line
          const std::size_t all = memory.size() * 64 - sizeof(double);
          std::fill(first, first + all, static_cast<unsigned char>(0xFF));
          std::vector<T> dx[2], dgamma[2], dbeta[2];
          for (int own = 0; own < 2; ++own) {
            dx[own].assign(x.size(), nan_of<T>);
            dgamma[own].assign(size(hidden), nan_of<T>);
            dbeta[own].assign(size(hidden), nan_of<T>);
            backward(norm, shape, layout.of(dy), layout.of(x), p.gamma.data(), moments.data(),
                     layout.of(dx[own]), dgamma[own].data(),
                     norm == Norm::layer ? dbeta[own].data() : nullptr, {false, own == 0 ? nullptr : first});
          }
          EXPECT_EQ(first_difference(dx[0], dx[1]), -1);
          EXPECT_EQ(first_difference(dgamma[0], dgamma[1]), -1);
          EXPECT_EQ(first_difference(dbeta[0], dbeta[1]), -1);
          for (std::size_t i = bytes; i < all; ++i) ASSERT_EQ(first[i], 0xFF) << "beyond the workspace";
          EXPECT_TRUE(std::any_of(first, first + bytes, [](unsigned char byte) { return byte != 0xFF; }))
              << "the workspace was not used";
        }
      }
    }
  }
}

// Nor is there more of it than the rows' totals take, in the layout that takes most.
TYPED_TEST(Gradients, AWorkspaceOfTheStatedSizeIsUsed) {
  using T = TypeParam;
  const Index hidden = 3;
  const auto used = [&](const Layout<T>& layout) {
    const std::vector<T> ones(size(layout.extent()), T(1));
    std::vector<T> dx(ones.size()), dgamma(size(hidden)), dbeta(size(hidden));
    const std::vector<RowMoments<T>> moments(size(layout.shape.rows), {T(0), T(0), T(1), T(1)});
    // Cleared and written are words; those that are not stay NaN.
    struct alignas(64) Line {
      double numbers[8];
    };
    std::vector<Line> lines(size(LayerNormOperator<T>::workspace_bytes(layout.shape)) / 64 + 8);
    const std::size_t count = 8 * lines.size() - 1;
    double* const memory = lines[0].numbers + 1;  // which takes most of what comes before a line
    std::fill(memory, memory + count, nan_of<double>);
    backward(Norm::layer, layout.shape, layout.of(ones), layout.of(ones), nullptr, moments.data(),
             layout.of(dx), dgamma.data(), dbeta.data(), {false, memory});
    std::size_t words = count;
    while (words > 0 && std::isnan(memory[words - 1])) --words;
    return static_cast<Index>(8 * words);
  };
  for (Index rows : {1, 64, 65, 1000, 4104}) {
    const Layout<T> contiguous{{rows, hidden}, hidden, 1}, with_gaps{{rows, hidden}, 2 * hidden, 2},
        side_by_side{{rows, hidden, rows}, rows * hidden, rows}, pairs{{2 * rows, hidden, 2}, 2 * hidden, 2};
    EXPECT_EQ(std::max(used(contiguous), used(with_gaps)),
              LayerNormOperator<T>::workspace_bytes(contiguous.shape))
        << rows;
    for (const Layout<T>& layout : {side_by_side, pairs})
      EXPECT_EQ(used(layout), LayerNormOperator<T>::workspace_bytes(layout.shape)) << layout.shape.after;
  }
}

}  // namespace
