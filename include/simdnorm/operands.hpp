// The operands of a call: what they may be and which types they may have, and what they are computed in.
#pragma once

#include <cstddef>
#include <tuple>
#include <type_traits>

#include "simd_number.hpp"

namespace simdnorm {

// --- as arguments: a pointer to rows with no gaps, or Strided; a literal nullptr for a learned array ---

template <class X> struct ElementOf {};
template <class T> struct ElementOf<T*> { using type = std::remove_const_t<T>; };
template <class T> struct ElementOf<Strided<T>> { using type = std::remove_const_t<T>; };
template <> struct ElementOf<std::nullptr_t> { using type = void; };
/// The element type of an operand; void of nullptr.
template <class X> using element_t = typename ElementOf<X>::type;
/// The same, and T of nullptr.
template <class X, class T>
using element_or_t = std::conditional_t<std::is_void_v<element_t<X>>, T, element_t<X>>;

/// What numbers of these types together are computed in: double if one of them is double, else float.
template <class... U> using compute_t = std::conditional_t<(std::is_same_v<U, double> || ...), double, float>;

/// An operand that a call reads, and one that it writes, as rows.
template <class T> constexpr Strided<const T> read_rows(RowShape shape, T* data) {
  return packed<const T>(shape, data);
}
template <class T> constexpr Strided<const T> read_rows(RowShape, const Strided<T>& operand) {
  return {operand.data, operand.outer, operand.column};
}
template <class T> constexpr Strided<T> written_rows(RowShape shape, T* data) { return packed(shape, data); }
template <class T> constexpr Strided<T> written_rows(RowShape, const Strided<T>& operand) { return operand; }
constexpr std::nullptr_t read_rows(RowShape, std::nullptr_t) { return nullptr; }
constexpr std::nullptr_t written_rows(RowShape, std::nullptr_t) { return nullptr; }
/// The rows that an argument of a call consists of, first those that it is named after. (Of others than rows as they are:
/// other headers of kernel/, such as residual_sum.hpp.)
constexpr std::tuple<> operands_of(std::nullptr_t) { return {}; }
template <class X> constexpr auto operands_of(const Strided<X>& rows) { return std::tuple<Strided<X>>(rows); }

/// x of forward, or dx of backward, as parts of a call of dispatch/call.hpp, and the type of their numbers, void where that
/// cannot be. (Of sums: kernel/residual_sum.hpp, kernel/residual_add.hpp.)
template <class X> struct PartsOfCall { using type = void; };
template <class U> struct PartsOfCall<Strided<U>> {
  using type = std::remove_const_t<U>;
  static const Strided<U>* rows(const Strided<U>& x) { return &x; }
  template <class X> static std::nullptr_t residual(const X&) { return nullptr; }
  template <class X> static std::nullptr_t sum(const X&) { return nullptr; }
  template <class Dx> static std::nullptr_t addend(const Dx&) { return nullptr; }
};

// --- their types ---

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
