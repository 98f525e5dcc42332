// Operands of residuals as Eigen objects, for tests that compare with the pointer layer.
#pragma once

#define EIGEN_USE_THREADS
#include <simdnorm/simdnorm.hpp>

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "support/refused.hpp"

namespace residuals {

using simdnorm::added;
using simdnorm::branch;
using simdnorm::dropped;
using simdnorm::Index;
using simdnorm::LayerNorm;
using simdnorm::Moments;
using simdnorm::residual_gradients;
using simdnorm::residual_sum;
using simdnorm::RMSNorm;
using simdnorm::two_gradients;
using simdnorm::two_norms;
using support::refused;

template <class T> using Tensor = Eigen::Tensor<T, 3, Eigen::RowMajor>;
template <class T> using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Eigen::bfloat16;

constexpr Index batch = 3, tokens = 5, hidden = 37, rows = batch * tokens;

template <class T> bool same(const T& a, const T& b) {
  return a.size() == b.size() &&
         std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(typename T::Scalar)) ==
             0;
}
template <class T> Tensor<T> random_tensor() {
  Tensor<T> values(batch, tokens, hidden);
  const Eigen::VectorXf random = Eigen::VectorXf::Random(values.size());
  for (Index i = 0; i < values.size(); ++i) values.data()[i] = static_cast<T>(random[i]);
  return values;
}
template <class T> simdnorm::stored_t<Tensor<T>>* bits(Tensor<T>& a) {
  return reinterpret_cast<simdnorm::stored_t<Tensor<T>>*>(a.data());
}

struct EigenResidual : testing::Test {
  Tensor<bfloat16> x = random_tensor<bfloat16>();  // a branch in bfloat16, the stream in float
  Tensor<float> residual = random_tensor<float>(), dy = random_tensor<float>(), dsum = random_tensor<float>();
  Eigen::VectorXf gamma = Eigen::VectorXf::Random(hidden), beta = Eigen::VectorXf::Random(hidden);
  Eigen::VectorXf bias = Eigen::VectorXf::Random(hidden), dgamma{hidden}, dbeta{hidden};
  LayerNorm<float> norm{gamma, beta, 1e-5F};
  simdnorm::RowShape shape{rows, hidden};
};

}  // namespace residuals
