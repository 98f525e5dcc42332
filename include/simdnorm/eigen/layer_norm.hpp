// LayerNorm as a functor over Eigen tensors and matrices.
#pragma once

#include "../double_backward.hpp"
#include "../layer_norm.hpp"
#include "passes.hpp"

namespace simdnorm {

/// y = (x - mean)/sqrt(variance + epsilon) * gamma + beta over the normalized axes: the last, unless axes says
/// otherwise.
///
/// P is the type of gamma and beta: float, double, Eigen::bfloat16 or Eigen::half. x, y, dy and dx bring their own, each
/// one of these; T, which the call computes in and Moments hold, is double if one of them or P is double, else float.
/// Casting: RoundOnce, RoundXhat or OnePlusGamma (kernel/epilogue.hpp). What layer_norm_forward and layer_norm_backward take
/// besides rows, such as residual_sum(x, residual, sum) as x, is made of objects by functions of the same names: see
/// arguments.hpp, branch.hpp, gated.hpp, gathered.hpp, rotary.hpp and two_norms.hpp. The functor is a view: gamma and beta must
/// outlive it; copies are cheap.
/// x, and dy, may be an expression, x * a + b for example, of tensors, or of matrices in the storage order of y: its elements are
/// computed row block by row block, in the cache, and no tensor of them is made. It must give the same elements each time, as
/// random numbers do not. What Eigen evaluates as a whole, a product for example, it evaluates before, in memory of its own, on
/// this thread. The bits are those of the norm of what Eigen evaluates the expression to, where it is made of + - * /; other
/// functions of Eigen (the root of floats, exp) may differ in the last bits between its packets and its single numbers, and which
/// of them computes an element depends on its place in its row here, on its place in the tensor there. y may be an operand where
/// each element needs no element of y but that at its own place; other overlap of y with what an expression reads is found for
/// operands of element-wise operations alone.
/// Objects: Tensor, TensorMap, TensorRef, TensorFixedSize of rank 1 to 6, Matrix, Array, Map, Ref, Block; row-major
/// or column-major. A matrix is (rows, columns), a vector has rank 1. gamma, beta, dgamma and dbeta have one element
/// for each normalized place, in storage order.
/// Formulas, precision, aliasing and errors: layer_norm_forward and layer_norm_backward.
template <class P, class Casting = RoundOnce>
class LayerNorm : public Passes<LayerNorm<P, Casting>, P>, public TensorFunctor<LayerNorm<P, Casting>> {
  using Base = Passes<LayerNorm<P, Casting>, P>;
  using Epsilon = typename Base::Epsilon;

 public:
  /// gamma and beta: vectors, or nullptr for 1 and 0.
  LayerNorm(LearnedVector<P> gamma, LearnedVector<P> beta, Epsilon epsilon = Epsilon(1e-5), Axes axes = {})
      : Base("LayerNorm", gamma, beta, -1, epsilon, axes) {}
  /// Without gamma and beta.
  explicit LayerNorm(Index hidden, Epsilon epsilon = Epsilon(1e-5), Axes axes = {})
      : Base("LayerNorm", nullptr, nullptr, Base::checked_hidden("LayerNorm", hidden), epsilon, axes) {}

  /// The gradient of backward, from ddx, ddgamma and ddbeta, those of its results: ddy, dx and dgamma, those of dy, x and gamma, as
  /// layer_norm_double_backward computes them; after a gradient penalty, for example. nullptr for one of the first three that is 0,
  /// and for one of the last three that is not wanted. Last arguments, in any order: accumulate, which adds to dgamma, a
  /// Workspace<T>&, a device.
  template <class Ddx, class Ddgamma, class Ddbeta, class Dy, class X, class T, class Ddy, class Dx,
            class Dgamma, class... Last>
  void double_backward(const Ddx& ddx, const Ddgamma& ddgamma, const Ddbeta& ddbeta, const Dy& dy, const X& x,
                       const Moments<T>& moments, Ddy&& ddy, Dx&& dx, Dgamma&& dgamma, Last&&... last) const {
    static_assert(
        std::conjunction_v<std::bool_constant<is_backward_option<T, std::decay_t<Last>>>...>,
        "simdnorm: LayerNorm.double_backward: after dgamma come accumulate, a Workspace<T>&, a device");
    const typename Base::template Call<X> call(*this, "double_backward", x);
    call.expect_moments(moments);
    layer_norm_double_backward<Casting>(
        call.shape, as_rows(call, "ddx", view(ddx)), as_vector(call, "ddgamma", view(ddgamma)),
        as_vector(call, "ddbeta", view(ddbeta)), call.rows_read("dy", dy), call.rows_read("x", x),
        this->gamma_.data, moments.data(), as_written(call, "ddy", view(ddy)),
        as_written(call, "dx", view(dx)), call.written_vector("dgamma", dgamma),
        gradient_options<T>([&] { return gradient_workspace_bytes<T>(call.shape, 1); }, last...),
        executor_of(find_device(last...)));
  }

 private:
  friend Base;
  static constexpr int gradients = 2;

  template <class Call, class X, class T, class Y>
  Index checked_records(const Call& call, const X& x, T epsilon, const Y& y) const {
    const RowMoments<T>* const not_yet = nullptr;
    check_forward("layer_norm_forward", call.shape, x, this->gamma_.data, this->beta_.data, epsilon, y,
                  not_yet);
    return call.shape.rows;
  }
  template <class Call, class X, class T, class Y, class Executor>
  void forward_rows(const Call& call, const X& x, T epsilon, const Y& y, RowMoments<T>* moments,
                    const Executor& executor) const {
    layer_norm_forward<Casting>(call.shape, computed_once(x, y), this->gamma_.data, this->beta_.data, epsilon,
                                y, moments, executor);
  }
  template <class T, class Call, class Dy, class Dx>
  static Index workspace_bytes(const Call& call, const Dy& /*dy*/, const Dx& /*dx*/) {
    return gradient_workspace_bytes<T>(call.shape, 2 + column_sums<Dy> + column_sums<Dx>);
  }
  template <class Call, class Dy, class X, class T, class Dx, class Executor, class Dgamma, class Dbeta>
  void backward_rows(const Call& call, const Dy& dy, const X& x, const RowMoments<T>* moments, const Dx& dx,
                     const GradientOptions& options, const Executor& executor, Dgamma& dgamma,
                     Dbeta& dbeta) const {
    const auto to_gamma = call.written_vector("dgamma", dgamma);
    const auto to_beta = call.written_vector("dbeta", dbeta);
    layer_norm_backward<Casting>(call.shape, with_beta(dy, this->beta_.data), x, this->gamma_.data, moments,
                                 dx, to_gamma, to_beta, options, executor);
  }
};

}  // namespace simdnorm
