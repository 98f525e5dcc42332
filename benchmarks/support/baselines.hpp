// What simdnorm is measured against: loops as a newcomer writes them, Eigen Tensor and Array expressions.
//
// All in float, two passes. Backward is given mean and rstd of each row, as it would be by a forward that
// keeps them. Of several ways to write an expression the fastest found stands here (README.md): a Tensor
// expression keeps what it needs twice in the output or in one temporary, because it would compute a
// broadcast again for each use; an Array expression goes row by row, and computes xhat again rather than keep
// it.
//
// Rows of another type T are converted as a user would write it: by the loops number by number, by the Tensor
// expressions in a tensor of floats before and after, by the Array expressions row by row.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <unsupported/Eigen/CXX11/Tensor>

#include "shapes.hpp"

namespace bench::naive {

template <class T>
void layer_norm_forward(Index rows, Index hidden, const T* x, const float* gamma, const float* beta,
                        float epsilon, T* y) {
  const float n = static_cast<float>(hidden);
  for (Index r = 0; r < rows; ++r) {
    const T* in = x + r * hidden;
    T* out = y + r * hidden;
    float mean = 0;
    for (Index c = 0; c < hidden; ++c) mean += float(in[c]);
    mean /= n;
    float variance = 0;
    for (Index c = 0; c < hidden; ++c) variance += (float(in[c]) - mean) * (float(in[c]) - mean);
    variance /= n;
    const float rstd = 1 / std::sqrt(variance + epsilon);
    for (Index c = 0; c < hidden; ++c) out[c] = T((float(in[c]) - mean) * rstd * gamma[c] + beta[c]);
  }
}

template <class T>
void layer_norm_backward(Index rows, Index hidden, const T* dy, const T* x, const float* gamma,
                         const float* mean, const float* rstd, T* dx, float* dgamma, float* dbeta) {
  const float n = static_cast<float>(hidden);
  for (Index c = 0; c < hidden; ++c) dgamma[c] = dbeta[c] = 0;
  for (Index r = 0; r < rows; ++r) {
    float mean_g = 0, mean_g_xhat = 0;
    for (Index c = 0; c < hidden; ++c) {
      const float xhat = (float(x[r * hidden + c]) - mean[r]) * rstd[r];
      const float g = float(dy[r * hidden + c]) * gamma[c];
      mean_g += g;
      mean_g_xhat += g * xhat;
      dgamma[c] += float(dy[r * hidden + c]) * xhat;
      dbeta[c] += float(dy[r * hidden + c]);
    }
    mean_g /= n;
    mean_g_xhat /= n;
    for (Index c = 0; c < hidden; ++c) {
      const float xhat = (float(x[r * hidden + c]) - mean[r]) * rstd[r];
      dx[r * hidden + c] = T((float(dy[r * hidden + c]) * gamma[c] - mean_g - xhat * mean_g_xhat) * rstd[r]);
    }
  }
}

template <class T>
void rms_norm_forward(Index rows, Index hidden, const T* x, const float* gamma, float epsilon, T* y) {
  for (Index r = 0; r < rows; ++r) {
    const T* in = x + r * hidden;
    T* out = y + r * hidden;
    float mean_square = 0;
    for (Index c = 0; c < hidden; ++c) mean_square += float(in[c]) * float(in[c]);
    mean_square /= static_cast<float>(hidden);
    const float rstd = 1 / std::sqrt(mean_square + epsilon);
    for (Index c = 0; c < hidden; ++c) out[c] = T(float(in[c]) * rstd * gamma[c]);
  }
}

template <class T>
void rms_norm_backward(Index rows, Index hidden, const T* dy, const T* x, const float* gamma,
                       const float* rstd, T* dx, float* dgamma) {
  for (Index c = 0; c < hidden; ++c) dgamma[c] = 0;
  for (Index r = 0; r < rows; ++r) {
    float mean_g_xhat = 0;
    for (Index c = 0; c < hidden; ++c) {
      const float xhat = float(x[r * hidden + c]) * rstd[r];
      mean_g_xhat += float(dy[r * hidden + c]) * gamma[c] * xhat;
      dgamma[c] += float(dy[r * hidden + c]) * xhat;
    }
    mean_g_xhat /= static_cast<float>(hidden);
    for (Index c = 0; c < hidden; ++c) {
      const float xhat = float(x[r * hidden + c]) * rstd[r];
      dx[r * hidden + c] = T((float(dy[r * hidden + c]) * gamma[c] - xhat * mean_g_xhat) * rstd[r]);
    }
  }
}

/// int8 codes with a scale for each row: of the norm's output, which is read twice more.
inline void quantize(Index rows, Index hidden, const float* y, std::int8_t* codes, float* scales) {
  for (Index r = 0; r < rows; ++r) {
    float largest = 0;
    for (Index c = 0; c < hidden; ++c) largest = std::max(largest, std::abs(y[r * hidden + c]));
    scales[r] = largest / 127;
    const float inverse = largest > 0 ? 127 / largest : 0;
    for (Index c = 0; c < hidden; ++c)
      codes[r * hidden + c] = static_cast<std::int8_t>(std::nearbyint(y[r * hidden + c] * inverse));
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

// --- rows of another type than float ---

template <class T> Matrix cast(Index rows, Index hidden, const T* data) {
  return Eigen::TensorMap<const Eigen::Tensor<T, 2, Eigen::RowMajor>>(data, rows, hidden)
      .template cast<float>();
}
template <class T> void cast_back(const Matrix& floats, T* data) {
  Eigen::TensorMap<Eigen::Tensor<T, 2, Eigen::RowMajor>>(data, floats.dimension(0), floats.dimension(1)) =
      floats.template cast<T>();
}
template <class T>
void layer_norm_forward(Index rows, Index hidden, const T* x, const float* gamma, const float* beta,
                        float epsilon, T* y) {
  const Matrix from = cast(rows, hidden, x);
  Matrix to(rows, hidden);
  layer_norm_forward(rows, hidden, from.data(), gamma, beta, epsilon, to.data());
  cast_back(to, y);
}
template <class T>
void layer_norm_backward(Index rows, Index hidden, const T* dy, const T* x, const float* gamma,
                         const float* mean, const float* rstd, T* dx, float* dgamma, float* dbeta) {
  const Matrix above = cast(rows, hidden, dy), from = cast(rows, hidden, x);
  Matrix to(rows, hidden);
  layer_norm_backward(rows, hidden, above.data(), from.data(), gamma, mean, rstd, to.data(), dgamma, dbeta);
  cast_back(to, dx);
}
template <class T>
void rms_norm_forward(Index rows, Index hidden, const T* x, const float* gamma, float epsilon, T* y) {
  const Matrix from = cast(rows, hidden, x);
  Matrix to(rows, hidden);
  rms_norm_forward(rows, hidden, from.data(), gamma, epsilon, to.data());
  cast_back(to, y);
}

}  // namespace bench::eigen_tensor

namespace bench::eigen_array {

using Row = Eigen::Array<float, 1, Eigen::Dynamic>;
using In = Eigen::Map<const Row>;
using Out = Eigen::Map<Row>;

/// A row of T as floats: where it lies, or cast once for all its uses.
template <class T> using Floats = std::conditional_t<std::is_same_v<T, float>, In, Row>;
template <class T> Floats<T> floats(const T* data, Index hidden) {
  return Eigen::Map<const Eigen::Array<T, 1, Eigen::Dynamic>>(data, hidden).template cast<float>();
}
template <class T, class Expression> void assign(T* data, const Expression& row) {
  Eigen::Map<Eigen::Array<T, 1, Eigen::Dynamic>>(data, row.size()) = row.template cast<T>();
}

template <class T>
void layer_norm_forward(Index rows, Index hidden, const T* x_data, const float* gamma_data,
                        const float* beta_data, float epsilon, T* y_data) {
  const In gamma(gamma_data, hidden), beta(beta_data, hidden);
  for (Index r = 0; r < rows; ++r) {
    const Floats<T> x = floats(x_data + r * hidden, hidden);
    const float mean = x.mean();
    const float rstd = 1 / std::sqrt((x - mean).square().mean() + epsilon);
    assign(y_data + r * hidden, (x - mean) * rstd * gamma + beta);
  }
}

template <class T>
void layer_norm_backward(Index rows, Index hidden, const T* dy_data, const T* x_data, const float* gamma_data,
                         const float* mean, const float* rstd, T* dx_data, float* dgamma_data,
                         float* dbeta_data) {
  const In gamma(gamma_data, hidden);
  Out dgamma(dgamma_data, hidden), dbeta(dbeta_data, hidden);
  dgamma.setZero();
  dbeta.setZero();
  for (Index r = 0; r < rows; ++r) {
    const Floats<T> dy = floats(dy_data + r * hidden, hidden), x = floats(x_data + r * hidden, hidden);
    const auto xhat = (x - mean[r]) * rstd[r];
    const auto g = dy * gamma;
    const float mean_g = g.mean(), mean_g_xhat = (g * xhat).mean();
    assign(dx_data + r * hidden, (g - mean_g - xhat * mean_g_xhat) * rstd[r]);
    dgamma += dy * xhat;
    dbeta += dy;
  }
}

template <class T>
void rms_norm_forward(Index rows, Index hidden, const T* x_data, const float* gamma_data, float epsilon,
                      T* y_data) {
  const In gamma(gamma_data, hidden);
  for (Index r = 0; r < rows; ++r) {
    const Floats<T> x = floats(x_data + r * hidden, hidden);
    const float rstd = 1 / std::sqrt(x.square().mean() + epsilon);
    assign(y_data + r * hidden, x * rstd * gamma);
  }
}

template <class T>
void rms_norm_backward(Index rows, Index hidden, const T* dy_data, const T* x_data, const float* gamma_data,
                       const float* rstd, T* dx_data, float* dgamma_data) {
  const In gamma(gamma_data, hidden);
  Out dgamma(dgamma_data, hidden);
  dgamma.setZero();
  for (Index r = 0; r < rows; ++r) {
    const Floats<T> dy = floats(dy_data + r * hidden, hidden), x = floats(x_data + r * hidden, hidden);
    const auto xhat = x * rstd[r];
    const auto g = dy * gamma;
    const float mean_g_xhat = (g * xhat).mean();
    assign(dx_data + r * hidden, (g - xhat * mean_g_xhat) * rstd[r]);
    dgamma += dy * xhat;
  }
}

inline void quantize(Index rows, Index hidden, const float* y_data, std::int8_t* codes, float* scales) {
  for (Index r = 0; r < rows; ++r) {
    const In y(y_data + r * hidden, hidden);
    const float largest = y.abs().maxCoeff();
    scales[r] = largest / 127;
    assign(codes + r * hidden, (y * (largest > 0 ? 127 / largest : 0)).rint());
  }
}

}  // namespace bench::eigen_array
