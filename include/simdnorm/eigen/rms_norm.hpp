// RMSNorm as a functor over Eigen tensors and matrices.
#pragma once

#include "../double_backward.hpp"
#include "../rms_norm.hpp"
#include "passes.hpp"

namespace simdnorm {

/// y = x/sqrt(mean(x^2) + epsilon) * gamma over the normalized axes (the last, unless axes says otherwise).
///
/// Types, objects and axes: as LayerNorm. Formulas, precision, aliasing and errors: rms_norm_forward and
/// rms_norm_backward.
template <class P, class Casting = RoundOnce>
class RMSNorm : public Passes<RMSNorm<P, Casting>, P>, public TensorFunctor<RMSNorm<P, Casting>> {
  using Base = Passes<RMSNorm<P, Casting>, P>;
  using Epsilon = typename Base::Epsilon;

 public:
  /// gamma: a vector, or nullptr for 1.
  explicit RMSNorm(LearnedVector<P> gamma, Epsilon epsilon = Epsilon(1e-6), Axes axes = {})
      : Base("RMSNorm", gamma, nullptr, -1, epsilon, axes) {}
  /// Without gamma.
  explicit RMSNorm(Index hidden, Epsilon epsilon = Epsilon(1e-6), Axes axes = {})
      : Base("RMSNorm", nullptr, nullptr, Base::checked_hidden("RMSNorm", hidden), epsilon, axes) {}

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
        as_written(call, "ddy", view(ddy)), as_written(call, "dx", view(dx)),
        call.written_vector("dgamma", dgamma),
        gradient_options<T>([&] { return gradient_workspace_bytes<T>(call.shape, 1); }, last...),
        executor_of(find_device(last...)));
  }

 private:
  friend Base;
  static constexpr int gradients = 1;

  template <class Call, class X, class T, class Y>
  Index checked_records(const Call& call, const X& x, T epsilon, const Y& y) const {
    const RowMoments<T>* const not_yet = nullptr;
    check_forward("rms_norm_forward", call.shape, x, this->gamma_.data, this->beta_.data, epsilon, y,
                  not_yet);
    return call.shape.rows;
  }
  template <class Call, class X, class T, class Y, class Executor>
  void forward_rows(const Call& call, const X& x, T epsilon, const Y& y, RowMoments<T>* moments,
                    const Executor& executor) const {
    rms_norm_forward<Casting>(call.shape, computed_once(x, y), this->gamma_.data, epsilon, y, moments,
                              executor);
  }
  template <class T, class Call, class Dy, class Dx>
  static Index workspace_bytes(const Call& call, const Dy& /*dy*/, const Dx& /*dx*/) {
    return gradient_workspace_bytes<T>(call.shape, 2 + column_sums<Dy> + column_sums<Dx>);
  }
  template <class Call, class Dy, class X, class T, class Dx, class Executor, class Dgamma>
  void backward_rows(const Call& call, const Dy& dy, const X& x, const RowMoments<T>* moments, const Dx& dx,
                     const GradientOptions& options, const Executor& executor, Dgamma& dgamma) const {
    rms_norm_backward<Casting>(call.shape, dy, x, this->gamma_.data, moments, dx,
                               call.written_vector("dgamma", dgamma), options, executor);
  }
};

}  // namespace simdnorm
