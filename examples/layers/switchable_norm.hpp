// Switchable Normalization of the rows of a matrix: means and variances are mixed from those of the row (LayerNorm's) and those of
// the column (BatchNorm's), in parts that are learned. Luo et al., 2018, without the instance's own statistics, as their
// SwitchNorm1d.
//   mean_rc = w_0 mean_r + w_1 mean_c,   variance_rc = v_0 variance_r + v_1 variance_c,   w and v the softmax of what is learned
//   y_rc = gamma_c (x_rc - mean_rc)/sqrt(variance_rc + epsilon) + beta_c
#pragma once

#include "batch_norm.hpp"

namespace layers {

/// Views gamma, beta and the running statistics of the columns, all (width), the latter empty where none are kept, and `mixture`:
/// the logarithms of w_0, w_1, v_0, v_1 up to constants. dx may be dy; nothing else that is written may overlap what is read.
template <class T> class SwitchableNorm {
 public:
  using Statistics = ColumnStatistics<T>;

  SwitchableNorm(RowView<T> gamma, RowView<T> beta, RowView<T> mixture, RowView<T> running_mean,
                 RowView<T> running_variance)
      : gamma_(gamma),
        beta_(beta),
        running_mean_(running_mean),
        running_variance_(running_variance),
        of_mean_(mixture[0], mixture[1]),
        of_variance_(mixture[2], mixture[3]) {}

  /// Training: the columns' statistics are those of x.
  void forward(const Matrix<T>& x, Matrix<T>& y, Statistics& columns) {
    columns = Statistics::of(x);
    columns.update(x.rows(), T(0.1), running_mean_, running_variance_);
    apply(x, y, columns);
  }
  /// Inference: a row's y does not depend on the other rows.
  void infer(const Matrix<T>& x, Matrix<T>& y) const { apply(x, y, {running_mean_, running_variance_}); }

  /// Writes dx, adds to dgamma, dbeta and dmixture.
  void backward(const Matrix<T>& dy, const Matrix<T>& x, const Statistics& columns, Matrix<T>& dx,
                RowView<T> dgamma, RowView<T> dbeta, RowView<T> dmixture) const {
    const Rows rows = Rows::of(x);
    const Matrix<T> rstd = this->rstd(rows, columns);
    const Matrix<T> xhat = (x.array() - mean(rows, columns).array()) * rstd.array();
    dgamma += dy.cwiseProduct(xhat).colwise().sum().array();
    dbeta += dy.colwise().sum().array();
    // Gradients of the mean and the variance of each place, and of what they are mixed from.
    const Matrix<T> dxhat_rstd = (dy.array().rowwise() * Row<T>(gamma_)) * rstd.array();
    const Matrix<T> dvariance = T(-0.5) * dxhat_rstd.array() * xhat.array() * rstd.array();
    const Column row_dmean = -dxhat_rstd.rowwise().sum(), row_dvariance = dvariance.rowwise().sum();
    const Row<T> column_dmean = -dxhat_rstd.colwise().sum(), column_dvariance = dvariance.colwise().sum();
    add_gradient(of_mean_, (row_dmean * rows.mean).sum(), (column_dmean * columns.mean).sum(), &dmixture[0]);
    add_gradient(of_variance_, (row_dvariance * rows.variance).sum(),
                 (column_dvariance * columns.variance).sum(), &dmixture[2]);
    const T width = T(x.cols()), count = T(x.rows());
    const auto centred_in_row = x.array().colwise() - rows.mean;
    const auto centred_in_column = x.array().rowwise() - columns.mean;
    dx = dxhat_rstd.array() +
         ((centred_in_row.colwise() * Column(row_dvariance * (2 * of_variance_.first / width))).colwise() +
          Column(row_dmean * (of_mean_.first / width))) +
         ((centred_in_column.rowwise() * Row<T>(column_dvariance * (2 * of_variance_.second / count)))
              .rowwise() +
          Row<T>(column_dmean * (of_mean_.second / count)));
  }

 private:
  static constexpr T epsilon = T(1e-5);
  using Column = Eigen::Array<T, Eigen::Dynamic, 1>;

  /// Two parts that add to 1.
  struct Parts {
    T first, second;

    Parts(T a, T b) : first(1 / (1 + std::exp(b - a))), second(1 / (1 + std::exp(a - b))) {}
  };
  static void add_gradient(const Parts& parts, T dfirst, T dsecond, T* dmixture) {
    const T both = parts.first * dfirst + parts.second * dsecond;
    dmixture[0] += parts.first * (dfirst - both);
    dmixture[1] += parts.second * (dsecond - both);
  }
  struct Rows {
    Column mean, variance;

    static Rows of(const Matrix<T>& x) {
      const Column mean = x.rowwise().mean();
      return {mean, (x.array().colwise() - mean).square().rowwise().mean()};
    }
  };
  /// first a_r + second b_c, (rows, width).
  static Matrix<T> mixed(const Parts& parts, const Column& a, const Row<T>& b) {
    return (parts.first * a).replicate(1, b.size()).rowwise() + Row<T>(parts.second * b);
  }
  Matrix<T> mean(const Rows& rows, const Statistics& columns) const {
    return mixed(of_mean_, rows.mean, columns.mean);
  }
  Matrix<T> rstd(const Rows& rows, const Statistics& columns) const {
    return (mixed(of_variance_, rows.variance, columns.variance).array() + epsilon).rsqrt();
  }
  void apply(const Matrix<T>& x, Matrix<T>& y, const Statistics& columns) const {
    const Rows rows = Rows::of(x);
    y = (((x - mean(rows, columns)).array() * rstd(rows, columns).array()).rowwise() * Row<T>(gamma_))
            .rowwise() +
        Row<T>(beta_);
  }

  RowView<T> gamma_, beta_, running_mean_, running_variance_;
  Parts of_mean_, of_variance_;
};

}  // namespace layers
