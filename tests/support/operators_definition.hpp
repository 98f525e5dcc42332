// The definitions that operators_*.cpp instantiate, one norm and one type in each so that none takes long to
// compile.
#pragma once

#include <simdnorm/pointers.hpp>

#include "support/operators.hpp"

namespace support {

template <class T>
void LayerNormOperator<T>::forward(RowShape shape, Strided<const T> x, const T* gamma, const T* beta,
                                   T epsilon, Strided<T> y, RowMoments<T>* moments,
                                   const Executor& executor) {
  simdnorm::layer_norm_forward(shape, x, gamma, beta, epsilon, y, moments, executor);
}
template <class T>
void LayerNormOperator<T>::backward(RowShape shape, Strided<const T> dy, Strided<const T> x, const T* gamma,
                                    const RowMoments<T>* moments, Strided<T> dx, T* dgamma, T* dbeta,
                                    Options options, const Executor& executor) {
  simdnorm::layer_norm_backward(shape, dy, x, gamma, moments, dx, dgamma, dbeta,
                                simdnorm::GradientOptions{options.accumulate, options.workspace}, executor);
}
template <class T> std::int64_t LayerNormOperator<T>::workspace_bytes(RowShape shape) {
  return simdnorm::gradient_workspace_bytes<T>(shape);
}

template <class T>
void RMSNormOperator<T>::forward(RowShape shape, Strided<const T> x, const T* gamma, T epsilon, Strided<T> y,
                                 RowMoments<T>* moments, const Executor& executor) {
  simdnorm::rms_norm_forward(shape, x, gamma, epsilon, y, moments, executor);
}
template <class T>
void RMSNormOperator<T>::backward(RowShape shape, Strided<const T> dy, Strided<const T> x, const T* gamma,
                                  const RowMoments<T>* moments, Strided<T> dx, T* dgamma, Options options,
                                  const Executor& executor) {
  simdnorm::rms_norm_backward(shape, dy, x, gamma, moments, dx, dgamma,
                              simdnorm::GradientOptions{options.accumulate, options.workspace}, executor);
}

}  // namespace support
