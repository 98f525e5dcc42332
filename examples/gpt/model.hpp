// A GPT as GPT-2's, without biases in its linear layers; forward and backward by hand.
//   stream = tokens[token] + positions[place]
//   of each layer, with the norms where Placement says:  attention, then gelu(x up) down, each added to the stream
//   logits = what the stream ends with, tokens^T
// Rows are tokens: matrices are (sequences * length, ...). Compiled once in training_*.cpp.
#pragma once

#include <cmath>
#include <vector>

#include "stream.hpp"

namespace gpt {

/// tanh's approximation, as GPT-2 has it.
template <class T, class A> void gelu(const Matrix<A>& of, Matrix<A>& y) {
  const T slope = T(0.7978845608028654);  // sqrt(2/pi)
  const auto& x = in<T>(of);
  const auto half = T(0.5) * x.array();
  y = (half * (T(1) + (slope * (x.array() + T(0.044715) * x.array().cube())).tanh())).template cast<A>();
}

/// Some sequences on their way through the model, with all that backward needs of them. T: the type of the weights and of all
/// arithmetic. A: of what is kept of the sequences ("activations") and of their gradients.
template <class T, class A = T> class Pass {
 public:
  explicit Pass(const Shape& shape)
      : shape_(shape), stream_(shape), blocks_(static_cast<std::size_t>(shape.layers)) {}

  /// The logits (sequences * length, vocabulary), which become their own gradient in `loss`.
  const Matrix<T>& forward(const Weights<T>& weights, const std::vector<int>& tokens, Index sequences,
                           Mode mode = Mode::training);

  /// The cross-entropy, in nats, summed over the tokens. backward will find the gradient of scale times it.
  double loss(const std::vector<int>& targets, double scale);

  /// Adds to the gradients of the weights.
  void backward(const Weights<T>& weights, const std::vector<int>& tokens, Weights<T>& gradients);

  const Stream<T, A>& stream() const { return stream_; }

 private:
  struct Block {
    const Matrix<A>*attention_input = nullptr, *mlp_input = nullptr;  // of stream_
    Matrix<A> qkv;
    Matrix<A> probabilities;  // (sequences * heads * length, length)
    Matrix<A> mixed, up, active;
  };

  /// Calls f(row, column, first row of the probabilities): where the head's q lies in a matrix like qkv, its k and v one and two
  /// widths on.
  template <class F> void each_head(F&& f);
  Index head() const { return shape_.width / shape_.heads; }
  T score_scale() const { return T(1 / std::sqrt(static_cast<double>(head()))); }

  /// mixed = softmax(q k^T / sqrt(head)) v, of what is not after a token.
  void attend(Block& block);
  /// d_inner = the gradient of qkv, from d_mixed.
  void attend_backward(Block& block);

  Shape shape_;
  Stream<T, A> stream_;
  Index sequences_ = 0, length_ = 0;
  std::vector<Block> blocks_;
  const Matrix<A>* output_ = nullptr;  // of stream_
  Matrix<A> branch_;
  Matrix<T> logits_, scores_, values_, d_scores_;
  Matrix<A> d_input_, d_inner_, d_mixed_;
};

}  // namespace gpt
