// What a kernel computes at a place, where that is more than a vector: one that is not yet rounded, or two.
#pragma once

#include "../simd.hpp"

namespace simdnorm {

/// high - excess, not yet rounded to one number: scaled and shifted with one rounding less than if it were.
template <class Vector> struct Unrounded {
  Vector high, excess;

  friend SIMDNORM_INLINE Unrounded operator*(const Unrounded& a, Vector b) {
    return {a.high * b, a.excess * b};
  }
  friend SIMDNORM_INLINE Unrounded operator+(const Unrounded& a, Vector b) { return {a.high, a.excess - b}; }
};
template <class Vector> SIMDNORM_INLINE Vector rounded(const Unrounded<Vector>& a) {
  return a.high - a.excess;
}
template <class T, class Arch> SIMDNORM_INLINE auto rounded(simd::Vector<T, Arch> a) { return a; }

/// Two results at one place.
template <class Vector> struct Two { Vector first, second; };
template <class Vector> Two(Vector, Vector) -> Two<Vector>;
template <class Vector> SIMDNORM_INLINE const Two<Vector>& rounded(const Two<Vector>& values) {
  return values;
}
template <class Vector> SIMDNORM_INLINE Two<Vector> canonical(const Two<Vector>& values) {
  return {simd::canonical(values.first), simd::canonical(values.second)};
}
using simd::canonical;

}  // namespace simdnorm
