// The four operators of the pointer layer, compiled once for all tests (operators_*.cpp), and both norms
// through one door.
#pragma once

#include <simdnorm/storage.hpp>

#include <type_traits>

#include "support/executors.hpp"
#include "support/oracle.hpp"

namespace support {

using oracle::Norm;
using simdnorm::packed;
using simdnorm::RowMoments;
using simdnorm::RowShape;
using simdnorm::Strided;

struct Options {  // simdnorm::GradientOptions, without the kernels' headers
  bool accumulate = false;
  void* workspace = nullptr;
};

template <class T> struct LayerNormOperator {
  static void forward(RowShape shape, Strided<const T> x, const T* gamma, const T* beta, T epsilon,
                      Strided<T> y, RowMoments<T>* moments, const Executor& executor);
  static void backward(RowShape shape, Strided<const T> dy, Strided<const T> x, const T* gamma,
                       const RowMoments<T>* moments, Strided<T> dx, T* dgamma, T* dbeta, Options options,
                       const Executor& executor);
  static std::int64_t workspace_bytes(RowShape shape);
};
template <class T> struct RMSNormOperator {
  static void forward(RowShape shape, Strided<const T> x, const T* gamma, T epsilon, Strided<T> y,
                      RowMoments<T>* moments, const Executor& executor);
  static void backward(RowShape shape, Strided<const T> dy, Strided<const T> x, const T* gamma,
                       const RowMoments<T>* moments, Strided<T> dx, T* dgamma, Options options,
                       const Executor& executor);
};
extern template struct LayerNormOperator<float>;
extern template struct LayerNormOperator<double>;
extern template struct RMSNormOperator<float>;
extern template struct RMSNormOperator<double>;

// An operand that is read, from rows that may be written or not.
template <class T> struct Read {
  Strided<const T> rows;
  Read(Strided<const T> operand) : rows(operand) {}
  Read(Strided<T> operand) : rows{operand.data, operand.outer, operand.column} {}
};

// T, in a place that no template argument is deduced from.
template <class T> using Same = std::common_type_t<T>;

// RMSNorm takes no beta: its arguments beta and dbeta must be nullptr.
template <class T>
void forward(Norm norm, RowShape shape, Same<Read<T>> x, const Same<T>* gamma, const Same<T>* beta,
             Same<T> epsilon, Strided<T> y, Same<RowMoments<T>>* moments = nullptr,
             const Executor& executor = serial) {
  if (norm == Norm::layer) {
    LayerNormOperator<T>::forward(shape, x.rows, gamma, beta, epsilon, y, moments, executor);
  } else {
    RMSNormOperator<T>::forward(shape, x.rows, gamma, epsilon, y, moments, executor);
  }
}

template <class T>
void backward(Norm norm, RowShape shape, Same<Read<T>> dy, Same<Read<T>> x, const Same<T>* gamma,
              const RowMoments<Same<T>>* moments, Strided<T> dx, Same<T>* dgamma, Same<T>* dbeta,
              Options options = {}, const Executor& executor = serial) {
  if (norm == Norm::layer) {
    LayerNormOperator<T>::backward(shape, dy.rows, x.rows, gamma, moments, dx, dgamma, dbeta, options,
                                   executor);
  } else {
    RMSNormOperator<T>::backward(shape, dy.rows, x.rows, gamma, moments, dx, dgamma, options, executor);
  }
}

}  // namespace support
