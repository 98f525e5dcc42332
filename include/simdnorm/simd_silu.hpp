// The sigmoid, 1 / (1 + exp(-z)), and SiLU, z * sigmoid(z), of vectors: from + - * / and the bits of numbers, so that every
// instruction set gives the same bits.
#pragma once

#include <iterator>
#include <type_traits>

#include "simd.hpp"

namespace simdnorm::simd {

/// p * 2^n, where the last binary digits of `digits` are n, and p * 2^n is no subnormal number.
template <class T, class Arch>
SIMDNORM_INLINE Vector<T, Arch> times_power_of_two(Vector<T, Arch> p, Vector<T, Arch> digits) {
  using Word = std::conditional_t<std::is_same_v<T, float>, std::uint32_t, std::uint64_t>;
  using Batch = typename Register<Word, Arch>::Batch;
  using Bits = typename Register<Word, Arch>::type;
  const auto bits = [](Vector<T, Arch> a) SIMDNORM_INLINE_LAMBDA {
    Bits of_a;
    static_assert(sizeof of_a == sizeof a);
    std::memcpy(&of_a, &a.value, sizeof a);
    return Batch(of_a);
  };
  constexpr int digits_after_point = std::numeric_limits<T>::digits - 1;
  const Bits product = static_cast<Bits>(bits(p) + (bits(digits) << digits_after_point));
  Vector<T, Arch> result;
  std::memcpy(&result.value, &product, sizeof product);
  return result;
}

/// exp(-z) = 2^k (1 - r + r^2 (c[0] r^n + ... + c[n])), z = r - k log(2). The c are of a Chebyshev series on |r| <= 0.347.
template <class T> struct ExpNumbers;
template <> struct ExpNumbers<float> {
  /// Below `least` z * sigmoid(z) is 0; above `most` sigmoid(z) is 1, and z * (1 - sigmoid(z)) less than half an ulp of 1.
  static constexpr float least = -110, most = 24;
  static constexpr float unit = 0x1p-64F, whole = 0x1.8p23F - 64;
  static constexpr float log2_e = 0x1.715476p+0F, log_2 = 0x1.62e4p-1F, log_2_rest = 0x1.7f7d1cp-20F;
  static constexpr float c[] = {0x1.6d119ap-10F, -0x1.120bp-7F, 0x1.555518p-5F, -0x1.5554dcp-3F, 0.5F};
};
template <> struct ExpNumbers<double> {
  static constexpr double least = -760, most = 44;
  static constexpr double unit = 0x1p-512, whole = 0x1.8p52 - 512;
  static constexpr double log2_e = 0x1.71547652b82fep+0, log_2 = 0x1.62e42fefa2p-1,
                          log_2_rest = 0x1.9ef35793c7673p-41;
  static constexpr double c[] = {-0x1.af3924be99a57p-26, 0x1.2891e963ab1f9p-22,  -0x1.71de0d7a972efp-19,
                                 0x1.a019b8b8f8697p-16,  -0x1.a01a01a7d176dp-13, 0x1.6c16c178a18c1p-10,
                                 -0x1.11111111109a2p-7,  0x1.5555555553d2bp-5,   -0x1.5555555555556p-3,
                                 0x1.0000000000001p-1};
};

/// A unit that is a power of two, and as many of it as exp(-z) and 1 + exp(-z) are, which are normal numbers then. z is not less
/// than `least`, nor more than `most`; where it was NaN, all are anything.
template <class V> struct Logistic { V z, unit, exp, one_plus_exp; };
template <class T, class Arch> SIMDNORM_INLINE Logistic<Vector<T, Arch>> logistic(Vector<T, Arch> any_z) {
  using V = Vector<T, Arch>;
  using Numbers = ExpNumbers<T>;
  const auto all = [](T number) SIMDNORM_INLINE_LAMBDA { return V::broadcast(number); };
  const V z = smaller(larger(any_z, all(Numbers::least)), all(Numbers::most));
  // Beside a number so large the last digits are those of a whole number, here k plus the unit's exponent.
  const V whole = all(Numbers::whole), digits = whole - z * all(Numbers::log2_e);
  const V k = digits - whole;
  const V r = (z + k * all(Numbers::log_2)) + k * all(Numbers::log_2_rest);
  V series = all(Numbers::c[0]);
  unroll<static_cast<int>(std::size(Numbers::c)) - 1>(
      [&](auto i) SIMDNORM_INLINE_LAMBDA { series = series * r + all(Numbers::c[i + 1]); });
  const V exp = times_power_of_two(all(1) + (r * r * series - r), digits);
  return {z, all(Numbers::unit), exp, all(Numbers::unit) + exp};
}

/// a, or z where that is NaN.
template <class T, class Arch>
SIMDNORM_INLINE Vector<T, Arch> unless_nan(Vector<T, Arch> z, Vector<T, Arch> a) {
  return {Register<T, Arch>::where_number(z.value, a.value, z.value)};
}

/// 1 / (1 + exp(-z)), within 2.5 ulp. Of -Inf 0, of Inf 1, of NaN NaN.
template <class T, class Arch> SIMDNORM_INLINE Vector<T, Arch> sigmoid(Vector<T, Arch> z) {
  const auto parts = logistic(z);
  return unless_nan(z, parts.unit / parts.one_plus_exp);
}

/// SiLU, z * sigmoid(z), as z / (1 + exp(-z)), within 2.5 ulp. Of -Inf -0, which is its limit, of Inf Inf, of NaN NaN.
template <class T, class Arch> SIMDNORM_INLINE Vector<T, Arch> silu(Vector<T, Arch> z) {
  const auto parts = logistic(z);
  const Vector<T, Arch> most = Vector<T, Arch>::broadcast(ExpNumbers<T>::most);
  return where_less(z, most, parts.z / parts.one_plus_exp * parts.unit, z);
}

/// The derivative of SiLU, s (1 + z (1 - s)), s = sigmoid(z), within 5 u s (1 + |z| (1 - s)), u half an ulp of 1. Of -Inf -0,
/// of Inf 1, of NaN NaN.
template <class T, class Arch> SIMDNORM_INLINE Vector<T, Arch> silu_derivative(Vector<T, Arch> z) {
  const auto parts = logistic(z);
  const Vector<T, Arch> one = Vector<T, Arch>::broadcast(1), inverse = one / parts.one_plus_exp;
  return unless_nan(z, inverse * (one + parts.z * (parts.exp * inverse)) * parts.unit);
}

}  // namespace simdnorm::simd
