// Which shapes are measured, named after the models that have them.
#pragma once

#include <string>
#include <vector>

#include "view.hpp"

namespace bench {

struct Model {
  const char* name;
  Index hidden;
  Index rows_per_token;  // QK-norm normalizes each head by itself
};

inline constexpr Model bert{"BERT-base", 768, 1};
inline constexpr Model gpt2{"GPT-2 XL", 1600, 1};
inline constexpr Model whisper{"Whisper large", 1280, 1};
inline constexpr Model llama_8b{"Llama 8B", 4096, 1};
inline constexpr Model llama_70b{"Llama 70B", 8192, 1};
inline constexpr Model qk_64{"QK-norm", 64, 32};
inline constexpr Model qk_128{"QK-norm", 128, 32};
inline constexpr Model odd_1000{"odd size", 1000, 1};
inline constexpr Model odd_1023{"odd size", 1023, 1};

struct Shape {
  Model model;
  Index tokens;
  Index rows() const { return tokens * model.rows_per_token; }
  Index hidden() const { return model.hidden; }
};

/// For a person: "GPT-2 XL, 8 tokens".
inline std::string label(const Shape& shape) {
  std::string text = shape.model.name;
  if (shape.model.rows_per_token > 1) text += ", " + std::to_string(shape.model.rows_per_token) + " heads";
  return text + ", " + std::to_string(shape.tokens) + (shape.tokens == 1 ? " token" : " tokens");
}
inline std::string dimensions(Index rows, Index hidden) {
  return std::to_string(rows) + "x" + std::to_string(hidden);
}
/// In the name of a benchmark, where a filter can be written without quotes: "GPT-2-XL/8x1600".
inline std::string path(const Shape& shape) {
  std::string model = shape.model.name;
  for (char& letter : model) {
    if (letter == ' ') letter = '-';
  }
  return model + "/" + dimensions(shape.rows(), shape.hidden());
}

/// Every model with every number of tokens, but for those whose dy, x, dx and copy would take 1 GB or more.
inline std::vector<Shape> all_shapes() {
  std::vector<Shape> shapes;
  for (const Model& model : {bert, gpt2, whisper, llama_8b, llama_70b, qk_64, qk_128, odd_1000, odd_1023}) {
    for (const Index tokens : {1, 8, 128, 512, 8192}) {
      const Shape shape{model, tokens};
      if (shape.rows() * shape.hidden() * 14 < 1'000'000'000) shapes.push_back(shape);
    }
  }
  return shapes;
}

/// What the table shows: for each norm the models that use it, in and beyond the caches.
inline std::vector<Shape> layer_norm_table() {
  return {{bert, 1},   {bert, 8},    {bert, 128},    {bert, 512},  {bert, 8192},    {gpt2, 1},
          {gpt2, 512}, {whisper, 8}, {whisper, 512}, {qk_64, 512}, {odd_1000, 128}, {odd_1023, 128}};
}
inline std::vector<Shape> rms_norm_table() {
  return {{llama_8b, 1},  {llama_8b, 8},    {llama_8b, 128}, {llama_8b, 512}, {llama_8b, 8192},
          {llama_70b, 1}, {llama_70b, 512}, {qk_64, 512},    {qk_128, 1},     {qk_128, 8},
          {qk_128, 512},  {odd_1000, 128},  {odd_1023, 128}};
}

/// And what it shows of each operation in another type than float: one token, in the caches, beyond them.
inline std::vector<Shape> typed_table(Norm norm) {
  if (norm == Norm::layer) return {{bert, 1}, {bert, 512}, {bert, 8192}};
  return {{llama_8b, 1}, {llama_8b, 512}, {qk_128, 512}};
}

}  // namespace bench
