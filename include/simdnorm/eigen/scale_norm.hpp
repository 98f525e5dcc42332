// ScaleNorm as a functor over Eigen tensors and matrices.
#pragma once

#include "../scale_norm.hpp"
#include "functor.hpp"

namespace simdnorm {

/// The one learned number: a view of it, or a number that lives here, rounded to P.
template <class P> class LearnedNumber {
 public:
  using Stored = typename StoredAs<P>::type;

  LearnedNumber(std::nullptr_t) : LearnedNumber(1) {}
  template <class G> LearnedNumber(const G& g) {
    if constexpr (std::is_arithmetic_v<G>) {
      if constexpr (simd::is_narrow<Stored>) {
        number_ = simd::narrow_number<Stored>(static_cast<float>(g));
      } else {
        number_ = static_cast<Stored>(g);
      }
    } else {
      static_assert(has_memory<G>(),
                    "simdnorm: ScaleNorm: g is a number, nullptr, or an Eigen object of one element that "
                    "lies in memory");
      static_assert(std::is_same_v<std::remove_const_t<typename G::Scalar>, P>,
                    "simdnorm: ScaleNorm: g must hold the type that ScaleNorm<P> names");
      if (g.size() != 1)
        (Message() << "ScaleNorm: g has " << Index{g.size()} << " elements but must have 1").fail();
      place_ = reinterpret_cast<const Stored*>(g.data());
    }
  }
  const Stored* place() const { return place_ == nullptr ? &number_ : place_; }

 private:
  const Stored* place_ = nullptr;
  Stored number_{};
};

/// y = g * x/sqrt(sum(x^2) + epsilon) over the normalized axes (the last, unless axes says otherwise).
///
/// g: a number, or an Eigen object of one element, which is a view; hidden: how many elements are normalized. dg, after dx: a
/// float or a double, or an Eigen object of one. epsilon is added to the square of the length: others who bound the length
/// itself by 1e-5 have, about, the 1e-10 that is taken where none is given.
///
/// Types, objects and axes: as LayerNorm. Formulas, precision, aliasing and errors: scale_norm_forward and scale_norm_backward.
template <class P> class ScaleNorm : private NormFunctor<P>, public TensorFunctor<ScaleNorm<P>> {
  using Base = NormFunctor<P>;
  using Epsilon = typename Base::Epsilon;

 public:
  ScaleNorm(LearnedNumber<P> g, Index hidden, Epsilon epsilon = Epsilon(1e-10), Axes axes = {})
      : Base("ScaleNorm", nullptr, nullptr, Base::checked_hidden("ScaleNorm", hidden), epsilon, axes),
        g_(g) {}

  /// Last arguments, in any order: Moments<T>& (kept for backward), a device.
  template <class X, class Y, class... Last> void forward(const X& x, Y&& y, Last&&... last) const {
    using T = typename Base::template Computed<X, Y>;
    static_assert(std::conjunction_v<std::bool_constant<is_forward_option<T, std::decay_t<Last>>>...>,
                  "simdnorm: ScaleNorm.forward: after y come a Moments<T>&, a device; T is double where x, y "
                  "or g holds double, else float");
    const typename Base::template Call<std::decay_t<decltype(shape_of(x))>> call(*this, "forward",
                                                                                 shape_of(x));
    const auto x_rows = call.read_argument("x", x);
    const auto y_rows = call.written_argument("y", y);
    const T epsilon = static_cast<T>(this->epsilon_);
    RowMoments<T>* moments = nullptr;
    if (Moments<T>* const kept = find_last<Moments<T>>(last...)) {
      check_scale_forward(call.shape, simdnorm::read_rows(call.shape, x_rows), g_.place(), epsilon,
                          written_rows(call.shape, y_rows), moments);
      kept->resize(call.shape.rows);
      moments = kept->data();
    }
    scale_norm_forward(call.shape, computed_once(x_rows, y_rows), g_.place(), epsilon, y_rows, moments,
                       executor_of(find_device(last...)));
  }

  /// dx alone, or with dg after dx. Last arguments, in any order: accumulate, a Workspace<T>&, a device.
  template <class Dy, class X, class T, class Dx, class... Last>
  void backward(const Dy& dy, const X& x, const Moments<T>& moments, Dx&& dx, Last&&... last) const {
    if constexpr (std::conjunction_v<std::bool_constant<is_backward_option<T, std::decay_t<Last>>>...>) {
      backward_with(dy, x, moments, dx, nullptr, last...);
    } else {
      backward_with(dy, x, moments, dx, last...);
    }
  }

 private:
  template <class Dg> static auto place_of(const Operation& operation, Dg& dg) {
    if constexpr (std::is_same_v<std::remove_const_t<Dg>, std::nullptr_t>) {
      return nullptr;
    } else if constexpr (std::is_arithmetic_v<Dg>) {
      return &dg;
    } else {
      static_assert(has_memory<std::remove_const_t<Dg>>(),
                    "simdnorm: dg is a float or a double, or an Eigen object of one that lies in memory");
      if (dg.size() != 1)
        (operation.message() << "dg has " << Index{dg.size()} << " elements but must have 1").fail();
      return dg.data();
    }
  }
  template <class Dy, class X, class T, class Dx, class Dg, class... Last>
  void backward_with(const Dy& dy, const X& x, const Moments<T>& moments, Dx& dx, Dg&& dg,
                     Last&... last) const {
    static_assert(
        std::conjunction_v<std::bool_constant<is_backward_option<T, std::decay_t<Last>>>...>,
        "simdnorm: ScaleNorm.backward: after dx comes dg, then accumulate, a Workspace<T>&, a device");
    const typename Base::template Call<std::decay_t<decltype(shape_of(x))>> call(*this, "backward",
                                                                                 shape_of(x));
    call.expect_moments(moments);
    const auto dy_rows = call.read_argument("dy", dy);
    const auto x_rows = call.read_argument("x", x);
    const auto dx_rows = call.written_argument("dx", dx);
    scale_norm_backward(
        call.shape, dy_rows, x_rows, g_.place(), moments.data(), dx_rows, place_of(call.operation, dg),
        gradient_options<T>(call.shape, 1 + column_sums<std::decay_t<decltype(dx_rows)>>, last...),
        executor_of(find_device(last...)));
  }

  LearnedNumber<P> g_;
};

}  // namespace simdnorm
