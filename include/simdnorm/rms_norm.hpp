// RMSNorm on raw pointers: y = x * rstd * gamma, rstd = 1/sqrt(mean square + epsilon), over each row.
#pragma once

#include "check.hpp"
#include "kernel/backward.hpp"
#include "kernel/branch.hpp"
#include "kernel/from_output.hpp"
#include "kernel/gated.hpp"
#include "kernel/gathered.hpp"
#include "kernel/mapped.hpp"
#include "kernel/quantize.hpp"
#include "kernel/residual_add.hpp"
#include "kernel/residual_sum.hpp"
#include "kernel/rotated.hpp"
#include "kernel/two_norms.hpp"
#include "kernel/unrotated.hpp"
#include "operands.hpp"

namespace simdnorm {

/// Forward: y = x * rstd * gamma, where rstd = 1/sqrt(sum(x^2)/hidden + epsilon).
///
/// x, y: rows, a pointer or a Strided each, see RowShape, or what else layer_norm_forward takes. gamma: (hidden), nullptr for
/// 1. Types: as layer_norm_forward.
/// moments: (rows), what backward needs; nullptr where nobody does.
/// y may be x, if both hold the same type or types of the same size; nothing else may overlap.
///
/// Computes x * rstd * gamma in T, double if one of them holds double, else float, each operation rounded by itself, with
/// the sum in twice T's precision. The error is at most 3 units of u * |gamma| * max(1, |xhat|), u half an ulp of 1 in T,
/// one for each rounding, and 1/16 for the sum; where y holds another type, that y of T is rounded to it once, to nearest
/// even. A row of zeros gives 0, also with epsilon 0. A row that holds Inf or NaN gives NaN, and leaves
/// other rows alone.
///
/// Errors: hidden < 1, epsilon < 0 or NaN, a missing x or y, overlap: std::invalid_argument, before anything is
/// written.
/// Source: Zhang, Sennrich, Root Mean Square Layer Normalization (2019); the semantics of
/// torch.nn.functional.rms_norm.
template <class Casting = RoundOnce, class X, class Gamma, class Y, class Executor = Serial>
void rms_norm_forward(RowShape shape, const X& x, Gamma gamma, operands_t<X, Gamma, Y> epsilon, const Y& y,
                      RowMoments<operands_t<X, Gamma, Y>>* moments = nullptr, const Executor& executor = {}) {
  using T = operands_t<X, Gamma, Y>;
  const auto x_rows = read_rows(shape, x);
  const auto y_rows = written_rows(shape, y);
  const element_or_t<Gamma, T>* const scale = gamma;
  const element_or_t<Gamma, T>* const no_beta = nullptr;
  check_forward("rms_norm_forward", shape, x_rows, scale, no_beta, epsilon, y_rows, moments);
  forward_rows<MeanSquare<T>, Casting>(shape, x_rows, scale, no_beta, epsilon, y_rows, moments, executor);
}

/// Backward: dx = (g - xhat * mean(g * xhat)) * rstd with g = dy * gamma, dgamma = sum over rows of dy * xhat.
///
/// dy, x, dx: rows. gamma: (hidden), nullptr for 1. moments: (rows), as forward kept them.
/// dgamma: (hidden), nullptr where it is not wanted.
/// dx may be dy or x, if both hold the same type or types of the same size; nothing else may overlap. Or it is what else
/// layer_norm_backward takes.
///
/// Types, precision, the order of sums, no rows, errors: as layer_norm_backward.
template <class Casting = RoundOnce, class Dy, class X, class Gamma, class T, class Dx,
          class Dgamma = std::nullptr_t, class Executor = Serial>
void rms_norm_backward(RowShape shape, const Dy& dy, const X& x, Gamma gamma, const RowMoments<T>* moments,
                       const Dx& dx, Dgamma dgamma = {}, const GradientOptions& options = {},
                       const Executor& executor = {}) {
  static_assert(std::is_same_v<T, operands_t<Dy, X, Gamma, Dx>>,
                "simdnorm: moments hold double where one of dy, x, gamma and dx does, else float");
  using G = gradient_t<Dgamma, std::nullptr_t, T>;
  const auto dy_rows = read_rows(shape, dy);
  const auto x_rows = read_rows(shape, x);
  const auto dx_rows = written_rows(shape, dx);
  const element_or_t<Gamma, T>* const scale = gamma;
  G *const to_gamma = dgamma, *const no_beta = nullptr;
  check_backward("rms_norm_backward", shape, dy_rows, x_rows, scale, moments, dx_rows, to_gamma, no_beta);
  backward_rows<MeanSquare<T>, Casting>(shape, dy_rows, x_rows, scale, moments, dx_rows, to_gamma, no_beta,
                                        options, executor);
}

}  // namespace simdnorm
