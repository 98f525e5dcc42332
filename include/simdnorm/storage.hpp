// What lies in memory: rows, operands with strides, and the moments that forward keeps for backward.
#pragma once

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

}  // namespace simdnorm
