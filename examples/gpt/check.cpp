// What must be true of the model: its gradients, and that a text has the same bits however it is read.
#include <cstdio>
#include <random>

#include "decoder.hpp"
#include "training.hpp"

namespace gpt {
namespace {

/// The logits of a text that is read at once, beside those of the same text read token by token: bit for bit.
int check_decoder() {
  const Shape shape{/*vocabulary=*/19, /*context=*/13, /*layers=*/3, /*heads=*/3, /*width=*/36};
  Vector<float> values = 10 * initial_weights<float>(shape, 6);
  const Weights<float> weights(shape, values.data());
  int failures = 0;
  for (const Index sequences : {1, 64}) {
    std::vector<int> tokens;
    std::mt19937_64 random(7);
    for (Index i = 0; i < sequences * shape.context; ++i) tokens.push_back(static_cast<int>(random() % 19));
    Matrix<float> expected;
    for (const int threads : {1, 4}) {
      Eigen::ThreadPool pool(threads);
      const Eigen::ThreadPoolDevice device(&pool, threads);
      Decoder at_once(shape, sequences), one_by_one(shape, sequences);
      const Matrix<float> whole = at_once.read(weights, tokens, device);
      if (expected.size() == 0) expected = whole;
      Matrix<float> streamed(whole.rows(), whole.cols());
      for (Index i = 0; i < shape.context; ++i) {
        std::vector<int> next;
        for (Index s = 0; s < sequences; ++s)
          next.push_back(tokens[static_cast<std::size_t>(s * shape.context + i)]);
        const Matrix<float>& logits = one_by_one.read(weights, next, device);
        for (Index s = 0; s < sequences; ++s) streamed.row(s * shape.context + i) = logits.row(s);
      }
      // What training computes, in another order of its sums.
      Pass<float> pass(shape);
      const Matrix<float>& trained = pass.forward(weights, tokens, sequences);
      const float error = (trained - whole).cwiseAbs().maxCoeff() / trained.cwiseAbs().maxCoeff();
      const bool same = streamed == whole && expected == whole, near = error < 1e-3f;
      std::printf("%s  %ld sequences, %d threads: token by token %s; training's logits differ by %.1e\n",
                  same && near ? "ok  " : "FAIL", static_cast<long>(sequences), threads,
                  same ? "has the same bits" : "DIFFERS", static_cast<double>(error));
      failures += !(same && near);
    }
  }
  return failures;
}

/// Every tensor's gradient in double, in ten places, beside central differences.
int check_gradients() {
  const Shape shape{/*vocabulary=*/11, /*context=*/7, /*layers=*/2, /*heads=*/3, /*width=*/12};
  const Index sequences = 5;
  std::vector<int> text;
  std::mt19937_64 random(3);
  for (int i = 0; i < 100; ++i) text.push_back(static_cast<int>(random() % 11));
  const Batch batch = Batch::drawn(text, sequences, shape.context, 4);
  const std::vector<Tensor> tensors = Weights<double>::tensors_of(shape);
  Vector<double> weights = initial_weights<double>(shape, 5), gradient(weights.size());
  for (const Tensor& t : tensors)  // larger than at the beginning of a training, so that no gradient is small
    if (t.columns > 0) weights.segment(t.offset, t.size()) *= 10;
  Shards<double> shards(shape, 2);
  shards.loss(weights, batch, sequences, &gradient);
  int failures = 0;
  for (const Tensor& t : tensors) {
    double error = 0;
    const double size = gradient.segment(t.offset, t.size()).cwiseAbs().maxCoeff();
    for (int i = 0; i < 10; ++i) {
      const Index place = t.offset + static_cast<Index>(random() % static_cast<std::uint64_t>(t.size()));
      const double kept = weights[place], step = 1e-5;
      weights[place] = kept + step;
      const double above = shards.loss(weights, batch, sequences, nullptr);
      weights[place] = kept - step;
      const double below = shards.loss(weights, batch, sequences, nullptr);
      weights[place] = kept;
      error = std::fmax(error, std::abs((above - below) / (2 * step) - gradient[place]));
    }
    const bool holds = size > 1e-6 && error <= 1e-7 * std::fmax(size, 1e-2);
    std::printf("%s  %-28s  up to %.2e, differs from finite differences by %.1e\n", holds ? "ok  " : "FAIL",
                t.name.c_str(), size, error);
    failures += !holds;
  }
  return failures;
}

}  // namespace

int check() { return check_gradients() + check_decoder() == 0 ? 0 : 1; }

}  // namespace gpt
