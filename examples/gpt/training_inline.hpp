// The definitions of training.hpp, for training_*.cpp.
#pragma once

#include "model_inline.hpp"
#include "training.hpp"

namespace gpt {

template <class T, class A>
Shards<T, A>::Shards(const Shape& shape, int threads) : shape_(shape), pool_(threads) {
  for (int i = 0; i < shards; ++i) {
    passes_.emplace_back(shape);
    gradients_.emplace_back(Vector<T>::Zero(Weights<T>::size_of(shape)));
  }
}

template <class T, class A>
double Shards<T, A>::loss_of_text(Vector<T>& weights, const std::vector<int>& text) {
  double sum = 0;
  Index count = 0;
  const Index length = shape_.context, at_once = 4 * shards, end = static_cast<Index>(text.size());
  for (Index i = 0; i + length < end;) {
    Batch batch;
    Index sequences = 0;
    for (; sequences < at_once && i + length < end; ++sequences, i += length)
      batch.add(text.data() + i, length);
    sum += static_cast<double>(sequences) * loss(weights, batch, sequences, Mode::inference);
    count += sequences;
  }
  return sum / static_cast<double>(count);
}

template <class T, class A> Index Shards<T, A>::norm_gradients() const {
  Index sum = 0;
  for (const auto& pass : passes_) sum += pass.stream().norm_gradients();
  return sum;
}

template <class T, class A>
double Shards<T, A>::loss(Vector<T>& weights, const Batch& batch, Index sequences, Mode mode,
                          Vector<T>* gradient) {
  const Index length = static_cast<Index>(batch.inputs.size()) / sequences;
  double losses[shards];
  Eigen::Barrier barrier(shards);
  for (int i = 0; i < shards; ++i) {
    pool_.Schedule([&, i] {
      const auto from = sequences * i / shards * length, to = sequences * (i + 1) / shards * length;
      losses[i] = loss_of_shard(i, weights, batch, from, to, length, mode, gradient != nullptr);
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

template <class T, class A>
double Shards<T, A>::loss_of_shard(int i, Vector<T>& weights, const Batch& batch, Index from, Index to,
                                   Index length, Mode mode, bool backward) {
  Vector<T>& gradient = gradients_[static_cast<std::size_t>(i)];
  if (backward) gradient.setZero();
  if (from == to) return 0;
  Pass<T, A>& pass = passes_[static_cast<std::size_t>(i)];
  const std::vector<int> inputs(batch.inputs.begin() + from, batch.inputs.begin() + to);
  const std::vector<int> targets(batch.targets.begin() + from, batch.targets.begin() + to);
  using W = Weights<T>;
  const W views(shape_, weights.data(), i == 0 || mode == Mode::inference ? W::values : W::fixed_values);
  pass.forward(views, inputs, (to - from) / length, mode);
  const double loss = pass.loss(targets, 1 / static_cast<double>(batch.inputs.size()));
  if (backward) {
    W gradients(shape_, gradient.data(), W::gradients);
    pass.backward(views, inputs, gradients);
  }
  return loss;
}

template <class T> Vector<T> initial_weights(const Shape& shape, std::uint64_t seed, Start start) {
  Vector<T> values = Vector<T>::Zero(Weights<T>::size_of(shape));
  Weights<T> weights(shape, values.data());
  std::mt19937_64 random(seed);
  const auto fill = [&](auto&& matrix, double deviation) {
    std::normal_distribution<double> normal(0, deviation);
    for (Index i = 0; i < matrix.rows(); ++i)
      for (Index j = 0; j < matrix.cols(); ++j) matrix(i, j) = static_cast<T>(normal(random));
  };
  const double layers = static_cast<double>(shape.layers);
  const double onto_stream = 1 / std::sqrt(2 * layers);
  const double deep = shape.placement == Placement::deep ? std::pow(8 * layers, -0.25) : 1;
  const auto linear = [&](auto&& matrix, double of_gpt2, Index outputs) {
    const double sides = static_cast<double>(matrix.rows() + outputs);
    fill(matrix, start == Start::gpt2 ? 0.02 * of_gpt2 : std::sqrt(2 / sides));
  };
  fill(weights.tokens, 0.02);
  fill(weights.positions, 0.02);
  for (auto& layer : weights.layers) {
    linear(layer.qkv.weight, 1, shape.width);  // three matrices beside each other
    layer.qkv.weight.rightCols(shape.width) *= static_cast<T>(deep);
    linear(layer.out.weight, onto_stream, shape.width);
    linear(layer.up.weight, 1, layer.up.weight.cols());
    linear(layer.down.weight, onto_stream, shape.width);
    for (auto* scaled : {&layer.out, &layer.up, &layer.down}) scaled->weight *= static_cast<T>(deep);
    for (auto* adapted : {&layer.qkv, &layer.out})
      if (adapted->adapted()) fill(adapted->down, 1 / std::sqrt(static_cast<double>(shape.width)));
  }
  for (auto* norms : {&weights.norms, &weights.branches}) {
    for (auto& norm : *norms) {
      norm.gamma.setOnes();
      norm.alpha.setConstant(T(0.5));
      norm.running_variance.setOnes();
    }
  }
  return values;
}

}  // namespace gpt
