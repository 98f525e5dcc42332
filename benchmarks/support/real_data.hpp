// One LayerNorm of a real model, read from a file: its input, learned parameters, and the output its
// framework computed.
//
// Little-endian: int32 rows, int32 hidden, then float32 x (rows, hidden), gamma (hidden), beta (hidden), y
// (rows, hidden).
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace bench {

struct RealData {
  std::string name;
  std::int64_t rows, hidden;
  float epsilon;
  std::vector<float> x, gamma, beta, y;
};

inline RealData read_real_data(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path + ": cannot be read");
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::size_t position = 0;
  const auto next = [&] {
    if (position + 4 > bytes.size()) throw std::runtime_error(path + ": ends too early");
    std::uint32_t word = 0;
    for (int k = 0; k < 4; ++k) {
      word |= std::uint32_t{static_cast<unsigned char>(bytes[position++])} << 8 * k;
    }
    return word;
  };
  const auto floats = [&](std::int64_t count) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) {
      const std::uint32_t word = next();
      std::memcpy(&value, &word, 4);
    }
    return values;
  };

  RealData data;
  data.name = path.substr(path.find_last_of("/\\") + 1);
  data.epsilon = 1e-6f;
  data.rows = next(), data.hidden = next();
  const auto expected = (2 * data.rows * data.hidden + 2 * data.hidden + 2) * 4;
  if (data.rows < 1 || data.hidden < 1 || data.rows > 1 << 24 || data.hidden > 1 << 24 ||
      expected != static_cast<std::int64_t>(bytes.size())) {
    throw std::runtime_error(path + ": the size of the file does not fit its header, " +
                             std::to_string(data.rows) + " rows of " + std::to_string(data.hidden));
  }
  data.x = floats(data.rows * data.hidden);
  data.gamma = floats(data.hidden);
  data.beta = floats(data.hidden);
  data.y = floats(data.rows * data.hidden);
  return data;
}

}  // namespace bench
