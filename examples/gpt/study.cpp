#include "study.hpp"

#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <stdexcept>

#include "text.hpp"
#include "training.hpp"

namespace gpt {
namespace {

constexpr Index sequences = 16;

struct Setting {
  Placement placement;
  Kind kind;
  bool warm_up;
};

/// What is compared. Only the usual warm-up of the learning rate tells the two post-norms apart.
const std::vector<Setting> settings = {
    {Placement::pre, Kind::layer_norm, false},    {Placement::pre, Kind::rms_norm, false},
    {Placement::post, Kind::layer_norm, false},   {Placement::post, Kind::rms_norm, false},
    {Placement::post, Kind::layer_norm, true},    {Placement::sandwich, Kind::layer_norm, false},
    {Placement::sandwich, Kind::rms_norm, false}, {Placement::deep, Kind::layer_norm, false},
    {Placement::deep, Kind::rms_norm, false},     {Placement::pre, Kind::none, false},
    {Placement::pre, Kind::batch_norm, false},    {Placement::pre, Kind::switchable_norm, false},
    {Placement::pre, Kind::dynamic_tanh, false},
};

/// The norm of the gradient of each layer's weights, the embeddings' as layer 0.
std::vector<double> norm_by_layer(const Shape& shape, const Vector<float>& gradient) {
  std::vector<double> squares(static_cast<std::size_t>(shape.layers) + 1);
  for (const Tensor& t : Weights<float>::tensors_of(shape)) {
    const bool of_layer = t.name.rfind("layers.", 0) == 0;
    const std::size_t layer = of_layer ? std::stoul(t.name.substr(7)) + 1 : 0;
    squares[layer] += gradient.segment(t.offset, t.size()).cast<double>().squaredNorm();
  }
  for (double& s : squares) s = std::sqrt(s);
  return squares;
}

std::ofstream table(const std::string& folder, const char* name, const char* columns) {
  const auto path = std::filesystem::path(folder) / name;
  std::ofstream out(path);
  out << columns << '\n';
  if (!out) throw std::runtime_error("cannot write " + path.string());
  return out;
}

}  // namespace

int study(const Study& options) {
  const std::string text = read_text(options.text);
  const Vocabulary vocabulary(text);
  const std::vector<int> tokens = vocabulary.tokens(text);
  const Parts parts(tokens);
  std::filesystem::create_directories(options.folder);
  std::ofstream losses = table(options.folder, "losses.csv", "layers,placement,kind,warm_up,step,loss");
  std::ofstream gradients =
      table(options.folder, "gradients.csv", "layers,placement,kind,warm_up,step,layer,norm");
  std::printf("entropy of a character %.3f nats, of one after the one before it %.3f\n", entropy(tokens),
              bigram_entropy(tokens));
  std::printf("%6s  %-8s  %-15s  %-7s  %21s  %13s\n", "layers", "norms", "kind", "warm-up",
              "loss, the last tenth", "held out");
  using Clock = std::chrono::steady_clock;
  const auto began = Clock::now();
  for (const Index depth : options.depths) {
    for (const Setting& run : settings) {
      Shape shape{vocabulary.size(), /*context=*/32, depth,        /*heads=*/4,
                  /*width=*/64,      run.kind,       run.placement};
      Vector<float> weights = initial_weights<float>(shape, 1, Start::xavier), gradient(weights.size());
      Optimizer optimizer(weights.size());
      Shards<float> shards(shape, options.threads);
      const auto tensors = Weights<float>::tensors_of(shape);
      std::ostringstream name;
      name << depth << ',' << name_of(placements, run.placement) << ',' << name_of(kinds, run.kind) << ','
           << run.warm_up << ',';
      double last = 0;
      Index of_last = 0;
      for (Index step = 1; step <= options.steps; ++step) {
        const Batch batch =
            Batch::drawn(parts.training, sequences, shape.context, static_cast<std::uint64_t>(step));
        const double loss = shards.loss(weights, batch, sequences, gradient);
        losses << name.str() << step << ',' << loss << '\n';
        if (step == 1 || step == options.steps) {
          const std::vector<double> norms = norm_by_layer(shape, gradient);
          for (std::size_t layer = 0; layer < norms.size(); ++layer)
            gradients << name.str() << step << ',' << layer << ',' << norms[layer] << '\n';
        }
        if (step > options.steps - std::max<Index>(1, options.steps / 10)) {
          last += loss;
          ++of_last;
        }
        const double warm_up = run.warm_up ? usual_warm_up(options.steps) : 0;
        optimizer.update(weights, gradient, tensors,
                         learning_rate(options.rate, step - 1, options.steps, warm_up), step);
      }
      std::printf("%6ld  %-8s  %-15s  %-7s  %21.3f  %13.3f\n", static_cast<long>(depth),
                  name_of(placements, run.placement).c_str(), name_of(kinds, run.kind).c_str(),
                  run.warm_up ? "yes" : "no", last / static_cast<double>(of_last),
                  shards.loss_of_text(weights, parts.held_out));
      std::fflush(stdout);
    }
  }
  std::printf("%.0f s; losses.csv and gradients.csv are in %s\n",
              std::chrono::duration<double>(Clock::now() - began).count(), options.folder.c_str());
  return check_batches() ? 0 : 1;
}

bool check_batches() {
  const Index length = 16;
  std::mt19937_64 random(9);
  std::vector<int> text;
  for (Index i = 0; i <= 16 * length; ++i) text.push_back(static_cast<int>(random() % 23));
  bool all_hold = true;
  for (const Kind kind : {Kind::layer_norm, Kind::batch_norm}) {
    const Shape shape{/*vocabulary=*/23, length,       /*layers=*/2,
                      /*heads=*/2,       /*width=*/32, kind};
    Vector<float> values = 10 * initial_weights<float>(shape, 2);
    const Weights<float> weights(shape, values.data(), Weights<float>::fixed_values);
    double first_loss = 0, loss_difference = 0;
    Matrix<float> first_rows;
    bool same = true;
    for (const Index count : {1, 4, 16}) {
      Batch batch;
      for (Index s = 0; s < count; ++s) batch.add(text.data() + s * length, length);
      // The rows of the first sequence after the first norm, as they are among the others.
      Normalized<float, float> place;
      place.x.resize(count * length, shape.width);
      for (Index r = 0; r < place.x.rows(); ++r)
        place.x.row(r) = weights.tokens.row(batch.inputs[static_cast<std::size_t>(r)]);
      normalize(weights.norms.front(), place, Run{});
      const Matrix<float> rows = place.y.topRows(length);
      // The loss of the first sequence alone.
      Pass<float> pass(shape);
      const Matrix<float> logits = pass.forward(weights, batch.inputs, count).topRows(length);
      double loss = 0;
      for (Index r = 0; r < length; ++r)
        loss += std::log(static_cast<double>(logits.row(r).array().exp().sum())) -
                static_cast<double>(logits(r, batch.targets[static_cast<std::size_t>(r)]));
      if (count == 1) {
        first_rows = rows;
        first_loss = loss;
      }
      same = same && rows == first_rows;
      loss_difference = std::fmax(loss_difference, std::abs(loss - first_loss) / first_loss);
    }
    const bool alone = kind == Kind::layer_norm;
    const bool holds = same == alone && (loss_difference < 1e-5) == alone;
    std::printf(
        "%s  %-10s  among 1, 4 and 16 sequences a row has %s; the loss of a sequence changes by %.1e of "
        "itself\n",
        holds ? "ok  " : "FAIL", name_of(kinds, kind).c_str(), same ? "the same bits" : "other numbers",
        loss_difference);
    all_hold = all_hold && holds;
  }
  return all_hold;
}

}  // namespace gpt
