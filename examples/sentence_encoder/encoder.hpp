// The encoder: a transformer of two layers, pre-norm, whose mean over the tokens is one more layer's input. Its graph is that of the
// package's model.json (the Universal Sentence Encoder Lite).
//   stream = table[token] + (table[token] + signal[place])
//   layer 0:  stream = attention(layer_norm(stream)) + dense(stream);  stream += feed_forward(layer_norm(stream))
//   layer 1:  stream += attention(layer_norm(stream));                 stream += feed_forward(layer_norm(stream))
//   embedding = y/|y|,  y = tanh(dense(mean of the stream's rows))
// Each of the four norms takes the addition before it, with the bias of the branch if it has one, into its pass. Rows are the tokens of all
// sentences of a call, one sentence after another; nothing is padded.
#pragma once

#include <Eigen/Core>
#include <array>
#include <vector>

#include "weights.hpp"

namespace sentence_encoder {

using Index = Eigen::Index;
template <class T> using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T> using Vector = Eigen::Matrix<T, Eigen::Dynamic, 1>;

/// T, float or double: what is computed in.
template <class T> class Encoder {
 public:
  static constexpr Index longest = 128;  // of more tokens the first ones are read

  /// Throws where a tensor is missing, or has another shape than its neighbours allow.
  explicit Encoder(const Weights& weights);

  /// The embeddings (sentences, width), of length 1. A sentence without tokens has one too.
  const Matrix<T>& embed(const std::vector<Tokens>& sentences);

  Index width() const { return last_.kernel.cols(); }
  /// Of all calls until now.
  double seconds_in_norms() const { return seconds_in_norms_; }

 private:
  struct Norm {
    Vector<T> gamma, beta;
  };
  struct Dense {
    Matrix<T> kernel;  // (from, to)
    Vector<T> bias;
  };
  struct Layer {
    Norm attention_norm;
    Dense qkv, out;
    Norm feed_forward_norm;
    Dense up, down;
  };
  static constexpr Index heads = 4;

  void pack(const std::vector<Tokens>& sentences);
  void normalize(const Norm& norm, const Vector<T>* bias);
  void attend(const Layer& layer);
  void finish();

  Matrix<T> table_;  // (vocabulary, first width)
  Vector<T> rates_;  // of the signal's sines and cosines: (first width / 2)
  Dense widen_;      // the residual of layer 0, whose result is wider
  std::array<Layer, 2> layers_;
  Dense last_;

  std::vector<Index> first_;  // row of each sentence, and the end of the last
  Matrix<T> branch_, stream_, normalized_, qkv_, scores_, mixed_, inner_, pooled_, embeddings_;
  double seconds_in_norms_ = 0;
};

extern template class Encoder<float>;  // encoder.cpp
extern template class Encoder<double>;

}  // namespace sentence_encoder
