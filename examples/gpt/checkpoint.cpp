#include "checkpoint.hpp"

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace gpt {

static std::vector<Index> shape_of(const Tensor& t) {
  return t.columns == 0 ? std::vector<Index>{t.rows} : std::vector<Index>{t.rows, t.columns};
}

void Checkpoint::put(const std::string& prefix, const std::vector<Tensor>& list,
                     const Vector<float>& values) {
  for (const Tensor& t : list) {
    const float* first = values.data() + t.offset;
    tensors[prefix + t.name] = {shape_of(t), {first, first + t.size()}};
  }
}
void Checkpoint::get(const std::string& prefix, const std::vector<Tensor>& list,
                     Vector<float>& values) const {
  for (const Tensor& t : list) {
    const auto found = tensors.find(prefix + t.name);
    if (found == tensors.end()) throw std::runtime_error("the checkpoint has no " + prefix + t.name);
    if (found->second.shape != shape_of(t))
      throw std::runtime_error(prefix + t.name + " has shape " + nlohmann::json(found->second.shape).dump() +
                               " in the checkpoint but " + nlohmann::json(shape_of(t)).dump() +
                               " in the model");
    std::copy(found->second.values.begin(), found->second.values.end(), values.data() + t.offset);
  }
}
const std::string& Checkpoint::word(const std::string& name) const {
  const auto found = words.find(name);
  if (found == words.end()) throw std::runtime_error("the checkpoint does not tell " + name);
  return found->second;
}

void save(const Checkpoint& checkpoint, const std::string& path) {
  nlohmann::json header;
  header["__metadata__"] = checkpoint.words;
  std::uint64_t end = 0;
  for (const auto& [name, tensor] : checkpoint.tensors) {
    const std::uint64_t begin = end;
    end += tensor.values.size() * sizeof(float);
    header[name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, end}}};
  }
  std::string words = header.dump();
  words.resize((words.size() + 7) / 8 * 8, ' ');  // the tensors begin at a multiple of eight
  const std::uint64_t size = words.size();
  const std::string beside = path + ".part";
  std::ofstream out(beside, std::ios::binary);
  out.write(reinterpret_cast<const char*>(&size), sizeof size);
  out.write(words.data(), static_cast<std::streamsize>(size));
  for (const auto& [name, tensor] : checkpoint.tensors)
    out.write(reinterpret_cast<const char*>(tensor.values.data()),
              static_cast<std::streamsize>(tensor.values.size() * sizeof(float)));
  out.close();
  if (!out || std::rename(beside.c_str(), path.c_str()) != 0)
    throw std::runtime_error("cannot write " + path);
}

Checkpoint load(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path);
  const std::string file{std::istreambuf_iterator<char>(in), {}};
  const auto broken = [&](const std::string& what) {
    return std::runtime_error(path + " is no safetensors file: " + what);
  };
  std::uint64_t size = 0;
  if (file.size() < sizeof size) throw broken("it has " + std::to_string(file.size()) + " bytes");
  std::memcpy(&size, file.data(), sizeof size);
  if (size > file.size() - sizeof size) throw broken("its header ends after it");
  const char* const numbers = file.data() + sizeof size + size;
  const std::uint64_t bytes = file.size() - sizeof size - size;
  Checkpoint made;
  try {
    const auto header = nlohmann::json::parse(file.substr(sizeof size, size));
    for (const auto& [name, entry] : header.items()) {
      if (name == "__metadata__") {
        made.words = entry.get<std::map<std::string, std::string>>();
        continue;
      }
      const auto& offsets = entry.at("data_offsets");
      const std::uint64_t begin = offsets.at(0), end = offsets.at(1);
      std::vector<Index> shape = entry.at("shape");
      std::uint64_t count = 1;
      for (const Index extent : shape) count *= static_cast<std::uint64_t>(extent);
      if (entry.at("dtype") != "F32") throw broken(name + " does not hold F32");
      if (begin > end || end > bytes || end - begin != count * sizeof(float))
        throw broken(name + " does not lie where its shape says");
      std::vector<float> values(count);
      std::memcpy(values.data(), numbers + begin, end - begin);
      made.tensors[name] = {std::move(shape), std::move(values)};
    }
  } catch (const nlohmann::json::exception& error) {
    throw broken(error.what());
  }
  return made;
}

}  // namespace gpt
