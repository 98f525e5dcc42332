// gpt: a small GPT that learns the characters of a text, with every norm by simdnorm. See README.md.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <sstream>

#include "checkpoint.hpp"
#include "decoder.hpp"
#include "text.hpp"
#include "training.hpp"

namespace gpt {
int check();  // check.cpp
}

namespace {

using namespace gpt;

struct Options {
  std::vector<std::string> text = {"/usr/share/common-licenses"};
  std::string checkpoint = "gpt.safetensors";
  Shape shape;
  Index sequences = 16, steps = 2000, stop = 0, every = 100, length = 500;
  int threads = 2;
  double rate = 2e-3, temperature = 0.8;
  bool resume = false;
  std::uint64_t seed = 1;
  std::string prompt = "The ";
};

// --- a model in memory ---

struct Model {
  Shape shape;
  Vocabulary vocabulary;
  Vector<float> weights;
  Optimizer optimizer;
  Index step = 0;  // that were taken

  Model(const Shape& s, Vocabulary v, std::uint64_t seed) : shape(s), vocabulary(std::move(v)), optimizer(0) {
    shape.vocabulary = vocabulary.size();
    if (shape.heads < 1 || shape.width % shape.heads != 0)
      throw std::runtime_error("the width, " + std::to_string(shape.width) +
                               ", is no multiple of the heads, " + std::to_string(shape.heads));
    weights = initial_weights<float>(shape, seed);
    optimizer = Optimizer(weights.size());
  }

  std::vector<Tensor> tensors() const { return Weights<float>::tensors_of(shape); }

  void save_to(const std::string& path) const {
    Checkpoint checkpoint;
    checkpoint.put("", tensors(), weights);
    checkpoint.put("adam.mean.", tensors(), optimizer.mean);
    checkpoint.put("adam.square.", tensors(), optimizer.square);
    checkpoint.words = {{"step", std::to_string(step)}, {"heads", std::to_string(shape.heads)}};
    std::ostringstream codes;
    for (const char c : vocabulary.characters()) codes << int{static_cast<unsigned char>(c)} << ' ';
    checkpoint.words["characters"] = codes.str();
    save(checkpoint, path);
  }
  static Model load_from(const std::string& path) {
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
    Shape shape;
    shape.width = extent("tokens", 1);
    shape.context = extent("positions", 0);
    shape.heads = std::stol(checkpoint.word("heads"));
    for (shape.layers = 0; checkpoint.tensors.count("layers." + std::to_string(shape.layers) + ".qkv") == 1;)
      ++shape.layers;
    Model model(shape, Vocabulary(characters), 0);
    model.step = std::stol(checkpoint.word("step"));
    checkpoint.get("", model.tensors(), model.weights);
    checkpoint.get("adam.mean.", model.tensors(), model.optimizer.mean);
    checkpoint.get("adam.square.", model.tensors(), model.optimizer.square);
    return model;
  }
};

// --- commands ---

/// The mean loss over a text, in sequences that follow each other.
double loss_of_text(Shards<float>& shards, Model& model, const std::vector<int>& text) {
  double sum = 0;
  Index count = 0;
  const Index length = model.shape.context, at_once = 4 * Shards<float>::shards;
  for (Index i = 0; i + length < static_cast<Index>(text.size());) {
    Batch batch;
    Index sequences = 0;
    for (; sequences < at_once && i + length < static_cast<Index>(text.size()); ++sequences, i += length)
      batch.add(text.data() + i, length);
    sum += static_cast<double>(sequences) * shards.loss(model.weights, batch, sequences, nullptr);
    count += sequences;
  }
  return sum / static_cast<double>(count);
}

int train(const Options& options) {
  const std::string text = read_text(options.text);
  Model model = options.resume ? Model::load_from(options.checkpoint)
                               : Model(options.shape, Vocabulary(text), options.seed);
  const std::vector<int> tokens = model.vocabulary.tokens(text);
  const Parts parts(tokens);
  if (static_cast<Index>(parts.held_out.size()) <= model.shape.context)
    throw std::runtime_error("the text has " + std::to_string(text.size()) + " characters; too few");
  std::printf("%zu characters, %d of them different; %ld weights\n", text.size(), model.vocabulary.size(),
              static_cast<long>(model.weights.size()));
  std::printf("entropy of a character after the one before it: %.4f nats\n", bigram_entropy(tokens));

  Shards<float> shards(model.shape, options.threads);
  Vector<float> gradient(model.weights.size());
  const auto tensors = model.tensors();
  using Clock = std::chrono::steady_clock;
  const auto began = Clock::now();
  const Index first = model.step;
  double mean_loss = 0;
  Index of_mean = 0;
  const Index last = options.stop == 0 ? options.steps : std::min(options.stop, options.steps);
  while (model.step < last) {
    const Batch batch = Batch::drawn(parts.training, options.sequences, model.shape.context,
                                     options.seed * 1000003 + static_cast<std::uint64_t>(model.step));
    mean_loss += shards.loss(model.weights, batch, options.sequences, &gradient);
    ++of_mean;
    const double rate = learning_rate(options.rate, model.step, options.steps);
    ++model.step;
    model.optimizer.update(model.weights, gradient, tensors, rate, model.step);
    if (model.step % options.every == 0 || model.step == last) {
      const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
      const double steps = static_cast<double>(model.step - first);
      std::printf("step %ld of %ld  loss %.4f  %.0f tokens/s  %.0f s remain\n", static_cast<long>(model.step),
                  static_cast<long>(options.steps), mean_loss / static_cast<double>(of_mean),
                  steps * static_cast<double>(batch.inputs.size()) / seconds,
                  seconds / steps * static_cast<double>(last - model.step));
      std::fflush(stdout);
      mean_loss = 0;
      of_mean = 0;
      model.save_to(options.checkpoint);
    }
  }
  std::printf("loss on the tenth that was held out: %.4f nats; saved in %s\n",
              loss_of_text(shards, model, parts.held_out), options.checkpoint.c_str());
  return 0;
}

int sample(const Options& options) {
  Model model = Model::load_from(options.checkpoint);
  std::vector<int> tokens = model.vocabulary.tokens(options.prompt);
  if (tokens.empty()) throw std::runtime_error("the prompt is empty");
  std::fputs(options.prompt.c_str(), stdout);
  const Weights<float> weights(model.shape, model.weights.data());
  Eigen::ThreadPool pool(1);
  const Eigen::ThreadPoolDevice device(&pool, 1);
  Decoder decoder(model.shape, 1);
  std::mt19937_64 random(options.seed);
  std::vector<int> next = tokens;
  for (Index i = 0; i < options.length; ++i) {
    // Of what is longer than the model can see, the last half of a context is read again, and there is room for the other half.
    if (decoder.length() + static_cast<Index>(next.size()) > model.shape.context) {
      decoder = Decoder(model.shape, 1);
      const auto kept =
          std::min<std::ptrdiff_t>(static_cast<std::ptrdiff_t>(tokens.size()), (model.shape.context + 1) / 2);
      next.assign(tokens.end() - kept, tokens.end());
    }
    const Matrix<float>& logits = decoder.read(weights, next, device);
    const auto last = logits.row(logits.rows() - 1).array();
    const Eigen::ArrayXd chances =
        ((last - last.maxCoeff()).cast<double>() / options.temperature).exp().transpose();
    std::discrete_distribution<int> drawn(chances.data(), chances.data() + chances.size());
    next.assign(1, drawn(random));
    tokens.push_back(next.front());
    std::putchar(model.vocabulary.character(next.front()));
    std::fflush(stdout);
  }
  std::putchar('\n');
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("A GPT of characters, trained on the CPU");
  app.require_subcommand(1);
  const auto at_least_one = CLI::Range(Index(1), Index(1) << 30);

  CLI::App& training = *app.add_subcommand("train", "learn a text");
  training.add_option("--text", options.text, "files, or folders of files")->capture_default_str();
  training.add_option("--layers", options.shape.layers)->check(at_least_one)->capture_default_str();
  training.add_option("--heads", options.shape.heads)->check(at_least_one)->capture_default_str();
  training.add_option("--width", options.shape.width)->check(at_least_one)->capture_default_str();
  training.add_option("--context", options.shape.context, "characters of a sequence")
      ->check(at_least_one)
      ->capture_default_str();
  training.add_option("--sequences", options.sequences, "in a step")
      ->check(at_least_one)
      ->capture_default_str();
  training.add_option("--steps", options.steps, "in all")->check(at_least_one)->capture_default_str();
  training.add_option("--stop", options.stop, "after this step, to go on later; 0: not before the last");
  training.add_option("--rate", options.rate, "the highest learning rate")->capture_default_str();
  training.add_option("--every", options.every, "steps from one line and checkpoint to the next")
      ->check(at_least_one)
      ->capture_default_str();
  training.add_option("--threads", options.threads)->check(CLI::Range(1, 1024))->capture_default_str();
  training.add_flag("--resume", options.resume, "go on from the checkpoint, in its shape");

  CLI::App& sampling = *app.add_subcommand("sample", "write text");
  sampling.add_option("--prompt", options.prompt)->capture_default_str();
  sampling.add_option("--length", options.length, "characters")->capture_default_str();
  sampling.add_option("--temperature", options.temperature)
      ->check(CLI::PositiveNumber)
      ->capture_default_str();

  for (CLI::App* of_a_file : {&training, &sampling}) {
    of_a_file->add_option("--checkpoint", options.checkpoint)->capture_default_str();
    of_a_file->add_option("--seed", options.seed)->capture_default_str();
  }
  CLI::App& checking = *app.add_subcommand(
      "check", "gradients beside finite differences; a text token by token beside the whole");
  CLI11_PARSE(app, argc, argv);
  try {
    return checking.parsed() ? gpt::check() : sampling.parsed() ? sample(options) : train(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gpt: %s\n", error.what());
    return 1;
  }
}
