// A learned array, or what stands for one that is absent.
#pragma once

#include <cstddef>

#include "../simd_number.hpp"
#include "../storage.hpp"

namespace simdnorm {

inline constexpr int columns_at_once = 32;  // no more are visited together: two of the widest vectors

/// A learned array (hidden). One that is absent is columns_at_once equal numbers, read again and again, which multiply or add
/// without changing a value, so that no kernel is compiled twice for it.
template <class P> struct Parameter {
  const P* values;
  Index mask;  // of the column: all bits, or none where the array is absent
};
template <class P> struct EqualNumbers {
  alignas(64) P values[static_cast<std::size_t>(columns_at_once)] = {};
  constexpr explicit EqualNumbers(P number) {
    for (P& value : values) value = number;
  }
};
template <class P, int Number> SIMDNORM_INLINE Parameter<P> parameter_or(const P* values) {
  if (values != nullptr) return {values, -1};
  if constexpr (simd::is_narrow<P>) {
    static const EqualNumbers<P> absent(simd::narrow_number<P>(Number));
    return {absent.values, 0};
  } else {
    static constexpr EqualNumbers<P> absent(P{Number});
    return {absent.values, 0};
  }
}

}  // namespace simdnorm
