// Rows quantized by themselves: what forward does with y where its output is per_token(...) or per_tensor(...).
#pragma once

#include "kernel/quantize.hpp"
#include "operands.hpp"

namespace simdnorm {

/// Codes of rows that lie in memory: quantize(shape, y, per_token(q, scales)) after a forward to y, of float, has the bits of
/// the forward to per_token(q, scales) itself.
///
/// y: rows, a pointer or a Strided of float, BFloat16 or Float16. output: see PerToken, PerTensor; scales: (rows).
/// Nothing may overlap. Computes in float.
/// per_token: scale = max(largest |y| of the row / largest number, 2^-126), where the largest number is 127 for int8, 448 for
/// e4m3, 57344 for e5m2; code = y * (1/scale), each operation rounded, to the nearest, of two the even one. A row with a NaN
/// or an infinity has scale NaN and codes 0.
/// per_tensor: code = y * (1/scale), rounded as above, + zero_point, saturated; NaN gives -128, and of fp8 NaN.
///
/// Errors: hidden < 1, missing pointers, overlap, a scale or zero_point out of range: std::invalid_argument, before anything
/// is written.
/// Source: the codes of 8 bits are those of OFP8, Open Compute Project (2023).
template <class Y, class Output, class Executor = Serial>
void quantize(RowShape shape, const Y& y, const Output& output, const Executor& executor = {}) {
  static_assert(std::is_same_v<operands_t<Y>, float>,
                "simdnorm: quantize: y holds float, BFloat16 or Float16");
  const Strided<const element_t<Y>> rows = read_rows(shape, y);
  const auto codes = written_rows(shape, output);
  const float* const none = nullptr;
  const RowMoments<float>* const no_moments = nullptr;
  check_forward("quantize", shape, rows, none, none, 0.0F, codes, no_moments);
  quantize_rows(shape, rows, codes, executor);
}

}  // namespace simdnorm
