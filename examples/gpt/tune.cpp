#include "tune.hpp"

#include <chrono>
#include <cstdio>
#include <iterator>

#include "saved.hpp"

namespace gpt {

bool tune(const Tuning& options) {
  const Model trained = load_model(options.checkpoint);
  if (trained.shape.rank > 0)
    throw std::runtime_error(options.checkpoint + " has adapters already, of rank " +
                             std::to_string(trained.shape.rank));
  std::string text;
  const std::string whole = read_text(options.text);
  std::copy_if(whole.begin(), whole.end(), std::back_inserter(text),
               [&](char c) { return trained.vocabulary.knows(c); });
  std::printf("%zu characters, without %zu that the model does not know\n", text.size(),
              whole.size() - text.size());
  const Parts parts(trained.vocabulary.tokens(text));
  if (static_cast<Index>(parts.held_out.size()) <= trained.shape.context)
    throw std::runtime_error("the text has " + std::to_string(text.size()) + " characters; too few");
  Vector<float> before = trained.weights;
  std::printf("held out, before: %.4f nats\n",
              Shards<float>(trained.shape, options.threads).loss_of_text(before, parts.held_out));
  bool holds = true;
  for (const bool norms_learned : {false, true}) {
    Shape shape = trained.shape;
    shape.rank = options.rank;
    shape.norms_learned = norms_learned;
    Model model(shape, trained.vocabulary, 1);
    copy(trained.tensors(), trained.weights, model.tensors(), model.weights);
    const Vector<float> beginning = model.weights;
    Vector<float> gradient(model.weights.size());
    Shards<float> shards(shape, options.threads);
    const auto tensors = model.tensors();
    using Clock = std::chrono::steady_clock;
    const auto began = Clock::now();
    for (; model.step < options.steps;) {
      const Batch batch = Batch::drawn(parts.training, options.sequences, shape.context,
                                       static_cast<std::uint64_t>(model.step));
      shards.loss(model.weights, batch, options.sequences, gradient);
      const double rate =
          learning_rate(options.rate, model.step, options.steps, usual_warm_up(options.steps));
      ++model.step;
      model.optimizer.update(model.weights, gradient, tensors, rate, model.step);
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
    Index learned = 0, changed_frozen = 0;
    for (const Tensor& t : tensors) {
      learned += t.learned ? t.size() : 0;
      if (!t.learned && model.weights.segment(t.offset, t.size()) != beginning.segment(t.offset, t.size()))
        ++changed_frozen;
    }
    std::printf(
        "norms %-9s  %ld of %ld numbers learn; gradients of %ld numbers of norms were computed; %.1f s; held "
        "out: %.4f nats\n",
        norms_learned ? "learn:" : "frozen:", static_cast<long>(learned),
        static_cast<long>(model.weights.size()), static_cast<long>(shards.norm_gradients()), seconds,
        shards.loss_of_text(model.weights, parts.held_out));
    const bool some = norms_learned && shape.kind != Kind::none;  // of norms something is to learn
    holds = holds && changed_frozen == 0 && (shards.norm_gradients() > 0) == some;
    if (!norms_learned && !options.save.empty()) save(model, options.save);
  }
  return holds;
}

}  // namespace gpt
