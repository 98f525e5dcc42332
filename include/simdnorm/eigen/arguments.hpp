// Arguments of a call that are more than one Eigen object: y as codes, sums with a residual, results of a function. Each is
// a view.
#pragma once

#include "../kernel/branch.hpp"
#include "../kernel/mapped.hpp"
#include "../kernel/quantize.hpp"
#include "../kernel/residual_add.hpp"
#include "../kernel/residual_sum.hpp"
#include "../kernel/rotated.hpp"
#include "../kernel/two_norms.hpp"
#include "../kernel/unrotated.hpp"
#include "computed_rows.hpp"

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

// --- residuals: ResidualSum, Added and ResidualGradients of kernel/residual_*.hpp; Dropped and Mapped of kernel/ ---

/// An object, or that there is none.
template <class X> struct View { X& object; };
template <> struct View<std::nullptr_t> {};
template <class X> View<std::remove_reference_t<X>> view(X&& object) { return {object}; }
inline View<std::nullptr_t> view(std::nullptr_t) { return {}; }
template <class X> using view_t = decltype(view(std::declval<X>()));
/// The same of what may be an argument already.
template <class X> auto as_argument(const X& x) {
  if constexpr (is_readable<X>()) {
    return View<const X>{x};
  } else {
    return x;
  }
}

template <class G> struct TensorBiasGradient { View<G> sums; };
template <class P, class X, class G> struct TensorLayerScale {
  View<const P> values;
  X x;
  View<G> sums;
};
template <class X, class Bias = View<std::nullptr_t>, class LayerScale = View<std::nullptr_t>,
          class Mask = std::nullptr_t, class RowScale = View<std::nullptr_t>>
struct TensorBranch {
  View<X> x;
  Bias bias_values;
  LayerScale layer_scale_values;
  Mask mask;
  RowScale row_scale_values;

  /// A vector (hidden) of any type, added to every row; of an x that is read.
  template <class V> TensorBranch<X, View<const V>, LayerScale, Mask, RowScale> bias(const V& values) const {
    return {x, {values}, layer_scale_values, mask, row_scale_values};
  }
  /// Of dx: a vector (hidden) of float or double, the gradient of that bias.
  template <class V>
  TensorBranch<X, TensorBiasGradient<std::remove_reference_t<V>>, LayerScale, Mask, RowScale> dbias(
      V&& sums) const {
    return {x, {{sums}}, layer_scale_values, mask, row_scale_values};
  }
  /// A vector (hidden) of any type that multiplies every row.
  template <class V> TensorBranch<X, Bias, View<const V>, Mask, RowScale> layer_scale(const V& values) const {
    return {x, bias_values, {values}, mask, row_scale_values};
  }
  /// The same of dx, and its gradient, of float or double; of: what it multiplied, a tensor or branch(x).bias(b).
  template <class V, class Of, class G>
  TensorBranch<
      X, Bias,
      TensorLayerScale<V, decltype(as_argument(std::declval<const Of&>())), std::remove_reference_t<G>>, Mask,
      RowScale>
  layer_scale(const V& values, const Of& of, G&& sums) const {
    return {x, bias_values, {{values}, as_argument(of), {sums}}, mask, row_scale_values};
  }
  /// Drops elements: kernel/dropout.hpp.
  TensorBranch<X, Bias, LayerScale, Dropout, RowScale> dropout(const Dropout& places) const {
    return {x, bias_values, layer_scale_values, places, row_scale_values};
  }
  /// A vector of one number for each row, in storage order, that multiplies every column.
  template <class V> TensorBranch<X, Bias, LayerScale, Mask, View<const V>> row_scale(const V& values) const {
    return {x, bias_values, layer_scale_values, mask, {values}};
  }
};
/// (x + bias) * layer_scale * mask * row_scale: as x of a forward or of residual_sum, as y of a forward, as dx of a backward or of
/// residual_gradients. See kernel/branch.hpp.
template <class X, class = std::enable_if_t<is_readable<std::decay_t<X>>()>>
TensorBranch<std::remove_reference_t<X>> branch(X&& x) {
  return {{x}, {}, {}, nullptr, {}};
}
/// The same: branch(x).dropout(places).
template <class X, class = std::enable_if_t<is_readable<std::decay_t<X>>()>>
auto dropped(X&& x, const Dropout& places) {
  return branch(x).dropout(places);
}

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

template <class Y, class Gamma, class Beta, class Y2> struct TensorTwoNorms {
  View<Y> y;
  Gamma gamma_2;
  Beta beta_2;
  View<Y2> y_2;
};
template <class Dy, class Gamma, class Dy2, class Dgamma, class Dbeta> struct TensorTwoGradients {
  View<const Dy> dy;
  Gamma gamma_2;
  View<const Dy2> dy_2;
  Dgamma dgamma_2;
  Dbeta dbeta_2;
};
/// As y of a forward: y, and in y_2 the norm of the same x with other vectors, nullptr for 1 and 0: see kernel/two_norms.hpp.
template <class Y, class Gamma, class Beta, class Y2,
          class = std::enable_if_t<has_memory<std::decay_t<Y>>() && has_memory<std::decay_t<Y2>>()>>
TensorTwoNorms<std::remove_reference_t<Y>, view_t<const Gamma&>, view_t<const Beta&>,
               std::remove_reference_t<Y2>>
two_norms(Y&& y, const Gamma& gamma_2, const Beta& beta_2, Y2&& y_2) {
  return {{y}, view(gamma_2), view(beta_2), {y_2}};
}
/// As dy of a backward: the gradients of both, of which dx is one; dgamma_2 and dbeta_2: both of float or both of double, nullptr
/// for one that is not wanted.
template <class Dy, class Gamma, class Dy2, class Dgamma, class Dbeta,
          class = std::enable_if_t<is_readable<Dy>() && is_readable<Dy2>()>>
TensorTwoGradients<Dy, view_t<const Gamma&>, Dy2, view_t<Dgamma>, view_t<Dbeta>> two_gradients(
    const Dy& dy, const Gamma& gamma_2, const Dy2& dy_2, Dgamma&& dgamma_2, Dbeta&& dbeta_2) {
  return {{dy}, view(gamma_2), {dy_2}, view(dgamma_2), view(dbeta_2)};
}

template <class Y, RotaryPairs Pairs, class C, class I> struct TensorRotated {
  View<Y> y;
  Rotary<Pairs, C, I> rotary;
};
template <class Dy, RotaryPairs Pairs, class C, class I> struct TensorUnrotated {
  View<const Dy> dy;
  Rotary<Pairs, C, I> rotary;
};
/// As y of a forward, norm(x) turned by a rotary embedding: see kernel/rotated.hpp. Of tensors (..., tokens, heads, head_dim) whose
/// last dimension is normalized, heads and tokens of a Rotary may be left out: they are those of the shape. (Not with positions
/// and column-major tensors, whose tokens do not follow one another.)
template <class Y, RotaryPairs Pairs, class C, class I,
          class = std::enable_if_t<has_memory<std::decay_t<Y>>()>>
TensorRotated<std::remove_reference_t<Y>, Pairs, C, I> rotated(Y&& y, const Rotary<Pairs, C, I>& rotary) {
  return {{y}, rotary};
}
/// As dy of a backward, where y of forward was rotated: see kernel/unrotated.hpp.
template <class Dy, RotaryPairs Pairs, class C, class I, class = std::enable_if_t<has_memory<Dy>()>>
TensorUnrotated<Dy, Pairs, C, I> unrotated(const Dy& dy, const Rotary<Pairs, C, I>& rotary) {
  return {{dy}, rotary};
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

// --- what a call asks of an argument ---

/// The object that a call's shape is taken from.
template <class X> const X& shape_of(const X& x) { return x; }
template <class X> const X& shape_of(const View<X>& x) { return x.object; }
template <class X, class B, class L, class M, class R>
const X& shape_of(const TensorBranch<X, B, L, M, R>& x) {
  return x.x.object;
}
template <class X, class R, class S, class B, class A>
const auto& shape_of(const TensorResidualSum<X, R, S, B, A>& sum) {
  return shape_of(sum.x);
}

/// The type of its numbers, as far as it says what a call computes in.
template <class X> struct ScalarOf { using type = stored_t<X>; };
template <> struct ScalarOf<View<std::nullptr_t>> { using type = void; };
template <class X> struct ScalarOf<View<X>> { using type = stored_t<X>; };
template <class... X> using scalar_t = compute_t<typename ScalarOf<std::decay_t<X>>::type...>;
template <class Q, class Scales> struct ScalarOf<TensorPerToken<Q, Scales>> { using type = void; };
template <class Q> struct ScalarOf<TensorPerTensor<Q>> { using type = void; };
template <class X, class R, class S, class B, class A> struct ScalarOf<TensorResidualSum<X, R, S, B, A>> {
  using type = scalar_t<X, View<R>, S, B>;
};
template <class G> struct ScalarOf<TensorBiasGradient<G>> { using type = void; };
template <class P, class X, class G> struct ScalarOf<TensorLayerScale<P, X, G>> {
  using type = scalar_t<View<const P>, X>;
};
template <class X, class B, class L, class M, class R> struct ScalarOf<TensorBranch<X, B, L, M, R>> {
  using type = scalar_t<View<X>, B, L, R>;
};
template <class F, class Y> struct ScalarOf<TensorMapped<F, Y>> { using type = scalar_t<View<Y>>; };
template <class Y, RotaryPairs P, class C, class I> struct ScalarOf<TensorRotated<Y, P, C, I>> {
  using type = compute_t<stored_t<Y>, C>;
};
template <class Y, class P, class B, class Y2> struct ScalarOf<TensorTwoNorms<Y, P, B, Y2>> {
  using type = scalar_t<View<Y>, P, B, View<Y2>>;
};
template <class R, class Y> struct ScalarOf<TensorAdded<R, Y>> { using type = scalar_t<View<R>, View<Y>>; };

/// The argument as the operators take it. Call: of functor.hpp.
template <class Call, class Z> std::nullptr_t as_rows(const Call&, const char*, const Z&) {
  static_assert(has_memory<Z>(),
                "simdnorm: operands must be Eigen tensors, matrices or maps that lie in memory, or what "
                "eigen/arguments.hpp makes of them");
  return nullptr;
}
template <class Call, class Q, class Scales>
auto as_rows(const Call& call, const char* name, const TensorPerToken<Q, Scales>& y) {
  static_assert(std::is_same_v<decltype(y.scales.data()), float*>,
                "simdnorm: scales must be writable and hold float");
  return per_token(call.rows_written(name, y.y), call.written_rows_of_numbers("scales", y.scales));
}
template <class Call, class Q> auto as_rows(const Call& call, const char* name, const TensorPerTensor<Q>& y) {
  return per_tensor(call.rows_written(name, y.y), y.scale, y.zero_point);
}
template <class Call> std::nullptr_t as_rows(const Call&, const char*, View<std::nullptr_t>) {
  return nullptr;
}
template <class Call, class X> auto as_rows(const Call& call, const char* name, View<const X> x) {
  return call.rows_read(name, x.object);
}
template <class Call, class X> auto as_rows(const Call& call, const char* name, View<X> x) {
  if constexpr (is_expression<X>()) {
    return call.rows_read(name, x.object);
  } else {
    return call.rows_written(name, x.object);
  }
}
template <class Call> std::nullptr_t as_vector(const Call&, const char*, View<std::nullptr_t>) {
  return nullptr;
}
template <class Call, class X> auto as_vector(const Call& call, const char* name, View<const X> x) {
  return call.read_vector(name, x.object);
}
template <class Call, class G> auto as_vector(const Call& call, const char*, const TensorBiasGradient<G>& a) {
  const auto sums = call.written_vector("dbias", a.sums.object);
  return BiasGradient<std::remove_pointer_t<decltype(sums)>>{sums};
}
template <class Call, class P, class X, class G>
auto as_vector(const Call& call, const char* name, const TensorLayerScale<P, X, G>& a) {
  return LearnedLayerScale{as_vector(call, name, a.values), as_rows(call, "the branch of layer_scale", a.x),
                           call.written_vector("dlayer_scale", a.sums.object)};
}
template <class Call> std::nullptr_t as_numbers_of_rows(const Call&, const char*, View<std::nullptr_t>) {
  return nullptr;
}
template <class Call, class X> auto as_numbers_of_rows(const Call& call, const char* name, View<const X> x) {
  return call.read_rows_of_numbers(name, x.object);
}
template <class Call, class X, class B, class L, class M, class R>
auto as_rows(const Call& call, const char* name, const TensorBranch<X, B, L, M, R>& a) {
  return Branch{as_rows(call, name, a.x), as_vector(call, "bias", a.bias_values),
                as_vector(call, "layer_scale", a.layer_scale_values), a.mask,
                as_numbers_of_rows(call, "row_scale", a.row_scale_values)};
}
template <class Call, class X, class R, class S, class B, class A>
auto as_rows(const Call& call, const char* name, const TensorResidualSum<X, R, S, B, A>& a) {
  return ResidualSum{as_rows(call, name, a.x), as_rows(call, "residual", a.residual),
                     as_rows(call, "sum", a.sum), as_vector(call, "bias", a.bias_values), a.residual_scale};
}
template <class Call, class R, class Y>
auto as_rows(const Call& call, const char* name, const TensorAdded<R, Y>& a) {
  return Added{as_rows(call, "addend", a.addend), as_rows(call, name, a.y)};
}
template <class Call, class F, class Y>
auto as_rows(const Call& call, const char* name, const TensorMapped<F, Y>& a) {
  return Mapped{a.function, as_rows(call, name, a.y)};
}
template <class Call, class Y, class P, class B, class Y2>
auto as_rows(const Call& call, const char* name, const TensorTwoNorms<Y, P, B, Y2>& a) {
  return TwoNorms{as_rows(call, name, a.y), as_vector(call, "gamma_2", a.gamma_2),
                  as_vector(call, "beta_2", a.beta_2), as_rows(call, "y_2", a.y_2)};
}
/// Where a gradient goes; G: its numbers, where there is none.
template <class G, class Call, class X> auto sums_to(const Call& call, const char* name, View<X> x) {
  return call.written_vector(name, x.object);
}
template <class G, class Call> G* sums_to(const Call&, const char*, View<std::nullptr_t>) { return nullptr; }
template <class Call, class Dy, class P, class Dy2, class Dgamma, class Dbeta>
auto as_rows(const Call& call, const char* name, const TensorTwoGradients<Dy, P, Dy2, Dgamma, Dbeta>& a) {
  using G = compute_t<typename ScalarOf<Dgamma>::type, typename ScalarOf<Dbeta>::type>;
  return TwoGradients{as_rows(call, name, a.dy), as_vector(call, "gamma_2", a.gamma_2),
                      as_rows(call, "dy_2", a.dy_2), sums_to<G>(call, "dgamma_2", a.dgamma_2),
                      sums_to<G>(call, "dbeta_2", a.dbeta_2)};
}
/// The rotation of a call's rows.
template <class Call, RotaryPairs P, class C, class I>
RotaryRows<P, C, I> rotary_of(const Call& call, Rotary<P, C, I> rotary) {
  const bool of_shape = call.x.layout.row_major || rotary.positions == nullptr;
  const TokenRows found = of_shape ? call.rows_of_tokens() : TokenRows{};
  if (rotary.heads == 0) rotary.heads = found.heads;
  if (rotary.tokens == 0) rotary.tokens = found.tokens;
  return {rotary};
}
template <class Call, class Y, RotaryPairs P, class C, class I>
auto as_rows(const Call& call, const char* name, const TensorRotated<Y, P, C, I>& a) {
  return Rotated{as_rows(call, name, a.y), rotary_of(call, a.rotary)};
}
template <class Call, class Dy, RotaryPairs P, class C, class I>
auto as_rows(const Call& call, const char* name, const TensorUnrotated<Dy, P, C, I>& a) {
  return Unrotated{as_rows(call, name, a.dy), rotary_of(call, a.rotary)};
}
template <class Call, class S, class X, class R, class A>
auto as_rows(const Call& call, const char* name, const TensorResidualGradients<S, X, R, A>& a) {
  return ResidualGradients{as_rows(call, "dsum", a.dsum), as_rows(call, name, a.dx),
                           as_rows(call, "dresidual", a.dresidual), a.residual_scale};
}

}  // namespace simdnorm
