// LayerNorm on raw pointers: y = (x - mean) * rstd * gamma + beta over each row, and its gradients.
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

/// Forward: y = (x - mean) * rstd * gamma + beta, where mean = sum(x)/hidden and
/// rstd = 1/sqrt(sum((x - mean)^2)/hidden + epsilon).
///
/// x, y: rows, a pointer or a Strided each, see RowShape. gamma, beta: (hidden), nullptr for 1 and 0. Each of the four
/// holds float, double, BFloat16 or Float16, whatever the others hold. Of kernel/, x may also be residual_sum(...), branch(...)
/// or gathered(...), y added(...), branch(...), gathered(...), mapped(...), rotated(...), two_norms(...), or, as codes of 8 bits,
/// per_token(...) or per_tensor(...) of quantize.hpp, and either gated(...): each is told in the header of its name.
/// moments: (rows), what backward needs; nullptr where nobody does.
/// y may be x, if both hold the same type or types of the same size; nothing else may overlap.
///
/// T is double if one of them holds double, else float. Computes (x - mean) * rstd * gamma - (mean_low * rstd * gamma -
/// beta) in T, each operation rounded by itself; sums in twice T's precision, in which the mean is mean + mean_low. The
/// error is at most 5 units of u * (|gamma| * max(1, |xhat|) + |beta|), u half an ulp of 1 in T, one for each rounding, and
/// 1/16 for the sums; where y holds another type, that y of T is rounded to it once, to nearest even. An infinite gamma or
/// beta gives its column Inf or NaN. Casting: RoundOnce, RoundXhat or OnePlusGamma (kernel/epilogue.hpp).
/// A constant row gives y = beta, also with epsilon 0. A row that holds Inf or NaN gives NaN, and leaves other
/// rows alone.
///
/// Errors: hidden < 1, epsilon < 0 or NaN, a missing x or y, overlap: std::invalid_argument, before anything is
/// written.
/// Source: Ba, Kiros, Hinton, Layer Normalization (2016); the semantics of torch.nn.functional.layer_norm.
template <class Casting = RoundOnce, class X, class Gamma, class Beta, class Y, class Executor = Serial>
void layer_norm_forward(RowShape shape, const X& x, Gamma gamma, Beta beta,
                        operands_t<X, Gamma, Beta, Y> epsilon, const Y& y,
                        RowMoments<operands_t<X, Gamma, Beta, Y>>* moments = nullptr,
                        const Executor& executor = {}) {
  using T = operands_t<X, Gamma, Beta, Y>;
  const auto x_rows = read_rows(shape, x);
  const auto y_rows = written_rows(shape, y);
  const element_or_t<Gamma, element_or_t<Beta, T>>* const scale = gamma;
  const element_or_t<Beta, element_or_t<Gamma, T>>* const shift = beta;
  check_forward("layer_norm_forward", shape, x_rows, scale, shift, epsilon, y_rows, moments);
  forward_rows<Variance<T>, Casting>(shape, x_rows, scale, shift, epsilon, y_rows, moments, executor);
}

/// Backward: dx = ((g - mean(g)) - xhat * mean(g * xhat)) * rstd with g = dy * gamma,
/// dgamma = sum over rows of dy * xhat, dbeta = sum over rows of dy.
///
/// dy, x, dx: rows. gamma: (hidden), nullptr for 1. Each of the four holds float, double, BFloat16 or Float16, of which
/// double asks for moments of double. moments: (rows), as forward kept them.
/// dgamma, dbeta: (hidden), nullptr for one that is not wanted; both float or both double, whatever else holds.
/// dx may be dy or x, if both hold the same type or types of the same size; nothing else may overlap. Of kernel/, it may also be
/// added(...) or residual_gradients(...) of residual_add.hpp, branch(...), gathered(...) or gate_gradients(...) of gated.hpp; dy
/// gathered(...), unrotated(...), two_gradients(...) of two_norms.hpp, or gated(...).gradient(...); x from_output(...), where y was
/// kept instead, or what x of forward was, but a sum that was kept is given as it was kept.
///
/// Computes as forward does, in the moments' type T. dgamma and dbeta are kept in twice T's precision; at most two rows
/// (four, where rows lie side by side) are added in T before. The order of the sums depends on the shape and on which of
/// the two it is, and each is rounded once (to double first, from T = double to float). Without rows they become 0, or
/// stay as they are with options.accumulate. The workspace is one of gradient_workspace_bytes<T>(shape).
///
/// Errors: as forward.
template <class Casting = RoundOnce, class Dy, class X, class Gamma, class T, class Dx,
          class Dgamma = std::nullptr_t, class Dbeta = std::nullptr_t, class Executor = Serial>
void layer_norm_backward(RowShape shape, const Dy& dy, const X& x, Gamma gamma, const RowMoments<T>* moments,
                         const Dx& dx, Dgamma dgamma = {}, Dbeta dbeta = {},
                         const GradientOptions& options = {}, const Executor& executor = {}) {
  static_assert(std::is_same_v<T, operands_t<Dy, X, Gamma, Dx>>,
                "simdnorm: moments hold double where one of dy, x, gamma and dx does, else float");
  using G = gradient_t<Dgamma, Dbeta, T>;
  const auto dy_rows = read_rows(shape, dy);
  const auto x_rows = read_rows(shape, x);
  const auto dx_rows = written_rows(shape, dx);
  const element_or_t<Gamma, T>* const scale = gamma;
  G *const to_gamma = dgamma, *const to_beta = dbeta;
  check_backward("layer_norm_backward", shape, dy_rows, x_rows, scale, moments, dx_rows, to_gamma, to_beta);
  backward_rows<Variance<T>, Casting>(shape, dy_rows, x_rows, scale, moments, dx_rows, to_gamma, to_beta,
                                      options, executor);
}

}  // namespace simdnorm
