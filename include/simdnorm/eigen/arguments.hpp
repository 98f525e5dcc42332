// Arguments of a call that are more than one Eigen object: y as codes, sums with a residual, results of a function. Each is
// a view.
#pragma once

#include "../kernel/from_output.hpp"
#include "../kernel/mapped.hpp"
#include "../kernel/quantize.hpp"
#include "../kernel/residual_add.hpp"
#include "../kernel/residual_sum.hpp"
#include "branch.hpp"

namespace simdnorm {

// --- y as codes: PerToken and PerTensor of kernel/quantize.hpp ---

template <class Q, class Scales> struct TensorPerToken {
  Q& y;
  Scales& scales;
};
template <class Q> struct TensorPerTensor {
  Q& y;
  float scale;
  int zero_point;
};
/// y as codes, of the shape of x and of type std::int8_t, Float8E4M3 or Float8E5M2; scales: one float for each row, in the
/// storage order of the dimensions that are not normalized.
template <class Q, class Scales, class = std::enable_if_t<has_memory<std::decay_t<Scales>>()>>
TensorPerToken<std::remove_reference_t<Q>, std::remove_reference_t<Scales>> per_token(Q&& y,
                                                                                      Scales&& scales) {
  return {y, scales};
}
template <class Q, class = std::enable_if_t<has_memory<std::decay_t<Q>>()>>
TensorPerTensor<std::remove_reference_t<Q>> per_tensor(Q&& y, float scale, int zero_point = 0) {
  return {y, scale, zero_point};
}

// --- residuals: ResidualSum, Added and ResidualGradients of kernel/residual_*.hpp; Mapped of kernel/mapped.hpp ---

/// X: a View, or TensorBranch.
template <class X, class Residual, class Sum, class Bias = View<std::nullptr_t>, class Alpha = std::nullptr_t>
struct TensorResidualSum {
  X x;
  View<const Residual> residual;
  Sum sum;
  Bias bias_values;
  Alpha residual_scale;

  /// A vector (hidden) of any type, added to every row of x.
  template <class NewBias>
  TensorResidualSum<X, Residual, Sum, View<const NewBias>, Alpha> bias(const NewBias& values) const {
    return {x, residual, sum, {values}, residual_scale};
  }
  /// Multiplies the residual. Rounded to T.
  TensorResidualSum<X, Residual, Sum, Bias, double> alpha(double number) const {
    return {x, residual, sum, bias_values, number};
  }
};
/// As x of a forward: what is normalized is x + residual, kept in sum, which may be nullptr.
///   norm.forward(residual_sum(x, residual, sum).bias(b).alpha(a), y, moments);
/// All have the shape of x. See kernel/residual_sum.hpp, of what may be what, and of what is rounded.
template <class X, class Residual, class Sum,
          class = std::enable_if_t<is_readable<X>() && is_readable<Residual>()>>
TensorResidualSum<View<const X>, Residual, view_t<Sum>> residual_sum(const X& x, const Residual& residual,
                                                                     Sum&& sum) {
  return {{x}, {residual}, view(sum), {}, nullptr};
}
template <class X, class B, class L, class M, class R, class Residual, class Sum,
          class = std::enable_if_t<is_readable<Residual>()>>
TensorResidualSum<TensorBranch<X, B, L, M, R>, Residual, view_t<Sum>> residual_sum(
    const TensorBranch<X, B, L, M, R>& x, const Residual& residual, Sum&& sum) {
  return {x, {residual}, view(sum), {}, nullptr};
}

template <class Addend, class Y> struct TensorAdded {
  View<const Addend> addend;
  View<Y> y;
};
/// As y of a forward, addend + norm(x); as dx of a backward, addend + the gradient of x. y may be addend.
template <class Addend, class Y,
          class = std::enable_if_t<has_memory<Addend>() && has_memory<std::decay_t<Y>>()>>
TensorAdded<Addend, std::remove_reference_t<Y>> added(const Addend& addend, Y&& y) {
  return {{addend}, {y}};
}

template <class Function, class Y> struct TensorMapped {
  Function function;
  View<Y> y;
};
/// As y of a forward, function(norm(x)): see kernel/mapped.hpp.
template <class Function, class Y, class = std::enable_if_t<has_memory<std::decay_t<Y>>()>>
TensorMapped<Function, std::remove_reference_t<Y>> mapped(const Function& function, Y&& y) {
  return {function, {y}};
}

/// Dx: a View, or TensorBranch.
template <class Dsum, class Dx, class Dresidual, class Alpha = std::nullptr_t>
struct TensorResidualGradients {
  Dsum dsum;
  Dx dx;
  View<Dresidual> dresidual;
  Alpha residual_scale;

  /// Multiplies dresidual. Rounded to T.
  TensorResidualGradients<Dsum, Dx, Dresidual, double> alpha(double number) const {
    return {dsum, dx, dresidual, number};
  }
};
/// As dx of a backward: dx = dsum + the gradient of what was normalized, and dresidual = that, or alpha times that. dsum may be
/// nullptr, and dx or dresidual.
template <class Dsum, class Dx, class Dresidual,
          class = std::enable_if_t<has_memory<std::decay_t<Dx>>() && has_memory<std::decay_t<Dresidual>>()>>
TensorResidualGradients<view_t<const Dsum&>, View<std::remove_reference_t<Dx>>,
                        std::remove_reference_t<Dresidual>>
residual_gradients(const Dsum& dsum, Dx&& dx, Dresidual&& dresidual) {
  return {view(dsum), {dx}, {dresidual}, nullptr};
}
template <class Dsum, class X, class B, class L, class M, class R, class Dresidual,
          class = std::enable_if_t<has_memory<std::decay_t<Dresidual>>()>>
TensorResidualGradients<view_t<const Dsum&>, TensorBranch<X, B, L, M, R>, std::remove_reference_t<Dresidual>>
residual_gradients(const Dsum& dsum, const TensorBranch<X, B, L, M, R>& dx, Dresidual&& dresidual) {
  return {view(dsum), dx, {dresidual}, nullptr};
}

template <class Y> struct TensorFromOutput {
  View<const Y> y;
  double least_gamma;
};
/// As x of a backward, y of the forward: see kernel/from_output.hpp. beta is that of the functor.
///   norm.backward(dy, from_output(y), moments, dx, dgamma, dbeta);
template <class Y, class = std::enable_if_t<has_memory<Y>()>>
TensorFromOutput<Y> from_output(const Y& y, double least_gamma = 1e-5) {
  return {{y}, least_gamma};
}

// --- what a call asks of an argument ---

template <class Y> const Y& shape_of(const TensorFromOutput<Y>& x) { return x.y.object; }
template <class X, class R, class S, class B, class A>
const auto& shape_of(const TensorResidualSum<X, R, S, B, A>& sum) {
  return shape_of(sum.x);
}

template <class Q, class Scales> struct ScalarOf<TensorPerToken<Q, Scales>> { using type = void; };
template <class Q> struct ScalarOf<TensorPerTensor<Q>> { using type = void; };
template <class X, class R, class S, class B, class A> struct ScalarOf<TensorResidualSum<X, R, S, B, A>> {
  using type = scalar_t<X, View<R>, S, B>;
};
template <class F, class Y> struct ScalarOf<TensorMapped<F, Y>> { using type = scalar_t<View<Y>>; };
template <class R, class Y> struct ScalarOf<TensorAdded<R, Y>> { using type = scalar_t<View<R>, View<Y>>; };

template <class Call, class Q, class Scales>
auto as_rows(const Call& call, const char* name, const TensorPerToken<Q, Scales>& y) {
  static_assert(std::is_same_v<decltype(y.scales.data()), float*>,
                "simdnorm: scales must be writable and hold float");
  return per_token(call.rows_written(name, y.y), call.written_rows_of_numbers("scales", y.scales));
}
template <class Call, class Q> auto as_rows(const Call& call, const char* name, const TensorPerTensor<Q>& y) {
  return per_tensor(call.rows_written(name, y.y), y.scale, y.zero_point);
}
template <class Call, class X, class R, class S, class B, class A>
auto as_rows(const Call& call, const char* name, const TensorResidualSum<X, R, S, B, A>& a) {
  return ResidualSum{as_rows(call, name, a.x), as_rows(call, "residual", a.residual),
                     as_written(call, "sum", a.sum), as_vector(call, "bias", a.bias_values),
                     a.residual_scale};
}
template <class Call, class R, class Y>
auto as_rows(const Call& call, const char* name, const TensorAdded<R, Y>& a) {
  return Added{as_rows(call, "addend", a.addend), as_written(call, name, a.y)};
}
template <class Call, class F, class Y>
auto as_rows(const Call& call, const char* name, const TensorMapped<F, Y>& a) {
  return Mapped{a.function, as_written(call, name, a.y)};
}
template <class Call, class S, class X, class R, class A>
auto as_rows(const Call& call, const char* name, const TensorResidualGradients<S, X, R, A>& a) {
  return ResidualGradients{as_rows(call, "dsum", a.dsum), as_written(call, name, a.dx),
                           as_written(call, "dresidual", a.dresidual), a.residual_scale};
}

template <class Call, class Y>
auto as_rows(const Call& call, const char* name, const TensorFromOutput<Y>& a) {
  return FromOutput{as_rows(call, name, a.y), call.beta(), a.least_gamma};
}

}  // namespace simdnorm
