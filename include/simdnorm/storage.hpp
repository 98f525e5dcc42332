// What lies in memory: rows, operands with strides, and the moments that forward keeps for backward.
#pragma once

#include <cstddef>
#include <tuple>
#include <type_traits>

#include "config.hpp"

namespace simdnorm {

/// Numbers of 16 bits, by their bits: the upper half of a float; IEEE 754's binary16. Bytes that another library calls
/// bfloat16 or half may be read as these. (Any other type of numbers: simd_narrow.hpp.)
struct BFloat16 {
  std::uint16_t bits;
};
struct Float16 {
  std::uint16_t bits;
};

/// Numbers of 8 bits, to which y can be quantized, as the Open Compute Project defines them (OFP8, 2023): 4 bits of exponent,
/// no infinity, up to 448; 5 bits of exponent, up to 57344.
struct Float8E4M3 {
  std::uint8_t bits;
};
struct Float8E5M2 {
  std::uint8_t bits;
};

/// The rows of an operand: `rows` tokens of `hidden` features each. `after` rows lie side by side, so that
/// row r = b * after + a holds its column c at  data[b * outer + c * column + a]  (see Strided). With after
/// == 1 a row is by itself, and contiguous when its operands' `column` is 1.
struct RowShape {
  Index rows;
  Index hidden;
  Index after = 1;
};

/// An operand with strides, in elements. Examples: the left half of a wider row-major matrix has outer = its
/// width, column = 1; the columns of a row-major (hidden, tokens) matrix are rows with after = tokens, column
/// = tokens.
template <class T> struct Strided {
  T* data;
  Index outer;
  Index column;
};

/// The operand `data` with no gaps.
template <class T> constexpr Strided<T> packed(RowShape shape, T* data) {
  return {data, shape.hidden * shape.after, shape.after};
}

/// What forward measured on a row, kept for backward: of scale * x, where scale is a power of two: 1 for
/// every row but those whose mean or rstd could leave T's range, and NaN for a row that is not finite. mean +
/// mean_low is the mean to twice T's precision; both are 0 for RMSNorm.
template <class T> struct RowMoments {
  T mean;
  T mean_low;
  T rstd;
  T scale;
};

/// The mean of the row itself; Inf where T cannot hold it.
template <class T> constexpr T true_mean(const RowMoments<T>& moments) {
  return moments.mean / moments.scale;
}

/// 1/sqrt(variance + epsilon), or 1/sqrt(mean square + epsilon), of the row itself; Inf where T cannot hold
/// it.
template <class T> constexpr T true_rstd(const RowMoments<T>& moments) {
  return moments.rstd * moments.scale;
}

/// The default executor: calls f(task) for every task in order, on the calling thread. Any executor may stand
/// in its place that calls f once for each task, in any order, on any threads, and returns when all are done.
struct Serial {
  template <class F> void operator()(Index tasks, Index /*elements_per_task*/, F&& f) const {
    for (Index task = 0; task < tasks; ++task) f(task);
  }
};

// --- operands as arguments: a pointer to rows with no gaps, or Strided; a literal nullptr for a learned array ---

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

}  // namespace simdnorm
