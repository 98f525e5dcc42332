// adaLN as functors over Eigen tensors and matrices: LayerNorm and RMSNorm with a scale and a shift for each item of a batch.
#pragma once

#include "../modulated_norm.hpp"
#include "functor.hpp"

namespace simdnorm {

/// scale or shift: a view of one vector for each item, or nothing.
template <class P> struct ItemVectors {
  using Stored = typename StoredAs<P>::type;
  bool given = false;
  Operand<const Stored> view;

  ItemVectors(std::nullptr_t) {}
  template <class V> ItemVectors(const V& vectors) : given(true) {
    static_assert(
        has_memory<V>(),
        "simdnorm: scale and shift are Eigen tensors, matrices or maps that lie in memory, or nullptr");
    static_assert(std::is_same_v<std::remove_const_t<typename V::Scalar>, P>,
                  "simdnorm: scale and shift must hold the type that ModulatedLayerNorm<P> or "
                  "ModulatedRMSNorm<P> names");
    view = operand<const Stored>(vectors);
  }
};

/// The part of the two that does not depend on which norm it is: `Layer` says.
template <class P, class Casting, bool Layer> class ModulatedNorm : private NormFunctor<P> {
  using Base = NormFunctor<P>;

 protected:
  using Epsilon = typename Base::Epsilon;

  ModulatedNorm(const char* name, ItemVectors<P> scale, ItemVectors<P> shift, Epsilon epsilon, Axes axes)
      : Base(name, nullptr, nullptr, -1, epsilon, axes), scale_(scale), shift_(shift) {}

 public:
  /// Last arguments, in any order: Moments<T>& (kept for backward), a device.
  template <class X, class Y, class... Last> void forward(const X& x, Y&& y, Last&&... last) const {
    using T = typename Base::template Computed<X, Y>;
    static_assert(std::conjunction_v<std::bool_constant<is_forward_option<T, std::decay_t<Last>>>...>,
                  "simdnorm: forward: after y come a Moments<T>&, a device; T is double where x, y or scale "
                  "holds double, else float");
    const ItemCall<std::decay_t<decltype(shape_of(x))>> call(*this, "forward", shape_of(x));
    const auto x_rows = call.read_argument("x", x);
    const auto y_rows = call.written_argument("y", y);
    const auto scale = call.vectors("scale", scale_.view);
    const auto shift = call.vectors("shift", shift_.view);
    const T epsilon = static_cast<T>(this->epsilon_);
    RowMoments<T>* moments = nullptr;
    if (Moments<T>* const kept = find_last<Moments<T>>(last...)) {
      const Check check(Layer ? "modulated_layer_norm_forward" : "modulated_rms_norm_forward", call.shape);
      check_modulated_forward(check, call.items, read_rows(call.shape, x_rows), scale, shift, epsilon,
                              written_rows(call.shape, y_rows), moments);
      kept->resize(call.shape.rows);
      moments = kept->data();
    }
    const auto& x_once = computed_once(x_rows, y_rows);
    const auto executor = executor_of(find_device(last...));
    if constexpr (Layer) {
      modulated_layer_norm_forward<Casting>(call.shape, call.items, x_once, scale, shift, epsilon, y_rows,
                                            moments, executor);
    } else {
      modulated_rms_norm_forward<Casting>(call.shape, call.items, x_once, scale, epsilon, y_rows, moments,
                                          executor);
    }
  }

  /// dx alone, or after it dscale (of LayerNorm also dshift), of the shape of scale, nullptr for one that is not wanted. Last
  /// arguments, in any order: accumulate, a Workspace<T>&, a device.
  template <class Dy, class X, class T, class Dx, class... Last>
  void backward(const Dy& dy, const X& x, const Moments<T>& moments, Dx&& dx, Last&&... last) const {
    if constexpr (std::conjunction_v<std::bool_constant<is_backward_option<T, std::decay_t<Last>>>...>) {
      backward_with(dy, x, moments, dx, nullptr, nullptr, last...);
    } else if constexpr (Layer) {
      backward_with(dy, x, moments, dx, last...);
    } else {
      backward_without_shift(dy, x, moments, dx, last...);
    }
  }

 private:
  template <class Dy, class X, class T, class Dx, class Dscale, class... Last>
  void backward_without_shift(const Dy& dy, const X& x, const Moments<T>& moments, Dx& dx, Dscale&& dscale,
                              Last&... last) const {
    backward_with(dy, x, moments, dx, dscale, nullptr, last...);
  }
  template <class Dy, class X, class T, class Dx, class Dscale, class Dshift, class... Last>
  void backward_with(const Dy& dy, const X& x, const Moments<T>& moments, Dx& dx, Dscale&& dscale,
                     Dshift&& dshift, Last&... last) const {
    static_assert(std::conjunction_v<std::bool_constant<is_backward_option<T, std::decay_t<Last>>>...>,
                  "simdnorm: backward: after dx come dscale and, of ModulatedLayerNorm, dshift, then "
                  "accumulate, a Workspace<T>&, a device");
    const ItemCall<std::decay_t<decltype(shape_of(x))>> call(*this, "backward", shape_of(x));
    call.expect_moments(moments);
    const auto dy_rows = call.read_argument("dy", dy);
    const auto x_rows = call.read_argument("x", x);
    const auto dx_rows = call.written_argument("dx", dx);
    const auto scale = call.vectors("scale", scale_.view);
    const auto to_scale = call.written_vectors("dscale", dscale);
    const auto to_shift = call.written_vectors("dshift", dshift);
    GradientOptions options;
    options.accumulate = find_last<const Accumulate>(last...) != nullptr;
    if (auto* workspace = find_last<Workspace<T>>(last...))
      options.workspace = workspace->reserve_bytes(modulated_workspace_bytes<T>(call.shape, call.items));
    const auto executor = executor_of(find_device(last...));
    if constexpr (Layer) {
      modulated_layer_norm_backward<Casting>(call.shape, call.items, dy_rows, x_rows, scale, moments.data(),
                                             dx_rows, to_scale, to_shift, options, executor);
    } else {
      modulated_rms_norm_backward<Casting>(call.shape, call.items, dy_rows, x_rows, scale, moments.data(),
                                           dx_rows, to_scale, options, executor);
    }
  }

  /// A call's operands, and the vectors of its items.
  template <class X> struct ItemCall : Base::template Call<X> {
    Index items;

    ItemCall(const ModulatedNorm& functor, const char* method, const X& x_object)
        : Base::template Call<X>(functor, method, x_object), items(1) {
      const ItemVectors<P>& vectors = functor.scale_.given ? functor.scale_ : functor.shift_;
      const char* const name = functor.scale_.given ? "scale" : "shift";
      if (!vectors.given || this->shape.hidden < 1) return;  // the operator refuses the latter
      const Layout& layout = vectors.view.layout;
      if (layout.elements() % this->shape.hidden != 0)
        (start(name) << "has shape " << layout << " but x of shape " << this->x.layout
                     << " is normalized over " << this->shape.hidden << " elements")
            .fail();
      items = layout.elements() / this->shape.hidden;
      if (!divide_x(functor.axes_))
        (start(name) << "has shape " << layout << ", for " << items
                     << " items, but the first dimensions of x of shape " << this->x.layout
                     << " are not as many")
            .fail();
    }

    template <class T> Strided<T> vectors(const char* name, const Operand<T>& view) const {
      const Layout& layout = view.layout;
      const Index hidden = this->shape.hidden;
      if (layout.rank == 0) return {nullptr, 0, 1};
      if (layout.elements() != items * hidden)
        (start(name) << "has shape " << layout << ", but " << items << " items of " << hidden
                     << " elements are needed for x of shape " << this->x.layout)
            .fail();
      if (layout.is_packed()) return {view.data, hidden, 1};
      if (layout.rank != 2 || layout.size[1] != hidden || (layout.step[1] != 1 && hidden != 1))
        (start(name) << "of shape " << layout << " has gaps between the elements of an item").fail();
      return {view.data, layout.step[0], 1};
    }
    template <class Z> auto written_vectors(const char* name, Z& object) const {
      if constexpr (std::is_same_v<std::remove_const_t<Z>, std::nullptr_t>) {
        return nullptr;
      } else {
        static_assert(
            has_memory<Z>(),
            "simdnorm: dscale and dshift are Eigen tensors, matrices or maps in memory, or nullptr");
        static_assert(!std::is_const_v<std::remove_pointer_t<decltype(object.data())>>,
                      "simdnorm: dscale and dshift must be writable");
        return vectors(name, operand<typename Z::Scalar>(object));
      }
    }

   private:
    /// x has this many items: those of its first dimensions, or, of a matrix, some that divide its rows.
    bool divide_x(Axes axes) const {
      const Layout& layout = this->x.layout;
      if (layout.rank <= 2 || items == 1) return true;
      const AxisRange range(axes, layout);
      Index product = 1;
      for (Index d = 0; d < range.begin; ++d) {
        product *= layout.size[static_cast<std::size_t>(d)];
        if (product == items) return true;
      }
      return false;
    }
    Message start(const char* name) const { return this->operation.message() << name << " "; }
  };

  ItemVectors<P> scale_, shift_;
};

/// y = (x - mean)/sqrt(variance + epsilon) * (1 + scale) + shift over the normalized axes, with a scale and a shift for each
/// item: the modulation of adaLN.
///
/// P is the type of scale and shift. Each holds one vector of the normalized places for every item, in storage order: (batch,
/// hidden) for x of (batch, tokens, hidden); it may be a block of a wider row-major matrix. Items are x's first dimensions, as
/// many as there are vectors; of a matrix x, runs of as many rows each. With Casting = RoundOnce, xhat * scale + shift.
/// Types, objects, axes, x, dy, y, dx: as LayerNorm. The functor is a view: scale and shift must outlive it.
/// Formulas, precision, aliasing and errors: modulated_layer_norm_forward and modulated_layer_norm_backward.
template <class P, class Casting = OnePlusGamma>
class ModulatedLayerNorm : public ModulatedNorm<P, Casting, true>,
                           public TensorFunctor<ModulatedLayerNorm<P, Casting>> {
  using Base = ModulatedNorm<P, Casting, true>;
  using Epsilon = typename Base::Epsilon;

 public:
  /// scale and shift: vectors, or nullptr for 0.
  ModulatedLayerNorm(ItemVectors<P> scale, ItemVectors<P> shift, Epsilon epsilon = Epsilon(1e-6),
                     Axes axes = {})
      : Base("ModulatedLayerNorm", scale, shift, epsilon, axes) {}
};

/// y = x/sqrt(mean(x^2) + epsilon) * (1 + scale), the same of RMSNorm. Formulas and errors: modulated_rms_norm_forward and
/// modulated_rms_norm_backward.
template <class P, class Casting = OnePlusGamma>
class ModulatedRMSNorm : public ModulatedNorm<P, Casting, false>,
                         public TensorFunctor<ModulatedRMSNorm<P, Casting>> {
  using Base = ModulatedNorm<P, Casting, false>;
  using Epsilon = typename Base::Epsilon;

 public:
  /// scale: vectors, or nullptr for 0.
  explicit ModulatedRMSNorm(ItemVectors<P> scale, Epsilon epsilon = Epsilon(1e-6), Axes axes = {})
      : Base("ModulatedRMSNorm", scale, nullptr, epsilon, axes) {}
};

}  // namespace simdnorm
