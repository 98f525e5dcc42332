// A model with the characters that it knows and what its training goes on from, in memory and as one file.
#pragma once

#include <string>

#include "text.hpp"
#include "training.hpp"

namespace gpt {

struct Model {
  Shape shape;
  Vocabulary vocabulary;
  Vector<float> weights;
  Optimizer optimizer;
  Index step = 0;  // that were taken

  /// The vocabulary gives shape.vocabulary.
  Model(const Shape& shape, Vocabulary vocabulary, std::uint64_t seed, Start start = Start::gpt2);

  std::vector<Tensor> tensors() const { return Weights<float>::tensors_of(shape); }
};

/// As safetensors (checkpoint.hpp).
void save(const Model& model, const std::string& path);
Model load_model(const std::string& path);

/// The numbers of tensors of one shape, to those of the same names of another; tensors that the other lacks are left out.
void copy(const std::vector<Tensor>& from, const Vector<float>& values, const std::vector<Tensor>& to,
          Vector<float>& copied);

}  // namespace gpt
