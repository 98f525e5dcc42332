// Double backward: against the oracle, on every path through the kernels; laws between it and backward; layouts, threads, in
// place, past the caches; rows of extreme magnitude and rows that are not finite; wrong arguments.
#include "support/double_backward.hpp"

#include "support/hash.hpp"
#include "support/refused.hpp"
#include "support/streaming.hpp"
#include "support/types.hpp"

namespace {

using namespace support;

template <class T> void check_against_oracle(Index hidden, int variants) {
  const T epsilons[] = {T(1e-5), T(0), T(1e-12), T(0.25)};
  for (Norm norm : oracle::norms) {
    for (int v = 0; v < variants; ++v) {
      const int n = static_cast<int>(hidden) + v;
      SCOPED_TRACE(std::string(oracle::name(norm)) + " of " + name_of<T>() + ", hidden " +
                   std::to_string(hidden) + ", variant " + std::to_string(v));
      // An odd number of rows, so that the last one is alone.
      const DoubleProblem<T> p =
          make_double_problem<T>(hidden < 500 ? 73 : 19, hidden, all_kinds<T>(n % 9), n, epsilons[n / 8 % 4],
                                 static_cast<std::uint64_t>(n));
      const Forward<T> forward = run_forward<T>(norm, p);
      const DoubleErrors worst = double_errors(norm, p, run_double_backward(norm, p, forward.moments));
      EXPECT_LE(worst.ddy, 1);
      EXPECT_LE(worst.dx, 1);
      EXPECT_LE(worst.ddy_norm, 1);
      EXPECT_LE(worst.dx_norm, 1);
      EXPECT_LE(worst.dgamma, 1);
    }
  }
}
TEST(DoubleBackward, AgreesWithTheOracle) {
  for (Index hidden = 1; hidden <= 33; ++hidden) {
    check_against_oracle<float>(hidden, 2);
    check_against_oracle<double>(hidden, 1);
  }
  for (Index hidden : {63, 64, 65, 130, 333, 768, 1024, 1025}) {
    check_against_oracle<float>(hidden, 2);
    check_against_oracle<double>(hidden, 1);
  }
}

// --- laws ---

// Rows of every path, with gradients of every path.
template <class T> DoubleProblem<T> every_double_path(Index rows, Index hidden, std::uint64_t seed) {
  DoubleProblem<T> p;
  static_cast<Problem<T>&>(p) = every_path<T>(rows, hidden, seed);
  Random random(seed + 1);
  p.ddx.resize(p.x.size());
  fill_normal(random, p.ddx.data(), rows * hidden);
  p.ddgamma.resize(size(hidden));
  fill_gamma(random, p.ddgamma.data(), hidden);
  p.ddbeta = p.beta;
  return p;
}
template <class T> bool equal(T a, T b) { return a == b || (a != a && b != b); }  // 0 and -0 too

// Of ddgamma alone dx is that of backward, where gamma is ddgamma; of ddx alone ddy is gamma times backward's dx of ddx, and dgamma
// the sum of dy times that, which is backward's dbeta.
template <class T> void check_laws_with_backward(Norm norm, Index rows, Index hidden) {
  SCOPED_TRACE(std::string(oracle::name(norm)) + " of " + name_of<T>() + ", hidden " +
               std::to_string(hidden));
  DoubleProblem<T> p = every_double_path<T>(rows, hidden, static_cast<std::uint64_t>(hidden));
  const std::vector<RowMoments<T>> moments = run_forward<T>(norm, p).moments;
  DoubleProblem<T> of_gamma = p, of_x = p;
  of_gamma.ddx.assign(p.x.size(), T(0));
  of_x.ddgamma.clear();
  of_x.ddbeta.clear();
  Problem<T> q = p;
  q.gamma = p.ddgamma;
  ASSERT_EQ(
      first_difference(run_double_backward(norm, of_gamma, moments).dx, run_backward(norm, q, moments).dx),
      -1);
  q.gamma.clear();
  q.dy = p.ddx;
  const std::vector<T> j_ddx = run_backward(norm, q, moments).dx;
  const DoubleResults<T> got = run_double_backward(norm, of_x, moments);
  for (std::size_t i = 0; i < j_ddx.size(); ++i) {
    ASSERT_TRUE(equal<T>(got.ddy[i], p.gamma[i % size(hidden)] * j_ddx[i])) << i << ": " << got.ddy[i];
    q.dy[i] = p.dy[i] * j_ddx[i];
  }
  ASSERT_EQ(first_difference(got.dgamma, run_backward(Norm::layer, q, moments).dbeta), -1);
}
TEST(DoubleBackward, IsBackwardWhereOneGradientIsThere) {
  for (Norm norm : oracle::norms) {
    for (Index hidden : {1, 2, 7, 16, 33, 64, 130, 768}) {
      check_laws_with_backward<float>(norm, 25, hidden);
      check_laws_with_backward<double>(norm, 25, hidden);
    }
  }
}

// Without gamma, dy and ddx may change places: dx is the same.
TEST(DoubleBackward, IsSymmetricInDyAndDdx) {
  for (Norm norm : oracle::norms) {
    for (Index hidden : {1, 5, 64, 333}) {
      DoubleProblem<float> p = every_double_path<float>(23, hidden, 4);
      p.gamma.clear();
      p.ddgamma.clear();
      const auto moments = run_forward<float>(norm, p).moments;
      const auto dx = run_double_backward(norm, p, moments).dx;
      std::swap(p.dy, p.ddx);
      const auto exchanged = run_double_backward(norm, p, moments).dx;
      for (std::size_t i = 0; i < dx.size(); ++i)
        ASSERT_TRUE(equal(exchanged[i], dx[i])) << hidden << ": " << exchanged[i] << ", " << dx[i];
    }
  }
}

// --- layouts, threads, in place ---

template <class T> struct At { std::vector<T> ddy, dx, dgamma; };
// Of operands that lie so, one may be where a result goes: 0 nowhere, 1 ddx, 2 dy, 3 x.
template <class T>
At<T> run_at(Norm norm, const Places& places, const DoubleProblem<T>& p,
             const std::vector<RowMoments<T>>& moments, int ddy_on, int dx_on, const Executor& executor) {
  std::vector<T> operands[4] = {unwritten_array<T>(places.extent()), places.spread(p.ddx),
                                places.spread(p.dy), places.spread(p.x)};
  std::vector<T> other = unwritten_array<T>(places.extent()), dgamma(size(p.hidden), nan_of<T>);
  std::vector<T>& ddy = operands[ddy_on];
  std::vector<T>& dx = dx_on == 0 ? other : operands[dx_on];
  double_backward<T>(norm, places.shape, places.read(operands[1]), or_null(p.ddgamma), or_null(p.ddbeta),
                     places.read(operands[2]), places.read(operands[3]), or_null(p.gamma), moments.data(),
                     places.write(ddy), places.write(dx), dgamma.data(), {}, executor);
  return {ddy, dx, dgamma};
}
TEST(DoubleBackward, HasTheSameBitsInAnyLayoutOnAnyThreadsAndInPlace) {
  for (Norm norm : oracle::norms) {
    for (Index hidden : {1, 7, 16, 33, 64, 100, 333}) {
      SCOPED_TRACE(std::string(oracle::name(norm)) + ", hidden " + std::to_string(hidden));
      const Index rows = 92;
      const DoubleProblem<float> p = every_double_path<float>(rows, hidden, 7);
      const auto moments = run_forward<float>(norm, p).moments;
      const DoubleResults<float> expected = run_double_backward(norm, p, moments);
      for (const Places& places :
           {contiguous(rows, hidden), in_wider_rows(rows, hidden), spaced(rows, hidden),
            side_by_side(1, rows, hidden), side_by_side(4, rows / 4, hidden)}) {
        SCOPED_TRACE(describe(places));
        const At<float> got = run_at(norm, places, p, moments, 0, 0, serial);
        ASSERT_EQ(first_unlike(got.ddy, places.spread(expected.ddy)), -1);
        ASSERT_EQ(first_unlike(got.dx, places.spread(expected.dx)), -1);
        if (places.column == 1) {
          ASSERT_EQ(first_unlike(got.dgamma, expected.dgamma), -1);
        }
        const int in_place[][2] = {{1, 2}, {2, 1}, {3, 1}, {2, 3}, {0, 3}, {1, 0}};
        const auto& on = in_place[(hidden + places.column) % 6];
        const At<float> again = run_at(norm, places, p, moments, on[0], on[1], Threads{3});
        ASSERT_EQ(first_unlike(again.ddy, got.ddy), -1) << "in place " << on[0];
        ASSERT_EQ(first_unlike(again.dx, got.dx), -1) << "in place " << on[1];
        ASSERT_EQ(first_unlike(again.dgamma, got.dgamma), -1);
      }
    }
  }
}
TEST(DoubleBackward, HasTheSameBitsPastTheCaches) {
  for (Norm norm : oracle::norms) {
    for (Index hidden : {333, 512}) {
      const Index rows = 23;
      const DoubleProblem<float> p = every_double_path<float>(rows, hidden, 9);
      const auto moments = run_forward<float>(norm, p).moments;
      const WithStreaming never(Streaming::never);
      const DoubleResults<float> expected = run_double_backward(norm, p, moments);
      const WithStreaming streaming(Streaming::always);
      for (const Places& places : {contiguous(rows, hidden), in_wider_rows(rows, hidden)}) {
        const At<float> got = run_at(norm, places, p, moments, 0, 0, Backwards{});
        ASSERT_EQ(first_unlike(got.ddy, places.spread(expected.ddy)), -1);
        ASSERT_EQ(first_unlike(got.dx, places.spread(expected.dx)), -1);
        ASSERT_EQ(first_unlike(got.dgamma, expected.dgamma), -1);
      }
    }
  }
}

// One hash for all instruction sets and compilers.
template <class T> std::uint64_t hash_of(Norm norm) {
  Hash hash;
  for (Index hidden : {1, 5, 33, 100}) {
    const DoubleProblem<T> p = every_double_path<T>(23, hidden, 6);
    const DoubleResults<T> got = run_double_backward(norm, p, run_forward<T>(norm, p).moments);
    for (const std::vector<T>* values : {&got.ddy, &got.dx, &got.dgamma}) hash.add(*values);
  }
  return hash.value();
}
TEST(DoubleBackward, HasTheSameBitsOnEveryInstructionSet) {
  EXPECT_EQ(hash_of<float>(Norm::layer), 0xd0e7d3bc98fca59eu);
  EXPECT_EQ(hash_of<float>(Norm::rms), 0x59f702a8ba8e1870u);
  EXPECT_EQ(hash_of<double>(Norm::layer), 0x1fc17a5bd38d6599u);
  EXPECT_EQ(hash_of<double>(Norm::rms), 0xa4963bf3fb209491u);
}

// --- magnitudes, and rows that are not finite ---

// Rows of x near 2^k, of gradients whose products of second order stay within T's range.
template <class T> void check_magnitude(Norm norm, int k, int log2_gradients, T epsilon) {
  SCOPED_TRACE(std::string(oracle::name(norm)) + " of " + name_of<T>() + ", 2^" + std::to_string(k));
  constexpr Index rows = 5, hidden = 37;
  DoubleProblem<T> p =
      make_double_problem<T>(rows, hidden, {{Family::normal, 0, k}, {Family::uniform, 3, k}}, 0, epsilon, 3);
  Random random(4);
  fill_normal(random, p.ddx.data(), rows * hidden);
  fill_normal(random, p.dy.data(), rows * hidden);
  for (T& value : p.ddx) value = std::ldexp(value, log2_gradients);
  for (T& value : p.dy) value = std::ldexp(value, log2_gradients);
  const auto moments = run_forward<T>(norm, p).moments;
  const DoubleErrors worst = double_errors(norm, p, run_double_backward(norm, p, moments));
  EXPECT_LE(worst.ddy, 1);
  EXPECT_LE(worst.dx, 1);
  EXPECT_LE(worst.dgamma, 1);
}
TEST(DoubleBackward, TakesRowsOfExtremeMagnitude) {
  for (Norm norm : oracle::norms) {
    for (int k : {-85, -70, -61, -40, 0, 40, 59, 61, 90, 110, 120}) {
      check_magnitude<float>(norm, k, k < 0 ? -20 + k / 4 : k / 4, 0);
      if (oracle::wide_exponents) check_magnitude<double>(norm, 6 * k, k, 0);
    }
    check_magnitude<float>(norm, -130, 0, 1e-3F);
  }
}

// Where products overflow, rows become NaN that say so, and others stay as they are.
TEST(DoubleBackward, LeavesOtherRowsAloneWhereOneIsNotFinite) {
  const float infinity = std::numeric_limits<float>::infinity(), nan = nan_of<float>;
  for (Norm norm : oracle::norms) {
    for (Index hidden : {5, 64, 100}) {
      const Index rows = 12;
      DoubleProblem<float> p =
          make_double_problem<float>(rows, hidden, {{Family::normal, 0, 0}}, 0, 1e-5F, 5);
      const auto at = [&](std::vector<float>& values, Index r) -> float& {
        return values[size(r * hidden + hidden / 2)];
      };
      const DoubleResults<float> expected = run_double_backward(norm, p, run_forward<float>(norm, p).moments);
      at(p.x, 1) = infinity;
      at(p.x, 4) = nan;
      at(p.x, 2) = 100;  // xhat is 2 or more there: ddx * xhat is beyond floats
      at(p.ddx, 2) = 3e38F;
      at(p.dy, 5) = infinity;
      at(p.ddx, 6) = nan;
      at(p.ddx, 7) = at(p.dy, 7) = 1e20F;  // g * ddx is beyond floats, ddx is not
      at(p.dy, 9) = -std::numeric_limits<float>::quiet_NaN();
      const DoubleResults<float> got = run_double_backward(norm, p, run_forward<float>(norm, p).moments);
      for (Index r = 0; r < rows; ++r) {
        const bool ddy_is_nan = r == 1 || r == 2 || r == 4 || r == 6,
                   dx_is_nan = ddy_is_nan || r == 5 || r == 7 || r == 9;
        for (Index c = 0; c < hidden; ++c) {
          const std::size_t i = size(r * hidden + c);
          if (ddy_is_nan) {
            ASSERT_EQ(bits_of(got.ddy[i]), bits_of(nan)) << r;
          } else if (r != 7) {
            ASSERT_EQ(bits_of(got.ddy[i]), bits_of(expected.ddy[i])) << r;
          } else {
            ASSERT_TRUE(std::isfinite(got.ddy[i]));
          }
          ASSERT_EQ(bits_of(got.dx[i]), bits_of(dx_is_nan ? nan : expected.dx[i])) << r << ", " << c;
        }
      }
      for (float value : got.dgamma) ASSERT_EQ(bits_of(value), bits_of(nan));
    }
  }
}

// --- options, errors ---

TEST(DoubleBackward, AddsToDgammaOrOverwritesItAndTakesNoRows) {
  const Index rows = 130, hidden = 37;
  const DoubleProblem<float> p = every_double_path<float>(9, hidden, 2);
  DoubleProblem<float> many = make_double_problem<float>(rows, hidden, {{Family::normal, 1, 0}}, 0, 1e-5F, 8);
  const auto moments = run_forward<float>(Norm::layer, many).moments;
  const DoubleResults<float> once = run_double_backward(Norm::layer, many, moments);
  std::vector<float> ddy(once.ddy.size()), dx = ddy, dgamma(size(hidden), 3.0F);
  const RowShape shape{rows, hidden};
  std::vector<double> workspace(
      size(simdnorm::gradient_workspace_bytes<float>(shape, 1)) / sizeof(double) + 1, nan_of<double>);
  const auto call = [&](RowShape of, bool accumulate) {
    const auto read = [&](const std::vector<float>& values) { return packed(of, values.data()); };
    workspace.back() = 7;
    double_backward<float>(Norm::layer, of, read(many.ddx), many.ddgamma.data(), many.ddbeta.data(),
                           read(many.dy), read(many.x), many.gamma.data(), moments.data(),
                           packed(of, ddy.data()), packed(of, dx.data()), dgamma.data(),
                           {accumulate, workspace.data()});
    EXPECT_EQ(workspace.back(), 7) << "beyond the workspace";
  };
  call(shape, true);
  for (std::size_t c = 0; c < dgamma.size(); ++c)
    EXPECT_NEAR(dgamma[c], 3.0F + once.dgamma[c], 1e-6F * (3 + std::fabs(once.dgamma[c])));
  call(shape, false);
  EXPECT_EQ(first_difference(dgamma, once.dgamma), -1);
  call({0, hidden}, true);
  EXPECT_EQ(first_difference(dgamma, once.dgamma), -1);
  call({0, hidden}, false);
  EXPECT_EQ(dgamma, std::vector<float>(size(hidden), 0.0F));
}

TEST(DoubleBackward, IsRefusedWhereItIsWrong) {
  constexpr Index hidden = 8;
  std::vector<float> memory(200, 1.5F);
  const std::vector<float> before = memory;
  float *ddx = memory.data(), *dy = ddx + 16, *x = dy + 16, *ddy = x + 16, *dx = ddy + 16, *a = dx + 16,
        *b = a + 8, *c = b + 8, *dgamma = c + 8, *none = nullptr;
  const RowMoments<float> moments[2] = {{0, 0, 1, 1}, {0, 0, 1, 1}};
  const RowShape shape{2, hidden};
  const auto call = [&](const float* ddx_at, const float* ddgamma, const float* ddbeta,
                        const RowMoments<float>* of_rows, float* to_dy, float* to_x, float* to_gamma,
                        RowShape of = {2, 8}) {
    double_backward<float>(Norm::layer, of, packed(shape, ddx_at), ddgamma, ddbeta,
                           packed<const float>(shape, dy), packed<const float>(shape, x), c, of_rows,
                           packed(shape, to_dy), packed(shape, to_x), to_gamma);
  };
  refused({"layer_norm_double_backward: ddx is nullptr (rows 2, hidden 8)"},
          [&] { call(none, a, b, moments, ddy, dx, dgamma); });
  refused({"ddy is nullptr"}, [&] { call(ddx, a, b, moments, none, dx, dgamma); });
  refused({"moments is nullptr"}, [&] { call(ddx, a, b, nullptr, ddy, dx, dgamma); });
  refused({"hidden must be at least 1"}, [&] { call(ddx, a, b, moments, ddy, dx, dgamma, {2, 0}); });
  refused({"ddy", "dx", "overlap"}, [&] { call(ddx, a, b, moments, ddy, ddy, dgamma); });
  refused({"ddy", "ddx", "overlap"}, [&] { call(ddx, a, b, moments, ddx + 1, dx, dgamma); });
  refused({"dx", "ddgamma", "overlap"}, [&] { call(ddx, dx + 15, b, moments, ddy, dx, dgamma); });
  refused({"dgamma", "ddbeta", "overlap"}, [&] { call(ddx, a, b, moments, ddy, dx, b); });
  refused({"dgamma", "gamma", "overlap"}, [&] { call(ddx, a, b, moments, ddy, dx, c); });
  EXPECT_EQ(memory, before);
  EXPECT_NO_THROW(call(ddx, none, none, moments, dy, ddx, none));
}

}  // namespace
