// Norms with a rotary embedding beside their composition: the norm in what the call computes in, and a loop over the pairs.
#pragma once

#include "fusion/residual.hpp"
#include "support/executors.hpp"

namespace fusion {

using simdnorm::Rotary;
using simdnorm::RotaryPairs;
using simdnorm::rotated;
using simdnorm::unrotated;

// Tables of `length` positions, wider than they need to be, with a place where NaNs come from; and a position for each token.
template <RotaryPairs pairs, class C, class I = std::int32_t> struct Turns {
  static constexpr Index length = 19;
  std::vector<C> cosines, sines;
  std::vector<I> positions;
  Rotary<pairs, C, I> rotary;

  Turns(Index rows, Index heads, Index dim, bool with_positions) {
    const Index half = dim / 2, stride = half + 3;
    std::vector<float> cosine(size(length * half)), sine(cosine);
    simdnorm::rotary_tables(length, dim, 1e4, cosine.data(), sine.data());
    cosines = numbers<C>(std::vector<float>(size(length * stride), 7.0F));
    sines = cosines;
    for (Index p = 0; p < length; ++p) {
      for (Index i = 0; i < half; ++i) {
        cosines[size(p * stride + i)] = number<C>(static_cast<double>(cosine[size(p * half + i)]));
        sines[size(p * stride + i)] = number<C>(static_cast<double>(sine[size(p * half + i)]));
      }
    }
    rotary = {cosines.data(), sines.data(), length, dim, heads};
    rotary.stride = stride;
    if (with_positions) {
      for (Index t = 0; t < rows / heads; ++t) positions.push_back(static_cast<I>((t * 7 + 2) % length));
      rotary.positions = positions.data();
    } else {
      rotary.tokens = 5;
    }
  }
  void make_infinite(Index position) {
    const std::size_t last = size(position * rotary.stride + rotary.dim / 2 - 1);
    cosines[last] = sines[last] = number<C>(std::numeric_limits<double>::infinity());
  }

  // Rows (rows, hidden) turned, or turned back, by the definition.
  template <class T> std::vector<T> turned(std::vector<T> rows, Index hidden, bool back) const {
    const Index half = rotary.dim / 2;
    for (Index r = 0; r < static_cast<Index>(rows.size()) / hidden; ++r) {
      const Index token = r / rotary.heads;
      const Index position = positions.empty() ? token % rotary.tokens : positions[size(token)];
      for (Index i = 0; i < half; ++i) {
        const T cosine = static_cast<T>(value_of(cosines[size(position * rotary.stride + i)]));
        const T sine = static_cast<T>(value_of(sines[size(position * rotary.stride + i)]));
        const bool halves = pairs == RotaryPairs::halves;
        T& a = rows[size(r * hidden + (halves ? i : 2 * i))];
        T& b = rows[size(r * hidden + (halves ? i + half : 2 * i + 1))];
        const T signed_sine = back ? -sine : sine;
        const T first = plus(times(a, cosine), -times(b, signed_sine));
        const T second = plus(times(b, cosine), times(a, signed_sine));
        a = canonical(first);
        b = canonical(second);
      }
    }
    return rows;
  }
};

struct HeadShape {
  Index hidden, dim;
};
inline std::vector<Places> layouts_of_heads(Index hidden) {
  return {contiguous(27, hidden), in_wider_rows(12, hidden), spaced(12, hidden), side_by_side(2, 12, hidden),
          side_by_side(1, 72, hidden)};
}

// y = rotated(norm(x)), and the gradients; where x and y are of one type also in place.
template <Norm norm, RotaryPairs pairs, class X, class P, class Y, class C, class I>
void check_rotary(const Places& places, Index dim, bool with_positions, bool finite = false) {
  using T = simdnorm::compute_t<X, P, Y, C>;
  const RowShape shape = places.shape;
  const Index hidden = shape.hidden;
  SCOPED_TRACE(std::string(oracle::name(norm)) + " of " + name_of<X>() + " to " + name_of<Y>() + ", dim " +
               std::to_string(dim) + ", " + describe(places));
  const Stored<X, P> in = every_path_of<X, P>(shape.rows, hidden, 21);
  Turns<pairs, C, I> turns(shape.rows, 3, dim, with_positions);
  const std::vector<T> x_rows = numbers<T>(in.x);
  std::vector<RowMoments<T>> moments = no_moments<T>(shape.rows), expected_moments = moments;
  std::vector<T> normed(x_rows.size());
  forward_of(norm, {shape.rows, hidden}, x_rows.data(), in.gamma.data(), in.beta.data(), 0x1p-17,
             normed.data(), expected_moments.data(), Threads{1});
  if (!finite) turns.make_infinite(2);
  const std::vector<Y> expected = places.spread(numbers<Y>(turns.turned(normed, hidden, false)));
  std::vector<X> x = places.spread(in.x);
  std::vector<Y> y = unwritten_array<Y>(places.extent());
  const auto forward = [&](const Strided<const X>& from, const Strided<Y>& to, Threads executor) {
    forward_of(norm, shape, from, in.gamma.data(), in.beta.data(), 0x1p-17, rotated(to, turns.rotary),
               moments.data(), executor);
  };
  forward(places.read(x), places.write(y), Threads{3});
  ASSERT_EQ(first_unlike(y, expected), -1) << "y";
  ASSERT_EQ(first_difference(moments, expected_moments), -1) << "moments";
  if constexpr (std::is_same_v<X, Y>) {
    std::vector<X> in_place = x;
    forward(places.read(in_place), places.write(in_place), Threads{1});
    ASSERT_EQ(first_unlike(in_place, expected), -1) << "y on x";
  }

  Turns<pairs, C, I> finite_turns(shape.rows, 3, dim, with_positions);
  const std::vector<T> dn = finite_turns.turned(numbers<T>(numbers<Y>(in.dy)), hidden, true);
  const std::vector<Y> dy = places.spread(numbers<Y>(in.dy));
  const std::vector<T> dn_rows = places.spread(dn);
  std::vector<X> dx = unwritten_array<X>(places.extent()), dx_expected = dx;
  std::vector<float> dgamma = unwritten_array<float>(hidden), dgamma_expected = dgamma, dbeta = dgamma,
                     dbeta_expected = dgamma;
  backward_of<norm>(shape, places.read(dn_rows), places.read(x), in.gamma.data(), moments.data(),
                    places.write(dx_expected), dgamma_expected.data(), dbeta_expected.data(), false,
                    Threads{1});
  const auto backward = [&](const Strided<X>& to, Threads executor) {
    backward_of<norm>(shape, unrotated(places.read(dy), finite_turns.rotary), places.read(x), in.gamma.data(),
                      moments.data(), to, dgamma.data(), dbeta.data(), false, executor);
    ASSERT_EQ(first_unlike(dgamma, dgamma_expected), -1) << "dgamma";
    ASSERT_EQ(first_unlike(dbeta, dbeta_expected), -1) << "dbeta";
  };
  backward(places.write(dx), Threads{3});
  ASSERT_EQ(first_unlike(dx, dx_expected), -1) << "dx";
  backward(places.write(x), Threads{1});
  ASSERT_EQ(first_unlike(x, dx_expected), -1) << "dx on x";
}
template <Norm norm, RotaryPairs pairs, class X, class P, class Y, class C, class I>
void check_rotary(const std::vector<HeadShape>& shapes) {
  bool with_positions = false;
  for (const HeadShape& shape : shapes) {
    for (const Places& places : layouts_of_heads(shape.hidden)) {
      check_rotary<norm, pairs, X, P, Y, C, I>(places, shape.dim, with_positions);
      if (testing::Test::HasFatalFailure()) return;
      with_positions = !with_positions;
    }
  }
}
inline const std::vector<HeadShape> every_head = {{2, 2},    {3, 2},    {5, 4},    {16, 16}, {19, 10},
                                                  {33, 32},  {35, 6},   {64, 64},  {67, 26}, {128, 128},
                                                  {130, 96}, {200, 66}, {256, 256}};

}  // namespace fusion
