// gpt: a small GPT that learns the characters of a text, with every norm by simdnorm. See README.md.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "decoder.hpp"
#include "saved.hpp"
#include "study.hpp"
#include "tune.hpp"

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
  bool resume = false, bfloat16 = false;
  Start start = Start::gpt2;
  std::uint64_t seed = 1;
  std::string prompt = "The ";
};

// --- commands ---

/// A: the type of activations.
template <class A> int train(const Options& options) {
  const std::string text = read_text(options.text);
  Model model = options.resume ? load_model(options.checkpoint)
                               : Model(options.shape, Vocabulary(text), options.seed, options.start);
  const std::vector<int> tokens = model.vocabulary.tokens(text);
  const Parts parts(tokens);
  if (static_cast<Index>(parts.held_out.size()) <= model.shape.context)
    throw std::runtime_error("the text has " + std::to_string(text.size()) + " characters; too few");
  std::printf("%zu characters, %d of them different; %ld weights\n", text.size(), model.vocabulary.size(),
              static_cast<long>(model.weights.size()));
  std::printf("entropy of a character after the one before it: %.4f nats\n", bigram_entropy(tokens));

  Shards<float, A> shards(model.shape, options.threads);
  Vector<float> gradient(model.weights.size());
  const auto tensors = model.tensors();
  using Clock = std::chrono::steady_clock;
  const auto began = Clock::now();
  const Index first = model.step;
  double mean_loss = 0;
  Index of_mean = 0;
  const double warm_up = usual_warm_up(options.steps);
  const Index last = options.stop == 0 ? options.steps : std::min(options.stop, options.steps);
  while (model.step < last) {
    const Batch batch = Batch::drawn(parts.training, options.sequences, model.shape.context,
                                     options.seed * 1000003 + static_cast<std::uint64_t>(model.step));
    mean_loss += shards.loss(model.weights, batch, options.sequences, gradient);
    ++of_mean;
    const double rate = learning_rate(options.rate, model.step, options.steps, warm_up);
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
      save(model, options.checkpoint);
    }
  }
  std::printf("loss on the tenth that was held out: %.4f nats; saved in %s\n",
              shards.loss_of_text(model.weights, parts.held_out), options.checkpoint.c_str());
  return 0;
}

int sample(const Options& options) {
  Model model = load_model(options.checkpoint);
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
#ifdef __GLIBC__
  // Matrices come and go in every step: their memory stays with the program, and its pages need not be made again.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
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
  training.add_option("--norms", options.shape.placement, "where the norms stand")
      ->transform(CLI::CheckedTransformer(placements));
  training.add_option("--kind", options.shape.kind, "of the norms")
      ->transform(CLI::CheckedTransformer(kinds));
  training.add_option("--start", options.start, "how the weights begin")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, Start>{{"gpt2", Start::gpt2}, {"xavier", Start::xavier}}));
  training.add_flag("--bfloat16", options.bfloat16, "keep activations and their gradients in bfloat16");
  training.add_option("--threads", options.threads)->check(CLI::Range(1, 1024))->capture_default_str();
  training.add_flag("--resume", options.resume, "go on from the checkpoint, in its shape");

  CLI::App& sampling = *app.add_subcommand("sample", "write text");
  sampling.add_option("--prompt", options.prompt)->capture_default_str();
  sampling.add_option("--length", options.length, "characters")->capture_default_str();
  sampling.add_option("--temperature", options.temperature)
      ->check(CLI::PositiveNumber)
      ->capture_default_str();

  Study of_study;
  of_study.text = options.text;
  of_study.folder = "study";
  CLI::App& studying = *app.add_subcommand("study", "train with norms of every kind and at every place");
  studying.add_option("--text", of_study.text, "files, or folders of files")->capture_default_str();
  studying.add_option("--folder", of_study.folder, "of the tables")->capture_default_str();
  studying.add_option("--depths", of_study.depths, "layers of the models")
      ->check(at_least_one)
      ->capture_default_str();
  studying.add_option("--steps", of_study.steps)->check(at_least_one)->capture_default_str();
  studying.add_option("--rate", of_study.rate, "the highest learning rate")->capture_default_str();
  studying.add_option("--threads", of_study.threads)->check(CLI::Range(1, 1024))->capture_default_str();

  Tuning of_tuning;
  of_tuning.checkpoint = options.checkpoint;
  of_tuning.text = {"/usr/include"};
  CLI::App& tuning =
      *app.add_subcommand("tune", "learn another text by adapters (LoRA), norms frozen or not");
  tuning.add_option("--text", of_tuning.text, "files, or folders of files")->capture_default_str();
  tuning.add_option("--checkpoint", of_tuning.checkpoint, "of the trained model")->capture_default_str();
  tuning.add_option("--save", of_tuning.save, "the adapted model, here");
  tuning.add_option("--rank", of_tuning.rank, "of the adapters")->check(at_least_one)->capture_default_str();
  tuning.add_option("--steps", of_tuning.steps)->check(at_least_one)->capture_default_str();
  tuning.add_option("--rate", of_tuning.rate, "the highest learning rate")->capture_default_str();
  tuning.add_option("--threads", of_tuning.threads)->check(CLI::Range(1, 1024))->capture_default_str();

  for (CLI::App* of_a_file : {&training, &sampling}) {
    of_a_file->add_option("--checkpoint", options.checkpoint)->capture_default_str();
    of_a_file->add_option("--seed", options.seed)->capture_default_str();
  }
  CLI::App& checking = *app.add_subcommand(
      "check", "gradients beside finite differences; a text token by token beside the whole");
  CLI11_PARSE(app, argc, argv);
  try {
    if (checking.parsed()) return gpt::check();
    if (studying.parsed()) return study(of_study);
    if (tuning.parsed()) return tune(of_tuning) ? 0 : 1;
    if (sampling.parsed()) return sample(options);
    return options.bfloat16 ? train<Bfloat16>(options) : train<float>(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gpt: %s\n", error.what());
    return 1;
  }
}
