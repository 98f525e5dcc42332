#include "saved.hpp"

#include <sstream>
#include <stdexcept>

#include "checkpoint.hpp"

namespace gpt {

Model::Model(const Shape& s, Vocabulary v, std::uint64_t seed, Start start)
    : shape(s), vocabulary(std::move(v)), optimizer(0) {
  shape.vocabulary = vocabulary.size();
  if (shape.heads < 1 || shape.width % shape.heads != 0)
    throw std::runtime_error("the width, " + std::to_string(shape.width) + ", is no multiple of the heads, " +
                             std::to_string(shape.heads));
  weights = initial_weights<float>(shape, seed, start);
  optimizer = Optimizer(weights.size());
}

void save(const Model& model, const std::string& path) {
  Checkpoint checkpoint;
  checkpoint.put("", model.tensors(), model.weights);
  checkpoint.put("adam.mean.", model.tensors(), model.optimizer.mean);
  checkpoint.put("adam.square.", model.tensors(), model.optimizer.square);
  std::ostringstream codes;
  for (const char c : model.vocabulary.characters()) codes << int{static_cast<unsigned char>(c)} << ' ';
  checkpoint.words = {{"step", std::to_string(model.step)},
                      {"heads", std::to_string(model.shape.heads)},
                      {"placement", name_of(placements, model.shape.placement)},
                      {"kind", name_of(kinds, model.shape.kind)},
                      {"rank", std::to_string(model.shape.rank)},
                      {"characters", codes.str()}};
  save(checkpoint, path);
}

Model load_model(const std::string& path) {
  const Checkpoint checkpoint = load(path);
  std::istringstream codes(checkpoint.word("characters"));
  std::string characters;
  for (int code; codes >> code;) characters.push_back(static_cast<char>(code));
  const auto extent = [&](const std::string& name, std::size_t axis) {
    const auto found = checkpoint.tensors.find(name);
    if (found == checkpoint.tensors.end() || found->second.shape.size() != 2)
      throw std::runtime_error(path + " has no matrix " + name);
    return found->second.shape[axis];
  };
  const auto number = [&](const std::string& word) { return std::stol(checkpoint.word(word)); };
  const auto named = [&](const auto& names, const std::string& word) {
    const auto found = names.find(checkpoint.word(word));
    if (found == names.end()) throw std::runtime_error(path + " has an unknown " + word);
    return found->second;
  };
  Shape shape;
  shape.width = extent("tokens", 1);
  shape.context = extent("positions", 0);
  shape.heads = number("heads");
  shape.placement = named(placements, "placement");
  shape.kind = named(kinds, "kind");
  shape.rank = number("rank");
  for (shape.layers = 0; checkpoint.tensors.count("layers." + std::to_string(shape.layers) + ".qkv") == 1;)
    ++shape.layers;
  Model model(shape, Vocabulary(characters), 0);
  model.step = number("step");
  checkpoint.get("", model.tensors(), model.weights);
  checkpoint.get("adam.mean.", model.tensors(), model.optimizer.mean);
  checkpoint.get("adam.square.", model.tensors(), model.optimizer.square);
  return model;
}

void copy(const std::vector<Tensor>& from, const Vector<float>& values, const std::vector<Tensor>& to,
          Vector<float>& copied) {
  for (const Tensor& f : from)
    for (const Tensor& t : to)
      if (t.name == f.name) copied.segment(t.offset, t.size()) = values.segment(f.offset, f.size());
}

}  // namespace gpt
