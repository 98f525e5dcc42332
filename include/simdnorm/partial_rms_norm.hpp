// pRMSNorm on raw pointers: RMSNorm whose mean square is that of the first columns of each row.
#pragma once

#include "check.hpp"
#include "kernel/branch.hpp"
#include "kernel/first_columns.hpp"
#include "kernel/forward.hpp"
#include "kernel/gated.hpp"
#include "kernel/gathered.hpp"
#include "kernel/mapped.hpp"
#include "kernel/quantize.hpp"
#include "kernel/residual_add.hpp"
#include "kernel/residual_sum.hpp"
#include "kernel/rotated.hpp"
#include "kernel/unrotated.hpp"
#include "operands.hpp"

namespace simdnorm {

// --- the checks ---

inline void check_measured(const char* operation, RowShape shape, Index measured) {
  const Check check(operation, shape);
  if (measured < 1 || measured > shape.hidden)
    check.stop(check.message() << "measured must be at least 1 and at most hidden but is " << measured);
}
template <class X, class P, class T, class Y>
void check_partial_forward(RowShape shape, Index measured, const X& x, const P* gamma, T epsilon, const Y& y,
                           const RowMoments<T>* moments) {
  check_measured("partial_rms_norm_forward", shape, measured);
  const P* const no_beta = nullptr;
  check_forward("partial_rms_norm_forward", shape, x, gamma, no_beta, epsilon, y, moments);
}

// --- the operators ---

/// Forward: y = x * rstd * gamma for all columns, where rstd = 1/sqrt(sum over c < measured of x_c^2 / measured + epsilon).
///
/// measured: k of the paper, 1 to hidden; for a fraction p of the columns the paper takes the smallest whole number that is
/// at least hidden * p. With measured == hidden it is RMSNorm, and gives its bits.
/// x, y: rows, or what else rms_norm_forward takes, but gated(...) as x and two_norms(...). gamma: (hidden), nullptr for 1.
/// moments: (rows), what backward needs; nullptr where nobody does.
/// What may be what, types and castings: as rms_norm_forward.
///
/// The moments have the bits of rms_norm_forward on the first columns, of rows of measured columns; y those of x * rstd *
/// gamma in T, each operation rounded by itself. So of a finite row the error is at most 3 units of u * |gamma| * max(1,
/// |xhat|), and 1/16. The columns that are not measured may be far larger than those that are: y becomes infinite where xhat
/// or y leaves T's range, and NaN where gamma is 0 there.
/// A row with Inf or NaN in a measured column gives NaN. In another column Inf gives Inf or NaN and NaN gives NaN there, and
/// the rest of the row is that of the finite numbers. The NaN is the canonical one.
///
/// Errors: those of rms_norm_forward; measured below 1 or above hidden: std::invalid_argument, before anything is written.
/// Source: Zhang, Sennrich, Root Mean Square Layer Normalization (2019), section 4.
template <class Casting = RoundOnce, class X, class Gamma, class Y, class Executor = Serial>
void partial_rms_norm_forward(RowShape shape, Index measured, const X& x, Gamma gamma,
                              operands_t<X, Gamma, Y> epsilon, const Y& y,
                              RowMoments<operands_t<X, Gamma, Y>>* moments = nullptr,
                              const Executor& executor = {}) {
  using T = operands_t<X, Gamma, Y>;
  const auto x_rows = read_rows(shape, x);
  const auto y_rows = written_rows(shape, y);
  const element_or_t<Gamma, T>*const scale = gamma, *const no_beta = nullptr;
  check_partial_forward(shape, measured, x_rows, scale, epsilon, y_rows, moments);
  const Chain epilogue{
      epilogue_of<MeanSquare<T>, Casting, element_t<std::decay_t<decltype(x_rows)>>>(scale, no_beta),
      CanonicalNumbers{}};
  forward_part(shape, shape, x_rows, MeanSquareOfFirst<T>{{epsilon}, measured}, epilogue, y_rows, moments,
               executor);
}

/// Backward, with g = dy * gamma: dx_c = (g_c - xhat_c * sum(g * xhat) / measured) * rstd for the columns that were measured,
/// where the sum is over all columns, and dx_c = g_c * rstd for the others; dgamma = sum over rows of dy * xhat.
///
/// measured: as of forward. dy, x, dx: rows, or what else rms_norm_backward takes, but gated(...) as x, from_output(...) and
/// two_gradients(...). gamma: (hidden), nullptr for 1. moments: (rows), as forward kept them. dgamma: (hidden), nullptr where
/// it is not wanted. A row of which one xhat or dy is not finite gives a dx of NaN.
///
/// With measured == hidden it gives the bits of rms_norm_backward. What may be what, types, precision, the order of sums, no
/// rows, the workspace: as rms_norm_backward. Errors: those, and of measured, as forward.
template <class Casting = RoundOnce, class Dy, class X, class Gamma, class T, class Dx,
          class Dgamma = std::nullptr_t, class Executor = Serial>
void partial_rms_norm_backward(RowShape shape, Index measured, const Dy& dy, const X& x, Gamma gamma,
                               const RowMoments<T>* moments, const Dx& dx, Dgamma dgamma = {},
                               const GradientOptions& options = {}, const Executor& executor = {}) {
  static_assert(std::is_same_v<T, operands_t<Dy, X, Gamma, Dx>>,
                "simdnorm: moments hold double where one of dy, x, gamma and dx does, else float");
  using G = gradient_t<Dgamma, std::nullptr_t, T>;
  const auto dy_rows = read_rows(shape, dy);
  const auto x_rows = read_rows(shape, x);
  const auto dx_rows = written_rows(shape, dx);
  const element_or_t<Gamma, T>* const scale = gamma;
  G *const to_gamma = dgamma, *const no_beta = nullptr;
  const char* const operation = "partial_rms_norm_backward";
  check_measured(operation, shape, measured);
  check_backward(operation, shape, dy_rows, x_rows, scale, moments, dx_rows, to_gamma, no_beta);
  backward_part<MeanSquareOfFirst<T>, Casting>(shape, shape, dy_rows, x_rows, scale, moments, dx_rows,
                                               to_gamma, no_beta, options, executor,
                                               MeanSquareOfFirst<T>{{}, measured});
}

}  // namespace simdnorm
