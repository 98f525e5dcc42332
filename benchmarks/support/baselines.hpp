// What simdnorm is measured against: loops as a newcomer writes them, Eigen Tensor and Array expressions.
//
// All in float, two passes. Backward is given mean and rstd of each row, as it would be by a forward that
// keeps them. Of several ways to write an expression the fastest found stands here (README.md): a Tensor
// expression keeps what it needs twice in the output or in one temporary, because it would compute a
// broadcast again for each use; an Array expression goes row by row, and computes xhat again rather than keep
// it.
#pragma once

#include <cmath>
#include <unsupported/Eigen/CXX11/Tensor>

#include "shapes.hpp"

namespace bench::naive {

inline void layer_norm_forward(Index rows, Index hidden, const float* x, const float* gamma,
                               const float* beta, float epsilon, float* y) {
  const float n = static_cast<float>(hidden);
  for (Index r = 0; r < rows; ++r) {
    const float* in = x + r * hidden;
    float* out = y + r * hidden;
    float mean = 0;
    for (Index c = 0; c < hidden; ++c) mean += in[c];
    mean /= n;
    float variance = 0;
    for (Index c = 0; c < hidden; ++c) variance += (in[c] - mean) * (in[c] - mean);
    variance /= n;
    const float rstd = 1 / std::sqrt(variance + epsilon);
    for (Index c = 0; c < hidden; ++c) out[c] = (in[c] - mean) * rstd * gamma[c] + beta[c];
  }
}

inline void layer_norm_backward(Index rows, Index hidden, const float* dy, const float* x, const float* gamma,
                                const float* mean, const float* rstd, float* dx, float* dgamma,
                                float* dbeta) {
  const float n = static_cast<float>(hidden);
  for (Index c = 0; c < hidden; ++c) dgamma[c] = dbeta[c] = 0;
  for (Index r = 0; r < rows; ++r) {
    float mean_g = 0, mean_g_xhat = 0;
    for (Index c = 0; c < hidden; ++c) {
      const float xhat = (x[r * hidden + c] - mean[r]) * rstd[r];
      const float g = dy[r * hidden + c] * gamma[c];
      mean_g += g;
      mean_g_xhat += g * xhat;
      dgamma[c] += dy[r * hidden + c] * xhat;
      dbeta[c] += dy[r * hidden + c];
    }
    mean_g /= n;
    mean_g_xhat /= n;
    for (Index c = 0; c < hidden; ++c) {
      const float xhat = (x[r * hidden + c] - mean[r]) * rstd[r];
      dx[r * hidden + c] = (dy[r * hidden + c] * gamma[c] - mean_g - xhat * mean_g_xhat) * rstd[r];
    }
  }
}

inline void rms_norm_forward(Index rows, Index hidden, const float* x, const float* gamma, float epsilon,
                             float* y) {
  for (Index r = 0; r < rows; ++r) {
    const float* in = x + r * hidden;
    float* out = y + r * hidden;
    float mean_square = 0;
    for (Index c = 0; c < hidden; ++c) mean_square += in[c] * in[c];
    mean_square /= static_cast<float>(hidden);
    const float rstd = 1 / std::sqrt(mean_square + epsilon);
    for (Index c = 0; c < hidden; ++c) out[c] = in[c] * rstd * gamma[c];
  }
}

inline void rms_norm_backward(Index rows, Index hidden, const float* dy, const float* x, const float* gamma,
                              const float* rstd, float* dx, float* dgamma) {
  for (Index c = 0; c < hidden; ++c) dgamma[c] = 0;
  for (Index r = 0; r < rows; ++r) {
    float mean_g_xhat = 0;
    for (Index c = 0; c < hidden; ++c) {
      const float xhat = x[r * hidden + c] * rstd[r];
      mean_g_xhat += dy[r * hidden + c] * gamma[c] * xhat;
      dgamma[c] += dy[r * hidden + c] * xhat;
    }
    mean_g_xhat /= static_cast<float>(hidden);
    for (Index c = 0; c < hidden; ++c) {
      const float xhat = x[r * hidden + c] * rstd[r];
      dx[r * hidden + c] = (dy[r * hidden + c] * gamma[c] - xhat * mean_g_xhat) * rstd[r];
    }
  }
}

}  // namespace bench::naive

namespace bench::eigen_tensor {

using Vector = Eigen::Tensor<float, 1, Eigen::RowMajor>;
using Matrix = Eigen::Tensor<float, 2, Eigen::RowMajor>;
using In = Eigen::TensorMap<const Matrix>;
using InVector = Eigen::TensorMap<const Vector>;
using Out = Eigen::TensorMap<Matrix>;
using OutVector = Eigen::TensorMap<Vector>;

/// A value for each row, or for each column, as large as the matrix.
template <class V> auto for_each_row(const V& values, Index rows, Index hidden) {
  return values.reshape(Eigen::array<Index, 2>{rows, 1}).broadcast(Eigen::array<Index, 2>{1, hidden});
}
template <class V> auto for_each_column(const V& values, Index rows, Index hidden) {
  return values.reshape(Eigen::array<Index, 2>{1, hidden}).broadcast(Eigen::array<Index, 2>{rows, 1});
}
inline constexpr Eigen::array<int, 1> rows_axis{0}, columns_axis{1};

inline void layer_norm_forward(Index rows, Index hidden, const float* x_data, const float* gamma_data,
                               const float* beta_data, float epsilon, float* y_data) {
  const In x(x_data, rows, hidden);
  const InVector gamma(gamma_data, hidden), beta(beta_data, hidden);
  Out y(y_data, rows, hidden);
  const Vector mean = x.mean(columns_axis);
  y = x - for_each_row(mean, rows, hidden);
  const Vector rstd = (y.square().mean(columns_axis) + epsilon).rsqrt();
  y = y * for_each_row(rstd, rows, hidden) * for_each_column(gamma, rows, hidden) +
      for_each_column(beta, rows, hidden);
}

inline void layer_norm_backward(Index rows, Index hidden, const float* dy_data, const float* x_data,
                                const float* gamma_data, const float* mean_data, const float* rstd_data,
                                float* dx_data, float* dgamma_data, float* dbeta_data) {
  const In dy(dy_data, rows, hidden), x(x_data, rows, hidden);
  const InVector gamma(gamma_data, hidden), mean(mean_data, rows), rstd(rstd_data, rows);
  Out dx(dx_data, rows, hidden);
  OutVector dgamma(dgamma_data, hidden), dbeta(dbeta_data, hidden);
  const Matrix xhat = (x - for_each_row(mean, rows, hidden)) * for_each_row(rstd, rows, hidden);
  dx = dy * for_each_column(gamma, rows, hidden);
  const Vector mean_g = dx.mean(columns_axis), mean_g_xhat = (dx * xhat).mean(columns_axis);
  dx = (dx - for_each_row(mean_g, rows, hidden) - xhat * for_each_row(mean_g_xhat, rows, hidden)) *
       for_each_row(rstd, rows, hidden);
  dgamma = (dy * xhat).sum(rows_axis);
  dbeta = dy.sum(rows_axis);
}

inline void rms_norm_forward(Index rows, Index hidden, const float* x_data, const float* gamma_data,
                             float epsilon, float* y_data) {
  const In x(x_data, rows, hidden);
  const InVector gamma(gamma_data, hidden);
  Out y(y_data, rows, hidden);
  const Vector rstd = (x.square().mean(columns_axis) + epsilon).rsqrt();
  y = x * for_each_row(rstd, rows, hidden) * for_each_column(gamma, rows, hidden);
}

inline void rms_norm_backward(Index rows, Index hidden, const float* dy_data, const float* x_data,
                              const float* gamma_data, const float* rstd_data, float* dx_data,
                              float* dgamma_data) {
  const In dy(dy_data, rows, hidden), x(x_data, rows, hidden);
  const InVector gamma(gamma_data, hidden), rstd(rstd_data, rows);
  Out dx(dx_data, rows, hidden);
  OutVector dgamma(dgamma_data, hidden);
  const Matrix xhat = x * for_each_row(rstd, rows, hidden);
  dx = dy * for_each_column(gamma, rows, hidden);
  const Vector mean_g_xhat = (dx * xhat).mean(columns_axis);
  dx = (dx - xhat * for_each_row(mean_g_xhat, rows, hidden)) * for_each_row(rstd, rows, hidden);
  dgamma = (dy * xhat).sum(rows_axis);
}

}  // namespace bench::eigen_tensor

namespace bench::eigen_array {

using Row = Eigen::Array<float, 1, Eigen::Dynamic>;
using In = Eigen::Map<const Row>;
using Out = Eigen::Map<Row>;

inline void layer_norm_forward(Index rows, Index hidden, const float* x_data, const float* gamma_data,
                               const float* beta_data, float epsilon, float* y_data) {
  const In gamma(gamma_data, hidden), beta(beta_data, hidden);
  for (Index r = 0; r < rows; ++r) {
    const In x(x_data + r * hidden, hidden);
    const float mean = x.mean();
    const float rstd = 1 / std::sqrt((x - mean).square().mean() + epsilon);
    Out(y_data + r * hidden, hidden) = (x - mean) * rstd * gamma + beta;
  }
}

inline void layer_norm_backward(Index rows, Index hidden, const float* dy_data, const float* x_data,
                                const float* gamma_data, const float* mean, const float* rstd, float* dx_data,
                                float* dgamma_data, float* dbeta_data) {
  const In gamma(gamma_data, hidden);
  Out dgamma(dgamma_data, hidden), dbeta(dbeta_data, hidden);
  dgamma.setZero();
  dbeta.setZero();
  for (Index r = 0; r < rows; ++r) {
    const In dy(dy_data + r * hidden, hidden), x(x_data + r * hidden, hidden);
    const auto xhat = (x - mean[r]) * rstd[r];
    const auto g = dy * gamma;
    const float mean_g = g.mean(), mean_g_xhat = (g * xhat).mean();
    Out(dx_data + r * hidden, hidden) = (g - mean_g - xhat * mean_g_xhat) * rstd[r];
    dgamma += dy * xhat;
    dbeta += dy;
  }
}

inline void rms_norm_forward(Index rows, Index hidden, const float* x_data, const float* gamma_data,
                             float epsilon, float* y_data) {
  const In gamma(gamma_data, hidden);
  for (Index r = 0; r < rows; ++r) {
    const In x(x_data + r * hidden, hidden);
    const float rstd = 1 / std::sqrt(x.square().mean() + epsilon);
    Out(y_data + r * hidden, hidden) = x * rstd * gamma;
  }
}

inline void rms_norm_backward(Index rows, Index hidden, const float* dy_data, const float* x_data,
                              const float* gamma_data, const float* rstd, float* dx_data,
                              float* dgamma_data) {
  const In gamma(gamma_data, hidden);
  Out dgamma(dgamma_data, hidden);
  dgamma.setZero();
  for (Index r = 0; r < rows; ++r) {
    const In dy(dy_data + r * hidden, hidden), x(x_data + r * hidden, hidden);
    const auto xhat = x * rstd[r];
    const auto g = dy * gamma;
    const float mean_g_xhat = (g * xhat).mean();
    Out(dx_data + r * hidden, hidden) = (g - xhat * mean_g_xhat) * rstd[r];
    dgamma += dy * xhat;
  }
}

}  // namespace bench::eigen_array
