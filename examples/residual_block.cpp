// residual_block: pre-norm and post-norm around a linear layer, forward and backward by hand.
//   pre-norm,  as in Llama:  y = x + rms_norm(x) w
//   post-norm, as in BERT:   y = layer_norm(x + x w)
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
    dx.noalias() = dy * w.transpose();                                            // gradient of `normalized`
    simdnorm::RMSNorm<double>(gamma, 1e-6).backward(dx, x, moments, dx, dgamma);  // dx over dy
    dx += dy;                                                                     // the residual path
  }
};

struct PostNormBlock {
  Matrix w = Matrix::Random(hidden, hidden);  // (hidden, hidden)
  Vector gamma = Vector::Random(hidden);      // (hidden)
  Vector beta = Vector::Random(hidden);       // (hidden)
  Matrix dw = Matrix::Zero(hidden, hidden);   // gradients, overwritten by backward
  Vector dgamma = Vector::Zero(hidden), dbeta = Vector::Zero(hidden);
  Matrix sum = Matrix(tokens, hidden);  // x + x w, kept for backward
  simdnorm::Moments<double> moments;

  void forward(const Matrix& x, Matrix& y) {
    sum = x;
    sum.noalias() += x * w;
    simdnorm::LayerNorm<double>(gamma, beta, 1e-5).forward(sum, y, moments);
  }

  void backward(const Matrix& dy, const Matrix& x, Matrix& dx) {
    Matrix dsum(tokens, hidden);
    simdnorm::LayerNorm<double>(gamma, beta, 1e-5).backward(dy, sum, moments, dsum, dgamma, dbeta);
    dw.noalias() = x.transpose() * dsum;
    dx = dsum;  // the residual path
    dx.noalias() += dsum * w.transpose();
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

  PostNormBlock post;
  post.forward(x, y);
  post.backward(dy, x, dx);
  check("post-norm", "dx", gradient_error(post, x, dy, x, dx));
  check("post-norm", "dw", gradient_error(post, x, dy, post.w, post.dw));
  check("post-norm", "dgamma", gradient_error(post, x, dy, post.gamma, post.dgamma));
  check("post-norm", "dbeta", gradient_error(post, x, dy, post.beta, post.dbeta));

  return failures == 0 ? 0 : 1;
}
