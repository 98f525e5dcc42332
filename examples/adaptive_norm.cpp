// adaptive_norm: adaLN as in diffusion transformers. A linear layer makes a shift, a scale and a gate of each sample's
// condition; a norm without learned parameters is modulated by the first two, in one pass:
//   (shift, scale, gate) = condition w_c                                  one vector each for every sample
//   y = x + gate * ((layer_norm(x) * (1 + scale) + shift) w)
// Forward, and backward by hand; every gradient is checked against finite differences in double.
#include <simdnorm/simdnorm.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr Eigen::Index samples = 3, tokens = 4, hidden = 19, features = 7;

struct AdaptiveBlock {
  Matrix w_c = Matrix::Random(features, 3 * hidden), w = Matrix::Random(hidden, hidden);
  Matrix dw_c = w_c, dw = w, dcondition = Matrix(samples, features);  // gradients, overwritten by backward
  Matrix modulation =
      Matrix(samples, 3 * hidden);  // shift, scale, gate; kept for backward, as is what follows
  Matrix modulated = Matrix(samples * tokens, hidden), branch = modulated;
  simdnorm::Moments<double> moments;

  // The gate, or its gradient, of the sample that a token belongs to.
  static auto gate_of(Matrix& of_samples, Eigen::Index token) {
    return of_samples.row(token / tokens).rightCols(hidden);
  }

  void forward(const Matrix& condition, const Matrix& x, Matrix& y) {
    modulation.noalias() = condition * w_c;
    const simdnorm::ModulatedLayerNorm<double> norm(modulation.middleCols(hidden, hidden),
                                                    modulation.leftCols(hidden), 1e-6);
    norm.forward(x, modulated, moments);
    branch.noalias() = modulated * w;
    for (Eigen::Index t = 0; t < x.rows(); ++t)
      y.row(t) = x.row(t) + branch.row(t).cwiseProduct(gate_of(modulation, t));
  }

  void backward(const Matrix& dy, const Matrix& condition, const Matrix& x, Matrix& dx) {
    Matrix dmodulation = Matrix::Zero(samples, 3 * hidden), dbranch(dy.rows(), hidden);
    for (Eigen::Index t = 0; t < dy.rows(); ++t) {
      gate_of(dmodulation, t) += dy.row(t).cwiseProduct(branch.row(t));
      dbranch.row(t) = dy.row(t).cwiseProduct(gate_of(modulation, t));
    }
    dw.noalias() = modulated.transpose() * dbranch;
    dx.noalias() = dbranch * w.transpose();  // gradient of `modulated`; dx is written over it, with dy added
    const simdnorm::ModulatedLayerNorm<double> norm(modulation.middleCols(hidden, hidden),
                                                    modulation.leftCols(hidden), 1e-6);
    norm.backward(dx, x, moments, simdnorm::added(dy, dx), dmodulation.middleCols(hidden, hidden),
                  dmodulation.leftCols(hidden));
    dw_c.noalias() = condition.transpose() * dmodulation;
    dcondition.noalias() = dmodulation * w_c.transpose();
  }
};

// The loss is the sum of y * dy, so that dy is its gradient. `values` is what is varied.
// The largest difference to central differences, relative to the largest gradient.
double gradient_error(AdaptiveBlock& block, const Matrix& condition, const Matrix& x, const Matrix& dy,
                      Matrix& values, const Matrix& gradient) {
  const double step = 1e-5;
  Matrix y(samples * tokens, hidden);
  double worst = 0;
  for (Eigen::Index i = 0; i < values.size(); ++i) {
    double& value = values.data()[i];
    const double kept = value;
    value = kept + step;
    block.forward(condition, x, y);
    const double above = y.cwiseProduct(dy).sum();
    value = kept - step;
    block.forward(condition, x, y);
    const double below = y.cwiseProduct(dy).sum();
    value = kept;
    worst = std::fmax(worst, std::abs((above - below) / (2 * step) - gradient.data()[i]));
  }
  return worst / gradient.cwiseAbs().maxCoeff();
}

int failures = 0;

void check(const char* gradient, double error) {
  const bool holds = error < 1e-6;  // what central differences are good for; false for NaN
  std::printf("%s  %-10s  differs from finite differences by %.1e\n", holds ? "ok  " : "FAIL", gradient,
              error);
  if (!holds) ++failures;
}

}  // namespace

int main() {
  std::srand(1);
  Matrix condition = Matrix::Random(samples, features), x = Matrix::Random(samples * tokens, hidden), y = x,
         dx = x;
  const Matrix dy = Matrix::Random(samples * tokens, hidden);

  AdaptiveBlock block;
  block.forward(condition, x, y);
  block.backward(dy, condition, x, dx);
  const Matrix dw = block.dw, dw_c = block.dw_c, dcondition = block.dcondition;
  check("dx", gradient_error(block, condition, x, dy, x, dx));
  check("dw", gradient_error(block, condition, x, dy, block.w, dw));
  check("dw_c", gradient_error(block, condition, x, dy, block.w_c, dw_c));
  check("dcondition", gradient_error(block, condition, x, dy, condition, dcondition));

  return failures == 0 ? 0 : 1;
}
