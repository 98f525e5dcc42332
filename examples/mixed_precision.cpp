// mixed_precision: training with activations in bfloat16 and everything that is learned in float.
//
// gamma, beta, the weights and all gradients of them are float: an SGD step is often smaller than a bfloat16 next to it, which
// would stay as it is. The matrix products read copies of the weights in bfloat16. LayerNorm reads and writes bfloat16,
// computes in float, and takes gamma and beta as they are.
#include <simdnorm/simdnorm.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace {

template <class T> using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::VectorXf;

/// a b with the sums in float, as processors multiply matrices of bfloat16. Eigen by itself would sum in bfloat16.
template <class A, class B> Matrix<float> product(const A& a, const B& b) {
  return a.template cast<float>() * b.template cast<float>();
}

// Copy this class into your model: a LayerNorm whose activations are of any type and whose parameters are float.
class MixedLayerNorm {
 public:
  Vector gamma, beta;    // (hidden)
  Vector dgamma, dbeta;  // (hidden) overwritten by backward

  explicit MixedLayerNorm(Eigen::Index hidden)
      : gamma(Vector::Ones(hidden)), beta(Vector::Zero(hidden)), dgamma(hidden), dbeta(hidden) {}

  // The moments stay float: of rows in bfloat16 they have more digits than the rows themselves.
  template <class X> void forward(const X& x, X& y) { norm().forward(x, y, moments_); }
  template <class X> void backward(const X& dy, const X& x, X& dx) {  // dx may be dy
    norm().backward(dy, x, moments_, dx, dgamma, dbeta, workspace_);
  }

 private:
  simdnorm::LayerNorm<float> norm() const { return {gamma, beta, 1e-5f}; }

  simdnorm::Moments<float> moments_;
  simdnorm::Workspace<float> workspace_;
};

// --- a training loop: which of the four quarters of a vector has the largest sum? ---

constexpr Eigen::Index samples = 256, inputs = 16, hidden = 40, classes = 4;

Eigen::Index answer(const Matrix<float>& x, Eigen::Index r) {
  Eigen::Index best = 0;
  Eigen::Map<const Eigen::Matrix<float, classes, inputs / classes, Eigen::RowMajor>>(x.row(r).data())
      .rowwise()
      .sum()
      .maxCoeff(&best);
  return best;
}

/// The loss; the logits become its gradient.
double softmax_cross_entropy(const Matrix<float>& x, Matrix<float>& logits) {
  double loss = 0;
  for (Eigen::Index r = 0; r < samples; ++r) {
    const Eigen::Index label = answer(x, r);
    logits.row(r) = (logits.row(r).array() - logits.row(r).maxCoeff()).exp();
    logits.row(r) /= logits.row(r).sum();
    loss -= std::log(static_cast<double>(logits(r, label))) / samples;
    logits(r, label) -= 1.f;
  }
  logits /= static_cast<float>(samples);
  return loss;
}

struct Losses {
  double first, last;
  bool fell;  // between any two looks
};

/// linear, LayerNorm, ReLU, linear, softmax, with activations in T. All runs begin with the same weights.
template <class T> Losses train(const char* name) {
  std::srand(1);
  const Matrix<float> x_master = Matrix<float>::Random(samples, inputs);
  Matrix<float> w1_master = Matrix<float>::Random(inputs, hidden) * 0.5f;
  Matrix<float> w2_master = Matrix<float>::Random(hidden, classes) * 0.3f;
  const Matrix<T> x = x_master.cast<T>();
  MixedLayerNorm layer(hidden);

  const int steps = 200;
  const float learning_rate = 0.5f;
  Losses losses = {0, 0, true};
  std::printf("activations in %-8s  loss", name);
  for (int step = 0; step <= steps; ++step) {
    const Matrix<T> w1 = w1_master.cast<T>(), w2 = w2_master.cast<T>();  // what the products read

    const Matrix<T> linear = product(x, w1).template cast<T>();
    Matrix<T> normalized(samples, hidden);
    layer.forward(linear, normalized);
    const Matrix<T> relu = normalized.cwiseMax(T(0));
    Matrix<float> dlogits = product(relu, w2);  // logits: softmax is computed in float
    const double loss = softmax_cross_entropy(x_master, dlogits);

    // bfloat16 reaches as far down as float: gradients in it need no factor that scales the loss, as fp16 does.
    const Matrix<T> d_out = dlogits.cast<T>();
    const Matrix<float> dw2 = product(relu.transpose(), d_out);
    Matrix<T> d = product(d_out, w2.transpose()).template cast<T>();
    d = (normalized.array() > T(0)).select(d, T(0));
    layer.backward(d, linear, d);  // dx is written over dy
    const Matrix<float> dw1 = product(x.transpose(), d);

    w1_master -= learning_rate * dw1;
    w2_master -= learning_rate * dw2;
    layer.gamma -= learning_rate * layer.dgamma;
    layer.beta -= learning_rate * layer.dbeta;

    if (step % 50 == 0) {
      std::printf(" %.4f", loss);
      if (step == 0) losses.first = loss;
      if (step > 0) losses.fell = losses.fell && loss < losses.last;
      losses.last = loss;
    }
  }
  std::printf("\n");
  return losses;
}

// --- the gradients of the norm against finite differences ---

using Exact = Eigen::ArrayXXd;  // (rows, hidden)

/// The sum of y * dy, which has the gradients that backward gives for dy: the formula, in double.
double loss_of(const Exact& x, const Eigen::ArrayXd& gamma, const Eigen::ArrayXd& beta, const Exact& dy) {
  double loss = 0;
  for (Eigen::Index r = 0; r < x.rows(); ++r) {
    const Eigen::ArrayXd row = x.row(r).transpose(), centered = row - row.mean();
    const double rstd = 1 / std::sqrt(centered.square().mean() + 1e-5);
    loss += ((centered * rstd * gamma + beta) * dy.row(r).transpose()).sum();
  }
  return loss;
}

int failures = 0;

/// `values` is what is varied: x, gamma or beta, as doubles. bound(i) is how far element i may be from the central difference.
template <class Values, class Gradient, class Bound, class Loss>
void check(const char* name, Values& values, const Gradient& gradient, const Bound& bound, const Loss& loss) {
  const double step = 1e-4;
  double worst = 0;  // as a part of the bound
  bool holds = true;
  for (Eigen::Index i = 0; i < values.size(); ++i) {
    double& value = values.data()[i];
    const double kept = value;
    value = kept + step;
    const double above = loss();
    value = kept - step;
    const double below = loss();
    value = kept;
    const double difference = (above - below) / (2 * step);
    const double part = std::abs(static_cast<double>(gradient.data()[i]) - difference) / bound(i, difference);
    worst = std::fmax(worst, part);
    holds = holds && part <= 1;  // false for NaN
  }
  std::printf("%s  %-6s  differs from finite differences by at most %.2f of what rounding may do\n",
              holds ? "ok  " : "FAIL", name, worst);
  if (!holds) ++failures;
}

void check_gradients() {
  using Eigen::bfloat16;
  constexpr Eigen::Index rows = 9, columns = 77;
  std::srand(2);
  // Column-major, so that an index into these is one into the copies in double; a norm over rows takes either order.
  using Activations = Eigen::Matrix<bfloat16, Eigen::Dynamic, Eigen::Dynamic>;
  const Activations x = (Eigen::ArrayXXf::Random(rows, columns) * 3.f + 1.f).matrix().cast<bfloat16>();
  const Activations dy = Eigen::MatrixXf::Random(rows, columns).cast<bfloat16>();
  MixedLayerNorm layer(columns);
  layer.gamma = Vector::Random(columns) + Vector::Ones(columns);
  layer.beta = Vector::Random(columns);
  Activations y(rows, columns), dx(rows, columns);
  layer.forward(x, y);
  layer.backward(dy, x, dx);

  // What bfloat16 holds, a double holds exactly: both sides differentiate at the same place.
  Exact exact_x = x.cast<double>().array();
  const Exact exact_dy = dy.cast<double>().array();
  Eigen::ArrayXd gamma = layer.gamma.cast<double>().array(), beta = layer.beta.cast<double>().array();
  const auto loss = [&] { return loss_of(exact_x, gamma, beta, exact_dy); };

  // Central differences err by (step^2/6) f''' and by the roundings of f over the step: here by less than this.
  const double of_differences = 1e-7;
  // What a row's dx may be wrong by before it is rounded: 5e-7 of the norm of dy gamma rstd.
  Eigen::ArrayXd of_row(rows);
  for (Eigen::Index r = 0; r < rows; ++r) {
    const Eigen::ArrayXd row = exact_x.row(r).transpose();
    const double rstd = 1 / std::sqrt((row - row.mean()).square().mean() + 1e-5);
    of_row(r) = 5e-7 * (exact_dy.row(r).transpose() * gamma).matrix().norm() * rstd;
  }
  // The nearest bfloat16, of 8 bits, is off by at most 2^-8 of it.
  check(
      "dx", exact_x, dx,
      [&](Eigen::Index i, double expected) {
        return std::ldexp(std::abs(expected), -8) + of_row(i % rows) + of_differences;
      },
      loss);
  // Float sums: 4 u of the sum of |dy| max(1, |xhat|) for dgamma, with |xhat| < sqrt(columns); 2e-7 of |dy|'s for dbeta.
  const Eigen::ArrayXd magnitude = exact_dy.abs().colwise().sum().transpose();
  check(
      "dgamma", gamma, layer.dgamma,
      [&](Eigen::Index i, double) {
        return std::ldexp(4 * magnitude(i) * std::sqrt(double(columns)), -24) + of_differences;
      },
      loss);
  check(
      "dbeta", beta, layer.dbeta,
      [&](Eigen::Index i, double) { return 2e-7 * magnitude(i) + of_differences; }, loss);
}

}  // namespace

int main() {
  check_gradients();
  const Losses in_float = train<float>("float"), mixed = train<Eigen::bfloat16>("bfloat16");
  const auto learned = [](const Losses& losses) { return losses.fell && losses.last < 0.1 * losses.first; };
  const bool close = std::abs(mixed.last - in_float.last) < 0.05 * in_float.first;
  std::printf("%s in float, %s in bfloat16, and the losses are %s\n",
              learned(in_float) ? "learned" : "DID NOT LEARN", learned(mixed) ? "learned" : "DID NOT LEARN",
              close ? "close" : "NOT CLOSE");
  return failures == 0 && learned(in_float) && learned(mixed) && close ? 0 : 1;
}
