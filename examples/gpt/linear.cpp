#include "linear.hpp"

namespace gpt {

/// The matrix in T, in memory that each thread keeps: allocating it anew takes longer than converting. `which`: what is needed at
/// the same time has different numbers.
template <int which, class T, class A> const Matrix<T>& kept(const Matrix<A>& matrix) {
  if constexpr (std::is_same_v<T, A>) {
    return matrix;
  } else {
    static thread_local Matrix<T> copy;
    copy = matrix.template cast<T>();
    return copy;
  }
}
/// y = product + what `adapt` adds, in T.
template <class T, class A, class Product, class Adapt>
void assign(const Product& product, const Adapt& adapt, Matrix<A>& y) {
  if constexpr (std::is_same_v<T, A>) {
    y.noalias() = product;
    adapt(y);
  } else {
    static thread_local Matrix<T> sums;
    sums.noalias() = product;
    adapt(sums);
    y = sums.template cast<A>();
  }
}

template <class T, class A> void multiply(const Linear<T>& layer, const Matrix<A>& x, Matrix<A>& y) {
  const Matrix<T>& in_t = kept<0, T>(x);
  const auto adapt = [&](Matrix<T>& sums) {
    if (layer.adapted()) sums.noalias() += layer.scale() * (in_t * layer.down).eval() * layer.up;
  };
  assign<T>(in_t * layer.weight, adapt, y);
}

template <class T, class A>
void multiply_backward(const Linear<T>& layer, const Matrix<A>& dy, const Matrix<A>& x, Matrix<A>& dx,
                       Linear<T>& gradient) {
  const Matrix<T>&x_t = kept<0, T>(x), &dy_t = kept<1, T>(dy);
  if (gradient.weight.size() > 0) gradient.weight.noalias() += x_t.transpose() * dy_t;
  const auto adapt = [&](Matrix<T>& sums) {
    if (!layer.adapted()) return;
    const Matrix<T> inner = layer.scale() * (x_t * layer.down);
    const Matrix<T> d_inner = layer.scale() * (dy_t * layer.up.transpose());
    gradient.up.noalias() += inner.transpose() * dy_t;
    gradient.down.noalias() += x_t.transpose() * d_inner;
    sums.noalias() += d_inner * layer.down.transpose();
  };
  assign<T>(dy_t * layer.weight.transpose(), adapt, dx);
}

#define GPT_LINEAR(T, A)                                                                            \
  template void multiply(const Linear<T>&, const Matrix<A>&, Matrix<A>&);                           \
  template void multiply_backward(const Linear<T>&, const Matrix<A>&, const Matrix<A>&, Matrix<A>&, \
                                  Linear<T>&);
GPT_LINEAR(float, float)
GPT_LINEAR(double, double)
GPT_LINEAR(float, Bfloat16)

}  // namespace gpt
