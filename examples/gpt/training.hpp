// Training: gradients of a batch on several threads, and AdamW.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "model.hpp"

namespace gpt {

/// Sequences, and for each of their tokens the one after it.
struct Batch {
  std::vector<int> inputs, targets;

  /// Sequences that begin anywhere in the text, as drawn by a generator of this seed.
  static Batch drawn(const std::vector<int>& text, Index sequences, Index length, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    Batch batch;
    for (Index s = 0; s < sequences; ++s) {
      const std::uint64_t places = text.size() - static_cast<std::size_t>(length);
      batch.add(text.data() + random() % places, length);
    }
    return batch;
  }
  void add(const int* text, Index length) {
    inputs.insert(inputs.end(), text, text + length);
    targets.insert(targets.end(), text + 1, text + length + 1);
  }
};

/// The mean loss of batches and its gradient. A batch is cut into `shards` parts, whose gradients are added in their order: the
/// bits are the same on any number of threads. What measures columns measures those of its part, and the first part's are kept.
template <class T, class A = T> class Shards {
 public:
  static constexpr int shards = 4;

  Shards(const Shape& shape, int threads);

  /// The loss in nats a token, with its gradient.
  double loss(Vector<T>& weights, const Batch& batch, Index sequences, Vector<T>& gradient) {
    return loss(weights, batch, sequences, Mode::training, &gradient);
  }
  double loss(Vector<T>& weights, const Batch& batch, Index sequences, Mode mode) {
    return loss(weights, batch, sequences, mode, nullptr);
  }
  /// The mean loss over a text, in sequences that follow each other.
  double loss_of_text(Vector<T>& weights, const std::vector<int>& text);
  /// Of how many numbers that norms have learned a gradient was computed.
  Index norm_gradients() const;

 private:
  double loss(Vector<T>& weights, const Batch& batch, Index sequences, Mode mode, Vector<T>* gradient);
  double loss_of_shard(int i, Vector<T>& weights, const Batch& batch, Index from, Index to, Index length,
                       Mode mode, bool backward);

  Shape shape_;
  Eigen::ThreadPool pool_;
  std::vector<Pass<T, A>> passes_;
  std::vector<Vector<T>> gradients_;
};

/// How weights begin. gpt2: normal with deviation 0.02, less for what ends on the stream. xavier: with the deviation
/// sqrt(2/(inputs + outputs)), as of the first transformers (Glorot and Bengio, 2010).
enum class Start { gpt2, xavier };

/// gamma begins with 1, beta with 0, Dynamic Tanh's alpha with 0.5; adapters with nothing. DeepNorm makes what it says smaller.
template <class T>
Vector<T> initial_weights(const Shape& shape, std::uint64_t seed, Start start = Start::gpt2);

/// AdamW, with the gradient's norm brought down to 1 where it is larger. Weights that are no vectors decay; frozen ones stay.
struct Optimizer {
  Vector<float> mean, square;  // of the gradient
  double beta1 = 0.9, beta2 = 0.99, epsilon = 1e-8, decay = 0.1;

  explicit Optimizer(Index size) : mean(Vector<float>::Zero(size)), square(Vector<float>::Zero(size)) {}

  /// step: from 1 on.
  void update(Vector<float>& weights, Vector<float>& gradient, const std::vector<Tensor>& tensors,
              double rate, Index step) {
    const float norm = gradient.norm();
    if (norm > 1) gradient /= norm;
    mean += float(1 - beta1) * (gradient - mean);
    square += float(1 - beta2) * (gradient.cwiseAbs2() - square);
    const float mean_scale = static_cast<float>(1 / (1 - std::pow(beta1, static_cast<double>(step))));
    const float square_scale = static_cast<float>(1 / (1 - std::pow(beta2, static_cast<double>(step))));
    for (const Tensor& t : tensors)
      if (t.columns > 0 && t.learned)
        weights.segment(t.offset, t.size()) *= static_cast<float>(1 - rate * decay);
    weights.array() -= static_cast<float>(rate) * mean_scale * mean.array() /
                       ((square_scale * square.array()).sqrt() + static_cast<float>(epsilon));
  }
};

/// Up in a line over the first steps, down to a tenth by a cosine over the rest.
inline double learning_rate(double highest, Index step, Index steps, double warm_up) {
  const double s = static_cast<double>(step);
  if (s < warm_up) return highest * (s + 1) / warm_up;
  const double part = (s - warm_up) / std::max(1.0, static_cast<double>(steps) - warm_up);
  return highest * (0.1 + 0.45 * (1 + std::cos(3.14159265358979323846 * part)));
}
inline double usual_warm_up(Index steps) { return std::min(100.0, static_cast<double>(steps) / 10); }

}  // namespace gpt
