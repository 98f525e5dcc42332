// custom_layer: a layer that holds gamma, beta and their gradients, with an SGD step; trained on a tiny task.
#include <simdnorm/simdnorm.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>

// Copy this class into your model. It holds what LayerNorm learns and what a backward pass needs.
// It takes matrices and tensors whose last dimension is `hidden`.
template <class Scalar> class LayerNormLayer {
 public:
  using Vector = Eigen::Matrix<Scalar, Eigen::Dynamic, 1>;

  Vector gamma, beta;    // (hidden) learned
  Vector dgamma, dbeta;  // (hidden) summed over all backward calls since the last sgd_step

  explicit LayerNormLayer(Eigen::Index hidden, Scalar epsilon = Scalar(1e-5))
      : gamma(Vector::Ones(hidden)),
        beta(Vector::Zero(hidden)),
        dgamma(Vector::Zero(hidden)),
        dbeta(Vector::Zero(hidden)),
        epsilon_(epsilon) {}

  // Inference: nothing is kept. y may be x.
  template <class X, class Y> void infer(const X& x, Y& y) const { norm().forward(x, y); }

  // Training: keeps the moments of x for backward. The caller keeps x.
  template <class X, class Y> void forward(const X& x, Y& y) { norm().forward(x, y, moments_); }

  // Writes dx, adds to dgamma and dbeta. x is what the last forward was given. dx may be dy.
  template <class Dy, class X, class Dx> void backward(const Dy& dy, const X& x, Dx& dx) {
    norm().backward(dy, x, moments_, dx, dgamma, dbeta, simdnorm::accumulate, workspace_);
  }

  void sgd_step(Scalar learning_rate) {
    gamma -= learning_rate * dgamma;
    beta -= learning_rate * dbeta;
    dgamma.setZero();
    dbeta.setZero();
  }

 private:
  // Made for each call: it only points to gamma and beta, and the layer stays free to be copied and moved.
  simdnorm::LayerNorm<Scalar> norm() const { return {gamma, beta, epsilon_}; }

  Scalar epsilon_;
  simdnorm::Moments<Scalar> moments_;
  simdnorm::Workspace<Scalar> workspace_;  // reused, so that later backward calls allocate nothing
};

// The task: which of the four quarters of a vector has the largest sum?
// The model: linear, LayerNorm, ReLU, linear, softmax.
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr Eigen::Index samples = 256, micro_batch = 64, inputs = 16, hidden = 40, classes = 4;

Eigen::Index answer(const Matrix& x, Eigen::Index r) {
  Eigen::Index best = 0;
  Eigen::Map<const Eigen::Matrix<float, classes, inputs / classes, Eigen::RowMajor>>(x.row(r).data())
      .rowwise()
      .sum()
      .maxCoeff(&best);
  return best;
}

// Adds up the loss and the right answers; the logits become the gradient of the loss.
void softmax_cross_entropy(const Matrix& x, Matrix& logits, double& loss, Eigen::Index& right) {
  for (Eigen::Index r = 0; r < logits.rows(); ++r) {
    Eigen::Index guess = 0;
    const Eigen::Index label = answer(x, r);
    const float largest = logits.row(r).maxCoeff(&guess);
    logits.row(r) = (logits.row(r).array() - largest).exp();
    logits.row(r) /= logits.row(r).sum();
    loss -= std::log(double(logits(r, label))) / samples;
    right += guess == label ? 1 : 0;
    logits(r, label) -= 1.f;
  }
  logits /= float(samples);
}

}  // namespace

int main() {
  std::srand(1);
  const Matrix x = Matrix::Random(samples, inputs);
  Matrix w1 = Matrix::Random(inputs, hidden) * 0.5f, w2 = Matrix::Random(hidden, classes) * 0.3f;
  LayerNormLayer<float> layer(hidden);

  const int steps = 200;
  const float learning_rate = 0.5f;
  double first_loss = 0, last_loss = 0, loss = 0;
  bool fell = true;
  for (int step = 0; step <= steps; ++step) {
    Matrix dw1 = Matrix::Zero(inputs, hidden), dw2 = Matrix::Zero(hidden, classes);
    Eigen::Index right = 0;
    loss = 0;
    // The gradients add up over the micro-batches of a step.
    for (Eigen::Index start = 0; start < samples; start += micro_batch) {
      const Matrix in = x.middleRows(start, micro_batch);
      const Matrix linear = in * w1;
      Matrix normalized(micro_batch, hidden);
      layer.forward(linear, normalized);
      const Matrix relu = normalized.cwiseMax(0.f);
      Matrix dlogits = relu * w2;
      softmax_cross_entropy(in, dlogits, loss, right);

      dw2 += relu.transpose() * dlogits;
      const Matrix drelu = dlogits * w2.transpose();
      Matrix d = (normalized.array() > 0.f).select(drelu, 0.f);
      layer.backward(d, linear, d);  // dx is written over dy
      dw1 += in.transpose() * d;
    }
    if (step % 50 == 0) {
      std::printf("step %3d: loss %.4f, right %3d of %d\n", step, loss, int(right), int(samples));
      if (step == 0) first_loss = loss;
      if (step > 0) fell = fell && loss < last_loss;
      last_loss = loss;
    }
    w1 -= learning_rate * dw1;
    w2 -= learning_rate * dw2;
    layer.sgd_step(learning_rate);
  }
  const bool learned = (layer.gamma.array() != 1.f).any() && (layer.beta.array() != 0.f).any();

  // What was learned is what inference uses, and a copy of the layer stands on its own.
  Matrix trained(samples, hidden), inferred(samples, hidden), copied(samples, hidden);
  const Matrix linear = x * w1;
  layer.forward(linear, trained);
  layer.infer(linear, inferred);
  const LayerNormLayer<float> copy = layer;
  layer.gamma.setZero();
  copy.infer(linear, copied);

  std::printf("loss %.4f -> %.4f; gamma and beta %s; inference %s with training; a copy %s\n", first_loss,
              loss, learned ? "learned" : "DID NOT CHANGE", inferred == trained ? "agrees" : "DISAGREES",
              copied == trained ? "agrees" : "DISAGREES");
  return fell && loss < 0.1 * first_loss && learned && inferred == trained && copied == trained ? 0 : 1;
}
