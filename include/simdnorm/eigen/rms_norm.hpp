// RMSNorm as a functor over Eigen tensors and matrices.
#pragma once

#include "../double_backward.hpp"
#include "../rms_norm.hpp"
#include "functor.hpp"

namespace simdnorm {

/// y = x/sqrt(mean(x^2) + epsilon) * gamma over the normalized axes (the last, unless axes says otherwise).
///
/// Types, objects and axes: as LayerNorm. Formulas, precision, aliasing and errors: rms_norm_forward and
/// rms_norm_backward.
template <class P, class Casting = RoundOnce>
class RMSNorm : private NormFunctor<P>, public TensorFunctor<RMSNorm<P, Casting>> {
  using Base = NormFunctor<P>;
  using Epsilon = typename Base::Epsilon;

 public:
  /// gamma: a vector, or nullptr for 1.
  explicit RMSNorm(LearnedVector<P> gamma, Epsilon epsilon = Epsilon(1e-6), Axes axes = {})
      : Base("RMSNorm", gamma, nullptr, -1, epsilon, axes) {}
  /// Without gamma.
  explicit RMSNorm(Index hidden, Epsilon epsilon = Epsilon(1e-6), Axes axes = {})
      : Base("RMSNorm", nullptr, nullptr, Base::checked_hidden("RMSNorm", hidden), epsilon, axes) {}

  /// Last arguments, in any order: Moments<T>& (kept for backward), a device.
  template <class X, class Y, class... Last> void forward(const X& x, Y&& y, Last&&... last) const {
    using T = typename Base::template Computed<X, Y>;
    static_assert(
        std::conjunction_v<std::bool_constant<is_forward_option<T, std::decay_t<Last>>>...>,
        "simdnorm: RMSNorm.forward: after y come a Moments<T>&, a device; T is double where x, y or gamma "
        "holds double, else float");
    const typename Base::template Call<std::decay_t<decltype(shape_of(x))>> call(*this, "forward",
                                                                                 shape_of(x));
    const auto x_rows = call.read_argument("x", x);
    const auto y_rows = call.written_argument("y", y);
    RowMoments<T>* const moments =
        call.moments_of_rows("rms_norm_forward", x_rows, y_rows, find_last<Moments<T>>(last...));
    rms_norm_forward<Casting>(call.shape, computed_once(x_rows, y_rows), this->gamma_.data,
                              static_cast<T>(this->epsilon_), y_rows, moments,
                              executor_of(find_device(last...)));
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

  /// The gradient of backward, as LayerNorm's; without ddbeta.
  template <class Ddx, class Ddgamma, class Dy, class X, class T, class Ddy, class Dx, class Dgamma,
            class... Last>
  void double_backward(const Ddx& ddx, const Ddgamma& ddgamma, const Dy& dy, const X& x,
                       const Moments<T>& moments, Ddy&& ddy, Dx&& dx, Dgamma&& dgamma, Last&&... last) const {
    static_assert(
        std::conjunction_v<std::bool_constant<is_backward_option<T, std::decay_t<Last>>>...>,
        "simdnorm: RMSNorm.double_backward: after dgamma come accumulate, a Workspace<T>&, a device");
    const typename Base::template Call<X> call(*this, "double_backward", x);
    call.expect_moments(moments);
    rms_norm_double_backward<Casting>(
        call.shape, as_rows(call, "ddx", view(ddx)), as_vector(call, "ddgamma", view(ddgamma)),
        call.rows_read("dy", dy), call.rows_read("x", x), this->gamma_.data, moments.data(),
        as_rows(call, "ddy", view(ddy)), as_rows(call, "dx", view(dx)), call.written_vector("dgamma", dgamma),
        gradient_options<T>(call.shape, 1, last...), executor_of(find_device(last...)));
  }

 private:
  template <class Dy, class X, class T, class Dx, class Dgamma, class... Last>
  void backward_with(const Dy& dy, const X& x, const Moments<T>& moments, Dx& dx, Dgamma&& dgamma,
                     Last&... last) const {
    static_assert(
        std::conjunction_v<std::bool_constant<is_backward_option<T, std::decay_t<Last>>>...>,
        "simdnorm: RMSNorm.backward: after dx comes dgamma, then accumulate, a Workspace<T>&, a device");
    const typename Base::template Call<std::decay_t<decltype(shape_of(x))>> call(*this, "backward",
                                                                                 shape_of(x));
    call.expect_moments(moments);
    const auto dy_rows = call.read_argument("dy", dy);
    const auto x_rows = call.read_argument("x", x);
    const auto dx_rows = call.written_argument("dx", dx);
    const auto to_gamma = call.written_vector("dgamma", dgamma);
    rms_norm_backward<Casting>(call.shape, dy_rows, x_rows, this->gamma_.data, moments.data(), dx_rows,
                               to_gamma,
                               gradient_options<T>(call.shape,
                                                   2 + column_sums<std::decay_t<decltype(dy_rows)>> +
                                                       column_sums<std::decay_t<decltype(dx_rows)>>,
                                                   last...),
                               executor_of(find_device(last...)));
  }
};

}  // namespace simdnorm
