// RMSNorm as a functor over Eigen tensors and matrices.
#pragma once

#include "../rms_norm.hpp"
#include "functor.hpp"

namespace simdnorm {

/// y = x/sqrt(mean(x^2) + epsilon) * gamma over the normalized axes (the last, unless axes says otherwise).
///
/// Types, objects and axes: as LayerNorm. Formulas, precision, aliasing and errors: rms_norm_forward and
/// rms_norm_backward.
template <class P> class RMSNorm : private NormFunctor<P>, public TensorFunctor<RMSNorm<P>> {
  using Base = NormFunctor<P>;

 public:
  /// gamma: a vector, or nullptr for 1.
  explicit RMSNorm(LearnedVector<P> gamma, P epsilon = P(1e-6), Axes axes = {})
      : Base("RMSNorm", gamma, nullptr, -1, epsilon, axes) {}
  /// Without gamma.
  explicit RMSNorm(Index hidden, P epsilon = P(1e-6), Axes axes = {})
      : Base("RMSNorm", nullptr, nullptr, Base::checked_hidden("RMSNorm", hidden), epsilon, axes) {}

  /// Last arguments, in any order: Moments<P>& (kept for backward), a device.
  template <class X, class Y, class... Last> void forward(const X& x, Y&& y, Last&&... last) const {
    static_assert(std::conjunction_v<std::bool_constant<is_forward_option<P, std::decay_t<Last>>>...>,
                  "simdnorm: RMSNorm.forward: after y come a Moments<P>&, a device");
    const typename Base::template Call<X> call(*this, "forward", x);
    const auto y_rows = call.rows_written("y", y);
    RowMoments<P>* const moments =
        call.moments_of_rows("rms_norm_forward", y_rows, find_last<Moments<P>>(last...));
    rms_norm_forward(call.shape, call.rows_of_x(), this->gamma_.data, this->epsilon_, y_rows, moments,
                     DeviceExecutor{find_device(last...)});
  }

  /// dx alone, or with dgamma after dx. Last arguments, in any order: accumulate, a Workspace<P>&, a device.
  template <class Dy, class X, class Dx, class... Last>
  void backward(const Dy& dy, const X& x, const Moments<P>& moments, Dx&& dx, Last&&... last) const {
    if constexpr (std::conjunction_v<std::bool_constant<is_backward_option<P, std::decay_t<Last>>>...>) {
      backward_with(dy, x, moments, dx, nullptr, last...);
    } else {
      backward_with(dy, x, moments, dx, last...);
    }
  }

 private:
  template <class Dy, class X, class Dx, class Dgamma, class... Last>
  void backward_with(const Dy& dy, const X& x, const Moments<P>& moments, Dx& dx, Dgamma&& dgamma,
                     Last&... last) const {
    static_assert(
        std::conjunction_v<std::bool_constant<is_backward_option<P, std::decay_t<Last>>>...>,
        "simdnorm: RMSNorm.backward: after dx comes dgamma, then accumulate, a Workspace<P>&, a device");
    const typename Base::template Call<X> call(*this, "backward", x);
    call.expect_moments(moments);
    const auto dy_rows = call.rows_read("dy", dy);
    const auto dx_rows = call.rows_written("dx", dx);
    P* const to_gamma = call.written_vector("dgamma", dgamma);
    rms_norm_backward(call.shape, dy_rows, call.rows_of_x(), this->gamma_.data, moments.data(), dx_rows,
                      to_gamma, gradient_options<P>(call.shape, last...),
                      DeviceExecutor{find_device(last...)});
  }
};

}  // namespace simdnorm
