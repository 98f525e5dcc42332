// Dynamic Tanh, a layer in the place of a norm: y = gamma tanh(alpha x) + beta, with one alpha for all. Zhu et al., "Transformers
// without Normalization", 2025.
#pragma once

#include "batch_norm.hpp"

namespace layers {

/// Views gamma and beta, (width), and alpha, one number; matrices are (rows, width). dx may be dy; nothing else that is written may
/// overlap what is read.
template <class T> class DynamicTanh {
 public:
  DynamicTanh(RowView<T> gamma, RowView<T> beta, RowView<T> alpha)
      : gamma_(gamma), beta_(beta), alpha_(alpha[0]) {}

  void forward(const Matrix<T>& x, Matrix<T>& y) const {
    y = ((alpha_ * x.array()).tanh().rowwise() * Row<T>(gamma_)).rowwise() + Row<T>(beta_);
  }
  /// Writes dx, adds to dgamma, dbeta and dalpha.
  void backward(const Matrix<T>& dy, const Matrix<T>& x, Matrix<T>& dx, RowView<T> dgamma, RowView<T> dbeta,
                RowView<T> dalpha) const {
    const Matrix<T> tanh = (alpha_ * x.array()).tanh();
    dgamma += dy.cwiseProduct(tanh).colwise().sum().array();
    dbeta += dy.colwise().sum().array();
    dx = (dy.array().rowwise() * Row<T>(gamma_)) * (T(1) - tanh.array().square());
    dalpha[0] += dx.cwiseProduct(x).sum();
    dx *= alpha_;
  }

 private:
  RowView<T> gamma_, beta_;
  T alpha_;
};

}  // namespace layers
