// ScaleNorm: the bits of RMSNorm where the two differ by powers of two; dg as the sum of dgamma by its tree; against the oracle and
// finite differences; extreme rows; wrong arguments.
#include <simdnorm/rms_norm.hpp>
#include <simdnorm/scale_norm.hpp>

#include "support/executors.hpp"
#include "support/magnitudes.hpp"
#include "support/refused.hpp"
#include "support/types.hpp"

namespace {

using namespace support;
using simdnorm::GradientOptions;
using simdnorm::Index;

template <class T> T canonical(T a) { return a == a ? a : nan_of<T>; }

// One type of rows and of executors, so that each operator is compiled once.
template <class T>
void scale_forward(RowShape shape, Strided<const T> x, const T* g, T epsilon, Strided<T> y,
                   RowMoments<T>* moments, const Executor& executor = serial) {
  simdnorm::scale_norm_forward(shape, x, g, epsilon, y, moments, executor);
}
template <class T>
void scale_backward(RowShape shape, Strided<const T> dy, Strided<const T> x, const T* g,
                    const RowMoments<T>* moments, Strided<T> dx, T* dg, const GradientOptions& options = {},
                    const Executor& executor = serial) {
  simdnorm::scale_norm_backward(shape, dy, x, g, moments, dx, dg, options, executor);
}

template <class T> struct Outputs {
  std::vector<T> y, dx;
  std::vector<RowMoments<T>> moments;
  T dg;
};
template <class T>
Outputs<T> run(const Places& places, const Problem<T>& p, const T* g, const Executor& executor = serial) {
  const std::vector<T> x = places.spread(p.x), dy = places.spread(p.dy);
  const std::vector<T> rows = unwritten_array<T>(places.extent());
  Outputs<T> out{rows, rows, no_moments<T>(places.shape.rows), nan_of<T>};
  scale_forward(places.shape, places.read(x), g, p.epsilon, places.write(out.y), out.moments.data(),
                executor);
  scale_backward(places.shape, places.read(dy), places.read(x), g, out.moments.data(), places.write(out.dx),
                 &out.dg, {}, executor);
  return out;
}
std::vector<Places> layouts(Index hidden) {
  return {contiguous(23, hidden), in_wider_rows(13, hidden), spaced(12, hidden), side_by_side(2, 11, hidden),
          side_by_side(1, 70, hidden)};
}

template <class T> struct ScaleNorm : testing::Test {};
using Elements = testing::Types<float, double>;
TYPED_TEST_SUITE(ScaleNorm, Elements);

// With hidden = 4^j and hidden times the epsilon of RMSNorm, rstd, y and dx are those of RMSNorm with gamma = g, divided by 2^j.
TYPED_TEST(ScaleNorm, IsRMSNormDividedByTheRootOfHidden) {
  using T = TypeParam;
  for (int j : {0, 1, 2, 3, 4}) {
    const Index hidden = Index(1) << 2 * j;
    const T root = std::ldexp(T(1), j), g = T(1.7);
    for (const Places& places : layouts(hidden)) {
      SCOPED_TRACE(describe(places));
      const Problem<T> p =
          make_problem<T>(places.shape.rows, hidden, all_kinds<T>(0), Parameters::none, T(0x1p-17), 7);
      Problem<T> scaled = p;
      scaled.epsilon *= static_cast<T>(hidden);
      const Outputs<T> out = run(places, scaled, &g);
      const std::vector<T> gamma(size(hidden), g), x = places.spread(p.x), dy = places.spread(p.dy);
      std::vector<T> y = unwritten_array<T>(places.extent()), dx = y;
      std::vector<RowMoments<T>> moments = no_moments<T>(places.shape.rows);
      std::vector<T> dgamma(size(hidden));
      forward(Norm::rms, places.shape, places.read(x), gamma.data(), nullptr, p.epsilon, places.write(y),
              moments.data());
      backward(Norm::rms, places.shape, places.read(dy), places.read(x), gamma.data(), moments.data(),
               places.write(dx), dgamma.data(), nullptr);
      for (Index r = 0; r < places.shape.rows; ++r) {
        ASSERT_EQ(bits_of(out.moments[size(r)].rstd), bits_of(moments[size(r)].rstd / root));
        for (Index c = 0; c < hidden; ++c) {
          const std::size_t i = size(places.of(r, c));
          ASSERT_EQ(bits_of(out.y[i]), bits_of(y[i] / root));
          ASSERT_EQ(bits_of(out.dx[i]), bits_of(dx[i] / root));
        }
      }
    }
  }
}
// dg is the sum of what RMSNorm's dgamma would be, in the order of its tree. (dgamma in double holds all its digits, of floats.)
TEST(ScaleNormOfFloat, DgIsTheSumOfDgamma) {
  for (Index rows : {1, 2, 9, 64, 300}) {
    for (Index hidden : {1, 4, 16, 64, 256}) {
      const Problem<float> p = every_path<float>(rows, hidden, 9);
      const Places places = contiguous(rows, hidden);
      Problem<float> finite = p;
      for (float& x : finite.x)
        if (!std::isfinite(x)) x = 1;
      finite.epsilon *= static_cast<float>(hidden);
      const Outputs<float> out = run<float>(places, finite, nullptr);
      std::vector<RowMoments<float>> moments = out.moments;
      std::vector<float> dx(p.x.size());
      std::vector<double> dgamma(size(hidden));
      simdnorm::rms_norm_backward(places.shape, p.dy.data(), finite.x.data(), nullptr, moments.data(),
                                  dx.data(), dgamma.data());
      double lanes[16] = {};
      for (std::size_t c = 0; c < dgamma.size(); ++c) lanes[c % 16] += dgamma[c];
      for (int half = 8; half > 0; half /= 2)
        for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
      ASSERT_EQ(bits_of(out.dg), bits_of(static_cast<float>(lanes[0]))) << rows << " x " << hidden;
    }
  }
}

TYPED_TEST(ScaleNorm, HasTheSameBitsInAnyLayoutAndForAnyThreads) {
  using T = TypeParam;
  const T g = T(-2.3);
  for (Index hidden : {1, 5, 67, 160}) {
    const Problem<T> all = every_path<T>(70, hidden, 3);
    const Outputs<T> expected = run(contiguous(70, hidden), all, &g);
    for (const Places& places : layouts(hidden)) {
      SCOPED_TRACE(describe(places));
      Problem<T> p = all;
      p.rows = places.shape.rows;
      p.x.resize(size(p.rows * hidden));
      p.dy.resize(p.x.size());
      const Outputs<T> one = run(places, p, &g), three = run(places, p, &g, Threads{3});
      ASSERT_EQ(first_difference(one.y, three.y), -1);
      ASSERT_EQ(first_difference(one.dx, three.dx), -1);
      ASSERT_EQ(first_difference(one.moments, three.moments), -1);
      ASSERT_EQ(bits_of(one.dg), bits_of(three.dg));
      const auto of_first_rows = [&](std::vector<T> rows) {
        rows.resize(p.x.size());
        return places.spread(rows);
      };
      ASSERT_EQ(first_difference(one.y, of_first_rows(expected.y)), -1);
      ASSERT_EQ(first_difference(one.dx, of_first_rows(expected.dx)), -1);
    }
    // In place; dg alone is not wanted; a workspace of the stated size.
    const Places flat = contiguous(70, hidden);
    std::vector<T> rows = all.x;
    scale_forward(flat.shape, flat.read(rows), &g, all.epsilon, flat.write(rows),
                  static_cast<RowMoments<T>*>(nullptr), Threads{3});
    ASSERT_EQ(first_difference(rows, expected.y), -1) << "y on x";
    rows = all.x;
    scale_backward(flat.shape, flat.read(all.dy), flat.read(rows), &g, expected.moments.data(),
                   flat.write(rows), static_cast<T*>(nullptr));
    ASSERT_EQ(first_difference(rows, expected.dx), -1) << "dx on x";
    rows = all.dy;
    std::vector<double> memory(size(simdnorm::gradient_workspace_bytes<T>(flat.shape, 1)) / sizeof(double));
    T dg = nan_of<T>;
    scale_backward(flat.shape, flat.read(rows), flat.read(all.x), &g, expected.moments.data(),
                   flat.write(rows), &dg, {false, memory.data()});
    ASSERT_EQ(first_difference(rows, expected.dx), -1) << "dx on dy";
    ASSERT_EQ(bits_of(dg), bits_of(expected.dg));
  }
}

TYPED_TEST(ScaleNorm, IsNearTheFormula) {
  using T = TypeParam;
  using namespace oracle;
  const quad u = wide(roundoff<T>), step = wide(std::numeric_limits<T>::denorm_min());
  std::vector<Index> sizes = {48, 64, 65, 100, 300, 768};
  for (Index hidden = 1; hidden <= 33; ++hidden) sizes.push_back(hidden);
  for (Index hidden : sizes) {
    const T g = static_cast<T>(hidden % 3) - T(1.5);
    const Problem<T> p =
        make_problem<T>(73, hidden, all_kinds<T>(static_cast<int>(hidden % 9)), Parameters::none,
                        T(hidden % 2 == 0 ? 0 : 1e-5), static_cast<std::uint64_t>(hidden));
    const Outputs<T> out = run(contiguous(p.rows, hidden), p, &g);
    quad dg = wide(0.0), allowed_of_dg = wide(0.0);
    const std::size_t n = size(hidden);
    for (Index r = 0; r < p.rows; ++r) {
      const T *const x = p.row(r), *const dy = p.dy_row(r);
      quad squares = wide(p.epsilon), sum = wide(0.0), g_squares = wide(0.0), error = wide(0.0);
      for (std::size_t c = 0; c < n; ++c) squares += wide(x[c]) * wide(x[c]);
      const quad rstd = reciprocal_sqrt(squares);
      for (std::size_t c = 0; c < n; ++c) {
        const quad xhat = wide(x[c]) * rstd, exact = xhat * wide(g), term = wide(dy[c]) * xhat;
        const quad off = oracle::abs(wide(out.y[size(r) * n + c]) - exact);
        ASSERT_LE(narrow(off / (wide(3.1) * u * oracle::abs(exact) + wide(2.0) * step)), 1)
            << "y, row " << r << ", hidden " << hidden;
        sum += wide(g) * term;
        g_squares += wide(g) * wide(g) * wide(dy[c]) * wide(dy[c]);
        dg += term;
        allowed_of_dg += wide(dgamma_bound<T>) * oracle::abs(term);
      }
      for (std::size_t c = 0; c < n; ++c) {
        const quad difference =
            wide(out.dx[size(r) * n + c]) - (wide(g) * wide(dy[c]) - wide(x[c]) * rstd * sum) * rstd;
        error += difference * difference;
      }
      ASSERT_LE(std::sqrt(narrow(error)), dx_bound<T> * std::sqrt(narrow(g_squares)) * narrow(rstd))
          << "dx, row " << r << ", hidden " << hidden;
    }
    allowed_of_dg += u * oracle::abs(dg);  // it is rounded once more than a column's sum
    ASSERT_LE(narrow(oracle::abs(wide(out.dg) - dg) / allowed_of_dg), 1) << "dg, hidden " << hidden;
  }
}
// Of columns whose sums cancel, dg keeps what is left: in twice the precision nothing of it is lost.
TYPED_TEST(ScaleNorm, DgKeepsWhatCancels) {
  using T = TypeParam;
  constexpr Index rows = 64, hidden = 64;
  Problem<T> p = make_problem<T>(rows, hidden, {{Family::plus_minus_c, 0, 0}}, Parameters::none, T(0), 3);
  for (T& x : p.x) x = T(1);
  const T large = std::ldexp(T(1), std::numeric_limits<T>::digits - 1);
  for (std::size_t i = 0; i < p.dy.size(); ++i) p.dy[i] = i % 2 == 0 ? large : -large;
  p.dy[5 * hidden + 7] += T(1);
  EXPECT_EQ(run<T>(contiguous(rows, hidden), p, nullptr).dg, T(0.125));
}

TEST(ScaleNormOfDouble, AgreesWithFiniteDifferences) {
  constexpr Index rows = 3, hidden = 11;
  const Problem<double> p = make_problem<double>(
      rows, hidden, {{Family::normal, 0, 0}, {Family::uniform, 3, 1}}, Parameters::none, 1e-3, 5);
  const Places places = contiguous(rows, hidden);
  const double g = 1.3;
  const Outputs<double> out = run(places, p, &g);
  const auto loss = [&](const std::vector<double>& x, double with) {
    std::vector<double> y(x.size());
    scale_forward(places.shape, places.read(x), &with, p.epsilon, places.write(y),
                  static_cast<RowMoments<double>*>(nullptr));
    double sum = 0;
    for (std::size_t i = 0; i < y.size(); ++i) sum += y[i] * p.dy[i];
    return sum;
  };
  constexpr double h = 0x1p-17;
  for (std::size_t i = 0; i < p.x.size(); ++i) {
    std::vector<double> above = p.x, below = p.x;
    above[i] += h;
    below[i] -= h;
    EXPECT_NEAR(out.dx[i], (loss(above, g) - loss(below, g)) / (2 * h), 1e-8) << i;
  }
  EXPECT_NEAR(out.dg, (loss(p.x, g + h) - loss(p.x, g - h)) / (2 * h), 1e-8);
}

TYPED_TEST(ScaleNorm, ExtremeRows) {
  using T = TypeParam;
  if (!oracle::wide_exponents && sizeof(T) == 8) GTEST_SKIP() << "the oracle's exponents are those of double";
  using namespace oracle;
  const quad u = wide(roundoff<T>), step = wide(std::numeric_limits<T>::denorm_min());
  const T g = T(1.7);
  for (Index hidden : {1, 3, 40, 300}) {
    for (T epsilon : epsilons_of<T>()) {
      const Problem<T> p =
          MagnitudeRows<T>(hidden, epsilon, sizeof(T) == 4 ? (hidden < 100 ? 1 : 7) : 23, 2).p;
      const Outputs<T> out = run(contiguous(p.rows, hidden), p, &g);
      for (Index r = 0; r < p.rows; ++r) {
        quad squares = wide(epsilon);
        for (Index c = 0; c < hidden; ++c) squares += wide(p.row(r)[c]) * wide(p.row(r)[c]);
        const quad rstd = squares > wide(0.0) ? reciprocal_sqrt(squares) : wide(0.0);
        for (Index c = 0; c < hidden; ++c) {
          const quad exact = wide(p.row(r)[c]) * rstd * wide(g);
          const T y = out.y[size(r * hidden + c)];
          ASSERT_TRUE(std::isfinite(y));
          ASSERT_LE(
              narrow(oracle::abs(wide(y) - exact) / (wide(3.1) * u * oracle::abs(exact) + wide(4.0) * step)),
              1)
              << "row " << r << " of hidden " << hidden << ", epsilon " << epsilon;
        }
      }
    }
  }
}
TYPED_TEST(ScaleNorm, NaNAndInfinityStayInTheirRow) {
  using T = TypeParam;
  constexpr Index rows = 9, hidden = 50;
  const T g = T(0.7);
  const Problem<T> finite =
      make_problem<T>(rows, hidden, {{Family::normal, 0, 0}}, Parameters::none, T(1e-5), 4);
  const Outputs<T> before = run(contiguous(rows, hidden), finite, &g);
  for (T value : {std::numeric_limits<T>::infinity(), -nan_of<T>}) {
    Problem<T> p = finite;
    p.x[size(4 * hidden + 49)] = value;
    const Outputs<T> out = run(contiguous(rows, hidden), p, &g);
    for (std::size_t i = 0; i < p.x.size(); ++i) {
      const bool here = i / size(hidden) == 4;
      ASSERT_EQ(bits_of(out.y[i]), bits_of(here ? nan_of<T> : before.y[i]));
      ASSERT_EQ(bits_of(out.dx[i]), bits_of(here ? nan_of<T> : before.dx[i]));
    }
    EXPECT_EQ(bits_of(out.dg), bits_of(nan_of<T>));
  }
  // One infinite dy: its term is infinite, and so is the sum.
  Problem<T> p = finite;
  p.dy[size(4 * hidden + 3)] = std::copysign(std::numeric_limits<T>::infinity(), p.x[size(4 * hidden + 3)]);
  EXPECT_EQ(run(contiguous(rows, hidden), p, &g).dg, std::numeric_limits<T>::infinity());
}

// --- g, and types ---

TEST(ScaleNormArguments, GIsAPointerOrANumber) {
  const RowShape shape{5, 37};
  const Problem<float> p = make_problem<float>(5, 37, {{Family::normal, 0, 0}}, Parameters::none, 1e-5F, 4);
  std::vector<float> y(p.x.size()), expected = y, dx = y;
  std::vector<RowMoments<float>> moments(5);
  const float one = 1, g = 2.6875F;  // a bfloat16
  const auto forward = [&](auto with) {
    std::fill(y.begin(), y.end(), nan_of<float>);
    simdnorm::scale_norm_forward(shape, p.x.data(), with, 1e-5F, y.data(), moments.data());
    return y;
  };
  scale_forward(shape, packed(shape, p.x.data()), &one, 1e-5F, packed(shape, expected.data()),
                moments.data());
  EXPECT_EQ(forward(nullptr), expected);
  EXPECT_EQ(forward(1), expected);
  EXPECT_EQ(forward(static_cast<const float*>(nullptr)), expected);
  scale_forward(shape, packed(shape, p.x.data()), &g, 1e-5F, packed(shape, expected.data()), moments.data());
  EXPECT_EQ(forward(2.6875), expected);
  const BFloat16 narrow = number<BFloat16>(2.6875);
  EXPECT_EQ(forward(&narrow), expected);
  // dg in double holds all its digits.
  float dg = 0;
  double wide_dg = 0;
  simdnorm::scale_norm_backward(shape, p.dy.data(), p.x.data(), &g, moments.data(), dx.data(), &dg);
  simdnorm::scale_norm_backward(shape, p.dy.data(), p.x.data(), 2.6875, moments.data(), dx.data(), &wide_dg);
  EXPECT_EQ(dg, static_cast<float>(wide_dg));
  EXPECT_NE(static_cast<double>(dg), wide_dg);
  const float before = dg;
  simdnorm::scale_norm_backward(shape, p.dy.data(), p.x.data(), &g, moments.data(), dx.data(), &dg,
                                {true, nullptr});
  EXPECT_EQ(dg, 2 * before);
}

TEST(ScaleNormArguments, OfOtherTypes) {
  constexpr Index rows = 10, hidden = 45;  // all finite
  const RowShape shape{rows, hidden};
  const Stored<BFloat16, Float16, Float16> in =
      every_path_of<BFloat16, Float16, float, Float16>(rows, hidden, 4);
  const Places places = contiguous(rows, hidden);
  Problem<float> p;
  p.rows = rows;
  p.hidden = hidden;
  p.x = numbers<float>(in.x);
  p.dy = numbers<float>(in.dy);
  const float g = static_cast<float>(value_of(in.gamma[3]));
  const Outputs<float> expected = run(places, p, &g);
  std::vector<BFloat16> y(p.x.size()), dx = y;
  std::vector<RowMoments<float>> moments = no_moments<float>(rows);
  double dg = 0;
  simdnorm::scale_norm_forward(shape, in.x.data(), in.gamma.data() + 3, p.epsilon, y.data(), moments.data());
  EXPECT_EQ(first_difference(moments, expected.moments), -1);
  EXPECT_EQ(first_unlike(y, numbers<BFloat16>(expected.y)), -1);
  // A branch has a sum of columns of its own.
  std::vector<float> dbias(size(hidden));
  simdnorm::scale_norm_backward(shape, in.dy.data(), in.x.data(), in.gamma.data() + 3, moments.data(),
                                simdnorm::branch(dx.data()).dbias(dbias.data()), &dg);
  EXPECT_EQ(first_unlike(dx, numbers<BFloat16>(expected.dx)), -1);
  EXPECT_EQ(static_cast<float>(dg), expected.dg);
  std::vector<double> sums(size(hidden));
  for (std::size_t i = 0; i < expected.dx.size(); ++i)
    sums[i % size(hidden)] += static_cast<double>(expected.dx[i]);
  for (std::size_t c = 0; c < sums.size(); ++c) {
    ASSERT_NEAR(static_cast<double>(dbias[c]), sums[c], 1e-4 * (1 + std::abs(sums[c]))) << c;
  }
}

TEST(ScaleNormArguments, NoRowsMakeDgZero) {
  float dg = 5;
  const Strided<const float> none{nullptr, 8, 1};
  const auto backward = [&](bool accumulate) {
    scale_backward<float>({0, 8}, none, none, nullptr, nullptr, {nullptr, 8, 1}, &dg, {accumulate, nullptr});
  };
  backward(true);
  EXPECT_EQ(dg, 5);
  backward(false);
  EXPECT_EQ(bits_of(dg), bits_of(0.0F));
}

TEST(ScaleNormArguments, ErrorsComeBeforeAnythingIsWritten) {
  const RowShape shape{3, 8};
  const std::vector<float> x(24, 1.0F);
  std::vector<float> y(25, 5.0F);
  const std::vector<float> unwritten = y;
  std::vector<RowMoments<float>> moments(3);
  const float g = 2;
  const auto forward = [&](const float* with, float epsilon) {
    scale_forward<float>(shape, packed(shape, x.data()), with, epsilon, packed(shape, y.data()),
                         moments.data());
  };
  const auto backward = [&](const RowMoments<float>* of_rows, const float* with, float* dg) {
    scale_backward<float>(shape, packed(shape, x.data()), packed(shape, x.data()), with, of_rows,
                          packed(shape, y.data()), dg);
  };
  refused({"scale_norm_forward: epsilon must be at least 0 but is -1"}, [&] { forward(&g, -1); });
  refused({"scale_norm_forward: ", "y", "g (4 bytes) overlap"}, [&] { forward(y.data() + 23, 1e-6F); });
  refused({"scale_norm_backward: moments is nullptr"}, [&] { backward(nullptr, &g, nullptr); });
  refused({"dg (4 bytes) and dx (96 bytes) overlap"}, [&] { backward(moments.data(), &g, y.data() + 23); });
  refused({"dg (4 bytes) and g (4 bytes) overlap"},
          [&] { backward(moments.data(), y.data() + 24, y.data() + 24); });
  EXPECT_EQ(y, unwritten);
  EXPECT_NO_THROW(forward(y.data() + 24, 1e-6F));
}

}  // namespace
