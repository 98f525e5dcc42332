// What the model is and what it learns.
#pragma once

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "linear.hpp"
#include "norms.hpp"

namespace gpt {

/// Where the norms stand. f: attention or the MLP.
enum class Placement {
  pre,       // stream += f(norm(stream)), and a norm at the end
  post,      // stream = norm(stream + f(stream))
  sandwich,  // stream += norm(f(norm(stream))), and a norm at the end
  deep,      // stream = norm(alpha stream + f(stream)), DeepNorm: Wang et al., 2022
};

/// How options, tables and checkpoints call them.
inline const std::map<std::string, Placement> placements = {{"pre", Placement::pre},
                                                            {"post", Placement::post},
                                                            {"sandwich", Placement::sandwich},
                                                            {"deep", Placement::deep}};
inline const std::map<std::string, Kind> kinds = {{"layer_norm", Kind::layer_norm},
                                                  {"rms_norm", Kind::rms_norm},
                                                  {"none", Kind::none},
                                                  {"batch_norm", Kind::batch_norm},
                                                  {"dynamic_tanh", Kind::dynamic_tanh},
                                                  {"switchable_norm", Kind::switchable_norm}};
template <class Names, class Value> const std::string& name_of(const Names& names, Value value) {
  auto at = names.begin();
  while (at->second != value) ++at;
  return at->first;
}

struct Shape {
  Index vocabulary = 0;
  Index context = 64;  // the most tokens of a sequence
  Index layers = 4;
  Index heads = 4;
  Index width = 128;  // a multiple of heads
  Kind kind = Kind::layer_norm;
  Placement placement = Placement::pre;
  Index rank =
      0;  // of adapters (LoRA) on attention's matrices; with them, all that is not of them or of norms is frozen
  bool norms_learned = true;  // false: they are frozen

  Index sublayers() const { return 2 * layers; }
  /// DeepNorm's factor of the stream.
  double alpha() const {
    return placement == Placement::deep ? std::pow(2.0 * static_cast<double>(layers), 0.25) : 1;
  }
  bool norm_at_the_end() const { return placement == Placement::pre || placement == Placement::sandwich; }
};

/// Where a tensor lies among all numbers; columns is 0 for a vector.
struct Tensor {
  std::string name;
  Index rows, columns, offset;
  bool learned;  // false: frozen, or no gradient leads there

  Index size() const { return columns == 0 ? rows : rows * columns; }
};

/// Views of one array, which holds all weights or all gradients.
template <class T> class Weights {
 public:
  /// Of what is not learned, gradients have empty views; fixed_values have no statistics of columns, so that none are kept.
  enum Of { values, fixed_values, gradients };
  using MatrixView = Eigen::Map<Matrix<T>>;
  using VectorView = Eigen::Map<Vector<T>>;
  struct Layer {
    Linear<T> qkv, out;  // (width, 3 width), (width, width)
    Linear<T> up, down;  // (width, 4 width), (4 width, width)
  };

 private:
  const Shape& shape_;  // of the constructor
  T* data_;
  Of of_;
  Index taken_ = 0;
  std::vector<Tensor> tensors_;

 public:
  MatrixView tokens, positions;  // (vocabulary, width), (context, width)
  std::vector<Layer> layers;
  std::vector<Norm<T>> norms;     // of each sublayer, and the last where there is one
  std::vector<Norm<T>> branches;  // sandwich: of each sublayer's result

  /// data: size_of(shape) numbers.
  Weights(const Shape& shape, T* data, Of of = values)
      : shape_(shape),
        data_(data),
        of_(of),
        tokens(matrix("tokens", shape.vocabulary, shape.width, shape.rank == 0)),
        positions(matrix("positions", shape.context, shape.width, shape.rank == 0)) {
    const Index width = shape.width;
    for (Index l = 0; l < shape.layers; ++l) {
      const std::string name = "layers." + std::to_string(l) + ".";
      add_norms(name + "attention_norm");
      Layer layer{linear(name + "qkv", width, 3 * width, shape.rank),
                  linear(name + "out", width, width, shape.rank), linear(name + "up", width, 4 * width, 0),
                  linear(name + "down", 4 * width, width, 0)};
      add_norms(name + "mlp_norm");
      layers.push_back(layer);
    }
    if (shape.norm_at_the_end()) norms.push_back(norm("last_norm"));
  }

  static std::vector<Tensor> tensors_of(const Shape& shape) { return Weights(shape, nullptr).tensors_; }
  static Index size_of(const Shape& shape) { return Weights(shape, nullptr).taken_; }

 private:
  T* take(const std::string& name, Index rows, Index columns, bool learned) {
    const Tensor tensor{name, rows, columns, taken_, learned};
    tensors_.push_back(tensor);
    taken_ += tensor.size();
    return data_ == nullptr ? nullptr : data_ + tensor.offset;
  }
  bool viewed(bool learned) const { return of_ != gradients || learned; }
  MatrixView matrix(const std::string& name, Index rows, Index columns, bool learned) {
    T* const first = take(name, rows, columns, learned);
    return viewed(learned) ? MatrixView(first, rows, columns) : MatrixView(nullptr, 0, 0);
  }
  VectorView vector(const std::string& name, Index size, bool learned) {
    T* const first = take(name, size, 0, learned);
    return viewed(learned) ? VectorView(first, size) : VectorView(nullptr, 0);
  }
  VectorView statistics(const std::string& name, Index size) {
    const VectorView all = vector(name, size, false);
    return of_ == fixed_values ? VectorView(nullptr, 0) : all;
  }
  Linear<T> linear(const std::string& name, Index inputs, Index outputs, Index rank) {
    const MatrixView none(nullptr, 0, 0), weight = matrix(name, inputs, outputs, shape_.rank == 0);
    if (rank == 0) return {weight, none, none};
    const MatrixView down = matrix(name + ".lora_down", inputs, rank, true);
    return {weight, down, matrix(name + ".lora_up", rank, outputs, true)};
  }
  void add_norms(const std::string& name) {
    norms.push_back(norm(name));
    if (shape_.placement == Placement::sandwich) branches.push_back(norm(name + "_of_branch"));
  }
  Norm<T> norm(const std::string& name) {
    const Kind kind = shape_.kind;
    const bool columns = kind == Kind::batch_norm || kind == Kind::switchable_norm;
    const auto part = [&](bool has, const char* of, Index size) {
      return has ? vector(name + of, size, shape_.norms_learned) : VectorView(nullptr, 0);
    };
    const VectorView gamma = part(kind != Kind::none, ".gamma", shape_.width);
    const VectorView beta = part(kind != Kind::none && kind != Kind::rms_norm, ".beta", shape_.width);
    const VectorView mixture = part(kind == Kind::switchable_norm, ".mixture", 4);
    const VectorView alpha = part(kind == Kind::dynamic_tanh, ".alpha", 1);
    const VectorView mean =
        columns ? statistics(name + ".running_mean", shape_.width) : VectorView(nullptr, 0);
    const VectorView variance =
        columns ? statistics(name + ".running_variance", shape_.width) : VectorView(nullptr, 0);
    return {kind, gamma, beta, mixture, alpha, mean, variance};
  }
};

}  // namespace gpt
