// The files of the package: model.json and the files of numbers beside it, as TensorFlow.js stores a model, and vocab.json.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tokenizer.hpp"

namespace sentence_encoder {

struct Tensor {
  std::vector<long> shape;
  std::vector<float> values;  // row-major
};

/// The tensors of float, by name.
struct Weights {
  std::map<std::string, Tensor> tensors;

  /// Leading extents of 1 count for nothing, and an extent of `any` is not looked at. Throws where there is no such tensor.
  const Tensor& tensor(const std::string& name, const std::vector<long>& shape) const;
  static constexpr long any = -1;
};

/// What is missing or wrong is told with the name of its file.
Weights read_weights(const std::string& folder);
std::vector<Piece> read_vocabulary(const std::string& folder);

}  // namespace sentence_encoder
