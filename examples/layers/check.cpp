// layers: three layers that stand where a norm stands and are none of this library's, as a user would write them; their gradients
// beside finite differences, in double, and what a batch does to a row.
#include <cmath>
#include <cstdio>
#include <functional>
#include <vector>

#include "batch_norm.hpp"
#include "dynamic_tanh.hpp"
#include "switchable_norm.hpp"

namespace {

using layers::Matrix;
using layers::Row;
using layers::RowView;

constexpr Eigen::Index rows = 7, width = 10;
int failures = 0;

void check(const char* layer, const char* what, bool holds, double error) {
  std::printf("%s  %-15s  %-9s  %.1e\n", holds ? "ok  " : "FAIL", layer, what, error);
  failures += !holds;
}
template <class T> RowView<T> view(Row<T>& row) { return {row.data(), row.size()}; }

/// `forward` computes y of what it refers to; the loss is the sum of y dy.
void check_gradient(const char* layer, const char* what, const std::function<Matrix<double>()>& forward,
                    const Matrix<double>& dy, double* values, const double* gradient, Eigen::Index count) {
  const double step = 1e-5;
  double worst = 0, largest = 0;
  for (Eigen::Index i = 0; i < count; ++i) {
    const double kept = values[i];
    values[i] = kept + step;
    const double above = forward().cwiseProduct(dy).sum();
    values[i] = kept - step;
    const double below = forward().cwiseProduct(dy).sum();
    values[i] = kept;
    worst = std::fmax(worst, std::abs((above - below) / (2 * step) - gradient[i]));
    largest = std::fmax(largest, std::abs(gradient[i]));
  }
  check(layer, what, largest > 1e-3 && worst < 1e-7 * largest, worst / largest);
}

struct Operands {
  Matrix<double> x = Matrix<double>::Random(rows, width), dy = Matrix<double>::Random(rows, width),
                 dx = Matrix<double>(rows, width);
  Row<double> gamma = Row<double>::Random(width), beta = Row<double>::Random(width),
              running_mean = Row<double>::Zero(width), running_variance = Row<double>::Ones(width),
              mixture = Row<double>::Random(4), alpha = Row<double>::Constant(1, 0.7);
  Row<double> dgamma = Row<double>::Zero(width), dbeta = Row<double>::Zero(width),
              dmixture = Row<double>::Zero(4), dalpha = Row<double>::Zero(1);

  Operands() { x.array() += 0.5; }
  void check_gradients(const char* layer, const std::function<Matrix<double>()>& forward) {
    check_gradient(layer, "dx", forward, dy, x.data(), dx.data(), x.size());
    check_gradient(layer, "dgamma", forward, dy, gamma.data(), dgamma.data(), width);
    check_gradient(layer, "dbeta", forward, dy, beta.data(), dbeta.data(), width);
  }
};

void check_batch_norm() {
  Operands o;
  layers::BatchNorm<double> norm(view(o.gamma), view(o.beta), view(o.running_mean), view(o.running_variance));
  Matrix<double> y(rows, width), inferred(rows, width);
  layers::ColumnStatistics<double> statistics;
  const auto forward = [&] {
    norm.forward(o.x, y, statistics);
    return y;
  };
  forward();
  norm.backward(o.dy, o.x, statistics, o.dx, view(o.dgamma), view(o.dbeta));
  o.check_gradients("BatchNorm", forward);
  // After many batches that are the same, inference differs from training by the estimate of the variance alone.
  for (int i = 0; i < 400; ++i) forward();
  const double scale = double(rows - 1) / double(rows);
  norm.infer(o.x, inferred);
  const Matrix<double> centred = y.rowwise() - o.beta.matrix();
  const Matrix<double> expected = (std::sqrt(scale) * centred).rowwise() + o.beta.matrix();
  const double error = (inferred - expected).cwiseAbs().maxCoeff();
  check("BatchNorm", "inference", error < 1e-3, error);  // epsilon stands beside both variances
}

void check_switchable_norm() {
  Operands o;
  Matrix<double> y(rows, width);
  layers::ColumnStatistics<double> statistics;
  const auto norm = [&] {
    return layers::SwitchableNorm<double>(view(o.gamma), view(o.beta), view(o.mixture), view(o.running_mean),
                                          view(o.running_variance));
  };
  const auto forward = [&] {
    norm().forward(o.x, y, statistics);
    return y;
  };
  forward();
  norm().backward(o.dy, o.x, statistics, o.dx, view(o.dgamma), view(o.dbeta), view(o.dmixture));
  o.check_gradients("SwitchableNorm", forward);
  check_gradient("SwitchableNorm", "dmixture", forward, o.dy, o.mixture.data(), o.dmixture.data(), 4);
  // With all of the mixture on one side it is BatchNorm.
  o.mixture << -50, 50, -50, 50;
  const Matrix<double> mixed = forward();
  layers::BatchNorm<double>(view(o.gamma), view(o.beta), view(o.running_mean), view(o.running_variance))
      .forward(o.x, y, statistics);
  const double error = (y - mixed).cwiseAbs().maxCoeff();
  check("SwitchableNorm", "one side", error < 1e-12, error);
}

void check_dynamic_tanh() {
  Operands o;
  Matrix<double> y(rows, width);
  const auto layer = [&] { return layers::DynamicTanh<double>(view(o.gamma), view(o.beta), view(o.alpha)); };
  const auto forward = [&] {
    layer().forward(o.x, y);
    return y;
  };
  layer().backward(o.dy, o.x, o.dx, view(o.dgamma), view(o.dbeta), view(o.dalpha));
  o.check_gradients("DynamicTanh", forward);
  check_gradient("DynamicTanh", "dalpha", forward, o.dy, o.alpha.data(), o.dalpha.data(), 1);
}

}  // namespace

int main() {
  check_batch_norm();
  check_switchable_norm();
  check_dynamic_tanh();
  return failures == 0 ? 0 : 1;
}
