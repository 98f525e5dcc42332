// Checkpoints as safetensors files (https://github.com/huggingface/safetensors): the length of a JSON header, the header, and the
// tensors one after another.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "model.hpp"

namespace gpt {

/// What a file holds: tensors of float, and words about them.
struct Checkpoint {
  struct Numbers {
    std::vector<Index> shape;
    std::vector<float> values;
  };
  std::map<std::string, Numbers> tensors;
  std::map<std::string, std::string> words;

  /// values: of all weights, or of what belongs to each of them; `prefix` before the names.
  void put(const std::string& prefix, const std::vector<Tensor>& list, const Vector<float>& values);
  void get(const std::string& prefix, const std::vector<Tensor>& list, Vector<float>& values) const;
  const std::string& word(const std::string& name) const;
};

/// Writes beside the file first, so that an interruption leaves the old one.
void save(const Checkpoint& checkpoint, const std::string& path);
Checkpoint load(const std::string& path);

}  // namespace gpt
