// What can be checked without the package: the tokenizer on a small vocabulary, the encoder with small weights that are drawn.
#include <cmath>
#include <cstdio>
#include <random>
#include <stdexcept>

#include "encoder.hpp"
#include "unicode.hpp"

namespace sentence_encoder {

namespace {

int failures = 0;

void expect(bool condition, const std::string& what) {
  if (condition) return;
  std::printf("not so: %s\n", what.c_str());
  ++failures;
}

/// The tokens are those that the package's own tokenizer gives for this vocabulary.
void check_tokens() {
  std::vector<Piece> vocabulary(6);
  for (const auto& [text, score] : {std::pair(U"\u2581", -2.),
                                    {U"a", -3.},
                                    {U"b", -3.},
                                    {U"ab", -5.},
                                    {U"\u2581a", -4.},
                                    {U"abcd", -7.},
                                    {U"fi", -4.},
                                    {U"\u00e9", -3.},
                                    {U"bb", -6.},
                                    {U":", 0.}})
    vocabulary.push_back({text, score});
  const Tokenizer tokenizer(std::move(vocabulary));
  struct Case {
    std::string text, why;
    Tokens tokens;
  };
  for (const Case& c : {
           Case{"", "no text", {}},
           {" ", "a space, after the mark at the beginning", {6, 6}},
           {"ab", "scores -4 - 3 are more than -2 - 5", {10, 8}},
           {"abb", "the last piece begins as late as it can", {10, 8, 8}},
           {"bb", "-3 - 3 is as much as -6", {6, 8, 8}},
           {"b  b", "two spaces", {6, 8, 6, 6, 8}},
           {"xyz b", "a run of unknown characters is one token", {6, 0, 6, 8}},
           {"bxxby", "and so is each other run", {6, 8, 0, 8, 0}},
           {":", "a score of 0", {6, 15}},
           {"b:b", "a score of 0 in the midst", {6, 8, 15, 8}},
           {"abcd", "c is unknown, and d after it, at no cost", {10, 8, 0}},
           {"fi", "a piece whose characters are no pieces loses against none", {6, 0}},
           {"\ufb01", "a ligature is its letters", {6, 0}},
           {"\u00e9", "a letter with an accent", {6, 13}},
           {"e\u0301", "a letter and its accent", {6, 13}},
           {"b\u00a0b", "a no-break space is a space", {6, 8, 6, 8}},
           {"\u6f22\U0001f389", "beyond the vocabulary", {6, 0}},
           {"\U0001f389b", "before a known one", {6, 0, 8}},
           {"\xff"
            "b\xc3",
            "not UTF-8",
            {6, 0, 8, 0}},
           {"<s>", "what stands for no text is no piece", {6, 0}},
       })
    expect(tokenizer.encode(c.text) == c.tokens, "the tokens of \"" + c.text + "\": " + c.why);
  expect(utf8(nfkc("\uff11\u00bd\u0301 A\u030a")) == "11\u20442\u0301 \u00c5", "NFKC");
}

/// Weights of the real names for widths 8 and 12.
Weights drawn_weights() {
  std::mt19937 random(1);
  Weights made;
  const auto draw = [&](const std::string& name, std::vector<long> shape, double mean = 0) {
    std::normal_distribution<float> normal(static_cast<float>(mean), 0.5f);
    long count = 1;
    for (const long extent : shape) count *= extent;
    Tensor tensor{std::move(shape), std::vector<float>(static_cast<std::size_t>(count))};
    for (float& value : tensor.values) value = normal(random);
    made.tensors[name] = std::move(tensor);
  };
  const std::string of_module = "module/Encoder_en/",
                    graph = "module_apply_default/Encoder_en/KonaTransformer/Encode/",
                    all = "/ConcatPartitions/concat";
  const auto draw_norm = [&](const std::string& path, long width) {
    draw(graph + path + "/layer_prepostprocess/layer_norm/layer_norm_scale" + all, {width}, 1);
    draw(graph + path + "/layer_prepostprocess/layer_norm/layer_norm_bias" + all, {width});
  };
  draw("module/Embeddings_en", {20, 8});
  draw(graph + "TransformerStack/Layer_0/AddTimingSignal/TimingSignal/ExpandDims_1", {1, 4});
  draw(graph + "Layer_0/TransformerLayer/dense/kernel" + all, {8, 12});
  draw(graph + "Layer_0/TransformerLayer/dense/bias" + all, {12});
  for (const long l : {0, 1}) {
    const long width = l == 0 ? 8 : 12;
    const std::string path = "Layer_" + std::to_string(l) + "/TransformerLayer",
                      attention = path + "/MultiheadAttention/";
    draw_norm(path, width);
    draw_norm(path + "/FFN", 12);
    draw(of_module + "KonaTransformer/Encode/" + attention + "qkv_transform_single/kernel/part_0",
         {1, 1, width, 3 * width});
    draw(graph + attention + "qkv_transform_single/bias" + all, {3 * width});
    draw(of_module + "KonaTransformer/Encode/" + attention + "output_transform_single/kernel/part_0",
         {1, 1, width, 12});
    draw(graph + attention + "output_transform_single/bias" + all, {12});
    draw(graph + "TransformerStack/" + path + "/FFN/conv1/Tensordot/Reshape_1", {12, 16});
    draw(graph + path + "/FFN/conv1/bias" + all, {16});
    draw(graph + "TransformerStack/" + path + "/FFN/conv2/Tensordot/Reshape_1", {16, 12});
    draw(graph + path + "/FFN/conv2/bias" + all, {12});
  }
  draw(of_module + "hidden_layers/tanh_layer_0/weights", {12, 10});
  draw(of_module + "hidden_layers/tanh_layer_0/bias", {10});
  return made;
}

template <class F> bool fails(const F& f) {
  try {
    f();
  } catch (const std::runtime_error&) {
    return true;
  }
  return false;
}

void check_encoder() {
  const Weights weights = drawn_weights();
  Tokens too_long, whole;
  for (int i = 0; i < 300; ++i) too_long.push_back(i * i % 20);
  whole.assign(too_long.begin(), too_long.begin() + Encoder<float>::longest);
  const std::vector<Tokens> sentences = {{3}, {}, {1, 2, 3, 4, 5}, too_long, {5, 4, 3, 2, 1}, whole, {}};
  Encoder<double> encoder(weights);
  const Matrix<double> together = encoder.embed(sentences);
  const auto near = [](const auto& a, const auto& b, double bound) {
    return (a - b).cwiseAbs().maxCoeff() <= bound;
  };
  expect(together.rows() == 7 && together.cols() == 10 && encoder.width() == 10,
         "a vector for each sentence");
  expect(near(together.rowwise().norm(), Vector<double>::Ones(7), 1e-12), "of length 1");
  for (std::size_t s = 0; s < sentences.size(); ++s)
    expect(near(encoder.embed({sentences[s]}).row(0), together.row(static_cast<Index>(s)), 1e-12),
           "a sentence has the same vector whatever is embedded with it");
  expect(near(together.row(3), together.row(5), 1e-12), "what is too long is cut");
  expect(!near(together.row(2), together.row(4), 1e-3), "the order of the tokens counts");
  expect(near(Encoder<float>(weights).embed(sentences).cast<double>(), together, 1e-5),
         "float is near double");
  expect(encoder.embed({}).rows() == 0 && encoder.embed({{}, {}}).rows() == 2, "no sentences, or empty ones");
  expect(fails([&] { encoder.embed({{20}}); }) && fails([&] { encoder.embed({{-1}}); }),
         "unknown tokens are refused");
  for (const auto& [name, tensor] : weights.tensors) {
    Weights wrong = weights;
    wrong.tensors.erase(name);
    expect(fails([&] { const Encoder<float> made(wrong); }), "a model without " + name + " is refused");
    for (std::size_t axis = 0; axis < tensor.shape.size(); ++axis) {
      if (name == "module/Embeddings_en" && axis == 0) continue;  // any vocabulary will do
      wrong = weights;
      ++wrong.tensors[name].shape[axis];
      wrong.tensors[name].values.resize(tensor.values.size() * 2);
      expect(fails([&] { const Encoder<float> made(wrong); }),
             "a model with another shape of " + name + " is refused");
    }
  }
}

}  // namespace

int check() {
  check_tokens();
  check_encoder();
  if (failures == 0) std::printf("tokenizer and encoder are as they should be\n");
  return failures == 0 ? 0 : 1;
}

}  // namespace sentence_encoder
