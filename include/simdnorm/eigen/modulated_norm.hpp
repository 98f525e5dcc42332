// adaLN as functors over Eigen tensors and matrices: LayerNorm and RMSNorm with a scale and a shift for each item of a batch.
#pragma once

#include "../modulated_norm.hpp"
#include "passes.hpp"

namespace simdnorm {

/// scale or shift: a view of one vector for each item, or nothing.
template <class P> struct ItemVectors {
  using Stored = typename StoredAs<P>::type;
  bool given = false;
  Operand<const Stored, largest_rank> view;

  ItemVectors(std::nullptr_t) {}
  template <class V> ItemVectors(const V& vectors) : given(true) {
    static_assert(
        has_memory<V>(),
        "simdnorm: scale and shift are Eigen tensors, matrices or maps that lie in memory, or nullptr");
    static_assert(std::is_same_v<std::remove_const_t<typename V::Scalar>, P>,
                  "simdnorm: scale and shift must hold the type that ModulatedLayerNorm<P> or "
                  "ModulatedRMSNorm<P> names");
    const auto operand_of_vectors = operand<const Stored>(vectors);
    view = {operand_of_vectors.data, operand_of_vectors.layout};
  }
};

/// The part of the two that does not depend on which norm it is: `Layer` says.
template <class P, class Casting, bool Layer>
class ModulatedNorm : public Passes<ModulatedNorm<P, Casting, Layer>, P> {
  using Base = Passes<ModulatedNorm<P, Casting, Layer>, P>;

 protected:
  using Epsilon = typename Base::Epsilon;

  ModulatedNorm(const char* name, ItemVectors<P> scale, ItemVectors<P> shift, Epsilon epsilon, Axes axes)
      : Base(name, nullptr, nullptr, -1, epsilon, axes), scale_(scale), shift_(shift) {}

 private:
  friend Base;
  static constexpr int gradients = Layer ? 2 : 1;

  template <class Call, class X, class T, class Y>
  Index checked_records(const Call& call, const X& x, T epsilon, const Y& y) const {
    const RowMoments<T>* const not_yet = nullptr;
    const Check check(Layer ? "modulated_layer_norm_forward" : "modulated_rms_norm_forward", call.shape);
    check_modulated_forward(check, call.items, x, call.vectors_of("scale", scale_),
                            call.vectors_of("shift", shift_), epsilon, y, not_yet);
    return call.shape.rows;
  }
  template <class Call, class X, class T, class Y, class Executor>
  void forward_rows(const Call& call, const X& x, T epsilon, const Y& y, RowMoments<T>* moments,
                    const Executor& executor) const {
    const auto& x_once = computed_once(x, y);
    const auto scale = call.vectors_of("scale", scale_);
    if constexpr (Layer) {
      modulated_layer_norm_forward<Casting>(call.shape, call.items, x_once, scale,
                                            call.vectors_of("shift", shift_), epsilon, y, moments, executor);
    } else {
      modulated_rms_norm_forward<Casting>(call.shape, call.items, x_once, scale, epsilon, y, moments,
                                          executor);
    }
  }
  template <class T, class Call, class Dy, class Dx>
  static Index workspace_bytes(const Call& call, const Dy& /*dy*/, const Dx& /*dx*/) {
    return modulated_workspace_bytes<T>(call.shape, call.items);
  }
  template <class Call, class Dy, class X, class T, class Dx, class Executor, class Dscale, class... Dshift>
  void backward_rows(const Call& call, const Dy& dy, const X& x, const RowMoments<T>* moments, const Dx& dx,
                     const GradientOptions& options, const Executor& executor, Dscale& dscale,
                     Dshift&... dshift) const {
    const auto scale = call.vectors_of("scale", scale_);
    const auto to_scale = call.written_vectors("dscale", dscale);
    if constexpr (Layer) {
      modulated_layer_norm_backward<Casting>(call.shape, call.items, dy, x, scale, moments, dx, to_scale,
                                             call.written_vectors("dshift", dshift)..., options, executor);
    } else {
      modulated_rms_norm_backward<Casting>(call.shape, call.items, dy, x, scale, moments, dx, to_scale,
                                           options, executor);
    }
  }
  template <class X> auto call_of(const char* method, const X& x) const {
    return ItemCall<X>(*this, method, x);
  }

  /// A call's operands, and the vectors of its items.
  template <class X> struct ItemCall : Base::template Call<X> {
    Index items;

    ItemCall(const ModulatedNorm& functor, const char* method, const X& x_object)
        : Base::template Call<X>(functor, method, x_object), items(1) {
      const ItemVectors<P>& vectors = functor.scale_.given ? functor.scale_ : functor.shift_;
      const char* const name = functor.scale_.given ? "scale" : "shift";
      if (!vectors.given || this->shape.hidden < 1) return;  // the operator refuses the latter
      const Layout<largest_rank>& layout = vectors.view.layout;
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

    auto vectors_of(const char* name, const ItemVectors<P>& a) const {
      return a.given ? vectors(name, a.view) : Strided<const typename ItemVectors<P>::Stored>{nullptr, 0, 1};
    }
    template <class T, int Rank> Strided<T> vectors(const char* name, const Operand<T, Rank>& view) const {
      const Layout<largest_rank> layout = view.layout;
      const Index hidden = this->shape.hidden;
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
      const auto& layout = this->x.layout;
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
