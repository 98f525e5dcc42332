// RMSNorm on raw pointers: y = x * rstd * gamma, rstd = 1/sqrt(mean square + epsilon), over each row.
#pragma once

#include "check.hpp"
#include "kernel/backward.hpp"
#include "kernel/forward.hpp"

namespace simdnorm {

/// Forward: y = x * rstd * gamma, where rstd = 1/sqrt(sum(x^2)/hidden + epsilon).
///
/// x, y: rows, a pointer or a Strided each, see RowShape. gamma: (hidden), nullptr for 1.
/// moments: (rows), what backward needs; nullptr where nobody does.
/// y may be x; nothing else may overlap.
///
/// Computes x * rstd * gamma in T, each operation rounded by itself, with the sum in twice T's precision. The
/// error is at most 3 units of u * |gamma| * max(1, |xhat|), u half an ulp of 1, one for each rounding, and 1/16
/// for the sum. A row of zeros gives 0, also with epsilon 0. A row that holds Inf or NaN gives NaN, and leaves
/// other rows alone.
///
/// Errors: hidden < 1, epsilon < 0 or NaN, a missing x or y, overlap: std::invalid_argument, before anything is
/// written.
/// Source: Zhang, Sennrich, Root Mean Square Layer Normalization (2019); the semantics of
/// torch.nn.functional.rms_norm.
template <class X, class Y, class Executor = Serial>
void rms_norm_forward(RowShape shape, const X& x, const element_t<X>* gamma, element_t<X> epsilon, const Y& y,
                      RowMoments<element_t<X>>* moments = nullptr, const Executor& executor = {}) {
  static_assert(are_elements<X, Y>(),
                "simdnorm: rms_norm_forward: x and y must both be float or both double");
  using T = element_t<X>;
  const Strided<const T> x_rows = read_rows(shape, x);
  const Strided<T> y_rows = written_rows(shape, y);
  const T* const no_beta = nullptr;
  check_forward("rms_norm_forward", shape, x_rows, gamma, no_beta, epsilon, y_rows, moments);
  forward_rows(shape, x_rows, MeanSquare<T>{epsilon}, Scale<T>{gamma}, y_rows, moments, executor);
}

/// Backward: dx = (g - xhat * mean(g * xhat)) * rstd with g = dy * gamma, dgamma = sum over rows of dy * xhat.
///
/// dy, x, dx: rows. gamma: (hidden), nullptr for 1. moments: (rows), as forward kept them.
/// dgamma: (hidden), nullptr where it is not wanted.
/// dx may be dy or x; nothing else may overlap.
///
/// Precision, the order of sums, no rows, errors: as layer_norm_backward.
template <class Dy, class X, class Dx, class Executor = Serial>
void rms_norm_backward(RowShape shape, const Dy& dy, const X& x, const element_t<X>* gamma,
                       const RowMoments<element_t<X>>* moments, const Dx& dx, element_t<X>* dgamma = nullptr,
                       const GradientOptions& options = {}, const Executor& executor = {}) {
  static_assert(are_elements<X, Dy, Dx>(),
                "simdnorm: rms_norm_backward: dy, x and dx must all be float or all double");
  using T = element_t<X>;
  const Strided<const T> dy_rows = read_rows(shape, dy), x_rows = read_rows(shape, x);
  const Strided<T> dx_rows = written_rows(shape, dx);
  T* const dbeta = nullptr;
  check_backward("rms_norm_backward", shape, dy_rows, x_rows, gamma, moments, dx_rows, dgamma, dbeta);
  backward_rows<MeanSquare<T>>(shape, dy_rows, x_rows, gamma, moments, dx_rows, dgamma, dbeta, options,
                               executor);
}

}  // namespace simdnorm
