// pRMSNorm as a functor over Eigen tensors and matrices.
#pragma once

#include "../partial_rms_norm.hpp"
#include "passes.hpp"

namespace simdnorm {

/// y = x/sqrt(mean of the first `measured` x^2 + epsilon) * gamma over the normalized axes (the last, unless axes says
/// otherwise); the first in storage order. gamma: a vector, one for each place, or nullptr for 1.
///
/// Types, objects and axes: as LayerNorm. Formulas, precision, aliasing and errors: partial_rms_norm_forward and
/// partial_rms_norm_backward.
template <class P, class Casting = RoundOnce>
class PartialRMSNorm : public Passes<PartialRMSNorm<P, Casting>, P>,
                       public TensorFunctor<PartialRMSNorm<P, Casting>> {
  using Base = Passes<PartialRMSNorm<P, Casting>, P>;
  using Epsilon = typename Base::Epsilon;

 public:
  PartialRMSNorm(Index measured, LearnedVector<P> gamma, Epsilon epsilon = Epsilon(1e-6), Axes axes = {})
      : Base("PartialRMSNorm", gamma, nullptr, -1, epsilon, axes), measured_(measured) {}

 private:
  friend Base;
  static constexpr int gradients = 1;

  template <class Call, class X, class T, class Y>
  Index checked_records(const Call& call, const X& x, T epsilon, const Y& y) const {
    const RowMoments<T>* const not_yet = nullptr;
    check_partial_forward(call.shape, measured_, x, this->gamma_.data, epsilon, y, not_yet);
    return call.shape.rows;
  }
  template <class Call, class X, class T, class Y, class Executor>
  void forward_rows(const Call& call, const X& x, T epsilon, const Y& y, RowMoments<T>* moments,
                    const Executor& executor) const {
    partial_rms_norm_forward<Casting>(call.shape, measured_, x, this->gamma_.data, epsilon, y, moments,
                                      executor);
  }
  template <class T, class Call, class Dy, class Dx>
  static Index workspace_bytes(const Call& call, const Dy& /*dy*/, const Dx& /*dx*/) {
    return gradient_workspace_bytes<T>(call.shape, 1 + column_sums<Dx>);
  }
  template <class Call, class Dy, class X, class T, class Dx, class Executor, class Dgamma>
  void backward_rows(const Call& call, const Dy& dy, const X& x, const RowMoments<T>* moments, const Dx& dx,
                     const GradientOptions& options, const Executor& executor, Dgamma& dgamma) const {
    partial_rms_norm_backward<Casting>(call.shape, measured_, dy, x, this->gamma_.data, moments, dx,
                                       call.written_vector("dgamma", dgamma), options, executor);
  }

  Index measured_;
};

}  // namespace simdnorm
