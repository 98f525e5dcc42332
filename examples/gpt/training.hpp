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
/// bits are the same on any number of threads.
template <class T> class Shards {
 public:
  static constexpr int shards = 4;

  Shards(const Shape& shape, int threads) : shape_(shape), pool_(threads) {
    for (int i = 0; i < shards; ++i) {
      passes_.emplace_back(shape);
      gradients_.emplace_back(Vector<T>::Zero(Weights<T>::size_of(shape)));
    }
  }

  /// The loss in nats a token; with `gradient` also its gradient.
  double loss(Vector<T>& weights, const Batch& batch, Index sequences, Vector<T>* gradient) {
    const Index length = static_cast<Index>(batch.inputs.size()) / sequences;
    double losses[shards];
    Eigen::Barrier barrier(shards);
    for (int i = 0; i < shards; ++i) {
      pool_.Schedule([&, i] {
        const auto from = sequences * i / shards * length, to = sequences * (i + 1) / shards * length;
        losses[i] = from == to ? 0 : loss_of_shard(i, weights, batch, from, to, length, gradient != nullptr);
        barrier.Notify();
      });
    }
    barrier.Wait();
    double sum = 0;
    if (gradient != nullptr) gradient->setZero();
    for (int i = 0; i < shards; ++i) {
      sum += losses[i];
      if (gradient != nullptr) *gradient += gradients_[static_cast<std::size_t>(i)];
    }
    return sum / static_cast<double>(batch.inputs.size());
  }

 private:
  double loss_of_shard(int i, Vector<T>& weights, const Batch& batch, Index from, Index to, Index length,
                       bool backward) {
    Pass<T>& pass = passes_[static_cast<std::size_t>(i)];
    Vector<T>& gradient = gradients_[static_cast<std::size_t>(i)];
    const std::vector<int> inputs(batch.inputs.begin() + from, batch.inputs.begin() + to);
    const std::vector<int> targets(batch.targets.begin() + from, batch.targets.begin() + to);
    const Weights<T> views(shape_, weights.data());
    pass.forward(views, inputs, (to - from) / length);
    const double loss = pass.loss(targets, 1 / static_cast<double>(batch.inputs.size()));
    gradient.setZero();
    if (backward) {
      Weights<T> gradients(shape_, gradient.data());
      pass.backward(views, inputs, gradients);
    }
    return loss;
  }

  Shape shape_;
  Eigen::ThreadPool pool_;
  std::vector<Pass<T>> passes_;
  std::vector<Vector<T>> gradients_;
};

/// GPT-2's beginning: normal with deviation 0.02, less for what ends on the stream, gamma 1 and beta 0.
template <class T> Vector<T> initial_weights(const Shape& shape, std::uint64_t seed) {
  Vector<T> values = Vector<T>::Zero(Weights<T>::size_of(shape));
  Weights<T> weights(shape, values.data());
  std::mt19937_64 random(seed);
  const auto fill = [&](auto& matrix, double deviation) {
    std::normal_distribution<double> normal(0, deviation);
    for (Index i = 0; i < matrix.size(); ++i) matrix.data()[i] = static_cast<T>(normal(random));
  };
  const double onto_stream = 0.02 / std::sqrt(2.0 * static_cast<double>(shape.layers));
  fill(weights.tokens, 0.02);
  fill(weights.positions, 0.02);
  for (auto& layer : weights.layers) {
    fill(layer.qkv, 0.02);
    fill(layer.out, onto_stream);
    fill(layer.up, 0.02);
    fill(layer.down, onto_stream);
    layer.attention_norm.gamma.setOnes();
    layer.mlp_norm.gamma.setOnes();
  }
  weights.last_norm.gamma.setOnes();
  return values;
}

/// AdamW, with the gradient's norm brought down to 1 where it is larger. Weights that are no vectors decay.
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
      if (t.columns > 0) weights.segment(t.offset, t.size()) *= static_cast<float>(1 - rate * decay);
    weights.array() -= static_cast<float>(rate) * mean_scale * mean.array() /
                       ((square_scale * square.array()).sqrt() + static_cast<float>(epsilon));
  }
};

/// Up in a line over the first steps, down to a tenth by a cosine over the rest.
inline double learning_rate(double highest, Index step, Index steps) {
  const double warm_up = std::min(100.0, static_cast<double>(steps) / 10), s = static_cast<double>(step);
  if (s < warm_up) return highest * (s + 1) / warm_up;
  const double part = (s - warm_up) / std::max(1.0, static_cast<double>(steps) - warm_up);
  return highest * (0.1 + 0.45 * (1 + std::cos(3.14159265358979323846 * part)));
}

}  // namespace gpt
