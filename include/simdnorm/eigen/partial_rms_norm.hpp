// pRMSNorm as a functor over Eigen tensors and matrices.
#pragma once

#include "../partial_rms_norm.hpp"
#include "functor.hpp"

namespace simdnorm {

/// y = x/sqrt(mean of the first `measured` x^2 + epsilon) * gamma over the normalized axes (the last, unless axes says
/// otherwise); the first in storage order. gamma: a vector, one for each place, or nullptr for 1.
///
/// Types, objects and axes: as LayerNorm. Formulas, precision, aliasing and errors: partial_rms_norm_forward and
/// partial_rms_norm_backward.
template <class P, class Casting = RoundOnce>
class PartialRMSNorm : private NormFunctor<P>, public TensorFunctor<PartialRMSNorm<P, Casting>> {
  using Base = NormFunctor<P>;
  using Epsilon = typename Base::Epsilon;

 public:
  PartialRMSNorm(Index measured, LearnedVector<P> gamma, Epsilon epsilon = Epsilon(1e-6), Axes axes = {})
      : Base("PartialRMSNorm", gamma, nullptr, -1, epsilon, axes), measured_(measured) {}

  /// Last arguments, in any order: Moments<T>& (kept for backward), a device.
  template <class X, class Y, class... Last> void forward(const X& x, Y&& y, Last&&... last) const {
    using T = typename Base::template Computed<X, Y>;
    static_assert(
        std::conjunction_v<std::bool_constant<is_forward_option<T, std::decay_t<Last>>>...>,
        "simdnorm: PartialRMSNorm.forward: after y come a Moments<T>&, a device; T is double where x, y or "
        "gamma holds double, else float");
    const typename Base::template Call<std::decay_t<decltype(shape_of(x))>> call(*this, "forward",
                                                                                 shape_of(x));
    const auto x_rows = call.read_argument("x", x);
    const auto y_rows = call.written_argument("y", y);
    const T epsilon = static_cast<T>(this->epsilon_);
    RowMoments<T>* moments = nullptr;
    if (Moments<T>* const kept = find_last<Moments<T>>(last...)) {
      check_partial_forward(call.shape, measured_, simdnorm::read_rows(call.shape, x_rows), this->gamma_.data,
                            epsilon, written_rows(call.shape, y_rows), moments);
      kept->resize(call.shape.rows);
      moments = kept->data();
    }
    partial_rms_norm_forward<Casting>(call.shape, measured_, x_rows, this->gamma_.data, epsilon, y_rows,
                                      moments, executor_of(find_device(last...)));
  }

  /// dx alone, or with dgamma after dx. Last arguments, in any order: accumulate, a Workspace<T>&, a device.
  template <class Dy, class X, class T, class Dx, class... Last>
  void backward(const Dy& dy, const X& x, const Moments<T>& moments, Dx&& dx, Last&&... last) const {
    if constexpr (std::conjunction_v<std::bool_constant<is_backward_option<T, std::decay_t<Last>>>...>) {
      backward_with(dy, x, moments, dx, nullptr, last...);
    } else {
      backward_with(dy, x, moments, dx, last...);
    }
  }

 private:
  template <class Dy, class X, class T, class Dx, class Dgamma, class... Last>
  void backward_with(const Dy& dy, const X& x, const Moments<T>& moments, Dx& dx, Dgamma&& dgamma,
                     Last&... last) const {
    static_assert(std::conjunction_v<std::bool_constant<is_backward_option<T, std::decay_t<Last>>>...>,
                  "simdnorm: PartialRMSNorm.backward: after dx comes dgamma, then accumulate, a "
                  "Workspace<T>&, a device");
    const typename Base::template Call<std::decay_t<decltype(shape_of(x))>> call(*this, "backward",
                                                                                 shape_of(x));
    call.expect_moments(moments);
    const auto dy_rows = call.read_argument("dy", dy);
    const auto x_rows = call.read_argument("x", x);
    const auto dx_rows = call.written_argument("dx", dx);
    const auto to_gamma = call.written_vector("dgamma", dgamma);
    partial_rms_norm_backward<Casting>(
        call.shape, measured_, dy_rows, x_rows, this->gamma_.data, moments.data(), dx_rows, to_gamma,
        gradient_options<T>(call.shape, 1 + column_sums<std::decay_t<decltype(dx_rows)>>, last...),
        executor_of(find_device(last...)));
  }

  Index measured_;
};

}  // namespace simdnorm
