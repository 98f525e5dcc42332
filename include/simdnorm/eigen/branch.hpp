// Branches of residuals as Eigen objects: kernel/branch.hpp.
#pragma once

#include "../kernel/branch.hpp"
#include "view.hpp"

namespace simdnorm {

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

template <class X, class B, class L, class M, class R>
const X& shape_of(const TensorBranch<X, B, L, M, R>& x) {
  return x.x.object;
}

template <class G> struct ScalarOf<TensorBiasGradient<G>> { using type = void; };
template <class P, class X, class G> struct ScalarOf<TensorLayerScale<P, X, G>> {
  using type = scalar_t<View<const P>, X>;
};
template <class X, class B, class L, class M, class R> struct ScalarOf<TensorBranch<X, B, L, M, R>> {
  using type = scalar_t<View<X>, B, L, R>;
};

template <class Call, class G> auto as_vector(const Call& call, const char*, const TensorBiasGradient<G>& a) {
  const auto sums = call.written_vector("dbias", a.sums.object);
  return BiasGradient<std::remove_pointer_t<decltype(sums)>>{sums};
}
template <class Call, class P, class X, class G>
auto as_vector(const Call& call, const char* name, const TensorLayerScale<P, X, G>& a) {
  return LearnedLayerScale{as_vector(call, name, a.values), as_rows(call, "the branch of layer_scale", a.x),
                           call.written_vector("dlayer_scale", a.sums.object)};
}
template <class Call, class X, class B, class L, class M, class R>
auto as_rows(const Call& call, const char* name, const TensorBranch<X, B, L, M, R>& a) {
  return Branch{as_rows(call, name, a.x), as_vector(call, "bias", a.bias_values),
                as_vector(call, "layer_scale", a.layer_scale_values), a.mask,
                as_numbers_of_rows(call, "row_scale", a.row_scale_values)};
}

}  // namespace simdnorm
