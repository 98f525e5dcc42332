// Inference: tokens are read one at a time or many at once, and the bits of the logits are the same.
#pragma once

#include "model.hpp"

namespace gpt {

/// Several sequences of the same length, and the keys and values of what was read.
///
/// A row has the same bits whatever else is read with it: simdnorm's norms promise it (of the other kinds nothing is promised), and
/// everything else is done row by row here, in vectors that begin at aligned places. (How Eigen sums a product of two matrices depends on both sizes, of a vector
/// with a matrix on that matrix alone.)
class Decoder {
 public:
  Decoder(const Shape& shape, Index sequences)
      : shape_(shape),
        sequences_(sequences),
        stream_(shape),
        keys_(static_cast<std::size_t>(shape.layers), Matrix<float>(sequences * shape.context, shape.width)),
        values_(keys_) {}

  /// How many tokens of each sequence were read; at most shape.context.
  Index length() const { return length_; }

  /// The next tokens (sequences, count), row by row; returns their logits (sequences * count, vocabulary).
  const Matrix<float>& read(const Weights<float>& weights, const std::vector<int>& tokens,
                            const Eigen::ThreadPoolDevice& device);

 private:
  Index position(Index r) const { return length_ + r % count_; }
  Index place(Index r) const { return r / count_ * shape_.context + position(r); }

  template <class F> void each_row(const Eigen::ThreadPoolDevice& device, const F& f) const;
  /// softmax(q k^T / sqrt(head)) v of each head, of what is not after the row's token.
  Vector<float> attend(Index r, const Matrix<float>& keys, const Matrix<float>& values) const;

  Shape shape_;
  Index sequences_, length_ = 0, count_ = 0;
  Stream<float, float> stream_;
  std::vector<Matrix<float>> keys_, values_;  // of each layer: (sequences * context, width)
  Matrix<float> branch_, queries_, logits_;
};

}  // namespace gpt
