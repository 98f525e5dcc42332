// Double backward of LayerNorm and RMSNorm on raw pointers: the gradients of what was computed from dx, dgamma and dbeta.
#pragma once

#include "check.hpp"
#include "kernel/double_backward.hpp"
#include "operands.hpp"

namespace simdnorm {

/// The checks, then the rows.
template <class Statistic, class Casting, class Ddx, class W, class B, class Dy, class X, class P, class T,
          class Ddy, class Dx, class G, class Executor>
void double_backward_rows(const char* operation, RowShape shape, const Ddx& ddx, const W* ddgamma,
                          const B* ddbeta, const Dy& dy, const X& x, const P* gamma,
                          const RowMoments<T>* moments, const Ddy& ddy, const Dx& dx, G* dgamma,
                          const GradientOptions& options, const Executor& executor) {
  const Check check(operation, shape);
  const Index hidden = shape.hidden;
  if (moments == nullptr && shape.rows > 0) check.stop(check.message() << "moments is nullptr");
  check_all_apart(check, "ddx", ddx, "dy", dy, "x", x, "ddy", ddy, "dx", dx, "moments",
                  read_array(moments, shape.rows), "gamma", read_array(gamma, hidden), "ddgamma",
                  read_array(ddgamma, hidden), "ddbeta", read_array(ddbeta, hidden), "dgamma",
                  written_array(dgamma, hidden));
  using Xhat = typename Casting::template Xhat<element_t<X>>;
  const auto dy_source = source_of<T>(dy);
  const auto ddx_source = source_of<T>(ddx);
  backward_summing(shape, shape, SecondOrder<Statistic, Xhat>{},
                   std::tuple_cat(operands_of(dy), operands_of(x), operands_of(ddx)),
                   TwoSources<std::decay_t<decltype(dy_source)>, std::decay_t<decltype(ddx_source)>>{
                       dy_source, ddx_source},
                   source_of<T>(x),
                   SecondOrderScale{Casting::gradient_scale(gamma), parameter_or<W, 0>(ddgamma),
                                    parameter_or<B, 0>(ddbeta)},
                   moments, SecondOrderRows{ddy, dx}, options, executor,
                   ColumnSum{SecondOrderGammaTerm{}, dgamma});
}

/// The gradient of backward, as a gradient penalty, a step of meta-learning or a product with the Hessian needs it. For a
/// scalar L of the results dx, dgamma and dbeta of layer_norm_backward(shape, dy, x, gamma, moments, dx, dgamma, dbeta), and its
/// gradients ddx, ddgamma and ddbeta with respect to them, the gradients of L with respect to what that call had read: ddy, of dy;
/// dx, of x; dgamma, of gamma. Each name is that of what it is the gradient of, after a d: dx and dgamma are added to those that
/// other paths bring to x and gamma. With g = dy * gamma, u = dy * ddgamma, J a = (a - mean(a) - xhat * mean(a * xhat)) * rstd:
///   ddy    = gamma * J ddx + ddgamma * xhat + ddbeta
///   dgamma = sum over rows of dy * J ddx
///   dx     = J u - rstd * (mean(g * xhat) * J ddx + mean(ddx * xhat) * J g + rstd * xhat * rest),
///   rest   = mean(ddx * g) - mean(ddx) * mean(g) - mean(ddx * xhat) * mean(g * xhat)
///
/// ddx, dy, x, ddy, dx: rows, a pointer or a Strided each. A literal nullptr as ddx stands for 0, as ddy or dx for a gradient that
/// is not wanted. gamma: (hidden), nullptr for 1. ddgamma, ddbeta: (hidden), nullptr for 0. Each of the eight holds float, double,
/// BFloat16 or Float16, of which double asks for moments of double. moments: (rows), as forward kept them.
/// dgamma: (hidden), float or double, nullptr where it is not wanted.
/// ddy and dx may each be ddx, dy or x, where both hold types of one size, but not each other; nothing else may overlap.
///
/// Computes in the moments' type T, each operation rounded by itself, with the means over a row, and `rest`, from sums in twice T's
/// precision. Norm-wise over a row, with u half an ulp of 1 in T and rms(g) = sqrt(mean(g^2)), the error of ddy is at most 8 u of
/// |gamma ddx| * rstd + |ddgamma * xhat| + |ddbeta|, that of dx 16 u of (|dy * ddgamma| + |ddx| * rms(g) * rstd) * rstd, as long as
/// no product of g and ddx is below the normal numbers. dgamma is summed and rounded as by layer_norm_backward, and so without
/// rows; options.accumulate adds to it. The workspace is one of gradient_workspace_bytes<T>(shape, 1), or larger.
/// x may have any magnitude: its rows are read scaled as forward has scaled them. But gradients of second order leave T's range sooner
/// than those of first order: dx of a row is NaN where the sum of g * ddx, or another that it takes, is not finite in T, and ddy of it
/// where that of ddx or ddx * xhat is not; a dx of rstd^2 * g * ddx beyond T's range is infinite or NaN.
/// A row of x that holds Inf or NaN gives NaN, the canonical one, and leaves other rows alone.
/// Casting: as backward takes gamma; the rounding of RoundXhat is taken for the identity but in ddgamma * xhat.
///
/// Errors: as layer_norm_backward.
/// Source: the semantics of torch.autograd.grad(..., create_graph=True) and a second backward of
/// torch.nn.functional.layer_norm; Gulrajani et al., Improved Training of Wasserstein GANs (2017), of gradient penalties.
template <class Casting = RoundOnce, class Ddx, class Ddgamma, class Ddbeta, class Dy, class X, class Gamma,
          class T, class Ddy, class Dx, class Dgamma = std::nullptr_t, class Executor = Serial>
void layer_norm_double_backward(RowShape shape, const Ddx& ddx, Ddgamma ddgamma, Ddbeta ddbeta, const Dy& dy,
                                const X& x, Gamma gamma, const RowMoments<T>* moments, const Ddy& ddy,
                                const Dx& dx, Dgamma dgamma = {}, const GradientOptions& options = {},
                                const Executor& executor = {}) {
  static_assert(std::is_same_v<T, operands_t<Ddx, Ddgamma, Ddbeta, Dy, X, Gamma, Ddy, Dx>>,
                "simdnorm: moments hold double where one of ddx, ddgamma, ddbeta, dy, x, gamma, ddy and dx "
                "does, else float");
  const element_or_t<Gamma, T>* const scale = gamma;
  const element_or_t<Ddgamma, T>* const of_gamma = ddgamma;
  const element_or_t<Ddbeta, T>* const of_beta = ddbeta;
  gradient_t<Dgamma, std::nullptr_t, T>* const to_gamma = dgamma;
  double_backward_rows<Variance<T>, Casting>("layer_norm_double_backward", shape, read_rows(shape, ddx),
                                             of_gamma, of_beta, read_rows(shape, dy), read_rows(shape, x),
                                             scale, moments, written_rows(shape, ddy),
                                             written_rows(shape, dx), to_gamma, options, executor);
}

/// The same of rms_norm_backward: J a = (a - xhat * mean(a * xhat)) * rstd, rest = mean(ddx * g) - mean(ddx * xhat) *
/// mean(g * xhat), and no beta.
///
/// All else: as layer_norm_double_backward.
template <class Casting = RoundOnce, class Ddx, class Ddgamma, class Dy, class X, class Gamma, class T,
          class Ddy, class Dx, class Dgamma = std::nullptr_t, class Executor = Serial>
void rms_norm_double_backward(RowShape shape, const Ddx& ddx, Ddgamma ddgamma, const Dy& dy, const X& x,
                              Gamma gamma, const RowMoments<T>* moments, const Ddy& ddy, const Dx& dx,
                              Dgamma dgamma = {}, const GradientOptions& options = {},
                              const Executor& executor = {}) {
  static_assert(std::is_same_v<T, operands_t<Ddx, Ddgamma, Dy, X, Gamma, Ddy, Dx>>,
                "simdnorm: moments hold double where one of ddx, ddgamma, dy, x, gamma, ddy and dx does, "
                "else float");
  const element_or_t<Gamma, T>* const scale = gamma;
  const element_or_t<Ddgamma, T>* const of_gamma = ddgamma;
  const element_or_t<Ddgamma, T>* const no_beta = nullptr;
  gradient_t<Dgamma, std::nullptr_t, T>* const to_gamma = dgamma;
  double_backward_rows<MeanSquare<T>, Casting>("rms_norm_double_backward", shape, read_rows(shape, ddx),
                                               of_gamma, no_beta, read_rows(shape, dy), read_rows(shape, x),
                                               scale, moments, written_rows(shape, ddy),
                                               written_rows(shape, dx), to_gamma, options, executor);
}

}  // namespace simdnorm
