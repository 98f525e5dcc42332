// RMSNorm measured on the first columns: the bits of RMSNorm where these are all, and of its composition where they are not;
// against the oracle and finite differences; extreme rows; wrong arguments.
#include <simdnorm/partial_rms_norm.hpp>
#include <simdnorm/rms_norm.hpp>

#include "support/executors.hpp"
#include "support/magnitudes.hpp"
#include "support/refused.hpp"
#include "support/types.hpp"

namespace {

using namespace support;
using simdnorm::GradientOptions;
using simdnorm::Index;

template <class T> SIMDNORM_NOINLINE T times(T a, T b) { return a * b; }
template <class T> T canonical(T a) { return a == a ? a : nan_of<T>; }

// One type of rows and of executors, so that each operator is compiled once.
template <class T>
void partial_forward(RowShape shape, Index measured, Strided<const T> x, const T* gamma, T epsilon,
                     Strided<T> y, RowMoments<T>* moments, const Executor& executor = serial) {
  simdnorm::partial_rms_norm_forward(shape, measured, x, gamma, epsilon, y, moments, executor);
}
template <class T>
void partial_backward(RowShape shape, Index measured, Strided<const T> dy, Strided<const T> x, const T* gamma,
                      const RowMoments<T>* moments, Strided<T> dx, T* dgamma,
                      const GradientOptions& options = {}, const Executor& executor = serial) {
  simdnorm::partial_rms_norm_backward(shape, measured, dy, x, gamma, moments, dx, dgamma, options, executor);
}

template <class T> struct Outputs {
  std::vector<T> y, dx, dgamma;
  std::vector<RowMoments<T>> moments;
};
template <class T> Outputs<T> outputs_of(const Places& places) {
  const std::vector<T> rows = unwritten_array<T>(places.extent());
  return {rows, rows, unwritten_array<T>(places.shape.hidden), no_moments<T>(places.shape.rows)};
}
template <class T>
Outputs<T> run(const Places& places, Index measured, const Problem<T>& p, const Executor& executor = serial) {
  const std::vector<T> x = places.spread(p.x), dy = places.spread(p.dy);
  Outputs<T> out = outputs_of<T>(places);
  partial_forward(places.shape, measured, places.read(x), or_null(p.gamma), p.epsilon, places.write(out.y),
                  out.moments.data(), executor);
  partial_backward(places.shape, measured, places.read(dy), places.read(x), or_null(p.gamma),
                   out.moments.data(), places.write(out.dx), out.dgamma.data(), {}, executor);
  return out;
}
template <class T> void expect_same(const Outputs<T>& got, const Outputs<T>& expected) {
  ASSERT_EQ(first_difference(got.moments, expected.moments), -1) << "moments";
  ASSERT_EQ(first_difference(got.y, expected.y), -1) << "y";
  ASSERT_EQ(first_difference(got.dx, expected.dx), -1) << "dx";
  ASSERT_EQ(first_difference(got.dgamma, expected.dgamma), -1) << "dgamma";
}
std::vector<Places> layouts(Index hidden) {
  return {contiguous(23, hidden), in_wider_rows(13, hidden), spaced(12, hidden), side_by_side(2, 11, hidden),
          side_by_side(1, 70, hidden)};
}
std::vector<Index> parts_of(Index hidden) {
  std::vector<Index> parts = {1, (hidden + 15) / 16, (hidden + 3) / 4, (hidden + 1) / 2, hidden - 1, hidden};
  parts.erase(std::remove_if(parts.begin(), parts.end(), [](Index part) { return part < 1; }), parts.end());
  return parts;
}

template <class T> struct PartialRMSNorm : testing::Test {};
using Elements = testing::Types<float, double>;
TYPED_TEST_SUITE(PartialRMSNorm, Elements);

TYPED_TEST(PartialRMSNorm, OfAllColumnsHasTheBitsOfRMSNorm) {
  using T = TypeParam;
  for (Index hidden : {1, 5, 16, 33, 64, 67, 130, 301}) {
    for (const Places& places : layouts(hidden)) {
      SCOPED_TRACE(describe(places));
      const Problem<T> p = every_path<T>(places.shape.rows, hidden, 7);
      const std::vector<T> x = places.spread(p.x), dy = places.spread(p.dy);
      Outputs<T> expected = outputs_of<T>(places);
      forward(Norm::rms, places.shape, places.read(x), p.gamma.data(), nullptr, p.epsilon,
              places.write(expected.y), expected.moments.data());
      backward(Norm::rms, places.shape, places.read(dy), places.read(x), p.gamma.data(),
               expected.moments.data(), places.write(expected.dx), expected.dgamma.data(), nullptr);
      expect_same(run(places, hidden, p), expected);
      if (this->HasFatalFailure()) return;
    }
  }
}

// Moments: those of RMSNorm of the first columns, as rows with gaps. y: three numbers' product.
TYPED_TEST(PartialRMSNorm, IsRMSNormOfTheFirstColumnsAndAProduct) {
  using T = TypeParam;
  for (Index hidden : {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 100, 130, 191, 300}) {
    for (Index measured : parts_of(hidden)) {
      SCOPED_TRACE("hidden " + std::to_string(hidden) + ", measured " + std::to_string(measured));
      const Places places = contiguous(34, hidden);
      const Problem<T> p = every_path<T>(34, hidden, static_cast<std::uint64_t>(hidden));
      const Outputs<T> out = run(places, measured, p);
      std::vector<RowMoments<T>> expected = no_moments<T>(34);
      std::vector<T> unused(size(34 * measured));
      forward(Norm::rms, {34, measured}, Strided<const T>{p.x.data(), hidden, 1},
              static_cast<const T*>(nullptr), nullptr, p.epsilon,
              packed(RowShape{34, measured}, unused.data()), expected.data());
      ASSERT_EQ(first_difference(out.moments, expected), -1);
      for (std::size_t i = 0; i < p.x.size(); ++i) {
        const std::size_t c = i % size(hidden);
        const RowMoments<T>& m = expected[i / size(hidden)];
        const T xhat = times(m.scale == T(1) ? p.x[i] : times(p.x[i], m.scale), m.rstd);
        ASSERT_EQ(bits_of(out.y[i]), bits_of(canonical(times(xhat, p.gamma[c]))))
            << "row " << i / size(hidden);
        const bool scaled = m.scale != T(1) || !std::isfinite(out.dx[i]);
        if (!scaled && size(measured) <= c) {
          ASSERT_EQ(bits_of(out.dx[i]), bits_of(times(times(p.dy[i], p.gamma[c]), m.rstd))) << "dx";
        }
      }
    }
  }
}

TYPED_TEST(PartialRMSNorm, HasTheSameBitsInAnyLayoutAndForAnyThreads) {
  using T = TypeParam;
  for (Index hidden : {5, 67, 160}) {
    for (Index measured : parts_of(hidden)) {
      const Problem<T> all = every_path<T>(70, hidden, 3);
      const Outputs<T> expected = run(contiguous(70, hidden), measured, all);
      for (const Places& places : layouts(hidden)) {
        SCOPED_TRACE(describe(places) + ", measured " + std::to_string(measured));
        Problem<T> p = all;
        p.rows = places.shape.rows;
        p.x.resize(size(p.rows * hidden));
        p.dy.resize(p.x.size());
        const Outputs<T> one = run(places, measured, p), three = run(places, measured, p, Threads{3});
        expect_same(three, one);
        const auto of_first_rows = [&](std::vector<T> rows) {
          rows.resize(p.x.size());
          return places.spread(rows);
        };
        ASSERT_EQ(first_difference(one.y, of_first_rows(expected.y)), -1);
        ASSERT_EQ(first_difference(one.dx, of_first_rows(expected.dx)), -1);
      }
      // In place.
      const Places flat = contiguous(70, hidden);
      std::vector<T> rows = all.x;
      partial_forward(flat.shape, measured, flat.read(rows), all.gamma.data(), all.epsilon, flat.write(rows),
                      static_cast<RowMoments<T>*>(nullptr), Threads{3});
      ASSERT_EQ(first_difference(rows, expected.y), -1) << "y on x";
      std::vector<T> dgamma(size(hidden));
      rows = all.x;
      partial_backward(flat.shape, measured, flat.read(all.dy), flat.read(rows), all.gamma.data(),
                       expected.moments.data(), flat.write(rows), dgamma.data());
      ASSERT_EQ(first_difference(rows, expected.dx), -1) << "dx on x";
      rows = all.dy;
      partial_backward(flat.shape, measured, flat.read(rows), flat.read(all.x), all.gamma.data(),
                       expected.moments.data(), flat.write(rows), static_cast<T*>(nullptr));
      ASSERT_EQ(first_difference(rows, expected.dx), -1) << "dx on dy";
      partial_backward(flat.shape, measured, flat.read(all.dy), flat.read(all.x), all.gamma.data(),
                       expected.moments.data(), flat.write(rows), dgamma.data(), {true, nullptr});
      for (std::size_t c = 0; c < dgamma.size(); ++c)
        ASSERT_EQ(bits_of(dgamma[c]), bits_of(canonical(2 * expected.dgamma[c]))) << "accumulated";
    }
  }
}

// xhat of the other columns times the mean of the row may overflow where dx, in which it has no part, does not.
TYPED_TEST(PartialRMSNorm, OtherColumnsMayBeFarLarger) {
  using T = TypeParam;
  constexpr Index hidden = 40, measured = 20;
  const int by = sizeof(T) == 4 ? 90 : 700;
  for (const Places& places : {contiguous(3, hidden), side_by_side(1, 3, hidden)}) {
    Problem<T> p = make_problem<T>(3, hidden, {{Family::normal, 0, 0}}, Parameters::gamma, T(0), 6);
    for (Index i = 0; i < 3 * hidden; ++i)
      if (i % hidden >= measured) p.x[size(i)] = std::ldexp(p.x[size(i)], by);
    const Outputs<T> out = run(places, measured, p);
    for (Index r = 0; r < 3; ++r) {
      for (Index c = 0; c < hidden; ++c) {
        const T dx = out.dx[size(places.of(r, c))];
        const std::size_t i = size(r * hidden + c);
        if (c >= measured) {
          ASSERT_EQ(bits_of(dx), bits_of(times(times(p.dy[i], p.gamma[size(c)]), out.moments[size(r)].rstd)));
        }
      }
    }
  }
}

// dx: beside what RMSNorm is allowed, the correction may be large, since xhat of the other columns may: its norm is that of xhat
// of the measured columns, at most the root of measured, times sum |g xhat| / measured.
template <class T> void check_against_oracle(const Problem<T>& p, Index measured, const Outputs<T>& out) {
  using namespace oracle;
  const quad u = wide(roundoff<T>), one = wide(1.0), step = wide(std::numeric_limits<T>::denorm_min());
  const std::size_t n = size(p.hidden);
  std::vector<quad> dgamma(n, wide(0.0)), allowed(n, step);
  for (Index r = 0; r < p.rows; ++r) {
    const T *const x = p.row(r), *const dy = p.dy_row(r);
    const Statistics s = statistics(Norm::rms, x, measured, p.epsilon);
    quad sum = wide(0.0), magnitudes = wide(0.0), g_squares = wide(0.0);
    for (std::size_t c = 0; c < n; ++c) {
      const quad h = xhat(s, x[c]), scale = wide(p.gamma[c]), y = h * scale, g = wide(dy[c]) * scale;
      const quad size_of_xhat = oracle::abs(h) > one ? oracle::abs(h) : one;
      const quad bound = wide(3.1) * u * oracle::abs(scale) * size_of_xhat + step;
      ASSERT_LE(narrow(oracle::abs(wide(out.y[size(r) * n + c]) - y) / bound), 1)
          << "y, row " << r << ", column " << c << " of " << p.hidden << ", measured " << measured;
      sum += g * h;
      magnitudes += oracle::abs(g * h);
      g_squares += g * g;
      dgamma[c] += wide(dy[c]) * h;
      allowed[c] += wide(dgamma_bound<T>) * oracle::abs(wide(dy[c])) * size_of_xhat;
    }
    const quad k = wide(measured);
    quad error = wide(0.0);
    for (std::size_t c = 0; c < n; ++c) {
      const quad g = wide(dy[c]) * wide(p.gamma[c]);
      const quad exact = (static_cast<Index>(c) < measured ? g - xhat(s, x[c]) * sum / k : g) * s.rstd;
      const quad difference = wide(out.dx[size(r) * n + c]) - exact;
      error += difference * difference;
    }
    const double size_of_g = std::sqrt(narrow(g_squares)) * narrow(s.rstd),
                 correction = narrow(magnitudes / k * s.rstd) * std::sqrt(static_cast<double>(measured));
    ASSERT_LE(std::sqrt(narrow(error)), dx_bound<T> * (size_of_g + correction))
        << "dx, row " << r << ", hidden " << p.hidden << ", measured " << measured;
  }
  for (std::size_t c = 0; c < n; ++c) {
    ASSERT_LE(narrow(oracle::abs(wide(out.dgamma[c]) - dgamma[c]) / allowed[c]), 1)
        << "dgamma, column " << c << " of " << p.hidden << ", measured " << measured;
  }
}
std::vector<RowKind> kinds_of_rows() {
  return {{Family::normal, 0, 0},       {Family::uniform, 10, 2},        {Family::ramp, -1e3, -3},
          {Family::plus_minus_c, 0, 0}, {Family::outlier_first, 10, 1},  {Family::normal, 1e6, -1},
          {Family::log_uniform, 0, 0},  {Family::outlier_middle, 0, 30}, {Family::outliers, 1e2, -40}};
}
TYPED_TEST(PartialRMSNorm, IsNearTheFormula) {
  using T = TypeParam;
  std::vector<Index> sizes = {48, 64, 65, 100, 300, 768};
  for (Index hidden = 1; hidden <= 33; ++hidden) sizes.push_back(hidden);
  for (Index hidden : sizes) {
    for (Index measured : parts_of(hidden)) {
      for (int louder : {0, 12}) {  // the columns that are not measured
        Problem<T> p =
            make_problem<T>(19, hidden, kinds_of_rows(), Parameters::both, T(hidden % 2 == 0 ? 0 : 1e-5),
                            static_cast<std::uint64_t>(hidden * 100 + measured));
        for (std::size_t i = 0; i < p.x.size(); ++i)
          if (static_cast<Index>(i % size(hidden)) >= measured) p.x[i] = std::ldexp(p.x[i], louder);
        check_against_oracle(p, measured, run(contiguous(19, hidden), measured, p));
        if (this->HasFatalFailure()) return;
      }
    }
  }
}

TEST(PartialRMSNormOfDouble, AgreesWithFiniteDifferences) {
  constexpr Index rows = 3, hidden = 11, measured = 4;
  const Problem<double> p = make_problem<double>(
      rows, hidden, {{Family::normal, 0, 0}, {Family::uniform, 3, 1}}, Parameters::gamma, 1e-3, 5);
  const Places places = contiguous(rows, hidden);
  const Outputs<double> out = run(places, measured, p);
  // The sum of dy * y.
  const auto loss = [&](const std::vector<double>& x, const std::vector<double>& gamma) {
    std::vector<double> y(x.size());
    partial_forward(places.shape, measured, places.read(x), gamma.data(), p.epsilon, places.write(y),
                    static_cast<RowMoments<double>*>(nullptr));
    double sum = 0;
    for (std::size_t i = 0; i < y.size(); ++i) sum += y[i] * p.dy[i];
    return sum;
  };
  constexpr double h = 0x1p-17;
  const auto slope = [&](std::vector<double> x, std::vector<double> gamma, bool of_x, std::size_t i) {
    double& moved = of_x ? x[i] : gamma[i];
    const double at = moved;
    moved = at + h;
    const double above = loss(x, gamma);
    moved = at - h;
    return (above - loss(x, gamma)) / (2 * h);
  };
  for (std::size_t i = 0; i < p.x.size(); ++i)
    EXPECT_NEAR(out.dx[i], slope(p.x, p.gamma, true, i), 1e-8) << i;
  for (std::size_t c = 0; c < p.gamma.size(); ++c)
    EXPECT_NEAR(out.dgamma[c], slope(p.x, p.gamma, false, c), 1e-8) << c;
}

// Rows of every magnitude, whose other columns are of the same one, far smaller and far larger, up to the largest number.
TYPED_TEST(PartialRMSNorm, ExtremeRows) {
  using T = TypeParam;
  if (!oracle::wide_exponents && sizeof(T) == 8) GTEST_SKIP() << "the oracle's exponents are those of double";
  using namespace oracle;
  const quad u = wide(roundoff<T>), step = wide(std::numeric_limits<T>::denorm_min());
  const quad largest = wide(std::numeric_limits<T>::max());
  for (Index hidden : {3, 40}) {
    const Index measured = (hidden + 3) / 4;
    for (T epsilon : epsilons_of<T>()) {
      Problem<T> p = MagnitudeRows<T>(hidden, epsilon, sizeof(T) == 4 ? 1 : 11, 2).p;
      for (std::size_t i = 0; i < p.x.size(); ++i) {
        const int by = sizeof(T) == 4 ? 90 : 700;
        if (i % size(hidden) >= size(measured)) p.x[i] = std::ldexp(p.x[i], static_cast<int>(i % 3 - 1) * by);
        if (std::isinf(p.x[i])) p.x[i] = std::numeric_limits<T>::max();
      }
      const Outputs<T> out = run(contiguous(p.rows, hidden), measured, p);
      for (std::size_t i = 0; i < p.x.size(); ++i) {
        const std::size_t r = i / size(hidden), c = i % size(hidden);
        const Statistics s = statistics(Norm::rms, p.x.data() + r * size(hidden), measured, epsilon);
        const quad h = xhat(s, p.x[i]), exact = h * wide(p.gamma[c]);
        if (oracle::abs(h) > largest * wide(0.999) || oracle::abs(exact) > largest * wide(0.999)) {
          ASSERT_TRUE(!std::isnan(out.y[i]) && std::abs(out.y[i]) > std::numeric_limits<T>::max() / 4) << i;
          continue;
        }
        ASSERT_TRUE(std::isfinite(out.y[i])) << "row " << r << ", column " << c << ", epsilon " << epsilon;
        // xhat may be subnormal.
        const quad error = oracle::abs(wide(out.y[i]) - exact);
        ASSERT_LE(narrow(error / (wide(3.1) * u * oracle::abs(exact) + step * wide(4.0))), 1)
            << "row " << r << ", column " << c << ", epsilon " << epsilon << ": " << out.y[i] << " for "
            << narrow(exact);
      }
    }
  }
}

TYPED_TEST(PartialRMSNorm, NaNAndInfinityStayWhereTheyAre) {
  using T = TypeParam;
  constexpr Index rows = 9, hidden = 50, measured = 20;
  const T inf = std::numeric_limits<T>::infinity();
  for (const Places& places : {contiguous(rows, hidden), side_by_side(1, rows, hidden)}) {
    const Problem<T> finite =
        make_problem<T>(rows, hidden, {{Family::normal, 0, 0}}, Parameters::gamma, T(1e-5), 4);
    const Outputs<T> before = run(places, measured, finite);
    for (Index column : {0, 19, 20, 37, 49}) {
      for (T value : {inf, -inf, -nan_of<T>}) {
        SCOPED_TRACE(describe(places) + ", column " + std::to_string(column) + ", " + std::to_string(value));
        Problem<T> p = finite;
        p.x[size(4 * hidden + column)] = value;
        const Outputs<T> out = run(places, measured, p);
        for (Index r = 0; r < rows; ++r) {
          for (Index c = 0; c < hidden; ++c) {
            const std::size_t i = size(places.of(r, c));
            const bool here = r == 4 && (column < measured || c == column);
            T expected = here ? nan_of<T> : before.y[i];
            if (here && column >= measured && value == value)
              expected = std::copysign(inf, value * finite.gamma[size(c)]);
            ASSERT_EQ(bits_of(out.y[i]), bits_of(expected)) << "y, row " << r << ", column " << c;
            ASSERT_EQ(bits_of(out.dx[i]), bits_of(r == 4 ? nan_of<T> : before.dx[i])) << "dx, row " << r;
          }
        }
        for (Index c = 0; c < hidden; ++c) {
          const bool poisoned = column < measured || c == column;
          EXPECT_EQ(std::isfinite(out.dgamma[size(c)]), !poisoned) << c;
          if (!poisoned) {
            EXPECT_EQ(out.dgamma[size(c)], before.dgamma[size(c)]);
          }
        }
      }
    }
    // 0 times infinity, too, is the canonical NaN.
    Problem<T> p = finite;
    p.x[size(4 * hidden + 30)] = inf;
    p.gamma[30] = T(0);
    EXPECT_EQ(bits_of(run(places, measured, p).y[size(places.of(4, 30))]), bits_of(nan_of<T>));
  }
}

TEST(PartialRMSNormErrors, ComeBeforeAnythingIsWritten) {
  const RowShape shape{3, 8};
  const std::vector<float> x(24, 1.0F), gamma(8, 1.0F);
  std::vector<float> y(24, 5.0F), dgamma(8, 5.0F);
  std::vector<RowMoments<float>> moments(3);
  const auto forward = [&](Index measured, float epsilon) {
    partial_forward<float>(shape, measured, packed(shape, x.data()), gamma.data(), epsilon,
                           packed(shape, y.data()), moments.data());
  };
  const auto backward = [&](Index measured, const RowMoments<float>* of_rows, float* to_gamma) {
    partial_backward<float>(shape, measured, packed(shape, x.data()), packed(shape, x.data()), gamma.data(),
                            of_rows, packed(shape, y.data()), to_gamma);
  };
  for (Index wrong : {-1, 0, 9}) {
    const std::string words = ": measured must be at least 1 and at most hidden but is " +
                              std::to_string(wrong) + " (rows 3, hidden 8)";
    refused({"partial_rms_norm_forward" + words}, [&] { forward(wrong, 1e-6F); });
    refused({"partial_rms_norm_backward" + words}, [&] { backward(wrong, moments.data(), dgamma.data()); });
  }
  refused({"partial_rms_norm_forward: epsilon must be at least 0 but is -1"}, [&] { forward(4, -1); });
  refused({"partial_rms_norm_backward: moments is nullptr"}, [&] { backward(4, nullptr, dgamma.data()); });
  refused({"dx", "dgamma", "overlap"}, [&] { backward(4, moments.data(), y.data() + 20); });
  refused({"hidden must be at least 1"}, [&] {
    partial_forward<float>({3, 0}, 0, packed(shape, x.data()), nullptr, 1e-6F, packed(shape, y.data()),
                           nullptr);
  });
  EXPECT_EQ(y, std::vector<float>(24, 5.0F));
  EXPECT_EQ(dgamma, std::vector<float>(8, 5.0F));
  partial_backward<float>({0, 8}, 4, packed(shape, x.data()), packed(shape, x.data()), gamma.data(), nullptr,
                          packed(shape, y.data()), dgamma.data(), {true, nullptr});
  EXPECT_EQ(dgamma, std::vector<float>(8, 5.0F));
  partial_backward<float>({0, 8}, 4, packed(shape, x.data()), packed(shape, x.data()), gamma.data(), nullptr,
                          packed(shape, y.data()), dgamma.data());
  EXPECT_EQ(dgamma, std::vector<float>(8, 0.0F));
}

}  // namespace
