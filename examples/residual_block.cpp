// residual_block: where a norm may stand around a linear layer and its residual, forward and backward by hand, each in one
// pass with the addition beside it.
//   pre-norm,   as in Llama:     y = x + rms_norm(x) w
//   DeepNorm:                    y = layer_norm(alpha x + dropout(x w + b)); alpha = 1 is post-norm, as in BERT
//   sandwich,   as in Gemma 2:   y = x + rms_norm(rms_norm(x) w)
// Every gradient is checked against finite differences in double.
#include <simdnorm/simdnorm.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::VectorXd;

constexpr Eigen::Index tokens = 5, hidden = 19;

struct PreNormBlock {
  Matrix w = Matrix::Random(hidden, hidden);  // (hidden, hidden)
  Vector gamma = Vector::Random(hidden);      // (hidden)
  Matrix dw = Matrix::Zero(hidden, hidden);   // gradients, overwritten by backward
  Vector dgamma = Vector::Zero(hidden);
  Matrix normalized = Matrix(tokens, hidden);  // kept for backward
  simdnorm::Moments<double> moments;

  void forward(const Matrix& x, Matrix& y) {
    simdnorm::RMSNorm<double>(gamma, 1e-6).forward(x, normalized, moments);
    y = x;
    y.noalias() += normalized * w;
  }

  void backward(const Matrix& dy, const Matrix& x, Matrix& dx) {
    dw.noalias() = normalized.transpose() * dy;
    dx.noalias() =
        dy * w.transpose();  // gradient of `normalized`; dx is written over it, with dy of the residual added
    simdnorm::RMSNorm<double>(gamma, 1e-6).backward(dx, x, moments, simdnorm::added(dy, dx), dgamma);
  }
};

struct DeepNormBlock {
  double alpha = 1.7;
  simdnorm::Dropout dropout{
      0.1, 1234};  // the same mask in forward and backward: seed and stream change with the step
  Matrix w = Matrix::Random(hidden, hidden);                             // (hidden, hidden)
  Vector b = Vector::Random(hidden);                                     // (hidden)
  Vector gamma = Vector::Random(hidden), beta = Vector::Random(hidden);  // (hidden)
  Matrix dw = Matrix::Zero(hidden, hidden);                              // gradients, overwritten by backward
  Vector db = Vector::Zero(hidden), dgamma = Vector::Zero(hidden), dbeta = Vector::Zero(hidden);
  Matrix sum = Matrix(tokens, hidden);  // what is normalized, kept for backward
  simdnorm::Moments<double> moments;

  void forward(const Matrix& x, Matrix& y) {
    sum.noalias() = x * w;  // the sum is written over the branch
    simdnorm::LayerNorm<double>(gamma, beta, 1e-5)
        .forward(simdnorm::residual_sum(simdnorm::dropped(sum, dropout).bias(b), x, sum).alpha(alpha), y,
                 moments);
  }

  void backward(const Matrix& dy, const Matrix& x, Matrix& dx) {
    Matrix dbranch(tokens, hidden);
    simdnorm::LayerNorm<double>(gamma, beta, 1e-5)
        .backward(dy, sum, moments,
                  simdnorm::residual_gradients(nullptr, simdnorm::dropped(dbranch, dropout), dx).alpha(alpha),
                  dgamma, dbeta);
    db = dbranch.colwise().sum();
    dw.noalias() = x.transpose() * dbranch;
    dx.noalias() += dbranch * w.transpose();
  }
};

struct SandwichBlock {
  Matrix w = Matrix::Random(hidden, hidden);                                    // (hidden, hidden)
  Vector gamma = Vector::Random(hidden), gamma_after = Vector::Random(hidden);  // (hidden)
  Matrix dw = Matrix::Zero(hidden, hidden);  // gradients, overwritten by backward
  Vector dgamma = Vector::Zero(hidden), dgamma_after = Vector::Zero(hidden);
  Matrix normalized = Matrix(tokens, hidden), branch = Matrix(tokens, hidden);  // kept for backward
  simdnorm::Moments<double> moments, moments_after;

  void forward(const Matrix& x, Matrix& y) {
    simdnorm::RMSNorm<double>(gamma, 1e-6).forward(x, normalized, moments);
    branch.noalias() = normalized * w;
    simdnorm::RMSNorm<double>(gamma_after, 1e-6).forward(branch, simdnorm::added(x, y), moments_after);
  }

  void backward(const Matrix& dy, const Matrix& x, Matrix& dx) {
    Matrix dbranch(tokens, hidden);
    simdnorm::RMSNorm<double>(gamma_after, 1e-6).backward(dy, branch, moments_after, dbranch, dgamma_after);
    dw.noalias() = normalized.transpose() * dbranch;
    dx.noalias() = dbranch * w.transpose();
    simdnorm::RMSNorm<double>(gamma, 1e-6).backward(dx, x, moments, simdnorm::added(dy, dx), dgamma);
  }
};

// The loss is the sum of y * dy, so that dy is its gradient. `values` is what is varied: x, or a parameter.
// The largest difference to central differences, relative to the largest gradient.
template <class Block, class Values>
double gradient_error(Block& block, const Matrix& x, const Matrix& dy, Values& values,
                      const Values& gradient) {
  const double step = 1e-5;
  Matrix y(tokens, hidden);
  double worst = 0;
  for (Eigen::Index i = 0; i < values.size(); ++i) {
    double& value = values.data()[i];
    const double kept = value;
    value = kept + step;
    block.forward(x, y);
    const double above = y.cwiseProduct(dy).sum();
    value = kept - step;
    block.forward(x, y);
    const double below = y.cwiseProduct(dy).sum();
    value = kept;
    worst = std::fmax(worst, std::abs((above - below) / (2 * step) - gradient.data()[i]));
  }
  return worst / gradient.cwiseAbs().maxCoeff();
}

int failures = 0;

void check(const char* block, const char* gradient, double error) {
  const bool holds = error < 1e-6;  // what central differences are good for; false for NaN
  std::printf("%s  %-9s  %-6s  differs from finite differences by %.1e\n", holds ? "ok  " : "FAIL", block,
              gradient, error);
  if (!holds) ++failures;
}

}  // namespace

int main() {
  std::srand(1);
  Matrix x = Matrix::Random(tokens, hidden), y(tokens, hidden), dx(tokens, hidden);
  const Matrix dy = Matrix::Random(tokens, hidden);

  PreNormBlock pre;
  pre.forward(x, y);
  pre.backward(dy, x, dx);
  check("pre-norm", "dx", gradient_error(pre, x, dy, x, dx));
  check("pre-norm", "dw", gradient_error(pre, x, dy, pre.w, pre.dw));
  check("pre-norm", "dgamma", gradient_error(pre, x, dy, pre.gamma, pre.dgamma));

  DeepNormBlock deep;
  deep.forward(x, y);
  deep.backward(dy, x, dx);
  check("DeepNorm", "dx", gradient_error(deep, x, dy, x, dx));
  check("DeepNorm", "dw", gradient_error(deep, x, dy, deep.w, deep.dw));
  check("DeepNorm", "db", gradient_error(deep, x, dy, deep.b, deep.db));
  check("DeepNorm", "dgamma", gradient_error(deep, x, dy, deep.gamma, deep.dgamma));
  check("DeepNorm", "dbeta", gradient_error(deep, x, dy, deep.beta, deep.dbeta));

  SandwichBlock sandwich;
  sandwich.forward(x, y);
  sandwich.backward(dy, x, dx);
  check("sandwich", "dx", gradient_error(sandwich, x, dy, x, dx));
  check("sandwich", "dw", gradient_error(sandwich, x, dy, sandwich.w, sandwich.dw));
  check("sandwich", "dgamma", gradient_error(sandwich, x, dy, sandwich.gamma, sandwich.dgamma));
  check("sandwich", "after", gradient_error(sandwich, x, dy, sandwich.gamma_after, sandwich.dgamma_after));

  return failures == 0 ? 0 : 1;
}
