// ScaleNorm on raw pointers: y = g * x / |x| over each row, with one learned g.
#pragma once

#include "check.hpp"
#include "kernel/backward.hpp"
#include "kernel/branch.hpp"
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

// --- the one number ---

/// What g says of types: a pointer to it what it holds, nullptr, which is 1, and a number, which is rounded to T, nothing.
template <class G> using ScaleOperand = std::conditional_t<std::is_arithmetic_v<G>, std::nullptr_t, G>;
/// Where g lies, as an array.
template <class G> auto array_of_scale(const G& g) {
  if constexpr (std::is_arithmetic_v<G> || std::is_same_v<G, std::nullptr_t>) {
    return read_array(static_cast<const float*>(nullptr), 1);
  } else {
    const element_t<G>* const place = g;
    return read_array(place, 1);
  }
}

/// g for all columns.
template <class T> class ScaleOfRows {
 public:
  template <class G> explicit ScaleOfRows(const G& g) : all_(number_of(g)) {}
  /// As an epilogue, as long as this lives.
  Scale<T> epilogue() const {
    Scale<T> scale(nullptr);
    scale.gamma = {all_.values, 0};
    return scale;
  }

 private:
  template <class G> static T number_of(const G& g) {
    if constexpr (std::is_arithmetic_v<G>) {
      return static_cast<T>(g);
    } else if constexpr (std::is_same_v<G, std::nullptr_t>) {
      return T(1);
    } else {
      return g == nullptr ? T(1) : number_at<T>(g);
    }
  }
  EqualNumbers<T> all_;
};

// --- the operators ---

template <class X, class G, class T, class Y>
void check_scale_forward(RowShape shape, const X& x, const G& g, T epsilon, const Y& y,
                         const RowMoments<T>* moments) {
  const float* const none = nullptr;
  check_forward("scale_norm_forward", shape, x, none, none, epsilon, y, moments, "g", array_of_scale(g));
}

/// Forward: y = g * x * rstd, where rstd = 1/sqrt(sum(x^2) + epsilon): of a row, the vector of length g in its direction.
///
/// g: a pointer to one number, float, double, BFloat16 or Float16; nullptr for 1; or a number, which is rounded to T.
/// x, y: rows, or what else rms_norm_forward takes, but gated(...) as x and two_norms(...). moments: (rows), what backward
/// needs; nullptr where nobody does.
/// What may be what, types: as rms_norm_forward; g may overlap nothing that is written.
///
/// Computes x * rstd * g in T, each operation rounded by itself, with the sum in twice T's precision. The error is at most 3
/// units of u * |y|, and 1/16, where nothing is subnormal. A row of zeros gives 0, also with epsilon 0. A row that holds Inf
/// or NaN gives NaN.
/// Others put a bound on the length where there is epsilon here: g * x / max(|x|, bound). With epsilon = bound^2 that is the
/// same but for rows whose length is about as small as the bound.
///
/// Errors: those of rms_norm_forward.
/// Source: Nguyen, Salazar, Transformers without Tears (2019), section 3.2.
template <class X, class G, class Y, class Executor = Serial>
void scale_norm_forward(RowShape shape, const X& x, G g, operands_t<X, ScaleOperand<G>, Y> epsilon,
                        const Y& y, RowMoments<operands_t<X, ScaleOperand<G>, Y>>* moments = nullptr,
                        const Executor& executor = {}) {
  using T = operands_t<X, ScaleOperand<G>, Y>;
  const auto x_rows = read_rows(shape, x);
  const auto y_rows = written_rows(shape, y);
  check_scale_forward(shape, x_rows, g, epsilon, y_rows, moments);
  const ScaleOfRows<T> scale(g);
  forward_part(shape, shape, x_rows, SquareSum<T>{{epsilon}}, scale.epilogue(), y_rows, moments, executor);
}

/// Backward: dx = (g * dy - xhat * sum(g * dy * xhat)) * rstd, with xhat = x * rstd; dg = sum over rows and columns of dy * xhat.
///
/// g: as of forward. dy, x, dx: rows, or what else rms_norm_backward takes, but gated(...), two_gradients(...) and
/// from_output(...). moments: (rows), as forward kept them.
/// dg: one number, float or double; nullptr where it is not wanted.
///
/// What may be what, types, precision: as rms_norm_backward. dg is the sum, in twice T's precision, of what dgamma of each
/// column would be, column c added to lane c mod 16, these pairwise; it is rounded once, and has the same bits for any number
/// of threads. Without rows it becomes 0, or stays as it is with options.accumulate. The workspace:
/// gradient_workspace_bytes<T>(shape).
///
/// Errors: those of rms_norm_backward.
template <class Dy, class X, class G, class T, class Dx, class Dg = std::nullptr_t, class Executor = Serial>
void scale_norm_backward(RowShape shape, const Dy& dy, const X& x, G g, const RowMoments<T>* moments,
                         const Dx& dx, Dg dg = {}, const GradientOptions& options = {},
                         const Executor& executor = {}) {
  static_assert(std::is_same_v<T, operands_t<Dy, X, ScaleOperand<G>, Dx>>,
                "simdnorm: moments hold double where one of dy, x, g and dx does, else float");
  using Sum = gradient_t<Dg, std::nullptr_t, T>;
  const auto dy_rows = read_rows(shape, dy);
  const auto x_rows = read_rows(shape, x);
  const auto dx_rows = written_rows(shape, dx);
  const float* const no_gamma = nullptr;
  Sum *const to_g = dg, *const none = nullptr;
  check_backward("scale_norm_backward", shape, dy_rows, x_rows, no_gamma, moments, dx_rows, none, none, "g",
                 array_of_scale(g), "dg", written_array(to_g, 1));
  const ScaleOfRows<T> scale(g);
  const TotalSum of_g{GammaTerm<typename RoundOnce::Xhat<T>>{}, to_g};
  std::apply(
      [&](const auto&... more) {
        backward_summing(shape, shape, SquareSum<T>{},
                         std::tuple_cat(operands_of(dy_rows), operands_of(x_rows)), source_of<T>(dy_rows),
                         source_of<T>(x_rows), scale.epilogue(), moments, dx_rows, options, executor, of_g,
                         more...);
      },
      column_sums_of<T>(dx_rows));
}

}  // namespace simdnorm
