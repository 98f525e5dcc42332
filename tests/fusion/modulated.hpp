// adaLN beside its definition: the norm of each item's rows by themselves, with its scale as gamma and its shift as beta.
#pragma once

#include <simdnorm/modulated_norm.hpp>

#include "support/types.hpp"

namespace fusion {

using namespace support;
using simdnorm::OnePlusGamma;
using simdnorm::RoundOnce;

// Where arrays (items, hidden) lie: one after another, or in a wider matrix.
inline Places arrays(Index items, Index hidden) { return contiguous(items, hidden); }
inline Places slices(Index items, Index hidden) { return {{items, hidden}, 3 * hidden + 1, 1}; }

// Operands of a call on `items` items; scale and shift are another for each.
template <class X, class P, class Dy> struct ItemProblem {
  Index items;
  Stored<X, P, Dy> in;
  std::vector<P> scale, shift;  // (items, hidden)

  ItemProblem(Index rows, Index hidden, Index items_of_call, std::uint64_t seed)
      : items(items_of_call), in(every_path_of<X, P, float, Dy>(rows, hidden, seed)) {
    for (Index i = 0; i < items; ++i) {
      for (Index c = 0; c < hidden; ++c) {
        scale.push_back(number<P>(value_of(in.gamma[size(c)]) / static_cast<double>(i + 1)));
        shift.push_back(number<P>(value_of(in.beta[size(c)]) - static_cast<double>(i)));
      }
    }
  }
};

// The part of (rows, hidden) that belongs to an item.
template <class U> std::vector<U> part(const std::vector<U>& rows, Index items, Index item) {
  const auto count = static_cast<std::ptrdiff_t>(rows.size()) / items;
  return {rows.begin() + item * count, rows.begin() + (item + 1) * count};
}
// The places of one item's rows, by themselves.
inline Places of_each(const Places& places, Index items) {
  Places one = places;
  one.shape.rows /= items;
  return one;
}

template <Norm norm, class Casting, class X, class Scale, class Shift, class Y, class T,
          class Run = simdnorm::Serial>
void modulated_forward_of(RowShape shape, Index items, const X& x, const Scale& scale, const Shift& shift,
                          T epsilon, const Y& y, RowMoments<T>* moments, const Run& executor = {}) {
  if constexpr (norm == Norm::layer) {
    simdnorm::modulated_layer_norm_forward<Casting>(shape, items, x, scale, shift, epsilon, y, moments,
                                                    executor);
  } else {
    simdnorm::modulated_rms_norm_forward<Casting>(shape, items, x, scale, epsilon, y, moments, executor);
  }
}
template <Norm norm, class Casting, class Dy, class X, class Scale, class T, class Dx, class Dscale,
          class Dshift, class Run = simdnorm::Serial>
void modulated_backward_of(RowShape shape, Index items, const Dy& dy, const X& x, const Scale& scale,
                           const RowMoments<T>* moments, const Dx& dx, const Dscale& dscale,
                           const Dshift& dshift, const simdnorm::GradientOptions& options = {},
                           const Run& executor = {}) {
  if constexpr (norm == Norm::layer) {
    simdnorm::modulated_layer_norm_backward<Casting>(shape, items, dy, x, scale, moments, dx, dscale, dshift,
                                                     options, executor);
  } else {
    simdnorm::modulated_rms_norm_backward<Casting>(shape, items, dy, x, scale, moments, dx, dscale, options,
                                                   executor);
  }
}

}  // namespace fusion
