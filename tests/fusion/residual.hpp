// Norms of sums with a residual, beside their composition: the sum by one loop, and the norm of it.
#pragma once

#include <simdnorm/quantize.hpp>

#include "support/types.hpp"

namespace fusion {

using namespace support;
using simdnorm::added;
using simdnorm::residual_gradients;
using simdnorm::residual_sum;

// One operation each, which no compiler fuses with another.
template <class T> SIMDNORM_NOINLINE T plus(T a, T b) { return a + b; }
template <class T> SIMDNORM_NOINLINE T times(T a, T b) { return a * b; }
template <class T> T canonical(T a) { return a == a ? a : nan_of<T>; }

// Rows for each path through the kernels, of x and of a residual: a third of its rows are zeros, which leaves those of x; the
// others have an infinity where x has one, half of them of the other sign.
template <class X, class R, class P> struct SumProblem {
  Stored<X, P> in;
  std::vector<R> residual, dsum;
  std::vector<P> bias;

  SumProblem(Index rows, Index hidden, std::uint64_t seed)
      : in(every_path_of<X, P>(rows, hidden, seed)),
        residual(every_path_of<R, P>(rows, hidden, seed + 1).x),
        dsum(every_path_of<R, P>(rows, hidden, seed + 2).x),
        bias(in.beta) {
    for (Index r = 0; r < rows; ++r) {
      for (Index c = 0; c < hidden; ++c) {
        R& here = residual[size(r * hidden + c)];
        const double x = value_of(in.x[size(r * hidden + c)]);
        if (r % 3 == 0) here = number<R>(0);
        if (r % 3 > 0 && std::isinf(x)) here = number<R>(r % 3 == 1 ? -x : x);
      }
    }
  }
};

enum class With { nothing, bias, alpha, both };
constexpr double alpha = 0.7;

// residual * alpha + (x + bias), each operation rounded in T, then to S. (rows, hidden)
template <class S, class T, class X, class R, class P>
std::vector<S> composed_sum(const SumProblem<X, R, P>& p, Index hidden, With with) {
  std::vector<S> sum(p.residual.size());
  for (std::size_t i = 0; i < sum.size(); ++i) {
    T branch = static_cast<T>(value_of(p.in.x[i])), scaled = static_cast<T>(value_of(p.residual[i]));
    if (with == With::bias || with == With::both)
      branch = plus(branch, static_cast<T>(value_of(p.bias[i % size(hidden)])));
    if (with == With::alpha || with == With::both) scaled = times(scaled, static_cast<T>(alpha));
    sum[i] = number<S>(value_of(canonical(plus(scaled, branch))));
  }
  return sum;
}

// What a forward takes as x: the sum with or without a bias and alpha.
template <With with, class X, class R, class S, class P>
auto sum_with(const X& x, const R& residual, const S& sum, const P* bias) {
  const auto plain = residual_sum(x, residual, sum);
  if constexpr (with == With::nothing) {
    return plain;
  } else if constexpr (with == With::bias) {
    return plain.bias(bias);
  } else if constexpr (with == With::alpha) {
    return plain.alpha(alpha);
  } else {
    return plain.alpha(alpha).bias(bias);
  }
}

// Where each operand lies: all alike, or each in its own way.
struct PlacesOfAll {
  Places x, residual, sum, y;
  explicit PlacesOfAll(const Places& all) : x(all), residual(all), sum(all), y(all) {}
  PlacesOfAll(const Places& one, const Places& two, const Places& three, const Places& four)
      : x(one), residual(two), sum(three), y(four) {}
  bool contiguous() const {
    return x.shape.after == 1 && x.column == 1 && residual.column == 1 && sum.column == 1 && y.column == 1;
  }
};
inline std::vector<PlacesOfAll> layouts(Index hidden) {
  return {
      PlacesOfAll(contiguous(23, hidden)),
      PlacesOfAll(in_wider_rows(13, hidden)),
      PlacesOfAll(spaced(12, hidden)),
      PlacesOfAll(side_by_side(2, 11, hidden)),
      PlacesOfAll(side_by_side(1, 35, hidden)),
      {contiguous(12, hidden), in_wider_rows(12, hidden), contiguous(12, hidden), in_wider_rows(12, hidden)},
      {contiguous(12, hidden), spaced(12, hidden), in_wider_rows(12, hidden), contiguous(12, hidden)}};
}

// What a call computes on contiguous rows of T, the type that it computes in.
template <class T> struct Composed {
  std::vector<T> y;  // (rows, hidden)
  std::vector<RowMoments<T>> moments;

  template <class P>
  Composed(Norm norm, Index rows, Index hidden, const std::vector<T>& x, const std::vector<P>& gamma,
           const std::vector<P>& beta)
      : y(x.size()), moments(no_moments<T>(rows)) {
    forward_of(norm, {rows, hidden}, x.data(), gamma.data(), beta.data(), 0x1p-17, y.data(), moments.data());
  }
};

// y and the moments are those of the norm of the sum, which is kept as S, or not. Y: y.
template <With with, class S, class Y, class X, class R, class P>
void expect_norm_of_sum(Norm norm, const PlacesOfAll& places, const SumProblem<X, R, P>& p) {
  const RowShape shape = places.x.shape;
  SCOPED_TRACE(std::string(oracle::name(norm)) + " x " + name_of<X>() + ", residual " + name_of<R>() +
               ", sum " + name_of<S>() + ", gamma " + name_of<P>() + ", y " + name_of<Y>() + ", " +
               describe(places.x) + ", with " + std::to_string(static_cast<int>(with)));
  const std::vector<X> x = places.x.spread(p.in.x);
  const std::vector<R> residual = places.residual.spread(p.residual);
  const auto expect = [&](auto computed, const auto& to_sum, const auto& sum_rows) {
    using T = decltype(computed);
    const Composed<T> composed(norm, shape.rows, shape.hidden, numbers<T>(sum_rows), p.in.gamma, p.in.beta);
    std::vector<Y> y = unwritten_array<Y>(places.y.extent());
    std::vector<RowMoments<T>> moments = no_moments<T>(shape.rows);
    forward_of(norm, shape,
               sum_with<with>(places.x.read(x), places.residual.read(residual), to_sum, p.bias.data()),
               p.in.gamma.data(), p.in.beta.data(), 0x1p-17, places.y.write(y), moments.data());
    ASSERT_EQ(first_unlike(y, places.y.spread(numbers<Y>(composed.y))), -1) << "y";
    ASSERT_EQ(first_difference(moments, composed.moments), -1) << "moments";
  };
  using Kept = simdnorm::compute_t<X, R, S, P, Y>;
  const std::vector<S> sum_rows = composed_sum<S, Kept>(p, shape.hidden, with);
  std::vector<S> sum = unwritten_array<S>(places.sum.extent());
  expect(Kept{}, places.sum.write(sum), sum_rows);
  ASSERT_EQ(first_unlike(sum, places.sum.spread(sum_rows)), -1) << "sum";
  using NotKept = simdnorm::compute_t<X, R, P, Y>;
  expect(NotKept{}, nullptr, composed_sum<NotKept, NotKept>(p, shape.hidden, with));
}

template <class X, class R, class S, class P, class Y, With with> void check_sums() {
  for (Index hidden : {1, 5, 16, 33, 67, 130, 301}) {
    for (const PlacesOfAll& places : layouts(hidden)) {
      const SumProblem<X, R, P> p(places.x.shape.rows, hidden, static_cast<std::uint64_t>(hidden));
      for (Norm norm : oracle::norms) {
        expect_norm_of_sum<with, S, Y>(norm, places, p);
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

// --- results that are added ---

// addend + what a norm gives, in T, then to U. Both (rows, hidden).
template <class U, class T, class R>
std::vector<U> composed_addition(const std::vector<R>& addend, const std::vector<T>& result) {
  std::vector<U> out(addend.size());
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = number<U>(value_of(canonical(plus(static_cast<T>(value_of(addend[i])), result[i]))));
  return out;
}

// y = addend + norm(x); then dx = addend + the gradient of x, and the same with alpha times that for another operand.
template <Norm norm, class X, class R, class P, class Y>
void expect_added(const PlacesOfAll& places, const SumProblem<X, R, P>& p) {
  using T = simdnorm::compute_t<X, R, P, Y>;
  const RowShape shape = places.x.shape;
  SCOPED_TRACE(std::string(oracle::name(norm)) + " x " + name_of<X>() + ", addend " + name_of<R>() +
               ", gamma " + name_of<P>() + ", y " + name_of<Y>() + ", " + describe(places.x));
  const std::vector<X> x = places.x.spread(p.in.x);
  const std::vector<R> addend = places.residual.spread(p.residual);
  const Composed<T> composed(norm, shape.rows, shape.hidden, numbers<T>(p.in.x), p.in.gamma, p.in.beta);
  const auto expect = [&](const std::vector<Y>& got, const std::vector<Y>& rows, const char* what) {
    ASSERT_EQ(first_unlike(got, places.y.spread(rows)), -1) << what;
  };
  std::vector<Y> y = unwritten_array<Y>(places.y.extent());
  std::vector<RowMoments<T>> moments = no_moments<T>(shape.rows);
  forward_of(norm, shape, places.x.read(x), p.in.gamma.data(), p.in.beta.data(), 0x1p-17,
             added(places.residual.read(addend), places.y.write(y)), moments.data());
  expect(y, composed_addition<Y>(p.residual, composed.y), "y");
  ASSERT_EQ(first_difference(moments, composed.moments), -1) << "moments";

  const std::vector<float> dy = places.x.spread(p.in.dy);
  std::vector<T> gradient(p.in.x.size());  // (rows, hidden)
  std::vector<float> dgamma(size(shape.hidden)), dbeta = dgamma, dgamma_again = dgamma, dbeta_again = dgamma;
  backward_of<norm>({shape.rows, shape.hidden}, p.in.dy.data(), numbers<T>(p.in.x).data(), p.in.gamma.data(),
                    moments.data(), gradient.data(), dgamma.data(), dbeta.data());
  const auto back = [&](const auto& dx, const char* what) {
    backward_of<norm>(shape, places.x.read(dy), places.x.read(x), p.in.gamma.data(), moments.data(), dx,
                      dgamma_again.data(), dbeta_again.data());
    if (places.contiguous()) {  // of others the order of the rows' sums is another
      ASSERT_EQ(first_unlike(dgamma, dgamma_again), -1) << what;
      ASSERT_EQ(first_unlike(dbeta, dbeta_again), -1) << what;
    }
  };
  const std::vector<T> sum = composed_addition<T>(p.residual, gradient);
  const auto scaled = [&](std::vector<T> values) {
    for (T& value : values) value = canonical(times(value, static_cast<T>(alpha)));
    return values;
  };
  std::vector<Y> dx = unwritten_array<Y>(places.y.extent());
  std::vector<R> dresidual = unwritten_array<R>(places.sum.extent());
  back(added(places.residual.read(addend), places.y.write(dx)), "added");
  expect(dx, numbers<Y>(sum), "dx");
  const auto expect_both = [&](const std::vector<T>& to_x, const std::vector<T>& to_residual) {
    expect(dx, numbers<Y>(to_x), "dx");
    ASSERT_EQ(first_unlike(dresidual, places.sum.spread(numbers<R>(to_residual))), -1) << "dresidual";
    dx = unwritten_array<Y>(places.y.extent());
    dresidual = unwritten_array<R>(places.sum.extent());
  };
  const auto of_addend = places.residual.read(addend);
  back(residual_gradients(nullptr, places.y.write(dx), places.sum.write(dresidual)), "both");
  expect_both(gradient, gradient);
  back(residual_gradients(of_addend, places.y.write(dx), places.sum.write(dresidual)).alpha(alpha), "all");
  expect_both(sum, scaled(sum));
}

template <class X, class R, class P, class Y> void check_added() {
  for (Index hidden : {1, 5, 16, 33, 67, 130, 301}) {
    for (const PlacesOfAll& places : layouts(hidden)) {
      const SumProblem<X, R, P> p(places.x.shape.rows, hidden, static_cast<std::uint64_t>(hidden));
      expect_added<Norm::layer, X, R, P, Y>(places, p);
      if (testing::Test::HasFatalFailure()) return;
      expect_added<Norm::rms, X, R, P, Y>(places, p);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

}  // namespace fusion
