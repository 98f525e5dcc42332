// Dropout beside its definition, element by element: sums, results and gradients with it have the bits of the composition.
#pragma once

#include <simdnorm/kernel/branch.hpp>

#include "fusion/residual.hpp"
#include "support/executors.hpp"

namespace fusion {

using simdnorm::Dropout;
using simdnorm::dropped;

inline constexpr Dropout some{0.3, 0x123456789abcdef0, 7};

// The number that element (r, c) is multiplied with, by the definition.
template <class T> T mask_of(const Dropout& dropout, Index r, Index c) {
  const Index row = r + dropout.first_row;
  const auto low = [](auto x) { return static_cast<std::uint32_t>(x); };
  const std::uint32_t word =
      simdnorm::simd::Philox::words({low(c / 4), low(row), low(row >> 32), dropout.stream},
                                    {low(dropout.seed), low(dropout.seed >> 32)})[size(c % 4)];
  const double fraction = std::ldexp(static_cast<double>(word >> 9), -23);
  const double probability = std::ldexp(std::nearbyint(std::ldexp(dropout.probability, 23)), -23);
  return fraction >= probability ? static_cast<T>(1 / (1 - dropout.probability)) : T(0);
}
template <class T> void mask(const Dropout& dropout, Index hidden, std::vector<T>& rows) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Index place = static_cast<Index>(i);
    rows[i] = canonical(times(rows[i], mask_of<T>(dropout, place / hidden, place % hidden)));
  }
}

// sum = residual * alpha + mask * (x + bias), y = norm(sum); and back.
template <Norm norm, class X, class R, class S, class P, class Y>
void check_sum(const PlacesOfAll& places, const SumProblem<X, R, P>& p) {
  using T = simdnorm::compute_t<X, R, S, P, Y>;
  const RowShape shape = places.x.shape;
  const Index hidden = shape.hidden;
  SCOPED_TRACE(std::string(oracle::name(norm)) + " x " + name_of<X>() + ", residual " + name_of<R>() +
               ", sum " + name_of<S>() + ", y " + name_of<Y>() + ", " + describe(places.x));
  std::vector<T> branch = numbers<T>(p.in.x);
  for (std::size_t i = 0; i < branch.size(); ++i)
    branch[i] = plus(branch[i], static_cast<T>(value_of(p.bias[i % size(hidden)])));
  mask(some, hidden, branch);
  std::vector<S> sum_rows(branch.size());
  for (std::size_t i = 0; i < branch.size(); ++i) {
    const T scaled = times(static_cast<T>(value_of(p.residual[i])), static_cast<T>(alpha));
    sum_rows[i] = number<S>(value_of(canonical(plus(scaled, branch[i]))));
  }
  const Composed<T> composed(norm, shape.rows, hidden, numbers<T>(sum_rows), p.in.gamma, p.in.beta);

  const std::vector<X> x = places.x.spread(p.in.x);
  const std::vector<R> residual = places.residual.spread(p.residual);
  std::vector<S> sum = unwritten_array<S>(places.sum.extent());
  std::vector<Y> y = unwritten_array<Y>(places.y.extent());
  std::vector<RowMoments<T>> moments = no_moments<T>(shape.rows);
  const auto forward = [&](const auto& out, const auto& executor) {
    forward_of(norm, shape,
               residual_sum(dropped(places.x.read(x), some).bias(p.bias.data()),
                            places.residual.read(residual), places.sum.write(sum))
                   .alpha(alpha),
               p.in.gamma.data(), p.in.beta.data(), 0x1p-17, out, moments.data(), executor);
  };
  forward(places.y.write(y), simdnorm::Serial{});
  ASSERT_EQ(first_unlike(sum, places.sum.spread(sum_rows)), -1) << "sum";
  ASSERT_EQ(first_unlike(y, places.y.spread(numbers<Y>(composed.y))), -1) << "y";
  ASSERT_EQ(first_difference(moments, composed.moments), -1) << "moments";
  std::vector<T> dropped_y = composed.y;
  mask(some, hidden, dropped_y);
  forward(dropped(places.y.write(y), some), Threads{3});
  ASSERT_EQ(first_unlike(y, places.y.spread(numbers<Y>(dropped_y))), -1) << "y dropped";

  const std::vector<Y> dy = places.y.spread(numbers<Y>(p.in.dy));
  const std::vector<R> dsum = places.residual.spread(p.dsum);
  std::vector<T> gradient(branch.size());
  float* const none = nullptr;
  backward_of<norm>({shape.rows, hidden}, numbers<T>(numbers<Y>(p.in.dy)).data(), numbers<T>(sum_rows).data(),
                    p.in.gamma.data(), moments.data(), gradient.data(), none, none);
  std::vector<T> dx_alone = gradient;
  mask(some, hidden, dx_alone);
  for (std::size_t i = 0; i < gradient.size(); ++i)
    gradient[i] = canonical(plus(static_cast<T>(value_of(p.dsum[i])), gradient[i]));
  std::vector<T> of_x = gradient;
  mask(some, hidden, of_x);
  for (T& value : gradient) value = canonical(times(value, static_cast<T>(alpha)));
  std::vector<X> dx = unwritten_array<X>(places.x.extent());
  std::vector<R> dresidual = unwritten_array<R>(places.residual.extent());
  const auto backward = [&](const auto& to_x) {
    backward_of<norm>(shape, places.y.read(dy), places.sum.read(sum), p.in.gamma.data(), moments.data(), to_x,
                      none, none);
  };
  backward(residual_gradients(places.residual.read(dsum), dropped(places.x.write(dx), some),
                              places.residual.write(dresidual))
               .alpha(alpha));
  ASSERT_EQ(first_unlike(dx, places.x.spread(numbers<X>(of_x))), -1) << "dx";
  ASSERT_EQ(first_unlike(dresidual, places.residual.spread(numbers<R>(gradient))), -1) << "dresidual";
  backward(dropped(places.x.write(dx), some));
  ASSERT_EQ(first_unlike(dx, places.x.spread(numbers<X>(dx_alone))), -1) << "dx alone";
}
template <Norm norm, class X, class R, class S, class P, class Y> void check_sums() {
  for (Index hidden : {1, 5, 16, 67, 130}) {
    for (const PlacesOfAll& places : layouts(hidden)) {
      const SumProblem<X, R, P> p(places.x.shape.rows, hidden, static_cast<std::uint64_t>(hidden));
      check_sum<norm, X, R, S, P, Y>(places, p);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

}  // namespace fusion
