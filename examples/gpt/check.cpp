// What must be true of the model: its gradients, and that a text has the same bits however it is read.
#include <cstdio>
#include <random>

#include "decoder.hpp"
#include "study.hpp"
#include "training.hpp"

namespace gpt {
namespace {

/// The logits of a text that is read at once, beside those of the same text read token by token: bit for bit.
int check_decoder(const Shape& shape) {
  Vector<float> values = 10 * initial_weights<float>(shape, 6);
  for (const Tensor& t : Weights<float>::tensors_of(shape))
    if (t.name.find("lora_up") != std::string::npos)
      values.segment(t.offset, t.size()).setLinSpaced(-0.1f, 0.1f);  // an adapter begins with 0
  const Weights<float> weights(shape, values.data());
  int failures = 0;
  for (const Index sequences : {1, 64}) {
    std::vector<int> tokens;
    std::mt19937_64 random(7);
    for (Index i = 0; i < sequences * shape.context; ++i) tokens.push_back(static_cast<int>(random() % 19));
    Matrix<float> expected;
    for (const int threads : {1, 4}) {
      Eigen::ThreadPool pool(threads);
      const Eigen::ThreadPoolDevice device(&pool, threads);
      Decoder at_once(shape, sequences), one_by_one(shape, sequences);
      const Matrix<float> whole = at_once.read(weights, tokens, device);
      if (expected.size() == 0) expected = whole;
      Matrix<float> streamed(whole.rows(), whole.cols());
      for (Index i = 0; i < shape.context; ++i) {
        std::vector<int> next;
        for (Index s = 0; s < sequences; ++s)
          next.push_back(tokens[static_cast<std::size_t>(s * shape.context + i)]);
        const Matrix<float>& logits = one_by_one.read(weights, next, device);
        for (Index s = 0; s < sequences; ++s) streamed.row(s * shape.context + i) = logits.row(s);
      }
      // What training computes, in another order of its sums.
      Pass<float> pass(shape);
      const Matrix<float>& trained = pass.forward(weights, tokens, sequences);
      const float error = (trained - whole).cwiseAbs().maxCoeff() / trained.cwiseAbs().maxCoeff();
      const bool same = streamed == whole && expected == whole, near = error < 1e-3f;
      std::printf(
          "%s  %-8s  %-10s  %2ld sequences, %d threads: token by token %s; training's logits differ by "
          "%.1e\n",
          same && near ? "ok  " : "FAIL", name_of(placements, shape.placement).c_str(),
          name_of(kinds, shape.kind).c_str(), static_cast<long>(sequences), threads,
          same ? "has the same bits" : "DIFFERS", static_cast<double>(error));
      failures += !(same && near);
    }
  }
  return failures;
}

int check_decoder() {
  Shape shape{/*vocabulary=*/19, /*context=*/13, /*layers=*/3, /*heads=*/3, /*width=*/36};
  int failures = 0;
  for (const auto& [name, placement] : placements) {
    shape.placement = placement;
    for (const Kind kind : {Kind::layer_norm, Kind::rms_norm}) {
      shape.kind = kind;
      failures += check_decoder(shape);
    }
  }
  shape.rank = 2;
  return failures + check_decoder(shape);
}

/// Every tensor's gradient in double, in ten places, beside central differences. Tells the worst; `each`: tells of every tensor.
int check_gradients(const Shape& shape, bool each) {
  const Index sequences = 5;
  std::vector<int> text;
  std::mt19937_64 random(3);
  for (int i = 0; i < 100; ++i) text.push_back(static_cast<int>(random() % 11));
  const Batch batch = Batch::drawn(text, sequences, shape.context, 4);
  const std::vector<Tensor> tensors = Weights<double>::tensors_of(shape);
  Vector<double> weights = initial_weights<double>(shape, 5), gradient(weights.size());
  for (const Tensor& t :
       tensors) {  // larger than at the beginning of a training, so that no gradient is small
    auto values = weights.segment(t.offset, t.size());
    const bool of_adapter = t.name.find("lora") != std::string::npos;
    if (t.columns > 0 && !of_adapter) values *= 10;
    if (t.name.find("lora_up") != std::string::npos)  // which begins with 0
      for (double& value : values) value = 1e-3 * static_cast<double>(random() % 100);
  }
  Shards<double> shards(shape, 2);
  shards.loss(weights, batch, sequences, gradient);
  int failures = 0;
  double worst = 0;
  for (const Tensor& t : tensors) {
    double error = 0;
    const double size = gradient.segment(t.offset, t.size()).cwiseAbs().maxCoeff();
    if (!t.learned) {
      failures += size != 0;
      continue;
    }
    for (int i = 0; i < 10; ++i) {
      const Index place = t.offset + static_cast<Index>(random() % static_cast<std::uint64_t>(t.size()));
      const double kept = weights[place], step = 1e-5;
      weights[place] = kept + step;
      const double above = shards.loss(weights, batch, sequences, Mode::training);
      weights[place] = kept - step;
      const double below = shards.loss(weights, batch, sequences, Mode::training);
      weights[place] = kept;
      error = std::fmax(error, std::abs((above - below) / (2 * step) - gradient[place]));
    }
    // What is added to a whole column before BatchNorms is taken away by them.
    const bool has_none =
        shape.kind == Kind::batch_norm && t.name.find("of_branch.beta") != std::string::npos;
    const bool holds = (has_none ? size < 1e-12 : size > 1e-6) && error <= 1e-7 * std::fmax(size, 1e-2);
    if (each || !holds)
      std::printf("%s  %-28s  up to %.2e, differs from finite differences by %.1e\n", holds ? "ok  " : "FAIL",
                  t.name.c_str(), size, error);
    failures += !holds;
    worst = std::fmax(worst, error);
  }
  std::printf("%s  %-8s  %-15s  %s  gradients differ from finite differences by up to %.1e\n",
              failures == 0 ? "ok  " : "FAIL", name_of(placements, shape.placement).c_str(),
              name_of(kinds, shape.kind).c_str(),
              shape.rank == 0       ? "all"
              : shape.norms_learned ? "adapters, norms"
                                    : "adapters",
              worst);
  return failures;
}
int check_gradients() {
  Shape shape{/*vocabulary=*/11, /*context=*/7, /*layers=*/2, /*heads=*/3, /*width=*/12};
  int failures = check_gradients(shape, true);
  for (const auto& [name, placement] : placements) {
    for (const auto& [kind_name, kind] : kinds) {
      shape.placement = placement;
      shape.kind = kind;
      failures += check_gradients(shape, false);
    }
  }
  shape.placement = Placement::pre;
  shape.kind = Kind::layer_norm;
  shape.rank = 3;
  for (const bool learned : {false, true}) {
    shape.norms_learned = learned;
    failures += check_gradients(shape, false);
  }
  return failures;
}

/// The gradient with activations in bfloat16 beside the one in float: as far apart as roundings of 2^-9 put them.
int check_bfloat16() {
  int failures = 0;
  for (const auto& [name, placement] : placements) {
    const Shape shape{/*vocabulary=*/11, /*context=*/7,  /*layers=*/2, /*heads=*/3,
                      /*width=*/12,      Kind::rms_norm, placement};
    std::vector<int> text;
    std::mt19937_64 random(3);
    for (int i = 0; i < 100; ++i) text.push_back(static_cast<int>(random() % 11));
    const Batch batch = Batch::drawn(text, 5, shape.context, 4);
    Vector<float> weights = 5 * initial_weights<float>(shape, 5), expected(weights.size()),
                  gradient(weights.size());
    const double loss = Shards<float>(shape, 1).loss(weights, batch, 5, expected);
    const double rounded = Shards<float, Bfloat16>(shape, 1).loss(weights, batch, 5, gradient);
    const double error = static_cast<double>((gradient - expected).norm() / expected.norm());
    const bool holds = error > 1e-5 && error < 0.03 && std::abs(rounded - loss) < 0.01 * loss;
    std::printf(
        "%s  %-8s  activations in bfloat16: the loss is %.4f and not %.4f, the gradient off by %.1e of "
        "itself\n",
        holds ? "ok  " : "FAIL", name.c_str(), rounded, loss, error);
    failures += !holds;
  }
  return failures;
}

}  // namespace

int check() { return check_gradients() + check_bfloat16() + check_decoder() == 0 && check_batches() ? 0 : 1; }

}  // namespace gpt
