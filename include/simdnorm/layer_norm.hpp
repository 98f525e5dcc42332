// LayerNorm on raw pointers: y = (x - mean) * rstd * gamma + beta over each row, and its gradients.
#pragma once

#include "check.hpp"
#include "kernel/backward.hpp"
#include "kernel/forward.hpp"

namespace simdnorm {

/// Forward: y = (x - mean) * rstd * gamma + beta, where mean = sum(x)/hidden and
/// rstd = 1/sqrt(sum((x - mean)^2)/hidden + epsilon).
///
/// x, y: rows, a pointer or a Strided each, see RowShape. gamma, beta: (hidden), nullptr for 1 and 0.
/// moments: (rows), what backward needs; nullptr where nobody does.
/// y may be x; nothing else may overlap.
///
/// Computes (x - mean) * rstd * gamma - (mean_low * rstd * gamma - beta) in T, each operation rounded by itself;
/// sums in twice T's precision, in which the mean is mean + mean_low. The error is at most 5 units of
/// u * (|gamma| * max(1, |xhat|) + |beta|), u half an ulp of 1, one for each rounding, and 1/16 for the sums. An
/// infinite gamma or beta gives its column Inf or NaN.
/// A constant row gives y = beta, also with epsilon 0. A row that holds Inf or NaN gives NaN, and leaves other
/// rows alone.
///
/// Errors: hidden < 1, epsilon < 0 or NaN, a missing x or y, overlap: std::invalid_argument, before anything is
/// written.
/// Source: Ba, Kiros, Hinton, Layer Normalization (2016); the semantics of torch.nn.functional.layer_norm.
template <class X, class Y, class Executor = Serial>
void layer_norm_forward(RowShape shape, const X& x, const element_t<X>* gamma, const element_t<X>* beta,
                        element_t<X> epsilon, const Y& y, RowMoments<element_t<X>>* moments = nullptr,
                        const Executor& executor = {}) {
  static_assert(are_elements<X, Y>(),
                "simdnorm: layer_norm_forward: x and y must both be float or both double");
  using T = element_t<X>;
  const Strided<const T> x_rows = read_rows(shape, x);
  const Strided<T> y_rows = written_rows(shape, y);
  check_forward("layer_norm_forward", shape, x_rows, gamma, beta, epsilon, y_rows, moments);
  forward_rows(shape, x_rows, Variance<T>{epsilon}, Chain{Scale<T>{gamma}, Shift<T>{beta}}, y_rows, moments,
               executor);
}

/// Backward: dx = ((g - mean(g)) - xhat * mean(g * xhat)) * rstd with g = dy * gamma,
/// dgamma = sum over rows of dy * xhat, dbeta = sum over rows of dy.
///
/// dy, x, dx: rows. gamma: (hidden), nullptr for 1. moments: (rows), as forward kept them.
/// dgamma, dbeta: (hidden), nullptr for one that is not wanted.
/// dx may be dy or x; nothing else may overlap.
///
/// Computes as forward does. dgamma and dbeta are kept in twice T's precision; at most two rows (four, where rows
/// lie side by side) are added in T before. The order of the sums depends on the shape and on which of the two it is,
/// and each is rounded once. Without rows they become 0, or stay as they are with options.accumulate.
///
/// Errors: as forward.
template <class Dy, class X, class Dx, class Executor = Serial>
void layer_norm_backward(RowShape shape, const Dy& dy, const X& x, const element_t<X>* gamma,
                         const RowMoments<element_t<X>>* moments, const Dx& dx,
                         element_t<X>* dgamma = nullptr, element_t<X>* dbeta = nullptr,
                         const GradientOptions& options = {}, const Executor& executor = {}) {
  static_assert(are_elements<X, Dy, Dx>(),
                "simdnorm: layer_norm_backward: dy, x and dx must all be float or all double");
  using T = element_t<X>;
  const Strided<const T> dy_rows = read_rows(shape, dy), x_rows = read_rows(shape, x);
  const Strided<T> dx_rows = written_rows(shape, dx);
  check_backward("layer_norm_backward", shape, dy_rows, x_rows, gamma, moments, dx_rows, dgamma, dbeta);
  backward_rows<Variance<T>>(shape, dy_rows, x_rows, gamma, moments, dx_rows, dgamma, dbeta, options,
                             executor);
}

}  // namespace simdnorm
