// The definitions of model.hpp, for training_*.cpp.
#pragma once

#include "model.hpp"

namespace gpt {

/// dy becomes the gradient of x.
template <class T, class A> void gelu_backward(const Matrix<A>& of, Matrix<A>& dy) {
  const T slope = T(0.7978845608028654);  // sqrt(2/pi)
  const auto& x = in<T>(of);
  const Matrix<T> tanh = (slope * (x.array() + T(0.044715) * x.array().cube())).tanh();
  const auto t = tanh.array();
  const Matrix<T> derivative = T(0.5) * (T(1) + t) + T(0.5) * x.array() * (T(1) - t.square()) * slope *
                                                         (T(1) + T(3 * 0.044715) * x.array().square());
  dy = in<T>(dy).cwiseProduct(derivative).template cast<A>();
}

template <class T, class A>
const Matrix<T>& Pass<T, A>::forward(const Weights<T>& weights, const std::vector<int>& tokens,
                                     Index sequences, Mode mode) {
  const Index rows = static_cast<Index>(tokens.size());
  sequences_ = sequences;
  length_ = rows / sequences;
  branch_.resize(rows, shape_.width);
  for (Index r = 0; r < rows; ++r)
    branch_.row(r) =
        (weights.tokens.row(tokens[std::size_t(r)]) + weights.positions.row(r % length_)).template cast<A>();
  stream_.begin(branch_, {mode, nullptr});
  for (std::size_t l = 0; l < blocks_.size(); ++l) {
    Block& block = blocks_[l];
    const auto& layer = weights.layers[l];
    const Index i = 2 * static_cast<Index>(l);
    block.attention_input = &stream_.read(weights, i);
    multiply(layer.qkv, *block.attention_input, block.qkv);
    attend(block);
    multiply(layer.out, block.mixed, branch_);
    stream_.join(weights, i, branch_);
    block.mlp_input = &stream_.read(weights, i + 1);
    multiply(layer.up, *block.mlp_input, block.up);
    gelu<T>(block.up, block.active);
    multiply(layer.down, block.active, branch_);
    stream_.join(weights, i + 1, branch_);
  }
  output_ = &stream_.read(weights, shape_.sublayers());
  logits_.noalias() = in<T>(*output_) * weights.tokens.transpose();
  return logits_;
}

template <class T, class A> double Pass<T, A>::loss(const std::vector<int>& targets, double scale) {
  double sum = 0;
  for (Index r = 0; r < logits_.rows(); ++r) {
    const int target = targets[static_cast<std::size_t>(r)];
    auto row = logits_.row(r).array();
    const double of_target = static_cast<double>(row(target) - row.maxCoeff());
    row = (row - row.maxCoeff()).exp();
    const T total = row.sum();
    sum += std::log(static_cast<double>(total)) - of_target;
    row *= static_cast<T>(scale) / total;
    row(target) -= static_cast<T>(scale);
  }
  return sum;
}

template <class T, class A>
void Pass<T, A>::backward(const Weights<T>& weights, const std::vector<int>& tokens, Weights<T>& gradients) {
  const bool embeddings = gradients.tokens.size() > 0;
  if (embeddings) gradients.tokens.noalias() += logits_.transpose() * in<T>(*output_);
  d_input_ = (logits_ * weights.tokens).template cast<A>();
  stream_.begin_backward(d_input_);
  stream_.read_backward(weights, shape_.sublayers(), d_input_, gradients);
  for (std::size_t l = blocks_.size(); l-- > 0;) {
    Block& block = blocks_[l];
    const auto& layer = weights.layers[l];
    auto& gradient = gradients.layers[l];
    const Index i = 2 * static_cast<Index>(l);
    multiply_backward(layer.down, stream_.join_backward(weights, i + 1, gradients), block.active, d_inner_,
                      gradient.down);
    gelu_backward<T>(block.up, d_inner_);
    multiply_backward(layer.up, d_inner_, *block.mlp_input, d_input_, gradient.up);
    stream_.read_backward(weights, i + 1, d_input_, gradients);
    multiply_backward(layer.out, stream_.join_backward(weights, i, gradients), block.mixed, d_mixed_,
                      gradient.out);
    attend_backward(block);
    multiply_backward(layer.qkv, d_inner_, *block.attention_input, d_input_, gradient.qkv);
    stream_.read_backward(weights, i, d_input_, gradients);
  }
  const auto& d_embedded = in<T>(stream_.end_backward());
  for (Index r = 0; embeddings && r < d_embedded.rows(); ++r) {
    gradients.tokens.row(tokens[static_cast<std::size_t>(r)]) += d_embedded.row(r);
    gradients.positions.row(r % length_) += d_embedded.row(r);
  }
}

template <class T, class A> template <class F> void Pass<T, A>::each_head(F&& f) {
  for (Index s = 0; s < sequences_; ++s)
    for (Index h = 0; h < shape_.heads; ++h) f(s * length_, h * head(), (s * shape_.heads + h) * length_);
}

template <class T, class A> void Pass<T, A>::attend(Block& block) {
  block.probabilities.resize(sequences_ * shape_.heads * length_, length_);
  block.mixed.resize(block.qkv.rows(), shape_.width);
  const auto& qkv = in<T>(block.qkv);
  each_head([&](Index row, Index column, Index first) {
    const auto of = [&](Index which) {
      return qkv.block(row, which * shape_.width + column, length_, head());
    };
    scores_.noalias() = score_scale() * of(0) * of(1).transpose();
    for (Index i = 0; i < length_; ++i) {
      auto past = scores_.row(i).head(i + 1).array();
      past = (past - past.maxCoeff()).exp();
      past /= past.sum();
      scores_.row(i).tail(length_ - i - 1).setZero();
    }
    block.probabilities.middleRows(first, length_) = scores_.template cast<A>();
    values_.noalias() = scores_ * of(2);
    block.mixed.block(row, column, length_, head()) = values_.template cast<A>();
  });
}

template <class T, class A> void Pass<T, A>::attend_backward(Block& block) {
  d_inner_.resize(block.qkv.rows(), block.qkv.cols());
  const auto& qkv = in<T>(block.qkv);
  const auto& d_mixed = in<T>(d_mixed_);
  each_head([&](Index row, Index column, Index first) {
    const auto of = [&](Index which) {
      return qkv.block(row, which * shape_.width + column, length_, head());
    };
    const auto put = [&](Index which) {
      d_inner_.block(row, which * shape_.width + column, length_, head()) = values_.template cast<A>();
    };
    const auto d_values = d_mixed.block(row, column, length_, head());
    scores_ = block.probabilities.middleRows(first, length_).template cast<T>();
    values_.noalias() = scores_.transpose() * d_values;
    put(2);
    d_scores_.noalias() = d_values * of(2).transpose();
    for (Index i = 0; i < length_; ++i) {
      auto d = d_scores_.row(i).array();
      d = score_scale() * scores_.row(i).array() * (d - (d * scores_.row(i).array()).sum());
    }
    values_.noalias() = d_scores_ * of(1);
    put(0);
    values_.noalias() = d_scores_.transpose() * of(0);
    put(1);
  });
}

}  // namespace gpt
