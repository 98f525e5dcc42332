// A branch on its way to a residual, (x + bias) * layer_scale * mask * row_scale, and its gradients on the way back.
#pragma once

#include "../check.hpp"
#include "../operands.hpp"
#include "factors.hpp"

namespace simdnorm {

// --- as an argument ---

/// In the place of a bias of dx, and of a layer_scale.
template <class G> struct BiasGradient { G* sums; };
template <class P, class X, class G> struct LearnedLayerScale {
  const P* values;
  X x;
  G* sums;
};
template <class P, class X, class G> LearnedLayerScale(const P*, X, G*) -> LearnedLayerScale<P, X, G>;

/// Made by branch, or dropped; nullptr_t is the type of what is absent.
template <class X, class Bias = std::nullptr_t, class LayerScale = std::nullptr_t,
          class Mask = std::nullptr_t, class RowScale = std::nullptr_t>
struct Branch {
  X x;
  Bias bias_values;
  LayerScale layer_scale_values;
  Mask mask;
  RowScale row_scale_values;

  /// Of what is read: (hidden), or nullptr, added to every row.
  template <class NewBias> Branch<X, NewBias, LayerScale, Mask, RowScale> bias(NewBias values) const {
    return {x, values, layer_scale_values, mask, row_scale_values};
  }
  /// Of dx: (hidden), float or double: the gradient of that bias, the sum over rows of dx.
  template <class G> Branch<X, BiasGradient<G>, LayerScale, Mask, RowScale> dbias(G* sums) const {
    return {x, {sums}, layer_scale_values, mask, row_scale_values};
  }
  /// (hidden), or nullptr: multiplies every row.
  template <class Values> Branch<X, Bias, Values, Mask, RowScale> layer_scale(Values values) const {
    return {x, bias_values, values, mask, row_scale_values};
  }
  /// The same of dx, and, in dlayer_scale, (hidden), float or double, the gradient of the values: the sum over rows of the
  /// gradient of the product times `of`, what they multiplied in forward: rows, or branch(x).bias(b).
  template <class P, class Of, class G>
  Branch<X, Bias, LearnedLayerScale<P, Of, G>, Mask, RowScale> layer_scale(P* values, Of of,
                                                                           G* dlayer_scale) const {
    return {x, bias_values, {values, of, dlayer_scale}, mask, row_scale_values};
  }
  /// Drops elements.
  Branch<X, Bias, LayerScale, Dropout, RowScale> dropout(const Dropout& places) const {
    return {x, bias_values, layer_scale_values, places, row_scale_values};
  }
  /// (rows): multiplies every column. (Of stochastic depth: stochastic_depth.)
  template <class P> Branch<X, Bias, LayerScale, Mask, const P*> row_scale(const P* values) const {
    return {x, bias_values, layer_scale_values, mask, values};
  }
};
template <class X, class B, class L, class M, class R> Branch(X, B, L, M, R) -> Branch<X, B, L, M, R>;

/// x as the branch of a residual: (x + bias) * layer_scale * mask * row_scale, of which each is there if its method is called, in
/// any order. As x of residual_sum, or of forward itself:
///   layer_norm_forward(shape, residual_sum(branch(x).bias(b).layer_scale(s).row_scale(r), residual, sum), gamma, ...);
/// As dx of a backward, or of residual_gradients, dx = gradient * row_scale * mask * layer_scale, the gradient of x, and sums over
/// rows, the gradients of bias and layer_scale:
///   layer_norm_backward(shape, dy, sum, gamma, moments,
///                       residual_gradients(dsum, branch(dx).dbias(db).layer_scale(s, branch(x).bias(b), ds).row_scale(r),
///                                          dresidual));
/// As y of a forward, y = norm(x) * row_scale * mask * layer_scale.
///
/// x: rows, a pointer or Strided, bias, layer_scale, row_scale: arrays, each of any type of numbers. What may be what is as
/// without it, and dx is not what `of` reads. mask: of Dropout, 0 or 1/(1 - probability).
/// Each operation is rounded by itself, in T of the call, in the order of the formula. dbias and dlayer_scale are kept, summed, added
/// to and rounded as dgamma is; each takes one sum more of the workspace, gradient_workspace_bytes<T>(shape, 3) or (shape, 4).
/// What is times 0 is NaN where it is not finite.
/// Errors: those of the call; a probability that is not at least 0 and below 1; a row_scale that is nullptr:
/// std::invalid_argument, before anything is written.
/// Source: of layer_scale: Touvron et al., Going deeper with Image Transformers (2021); of stochastic depth: Huang et al., Deep
/// Networks with Stochastic Depth (2016).
template <class X, class = element_t<X>> Branch<X> branch(X x) {
  static_assert(!std::is_void_v<element_t<X>>, "simdnorm: branch: rows of numbers, not of codes");
  return {x, nullptr, nullptr, nullptr, nullptr};
}
/// The same: branch(x).dropout(places).
template <class X, class = element_t<X>> auto dropped(X x, const Dropout& places) {
  return branch(x).dropout(places);
}

// --- its types ---

template <class Z> struct ComputedInPart { using type = typename ComputedIn<Z>::type; };
template <class G> struct ComputedInPart<BiasGradient<G>> { using type = void; };
template <class P, class X, class G> struct ComputedInPart<LearnedLayerScale<P, X, G>> {
  using type = operands_t<const P*, X>;
};
template <class X, class B, class L, class M, class R> struct ComputedIn<Branch<X, B, L, M, R>> {
  using type = compute_t<typename ComputedIn<X>::type, typename ComputedInPart<B>::type,
                         typename ComputedInPart<L>::type, typename ComputedIn<R>::type>;
};
/// Of what is normalized.
template <class X, class B, class L, class M, class R> struct ElementOf<Branch<X, B, L, M, R>> {
  using type = typename ComputedIn<Branch<X, B, L, M, R>>::type;
};

template <class Z> inline constexpr Index sums_of_part = 0;
template <class G> inline constexpr Index sums_of_part<BiasGradient<G>> = 1;
template <class P, class X, class G> inline constexpr Index sums_of_part<LearnedLayerScale<P, X, G>> = 1;
template <class X, class B, class L, class M, class R>
inline constexpr Index column_sums<Branch<X, B, L, M, R>> = sums_of_part<B> + sums_of_part<L>;

// --- as rows: the same struct, of Strided ---

template <class X, class B, class L, class M, class R>
auto read_rows(RowShape shape, const Branch<X, B, L, M, R>& a) {
  static_assert(column_sums<Branch<X, B, L, M, R>> == 0,
                "simdnorm: dbias and dlayer_scale are for dx of a backward");
  static_assert(!keeps_rows<X>,
                "simdnorm: the rows of a branch are not kept: gated(x, z) without u, no sum that is kept");
  return Branch{read_rows(shape, a.x), a.bias_values, a.layer_scale_values, a.mask, a.row_scale_values};
}
template <class L> L written_part(RowShape, L values) { return values; }
template <class P, class X, class G> auto written_part(RowShape shape, const LearnedLayerScale<P, X, G>& a) {
  return LearnedLayerScale{a.values, read_rows(shape, a.x), a.sums};
}
template <class X, class B, class L, class M, class R>
auto written_rows(RowShape shape, const Branch<X, B, L, M, R>& a) {
  static_assert(std::is_same_v<B, std::nullptr_t> || sums_of_part<B> == 1,
                "simdnorm: a bias is for what is read; of dx it is dbias");
  return Branch{written_rows(shape, a.x), a.bias_values, written_part(shape, a.layer_scale_values), a.mask,
                a.row_scale_values};
}
template <class L> std::tuple<> operands_of_part(const L&) { return {}; }
template <class P, class X, class G> auto operands_of_part(const LearnedLayerScale<P, X, G>& a) {
  return operands_of(a.x);
}
template <class X, class B, class L, class M, class R> auto operands_of(const Branch<X, B, L, M, R>& a) {
  return std::tuple_cat(operands_of(a.x), operands_of_part(a.layer_scale_values));
}

// --- its checks ---

template <class P, class X, class G, class Then>
SIMDNORM_INLINE void touch(const Check& check, const char* name, const LearnedLayerScale<P, X, G>& a,
                           const Then& then) {
  const Index hidden = check.shape().hidden;
  touch_all(check, then, name, read_array(a.values, hidden), "the branch of layer_scale", StillRead<X>{a.x},
            "dlayer_scale", written_array(a.sums, hidden));
}
template <class G> ArrayOf<Use::writes, G> array_of_hidden(const BiasGradient<G>& a, Index hidden) {
  return written_array(a.sums, hidden);
}
template <class P> ArrayOf<Use::reads, P> array_of_hidden(P* values, Index hidden) {
  return {values, hidden};
}
inline std::nullptr_t array_of_hidden(std::nullptr_t, Index) { return nullptr; }
template <class P, class X, class G>
const LearnedLayerScale<P, X, G>& array_of_hidden(const LearnedLayerScale<P, X, G>& a, Index) {
  return a;
}
inline void check_mask(const Check&, std::nullptr_t) {}
template <class X, class B, class L, class M, class R, class Then>
SIMDNORM_INLINE void touch(const Check& check, const char* name, const Branch<X, B, L, M, R>& a,
                           const Then& then) {
  const RowShape shape = check.shape();
  check_mask(check, a.mask);
  const element_or_t<R, float>* const of_rows = a.row_scale_values;
  if (!std::is_same_v<R, std::nullptr_t> && of_rows == nullptr && shape.rows > 0)
    check.stop(check.message() << "row_scale of " << name << " is nullptr");
  touch_all(check, then, name, a.x, column_sums<Branch<X, B, L, M, R>> > 0 ? "dbias" : "bias",
            array_of_hidden(a.bias_values, shape.hidden), "layer_scale",
            array_of_hidden(a.layer_scale_values, shape.hidden), "row_scale",
            read_array(of_rows, shape.rows));
}

// --- as a source, and as sinks ---

template <class T, class X, class B, class L, class M, class R>
auto source_of(const Branch<X, B, L, M, R>& a) {
  const auto product = times_factor(plus(source_of<T>(a.x), a.bias_values), of_columns(a.layer_scale_values));
  const auto made = times_factor(times_factor(product, mask_of<T>(a.mask)), of_rows(a.row_scale_values));
  return MadeRows<std::decay_t<decltype(made)>>{made};
}

template <class P, class X, class G> EachRow<P> of_columns(const LearnedLayerScale<P, X, G>& a) {
  return of_columns(a.values);
}
template <class T, class U, class B, class L, class M, class R>
auto map_of(const Branch<Strided<U>, B, L, M, R>& a) {
  const auto mask = mask_of<T>(a.mask);
  const auto rows = of_rows(a.row_scale_values);
  const auto columns = of_columns(a.layer_scale_values);
  return BranchMap<std::decay_t<decltype(mask)>, std::decay_t<decltype(rows)>,
                   std::decay_t<decltype(columns)>>{mask, rows, columns};
}
template <int Rows, class Blocks, class Read, class U, class B, class L, class M, class R, class Run>
void with_sink(RowShape shape, const Read& read, const Branch<Strided<U>, B, L, M, R>& a, const Run& run) {
  with_mapped<Rows, Blocks>(shape, read, a.x, map_of<typename Blocks::Scalar>(a), run);
}
/// As one of the results of a residual_gradients.
template <class T, class U, class B, class L, class M, class R>
auto sink_of(const Branch<Strided<U>, B, L, M, R>& a) {
  const auto map = map_of<T>(a);
  return MappedSink<StoredRows<U>, std::decay_t<decltype(map)>>{{a.x}, map};
}

template <class T, class Part> std::tuple<> sums_of(const Part&) { return {}; }
template <class T, class G> auto sums_of(const BiasGradient<G>& a) {
  return std::tuple{ColumnSum{BiasTerm{}, a.sums}};
}
template <class T, class P, class X, class G> auto sums_of(const LearnedLayerScale<P, X, G>& a) {
  const auto x = source_of<T>(a.x);
  return std::tuple{ColumnSum{LayerScaleTerm<std::decay_t<decltype(x)>>{x}, a.sums}};
}
template <class T, class U, class B, class L, class M, class R>
auto column_sums_of(const Branch<Strided<U>, B, L, M, R>& a) {
  return std::tuple_cat(sums_of<T>(a.bias_values), sums_of<T>(a.layer_scale_values));
}

}  // namespace simdnorm
