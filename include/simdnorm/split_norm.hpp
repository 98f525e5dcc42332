// LayerNorm and RMSNorm of rows whose columns lie on several processes, on raw pointers. Forward and backward are two calls
// each, between which every process sends its records, plain doubles, to all others.
#pragma once

#include "check.hpp"
#include "kernel/dropout.hpp"
#include "kernel/forward.hpp"
#include "kernel/gathered.hpp"
#include "kernel/mapped.hpp"
#include "kernel/merged.hpp"
#include "kernel/quantize.hpp"
#include "kernel/residual_add.hpp"
#include "kernel/residual_sum.hpp"
#include "kernel/rotated.hpp"
#include "operands.hpp"

namespace simdnorm {

// --- what the operators share ---

template <class Statistic, class X, class T, int Sums, class Executor>
void norm_partial(const char* operation, RowShape shape, const X& x, const Statistic& statistic,
                  PartialRow<T, Sums>* partials, const Executor& executor) {
  static_assert(std::is_same_v<T, compute_t<T, operands_t<X>>>,
                "simdnorm: the records of rows of double are of double");
  const Check check(operation, shape);
  check.epsilon(statistic.epsilon);
  if (partials == nullptr && shape.rows > 0) check.stop(check.message() << "partials is nullptr");
  const auto x_rows = read_rows(shape, x);
  check_all_apart(check, "x", x_rows, "partials", written_array(partials, shape.rows));
  measure_part(shape, x_rows, statistic, partials, executor);
}

template <class Statistic, class Casting, class Dy, class X, class Gamma, class T, int Sums, class Executor>
void norm_gradient_partial(const char* operation, RowShape shape, const Dy& dy, const X& x, Gamma gamma,
                           const RowMoments<T>* moments, PartialGradient<T, Sums>* partials,
                           const Executor& executor) {
  static_assert(std::is_same_v<T, compute_t<T, operands_t<Dy, X, Gamma>>>,
                "simdnorm: moments hold double where one of dy, x, gamma and dx does, else float");
  const Check check(operation, shape);
  if (moments == nullptr && shape.rows > 0) check.stop(check.message() << "moments is nullptr");
  if (partials == nullptr && shape.rows > 0) check.stop(check.message() << "partials is nullptr");
  const Strided<const element_t<Dy>> dy_rows = read_rows(shape, dy);
  const Strided<const element_t<X>> x_rows = read_rows(shape, x);
  const element_or_t<Gamma, T>* const scale = gamma;
  check_all_apart(check, "dy", dy_rows, "x", x_rows, "partials", written_array(partials, shape.rows),
                  "moments", read_array(moments, shape.rows), "gamma", read_array(scale, shape.hidden));
  sum_part<Statistic, Casting>(shape, dy_rows, x_rows, scale, moments, partials, executor);
}

template <class Statistic, class Casting, class Dy, class X, class Gamma, class T, int Sums, class Dx,
          class G, class Executor>
void norm_gradient_apply(const char* operation, RowShape shape, const Dy& dy, const X& x, Gamma gamma,
                         const RowMoments<T>* moments, const Parts<PartialGradient<T, Sums>>& parts,
                         const Dx& dx, G* dgamma, G* dbeta, const GradientOptions& options,
                         const Executor& executor) {
  static_assert(std::is_same_v<T, operands_t<Dy, X, Gamma, Dx>>,
                "simdnorm: moments hold double where one of dy, x, gamma and dx does, else float");
  const Strided<const element_t<Dy>> dy_rows = read_rows(shape, dy);
  const Strided<const element_t<X>> x_rows = read_rows(shape, x);
  const auto dx_rows = written_rows(shape, dx);
  const element_or_t<Gamma, T>* const scale = gamma;
  check_backward(operation, shape, dy_rows, x_rows, scale, moments, dx_rows, dgamma, dbeta, "parts", parts);
  const MergedSums<Statistic> merged{{}, parts, shape.rows, parts.columns()};
  backward_part<MergedSums<Statistic>, Casting>(shape, shape, dy_rows, x_rows, scale, moments, dx_rows,
                                                dgamma, dbeta, options, executor, merged);
}

// --- LayerNorm ---

/// Forward, first half: partials[r] = what this part says of row r: its mean and the variance about it.
///
/// shape: rows, and the columns that are here. x: as in layer_norm_forward; a residual_sum stores its sum, which is then x of
/// the second half. epsilon: that of the norm, to which the sums are as precise as the norm needs. partials: (rows) of
/// LayerNormPartial<T>: two doubles where T is float; five where it is double, as it must be if an operand of either half
/// holds double.
/// Errors: hidden < 1, epsilon < 0 or NaN, a missing x or partials, overlap: std::invalid_argument, before anything is
/// written.
template <class X, class T, class Executor = Serial>
void layer_norm_partial(RowShape shape, const X& x, compute_t<T> epsilon, LayerNormPartial<T>* partials,
                        const Executor& executor = {}) {
  norm_partial("layer_norm_partial", shape, x, Variance<T>{epsilon}, partials, executor);
}

/// Forward, second half: y = (x - mean) * rstd * gamma + beta over the columns that are here, with mean and variance of the
/// whole rows.
///
/// parts: the records of all parts in their order, this one among them: Parts{records, hidden, count}, see kernel/partial.hpp.
/// gamma, beta: of the columns that are here. x, y, moments, casting, T, what may be what: as in layer_norm_forward. (Per
/// token, each part of y has a scale of its own; dropped counts the columns that are here, and rotated turns pairs of them.)
///
/// With one part, all bits are those of layer_norm_forward. With several, all parts have the same moments to the bit, which
/// depend on how the columns are divided and on nothing else; to the error of rstd merging adds at most 2^-51 |mean|/deviation
/// of it (in double 2^-100), so that y keeps layer_norm_forward's 5 units up to a |mean|/deviation of 1e7 and beyond.
/// Errors: those of layer_norm_forward; missing records; a part of no columns; none with the columns of shape.
/// Source: kernel/merged.hpp.
template <class Casting = RoundOnce, class X, class Gamma, class Beta, class T, class Y,
          class Executor = Serial>
void layer_norm_apply(RowShape shape, const X& x, Gamma gamma, Beta beta, compute_t<T> epsilon,
                      const Parts<LayerNormPartial<T>>& parts, const Y& y,
                      std::common_type_t<RowMoments<T>>* moments = nullptr, const Executor& executor = {}) {
  static_assert(std::is_same_v<T, operands_t<X, Gamma, Beta, Y>>,
                "simdnorm: records hold double where one of x, gamma, beta and y does, else float");
  const auto x_rows = read_rows(shape, x);
  const auto y_rows = written_rows(shape, y);
  const element_or_t<Gamma, T>* const scale = gamma;
  const element_or_t<Beta, T>* const shift = beta;
  check_forward("layer_norm_apply", shape, x_rows, scale, shift, epsilon, y_rows, moments, "parts", parts);
  forward_with<Casting>(shape, x_rows, MergedRows<Variance<T>>({epsilon}, parts, shape.rows), scale, shift,
                        y_rows, moments, executor);
}

/// Backward, first half: partials[r] = the sums over this part of row r of g = dy * gamma and of g * xhat.
///
/// dy, x, gamma: as in layer_norm_backward, of the columns that are here. moments: (rows), as layer_norm_apply kept them.
/// partials: (rows), two doubles each; four where T is double.
/// Errors: as layer_norm_partial.
template <class Casting = RoundOnce, class Dy, class X, class Gamma, class T, class Executor = Serial>
void layer_norm_gradient_partial(RowShape shape, const Dy& dy, const X& x, Gamma gamma,
                                 const RowMoments<T>* moments, LayerNormGradientPartial<T>* partials,
                                 const Executor& executor = {}) {
  norm_gradient_partial<Variance<T>, Casting>("layer_norm_gradient_partial", shape, dy, x, gamma, moments,
                                              partials, executor);
}

/// Backward, second half: dx, dgamma and dbeta of the columns that are here, as layer_norm_backward with the sums over the
/// whole rows. parts: the records of all parts in their order. dgamma and dbeta need no other part.
///
/// The parts' sums are added in their order, in twice T's precision; with one part, all bits are those of
/// layer_norm_backward. All else, errors too: as layer_norm_backward and layer_norm_apply.
template <class Casting = RoundOnce, class Dy, class X, class Gamma, class T, class Dx,
          class Dgamma = std::nullptr_t, class Dbeta = std::nullptr_t, class Executor = Serial>
void layer_norm_gradient_apply(RowShape shape, const Dy& dy, const X& x, Gamma gamma,
                               const RowMoments<T>* moments, const Parts<LayerNormGradientPartial<T>>& parts,
                               const Dx& dx, Dgamma dgamma = {}, Dbeta dbeta = {},
                               const GradientOptions& options = {}, const Executor& executor = {}) {
  using G = gradient_t<Dgamma, Dbeta, T>;
  norm_gradient_apply<Variance<T>, Casting>("layer_norm_gradient_apply", shape, dy, x, gamma, moments, parts,
                                            dx, static_cast<G*>(dgamma), static_cast<G*>(dbeta), options,
                                            executor);
}

// --- RMSNorm ---

/// The same of RMSNorm: partials[r] = the mean square of this part, one double where T is float, three where it is double.
template <class X, class T, class Executor = Serial>
void rms_norm_partial(RowShape shape, const X& x, compute_t<T> epsilon, RMSNormPartial<T>* partials,
                      const Executor& executor = {}) {
  norm_partial("rms_norm_partial", shape, x, MeanSquare<T>{epsilon}, partials, executor);
}

/// y = x * rstd * gamma over the columns that are here. All else: as rms_norm_forward and layer_norm_apply.
template <class Casting = RoundOnce, class X, class Gamma, class T, class Y, class Executor = Serial>
void rms_norm_apply(RowShape shape, const X& x, Gamma gamma, compute_t<T> epsilon,
                    const Parts<RMSNormPartial<T>>& parts, const Y& y,
                    std::common_type_t<RowMoments<T>>* moments = nullptr, const Executor& executor = {}) {
  static_assert(std::is_same_v<T, operands_t<X, Gamma, Y>>,
                "simdnorm: records hold double where one of x, gamma and y does, else float");
  const auto x_rows = read_rows(shape, x);
  const auto y_rows = written_rows(shape, y);
  const element_or_t<Gamma, T>* const scale = gamma;
  const T* const no_beta = nullptr;
  check_forward("rms_norm_apply", shape, x_rows, scale, no_beta, epsilon, y_rows, moments, "parts", parts);
  forward_with<Casting>(shape, x_rows, MergedRows<MeanSquare<T>>({epsilon}, parts, shape.rows), scale,
                        no_beta, y_rows, moments, executor);
}

/// partials[r] = the sum over this part of row r of g * xhat: one double; two where T is double.
template <class Casting = RoundOnce, class Dy, class X, class Gamma, class T, class Executor = Serial>
void rms_norm_gradient_partial(RowShape shape, const Dy& dy, const X& x, Gamma gamma,
                               const RowMoments<T>* moments, RMSNormGradientPartial<T>* partials,
                               const Executor& executor = {}) {
  norm_gradient_partial<MeanSquare<T>, Casting>("rms_norm_gradient_partial", shape, dy, x, gamma, moments,
                                                partials, executor);
}

/// dx and dgamma of the columns that are here. All else: as rms_norm_backward and layer_norm_gradient_apply.
template <class Casting = RoundOnce, class Dy, class X, class Gamma, class T, class Dx,
          class Dgamma = std::nullptr_t, class Executor = Serial>
void rms_norm_gradient_apply(RowShape shape, const Dy& dy, const X& x, Gamma gamma,
                             const RowMoments<T>* moments, const Parts<RMSNormGradientPartial<T>>& parts,
                             const Dx& dx, Dgamma dgamma = {}, const GradientOptions& options = {},
                             const Executor& executor = {}) {
  using G = gradient_t<Dgamma, std::nullptr_t, T>;
  norm_gradient_apply<MeanSquare<T>, Casting>("rms_norm_gradient_apply", shape, dy, x, gamma, moments, parts,
                                              dx, static_cast<G*>(dgamma), static_cast<G*>(nullptr), options,
                                              executor);
}

}  // namespace simdnorm
