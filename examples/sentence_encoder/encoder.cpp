#include "encoder.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <simdnorm/simdnorm.hpp>
#include <stdexcept>

namespace sentence_encoder {

// --- weights ---

template <class T> static Matrix<T> matrix(const Weights& weights, const std::string& name, Index rows) {
  const Tensor& tensor = weights.tensor(name, {rows, Weights::any});
  const Index columns = tensor.shape.back();
  return Eigen::Map<const Matrix<float>>(tensor.values.data(), rows, columns).template cast<T>();
}
template <class T> static Vector<T> vector(const Weights& weights, const std::string& name, Index size) {
  const Tensor& tensor = weights.tensor(name, {size});
  return Eigen::Map<const Vector<float>>(tensor.values.data(), size).template cast<T>();
}

template <class T> Encoder<T>::Encoder(const Weights& weights) {
  const std::string graph = "module_apply_default/Encoder_en/KonaTransformer/Encode/",
                    all = "/ConcatPartitions/concat";
  const auto norm = [&](const std::string& name, Index size) {
    const std::string path = graph + name + "/layer_prepostprocess/layer_norm/layer_norm_";
    return Norm{vector<T>(weights, path + "scale" + all, size),
                vector<T>(weights, path + "bias" + all, size)};
  };
  const auto dense = [&](const std::string& kernel, const std::string& bias, Index from) {
    Matrix<T> made = matrix<T>(weights, kernel, from);
    const Index to = made.cols();
    return Dense{std::move(made), vector<T>(weights, bias, to)};
  };
  const auto expect = [](bool condition, const std::string& what) {
    if (!condition) throw std::runtime_error("the model's " + what);
  };

  const std::string table = "module/Embeddings_en";
  table_ = matrix<T>(weights, table, weights.tensor(table, {Weights::any, Weights::any}).shape.front());
  Index width = table_.cols();
  rates_ = vector<T>(weights, graph + "TransformerStack/Layer_0/AddTimingSignal/TimingSignal/ExpandDims_1",
                     width / 2);
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    Layer& layer = layers_[l];
    const std::string path = "Layer_" + std::to_string(l) + "/TransformerLayer",
                      attention = path + "/MultiheadAttention/",
                      inside = "module/Encoder_en/KonaTransformer/Encode/" + attention;
    const auto projection = [&](const std::string& name) {
      return dense(inside + name + "/kernel/part_0", graph + attention + name + "/bias" + all, width);
    };
    const auto feed_forward = [&](const std::string& name, Index from) {
      return dense(graph + "TransformerStack/" + path + "/FFN/" + name + "/Tensordot/Reshape_1",
                   graph + path + "/FFN/" + name + "/bias" + all, from);
    };
    layer.attention_norm = norm(path, width);
    layer.qkv = projection("qkv_transform_single");
    expect(layer.qkv.kernel.cols() == 3 * width && width % heads == 0,
           "queries, keys and values are not as wide as its stream");
    layer.out = projection("output_transform_single");
    if (l == 0) {
      widen_ = dense(graph + path + "/dense/kernel" + all, graph + path + "/dense/bias" + all, width);
      width = widen_.kernel.cols();
    }
    expect(layer.out.kernel.cols() == width, "attention is not as wide as its stream");
    layer.feed_forward_norm = norm(path + "/FFN", width);
    layer.up = feed_forward("conv1", width);
    layer.down = feed_forward("conv2", layer.up.kernel.cols());
    expect(layer.down.kernel.cols() == width, "feed-forward layer is not as wide as its stream");
  }
  const std::string path = "module/Encoder_en/hidden_layers/tanh_layer_0/";
  last_ = dense(path + "weights", path + "bias", width);
}

// --- one call ---

/// branch = the tokens' rows of the table, stream = the same + signal.
template <class T> void Encoder<T>::pack(const std::vector<Tokens>& sentences) {
  first_.assign(1, 0);
  for (const Tokens& tokens : sentences)
    first_.push_back(first_.back() + std::min(static_cast<Index>(tokens.size()), longest));
  branch_.resize(first_.back(), table_.cols());
  for (std::size_t s = 0; s < sentences.size(); ++s)
    for (Index r = first_[s]; r < first_[s + 1]; ++r) {
      const int token = sentences[s][static_cast<std::size_t>(r - first_[s])];
      if (token < 0 || token >= table_.rows())
        throw std::runtime_error("the model has no token " + std::to_string(token));
      branch_.row(r) = table_.row(token);
    }
  stream_ = branch_;
  const Index sines = rates_.size();
  for (std::size_t s = 0; s < sentences.size(); ++s)
    for (Index r = first_[s]; r < first_[s + 1]; ++r) {
      const auto angles = rates_.transpose().array() * static_cast<T>(r - first_[s]);
      stream_.row(r).head(sines).array() += angles.sin();
      stream_.row(r).segment(sines, sines).array() += angles.cos();
    }
}

/// stream += branch + bias, normalized = the norm of that, in one pass.
template <class T> void Encoder<T>::normalize(const Norm& norm, const Vector<T>* bias) {
  const auto began = std::chrono::steady_clock::now();
  normalized_.resize(stream_.rows(), stream_.cols());
  const simdnorm::LayerNorm<T> layer_norm(norm.gamma, norm.beta, T(1e-6));
  const auto sum = simdnorm::residual_sum(branch_, stream_, stream_);
  if (bias == nullptr) {
    layer_norm.forward(sum, normalized_);
  } else {
    layer_norm.forward(sum.bias(*bias), normalized_);
  }
  seconds_in_norms_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

/// branch = out(softmax(q k^T / sqrt(head)) v), without the bias; each sentence by itself.
template <class T> void Encoder<T>::attend(const Layer& layer) {
  const Index width = normalized_.cols(), head = width / heads;
  const T scale = T(1 / std::sqrt(static_cast<double>(head)));
  qkv_.noalias() = normalized_ * layer.qkv.kernel;
  qkv_.rowwise() += layer.qkv.bias.transpose();
  mixed_.resize(normalized_.rows(), width);
  for (std::size_t s = 0; s + 1 < first_.size(); ++s) {
    const Index row = first_[s], length = first_[s + 1] - row;
    if (length == 0) continue;
    for (Index column = 0; column < width; column += head) {
      const auto of = [&](Index which) { return qkv_.block(row, which * width + column, length, head); };
      scores_.noalias() = scale * of(0) * of(1).transpose();
      for (Index i = 0; i < length; ++i) {
        auto chances = scores_.row(i).array();
        chances = (chances - chances.maxCoeff()).exp();
        chances /= chances.sum();
      }
      mixed_.block(row, column, length, head).noalias() = scores_ * of(2);
    }
  }
  branch_.noalias() = mixed_ * layer.out.kernel;
}

/// From the stream of the last layer, which lacks its branch, to the embeddings.
template <class T> void Encoder<T>::finish() {
  stream_ += branch_;
  stream_.rowwise() += layers_.back().down.bias.transpose();
  pooled_.setZero(static_cast<Index>(first_.size()) - 1, stream_.cols());
  for (std::size_t s = 0; s + 1 < first_.size(); ++s)
    if (const Index length = first_[s + 1] - first_[s]; length > 0)
      pooled_.row(static_cast<Index>(s)) = stream_.middleRows(first_[s], length).colwise().mean();
  embeddings_.noalias() = pooled_ * last_.kernel;
  embeddings_.rowwise() += last_.bias.transpose();
  embeddings_ = embeddings_.array().tanh();
  for (Index s = 0; s < embeddings_.rows(); ++s)
    embeddings_.row(s) /= std::sqrt(std::max(embeddings_.row(s).squaredNorm(), T(1e-12)));
}

template <class T> const Matrix<T>& Encoder<T>::embed(const std::vector<Tokens>& sentences) {
  pack(sentences);
  const Vector<T>* bias = nullptr;  // of the branch
  for (const Layer& layer : layers_) {
    normalize(layer.attention_norm, bias);
    attend(layer);
    if (&layer == &layers_.front()) {
      inner_.noalias() = stream_ * widen_.kernel;
      stream_ = inner_.rowwise() + widen_.bias.transpose();
    }
    normalize(layer.feed_forward_norm, &layer.out.bias);
    inner_.noalias() = normalized_ * layer.up.kernel;
    inner_ = (inner_.rowwise() + layer.up.bias.transpose()).cwiseMax(T(0));
    branch_.noalias() = inner_ * layer.down.kernel;
    bias = &layer.down.bias;
  }
  finish();
  return embeddings_;
}

template class Encoder<float>;
template class Encoder<double>;

}  // namespace sentence_encoder
