// BatchNorm over the rows of a matrix: y = gamma (x - mean)/sqrt(variance + epsilon) + beta, with the mean and the variance of a
// column. Ioffe and Szegedy, 2015; running statistics as PyTorch's BatchNorm1d has them.
#pragma once

#include <Eigen/Core>

namespace layers {

template <class T> using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T> using Row = Eigen::Array<T, 1, Eigen::Dynamic>;
template <class T> using RowView = Eigen::Map<Row<T>>;

/// The mean and the variance of each column, (width).
template <class T> struct ColumnStatistics {
  Row<T> mean, variance;

  static ColumnStatistics of(const Matrix<T>& x) {
    const Row<T> mean = x.colwise().mean();
    return {mean, (x.array().rowwise() - mean).square().colwise().mean()};
  }
  /// running += momentum (this - running); the variance as it is estimated of what the rows are a part of. Empty views: nothing.
  void update(Eigen::Index rows, T momentum, RowView<T> running_mean, RowView<T> running_variance) const {
    if (running_mean.size() == 0) return;
    const T unbiased = rows > 1 ? T(rows) / T(rows - 1) : T(1);
    running_mean += momentum * (mean - running_mean);
    running_variance += momentum * (unbiased * variance - running_variance);
  }
};

/// Views what it learned and its running statistics, all (width), the latter empty where none are kept; matrices are (rows, width).
/// dx may be dy; nothing else that is written may overlap what is read.
template <class T> class BatchNorm {
 public:
  using Statistics = ColumnStatistics<T>;

  BatchNorm(RowView<T> gamma, RowView<T> beta, RowView<T> running_mean, RowView<T> running_variance)
      : gamma_(gamma), beta_(beta), running_mean_(running_mean), running_variance_(running_variance) {}

  /// Training: of the batch that x is.
  void forward(const Matrix<T>& x, Matrix<T>& y, Statistics& statistics) {
    statistics = Statistics::of(x);
    statistics.update(x.rows(), T(0.1), running_mean_, running_variance_);
    apply(statistics.mean, statistics.variance, x, y);
  }
  /// Inference: a row's y does not depend on the other rows.
  void infer(const Matrix<T>& x, Matrix<T>& y) const { apply(running_mean_, running_variance_, x, y); }

  /// Writes dx, adds to dgamma and dbeta.
  void backward(const Matrix<T>& dy, const Matrix<T>& x, const Statistics& statistics, Matrix<T>& dx,
                RowView<T> dgamma, RowView<T> dbeta) const {
    const Row<T> rstd = (statistics.variance + epsilon).rsqrt();
    const Matrix<T> xhat = (x.array().rowwise() - statistics.mean).rowwise() * rstd;
    const Row<T> of_beta = dy.colwise().sum(), of_gamma = dy.cwiseProduct(xhat).colwise().sum();
    dgamma += of_gamma;
    dbeta += of_beta;
    const T rows = T(x.rows());
    dx = (dy.array().rowwise() - of_beta / rows - xhat.array().rowwise() * (of_gamma / rows)).rowwise() *
         Row<T>(gamma_ * rstd);
  }

 private:
  static constexpr T epsilon = T(1e-5);

  template <class V> void apply(const V& mean, const V& variance, const Matrix<T>& x, Matrix<T>& y) const {
    const Row<T> scale = gamma_ * (variance + epsilon).rsqrt();
    y = ((x.array().rowwise() - Row<T>(mean)).rowwise() * scale).rowwise() + Row<T>(beta_);
  }

  RowView<T> gamma_, beta_, running_mean_, running_variance_;
};

}  // namespace layers
