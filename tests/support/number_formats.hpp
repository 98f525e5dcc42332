// Numbers of 16 and 8 bits by integer arithmetic alone: what each code stands for, and which code a number is rounded to.
// One bit of sign, then the exponent, then the mantissa; subnormal numbers as IEEE 754 has them.
#pragma once

#include <simdnorm/storage.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "support/oracle.hpp"

namespace support {

struct Format {
  int bits, mantissa, bias;
  std::uint32_t largest;  // the code of the largest number,
  std::uint32_t beyond;   // of what is larger: infinity, or the largest number again,
  std::uint32_t nan;      // and of the NaN that is written

  std::uint32_t sign() const { return 1U << (bits - 1); }
};

template <class U> struct FormatOf;
template <> struct FormatOf<simdnorm::BFloat16> {
  static constexpr Format format{16, 7, 127, 0x7f7f, 0x7f80, 0x7fc0};
};
template <> struct FormatOf<simdnorm::Float16> {
  static constexpr Format format{16, 10, 15, 0x7bff, 0x7c00, 0x7e00};
};
template <> struct FormatOf<simdnorm::Float8E4M3> {
  static constexpr Format format{8, 3, 7, 0x7e, 0x7e, 0x7f};
};
template <> struct FormatOf<simdnorm::Float8E5M2> {
  static constexpr Format format{8, 2, 15, 0x7b, 0x7b, 0x7e};
};

// The number of a code without its sign, finite or not.
inline double magnitude_of(const Format& f, std::uint32_t code) {
  const int exponent = static_cast<int>(code >> f.mantissa);
  const int digits =
      static_cast<int>(code & ((1U << f.mantissa) - 1U)) + (exponent > 0 ? 1 << f.mantissa : 0);
  return std::ldexp(digits, (exponent > 0 ? exponent : 1) - f.bias - f.mantissa);
}
inline double decoded(const Format& f, std::uint32_t code) {
  const std::uint32_t magnitude = code & (f.sign() - 1U);
  double value = magnitude_of(f, magnitude);
  if (magnitude > f.largest) {
    const bool infinite = f.mantissa != 3 && magnitude == f.largest + 1;
    value = infinite ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  }
  return (code & f.sign()) != 0 ? -value : value;
}

enum class Toward { nearest_even, zero };

inline std::uint32_t encoded(const Format& f, double x, Toward toward = Toward::nearest_even) {
  std::uint64_t word;
  std::memcpy(&word, &x, sizeof word);
  const std::uint32_t sign = word >> 63 != 0 ? f.sign() : 0;
  const std::uint64_t magnitude = word << 1 >> 1;
  if (magnitude > std::uint64_t{0x7ff} << 52) return f.nan;
  if (magnitude == std::uint64_t{0x7ff} << 52) return sign | f.beyond;
  if (magnitude == 0) return sign;
  // |x| = digits * 2^unit
  const int field = static_cast<int>(magnitude >> 52);
  std::uint64_t digits = magnitude & ((std::uint64_t{1} << 52) - 1U);
  if (field > 0) digits |= std::uint64_t{1} << 52;
  const int unit = (field > 0 ? field : 1) - 1075;
  int leading = 52;
  while (digits >> leading == 0) --leading;
  const int exponent = std::max(unit + leading, 1 - f.bias), drop = exponent - f.mantissa - unit;
  std::uint64_t kept = 0;
  if (drop <= 0) {
    kept = digits << -drop;
  } else if (drop < 64) {
    kept = digits >> drop;
    const std::uint64_t rest = digits & ((std::uint64_t{1} << drop) - 1U),
                        half = std::uint64_t{1} << (drop - 1);
    if (toward == Toward::nearest_even && (rest > half || (rest == half && (kept & 1U) != 0))) ++kept;
  }
  // The leading digit of `kept`, where it has one, adds 1 to the exponent; so does a carry.
  const std::int64_t code =
      static_cast<std::int64_t>(kept) + (static_cast<std::int64_t>(exponent + f.bias - 1) << f.mantissa);
  return sign | (code > static_cast<std::int64_t>(f.largest) ? f.beyond : static_cast<std::uint32_t>(code));
}

// A double whose last digit says whether `exact` has more than it: rounded to fewer digits it gives what `exact` would.
inline double rounded_to_odd(oracle::quad exact) {
  double nearest = oracle::narrow(exact);
  if (!(oracle::wide(nearest) < exact) && !(exact < oracle::wide(nearest))) return nearest;
  std::uint64_t word;
  std::memcpy(&word, &nearest, sizeof word);
  if (oracle::abs(oracle::wide(nearest)) > oracle::abs(exact)) --word;
  word |= 1U;
  std::memcpy(&nearest, &word, sizeof nearest);
  return nearest;
}

// --- numbers of any type ---

// The number of type U nearest to x, and a number's value.
template <class U> U number(double x) {
  if constexpr (std::is_floating_point_v<U>) {
    return static_cast<U>(x);
  } else {
    return U{static_cast<decltype(U::bits)>(encoded(FormatOf<U>::format, x))};
  }
}
template <class U> double value_of(const U& x) {
  if constexpr (std::is_floating_point_v<U>) {
    return static_cast<double>(x);
  } else {
    return decoded(FormatOf<U>::format, x.bits);
  }
}
template <class U, class T> std::vector<U> numbers(const std::vector<T>& values) {
  std::vector<U> out(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) out[i] = number<U>(value_of(values[i]));
  return out;
}

// The first place where the bytes of two arrays differ, -1 where they do not, -2 for different sizes.
template <class U> std::int64_t first_unlike(const std::vector<U>& a, const std::vector<U>& b) {
  if (a.size() != b.size()) return -2;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::memcmp(&a[i], &b[i], sizeof(U)) != 0) return static_cast<std::int64_t>(i);
  }
  return -1;
}

template <class U> const char* name_of() {
  if (std::is_same_v<U, float>) return "float";
  if (std::is_same_v<U, double>) return "double";
  if (std::is_same_v<U, simdnorm::BFloat16>) return "bf16";
  if (std::is_same_v<U, simdnorm::Float16>) return "fp16";
  if (std::is_same_v<U, std::int8_t>) return "int8";
  if (std::is_same_v<U, simdnorm::Float8E4M3>) return "e4m3";
  if (std::is_same_v<U, simdnorm::Float8E5M2>) return "e5m2";
  return "?";
}

}  // namespace support
