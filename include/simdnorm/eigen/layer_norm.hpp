// LayerNorm as a functor over Eigen tensors and matrices.
#pragma once

#include "../layer_norm.hpp"
#include "functor.hpp"

namespace simdnorm {

/// y = (x - mean)/sqrt(variance + epsilon) * gamma + beta over the normalized axes: the last, unless axes says
/// otherwise.
///
/// P, float or double, is the type of gamma, beta and epsilon, and of x, y, dy and dx. The functor is a view: gamma
/// and beta must outlive it; copies are cheap.
/// Objects: Tensor, TensorMap, TensorRef, TensorFixedSize of rank 1 to 6, Matrix, Array, Map, Ref, Block; row-major
/// or column-major. A matrix is (rows, columns), a vector has rank 1. gamma, beta, dgamma and dbeta have one element
/// for each normalized place, in storage order.
/// Formulas, precision, aliasing and errors: layer_norm_forward and layer_norm_backward.
template <class P> class LayerNorm : private NormFunctor<P>, public TensorFunctor<LayerNorm<P>> {
  using Base = NormFunctor<P>;

 public:
  /// gamma and beta: vectors, or nullptr for 1 and 0.
  LayerNorm(LearnedVector<P> gamma, LearnedVector<P> beta, P epsilon = P(1e-5), Axes axes = {})
      : Base("LayerNorm", gamma, beta, -1, epsilon, axes) {}
  /// Without gamma and beta.
  explicit LayerNorm(Index hidden, P epsilon = P(1e-5), Axes axes = {})
      : Base("LayerNorm", nullptr, nullptr, Base::checked_hidden("LayerNorm", hidden), epsilon, axes) {}

  /// Last arguments, in any order: Moments<P>& (kept for backward), a device.
  template <class X, class Y, class... Last> void forward(const X& x, Y&& y, Last&&... last) const {
    static_assert(std::conjunction_v<std::bool_constant<is_forward_option<P, std::decay_t<Last>>>...>,
                  "simdnorm: LayerNorm.forward: after y come a Moments<P>&, a device");
    const typename Base::template Call<X> call(*this, "forward", x);
    const auto y_rows = call.rows_written("y", y);
    RowMoments<P>* const moments =
        call.moments_of_rows("layer_norm_forward", y_rows, find_last<Moments<P>>(last...));
    layer_norm_forward(call.shape, call.rows_of_x(), this->gamma_.data, this->beta_.data, this->epsilon_,
                       y_rows, moments, DeviceExecutor{find_device(last...)});
  }

  /// dx alone, or with dgamma and dbeta after dx, nullptr for one that is not wanted. Last arguments, in any
  /// order: accumulate, a Workspace<P>&, a device.
  template <class Dy, class X, class Dx, class... Last>
  void backward(const Dy& dy, const X& x, const Moments<P>& moments, Dx&& dx, Last&&... last) const {
    if constexpr (std::conjunction_v<std::bool_constant<is_backward_option<P, std::decay_t<Last>>>...>) {
      backward_with(dy, x, moments, dx, nullptr, nullptr, last...);
    } else {
      backward_with(dy, x, moments, dx, last...);
    }
  }

 private:
  template <class Dy, class X, class Dx, class Dgamma, class Dbeta, class... Last>
  void backward_with(const Dy& dy, const X& x, const Moments<P>& moments, Dx& dx, Dgamma&& dgamma,
                     Dbeta&& dbeta, Last&... last) const {
    static_assert(std::conjunction_v<std::bool_constant<is_backward_option<P, std::decay_t<Last>>>...>,
                  "simdnorm: LayerNorm.backward: after dx come dgamma and dbeta, then accumulate, a "
                  "Workspace<P>&, a device");
    const typename Base::template Call<X> call(*this, "backward", x);
    call.expect_moments(moments);
    const auto dy_rows = call.rows_read("dy", dy);
    const auto dx_rows = call.rows_written("dx", dx);
    P* const to_gamma = call.written_vector("dgamma", dgamma);
    P* const to_beta = call.written_vector("dbeta", dbeta);
    layer_norm_backward(call.shape, dy_rows, call.rows_of_x(), this->gamma_.data, moments.data(), dx_rows,
                        to_gamma, to_beta, gradient_options<P>(call.shape, last...),
                        DeviceExecutor{find_device(last...)});
  }
};

}  // namespace simdnorm
