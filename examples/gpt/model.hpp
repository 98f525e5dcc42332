// A GPT, pre-norm as GPT-2's, without biases in its linear layers; forward and backward by hand.
//   stream = tokens[token] + positions[place]
//   of each layer:  stream += attention(layer_norm(stream));  stream += gelu(layer_norm(stream) up) down
//   logits = layer_norm(stream) tokens^T
// Each norm takes the addition before it into its pass, and its backward the addition of the gradients there. Rows are tokens:
// matrices are (sequences * length, ...).
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "norms.hpp"

namespace gpt {

struct Shape {
  Index vocabulary = 0;
  Index context = 64;  // the most tokens of a sequence
  Index layers = 4;
  Index heads = 4;
  Index width = 128;  // a multiple of heads
};

// --- what is learned ---

/// Where a tensor lies among all numbers; columns is 0 for a vector.
struct Tensor {
  std::string name;
  Index rows, columns, offset;

  Index size() const { return columns == 0 ? rows : rows * columns; }
};

/// Views of one array, which holds all weights or all gradients.
template <class T> class Weights {
 public:
  using MatrixView = Eigen::Map<Matrix<T>>;
  struct Layer {
    Norm<T> attention_norm;
    MatrixView qkv, out;  // (width, 3 width), (width, width)
    Norm<T> mlp_norm;
    MatrixView up, down;  // (width, 4 width), (4 width, width)
  };

 private:
  T* data_;
  Index taken_ = 0;
  std::vector<Tensor> tensors_;

 public:
  MatrixView tokens, positions;  // (vocabulary, width), (context, width)
  std::vector<Layer> layers;
  Norm<T> last_norm;

  /// data: size_of(shape) numbers.
  Weights(const Shape& shape, T* data)
      : data_(data),
        tokens(matrix("tokens", shape.vocabulary, shape.width)),
        positions(matrix("positions", shape.context, shape.width)),
        layers(layers_of(shape)),
        last_norm(norm("last_norm", shape.width)) {}

  static std::vector<Tensor> tensors_of(const Shape& shape) { return Weights(shape, nullptr).tensors_; }
  static Index size_of(const Shape& shape) { return Weights(shape, nullptr).taken_; }

 private:
  T* take(const std::string& name, Index rows, Index columns) {
    const Tensor tensor{name, rows, columns, taken_};
    tensors_.push_back(tensor);
    taken_ += tensor.size();
    return data_ == nullptr ? nullptr : data_ + tensor.offset;
  }
  MatrixView matrix(const std::string& name, Index rows, Index columns) {
    return {take(name, rows, columns), rows, columns};
  }
  Eigen::Map<Vector<T>> vector(const std::string& name, Index size) { return {take(name, size, 0), size}; }
  Norm<T> norm(const std::string& name, Index width) {
    return {vector(name + ".gamma", width), vector(name + ".beta", width)};
  }
  std::vector<Layer> layers_of(const Shape& shape) {
    std::vector<Layer> made;
    const Index width = shape.width;
    for (Index l = 0; l < shape.layers; ++l) {
      const std::string name = "layers." + std::to_string(l) + ".";
      made.push_back({norm(name + "attention_norm", width), matrix(name + "qkv", width, 3 * width),
                      matrix(name + "out", width, width), norm(name + "mlp_norm", width),
                      matrix(name + "up", width, 4 * width), matrix(name + "down", 4 * width, width)});
    }
    return made;
  }
};

// --- forward and backward ---

/// tanh's approximation, as GPT-2 has it.
template <class T> void gelu(const Matrix<T>& x, Matrix<T>& y) {
  const T slope = T(0.7978845608028654);  // sqrt(2/pi)
  y = T(0.5) * x.array() * (T(1) + (slope * (x.array() + T(0.044715) * x.array().cube())).tanh());
}
/// dy becomes the gradient of x.
template <class T> void gelu_backward(const Matrix<T>& x, Matrix<T>& dy) {
  const T slope = T(0.7978845608028654);  // sqrt(2/pi)
  const Matrix<T> tanh = (slope * (x.array() + T(0.044715) * x.array().cube())).tanh();
  const auto t = tanh.array();
  dy.array() *= T(0.5) * (T(1) + t) + T(0.5) * x.array() * (T(1) - t.square()) * slope *
                                          (T(1) + T(3 * 0.044715) * x.array().square());
}

/// Some sequences on their way through the model, with all that backward needs of them.
template <class T> class Pass {
 public:
  explicit Pass(const Shape& shape) : shape_(shape), blocks_(static_cast<std::size_t>(shape.layers)) {}

  /// The logits (sequences * length, vocabulary), which become their own gradient in `loss`.
  const Matrix<T>& forward(const Weights<T>& weights, const std::vector<int>& tokens, Index sequences) {
    const Index rows = static_cast<Index>(tokens.size());
    sequences_ = sequences;
    length_ = rows / sequences;
    branch_.resize(rows, shape_.width);
    positions_.resize(rows, shape_.width);
    for (Index r = 0; r < rows; ++r) {
      branch_.row(r) = weights.tokens.row(tokens[static_cast<std::size_t>(r)]);
      positions_.row(r) = weights.positions.row(r % length_);
    }
    const Matrix<T>* stream = &positions_;
    for (std::size_t l = 0; l < blocks_.size(); ++l) {
      Block& block = blocks_[l];
      const auto& layer = weights.layers[l];
      normalize(layer.attention_norm, branch_, *stream, block.attention);
      block.qkv.noalias() = block.attention.normalized * layer.qkv;
      attend(block);
      branch_.noalias() = block.mixed * layer.out;
      normalize(layer.mlp_norm, branch_, block.attention.stream, block.mlp);
      stream = &block.mlp.stream;
      block.up.noalias() = block.mlp.normalized * layer.up;
      gelu(block.up, block.active);
      branch_.noalias() = block.active * layer.down;
    }
    normalize(weights.last_norm, branch_, *stream, last_);
    logits_.noalias() = last_.normalized * weights.tokens.transpose();
    return logits_;
  }

  /// The cross-entropy, in nats, summed over the tokens. backward will find the gradient of scale times it.
  double loss(const std::vector<int>& targets, double scale) {
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

  /// Adds to the gradients of the weights.
  void backward(const Weights<T>& weights, const std::vector<int>& tokens, Weights<T>& gradients) {
    gradients.tokens.noalias() += logits_.transpose() * last_.normalized;
    d_normalized_.noalias() = logits_ * weights.tokens;
    d_stream_ = Matrix<T>::Zero(logits_.rows(), shape_.width);
    normalize_backward(weights.last_norm, d_normalized_, last_, d_stream_, gradients.last_norm, workspace_);
    for (std::size_t l = blocks_.size(); l-- > 0;) {
      Block& block = blocks_[l];
      const auto& layer = weights.layers[l];
      auto& gradient = gradients.layers[l];
      gradient.down.noalias() += block.active.transpose() * d_stream_;
      d_inner_.noalias() = d_stream_ * layer.down.transpose();
      gelu_backward(block.up, d_inner_);
      gradient.up.noalias() += block.mlp.normalized.transpose() * d_inner_;
      d_normalized_.noalias() = d_inner_ * layer.up.transpose();
      normalize_backward(layer.mlp_norm, d_normalized_, block.mlp, d_stream_, gradient.mlp_norm, workspace_);

      gradient.out.noalias() += block.mixed.transpose() * d_stream_;
      d_mixed_.noalias() = d_stream_ * layer.out.transpose();
      attend_backward(block);
      gradient.qkv.noalias() += block.attention.normalized.transpose() * d_inner_;
      d_normalized_.noalias() = d_inner_ * layer.qkv.transpose();
      normalize_backward(layer.attention_norm, d_normalized_, block.attention, d_stream_,
                         gradient.attention_norm, workspace_);
    }
    for (Index r = 0; r < d_stream_.rows(); ++r) {
      gradients.tokens.row(tokens[static_cast<std::size_t>(r)]) += d_stream_.row(r);
      gradients.positions.row(r % length_) += d_stream_.row(r);
    }
  }

 private:
  struct Block {
    Normalized<T> attention, mlp;
    Matrix<T> qkv;
    Matrix<T> probabilities;  // (sequences * heads * length, length)
    Matrix<T> mixed, up, active;
  };

  /// Calls f(place, probabilities): where the head's q lies in a matrix like qkv, its k and v one and two widths on.
  template <class F> void each_head(Block& block, F&& f) {
    for (Index s = 0; s < sequences_; ++s)
      for (Index h = 0; h < shape_.heads; ++h)
        f(s * length_, h * head(), block.probabilities.middleRows((s * shape_.heads + h) * length_, length_));
  }
  Index head() const { return shape_.width / shape_.heads; }
  T score_scale() const { return T(1 / std::sqrt(static_cast<double>(head()))); }

  /// mixed = softmax(q k^T / sqrt(head)) v, of what is not after a token.
  void attend(Block& block) {
    block.probabilities.resize(sequences_ * shape_.heads * length_, length_);
    block.mixed.resize(block.qkv.rows(), shape_.width);
    const Index width = shape_.width;
    each_head(block, [&](Index row, Index column, auto p) {
      const auto of = [&](Index which) {
        return block.qkv.block(row, which * width + column, length_, head());
      };
      p.noalias() = score_scale() * of(0) * of(1).transpose();
      for (Index i = 0; i < length_; ++i) {
        auto past = p.row(i).head(i + 1).array();
        past = (past - past.maxCoeff()).exp();
        past /= past.sum();
        p.row(i).tail(length_ - i - 1).setZero();
      }
      block.mixed.block(row, column, length_, head()).noalias() = p * of(2);
    });
  }
  /// d_inner = the gradient of qkv, from d_mixed.
  void attend_backward(Block& block) {
    d_inner_.resize(block.qkv.rows(), block.qkv.cols());
    const Index width = shape_.width;
    each_head(block, [&](Index row, Index column, auto p) {
      const auto of = [&](Matrix<T>& qkv, Index which) {
        return qkv.block(row, which * width + column, length_, head());
      };
      const auto d_mixed = d_mixed_.block(row, column, length_, head());
      of(d_inner_, 2).noalias() = p.transpose() * d_mixed;
      d_scores_.noalias() = d_mixed * of(block.qkv, 2).transpose();
      for (Index i = 0; i < length_; ++i) {
        auto d = d_scores_.row(i).array();
        d = p.row(i).array() * (d - (d * p.row(i).array()).sum());
      }
      of(d_inner_, 0).noalias() = score_scale() * d_scores_ * of(block.qkv, 1);
      of(d_inner_, 1).noalias() = score_scale() * d_scores_.transpose() * of(block.qkv, 0);
    });
  }

  Shape shape_;
  Index sequences_ = 0, length_ = 0;
  std::vector<Block> blocks_;
  Normalized<T> last_;
  Matrix<T> branch_, positions_, logits_;
  Matrix<T> d_stream_, d_normalized_, d_inner_, d_mixed_, d_scores_;
  simdnorm::Workspace<T> workspace_;
};

extern template class Pass<float>;  // model.cpp
extern template class Pass<double>;

}  // namespace gpt
