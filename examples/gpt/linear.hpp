// Linear layers, with or without an adapter, on activations of any type; compiled once in linear.cpp.
#pragma once

#include "norms.hpp"

namespace gpt {

/// Views of what a linear layer has learned, or of its gradients; each is empty where there is none, or where it is not to be
/// learned.
///   y = x weight + (16/rank) x down up
/// The second term is LoRA's (Hu et al., 2021): a small product that learns while `weight` is frozen.
template <class T> struct Linear {
  using View = Eigen::Map<Matrix<T>>;

  View weight;    // (inputs, outputs)
  View down, up;  // (inputs, rank), (rank, outputs)

  bool adapted() const { return up.size() > 0; }
  T scale() const { return T(16) / static_cast<T>(up.rows()); }

  /// One row, in an order of sums that depends on the layer's sizes alone.
  Vector<T> of_row(const Vector<T>& x) const {
    Vector<T> y = weight.transpose() * x;
    if (adapted()) {
      const Vector<T> inner = scale() * (down.transpose() * x);
      y.noalias() += up.transpose() * inner;
    }
    return y;
  }
};

/// The matrix in T: a copy, or the matrix itself where it is of that type.
template <class T, class A> decltype(auto) in(const Matrix<A>& matrix) {
  if constexpr (std::is_same_v<T, A>)
    return (matrix);
  else
    return Matrix<T>(matrix.template cast<T>());
}

/// x: (rows, inputs), y: (rows, outputs); they may not overlap. Sums are in T and rounded to A at the end.
template <class T, class A> void multiply(const Linear<T>& layer, const Matrix<A>& x, Matrix<A>& y);

/// dx: (rows, inputs), written, overlapping nothing. Adds to what of `gradient` is not empty.
template <class T, class A>
void multiply_backward(const Linear<T>& layer, const Matrix<A>& dy, const Matrix<A>& x, Matrix<A>& dx,
                       Linear<T>& gradient);

}  // namespace gpt
