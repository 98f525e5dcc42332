// Which types the operands of a call may have, and what they are computed in.
#pragma once

#include "simd_number.hpp"

namespace simdnorm {

template <class X>
inline constexpr bool is_operand = std::is_void_v<element_t<X>> || simd::is_number<element_t<X>>;

/// y in codes of 8 bits.
template <class X> inline constexpr bool has_codes = false;

/// The type of an operand, as far as it says what a call computes in. (Of several operands as one argument:
/// headers of kernel/, such as residual_sum.hpp.)
template <class X> struct ComputedIn {
  static_assert(
      is_operand<X>,
      "simdnorm: operands hold float, double, BFloat16, Float16, or a type that has a simd::Storage");
  using type = element_t<X>;
};

/// What a call computes in: double if one of its operands is double, else float. Operands: x, y, dy, dx, gamma, beta, and
/// residuals.
template <class... X> struct OperandsOf {
  using type = compute_t<typename ComputedIn<X>::type...>;
  static_assert(!(has_codes<X> || ...) || std::is_same_v<type, float>,
                "simdnorm: codes of 8 bits are made from floats: no operand may hold double");
};
template <class... X> using operands_t = typename OperandsOf<X...>::type;

/// The type of dgamma and dbeta, float or double; T where both are nullptr.
template <class Dgamma, class Dbeta, class T> struct GradientOf {
  using type = element_or_t<Dgamma, element_or_t<Dbeta, T>>;
  static_assert(std::is_same_v<type, float> || std::is_same_v<type, double>,
                "simdnorm: dgamma and dbeta hold float or double, whatever the other operands hold");
  static_assert(std::is_same_v<type, element_or_t<Dbeta, type>>,
                "simdnorm: dgamma and dbeta must hold one type");
};
template <class Dgamma, class Dbeta, class T> using gradient_t = typename GradientOf<Dgamma, Dbeta, T>::type;

}  // namespace simdnorm
