// A norm and its neighbour in one call, against the same in two: an Eigen Array expression that adds or modulates, and
// simdnorm's norm; and against one Array expression row by row. Float; every shape; forward and backward of both norms.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <simdnorm/simdnorm.hpp>
#include <string>
#include <vector>

#include "support/program.hpp"

namespace {

using namespace bench;
using simdnorm::added;
using simdnorm::gate_gradients;
using simdnorm::gated;
using simdnorm::residual_sum;

using Rows = Eigen::Array<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

struct Arrays {
  Rows x, residual, sum, y, between, dy;
  Eigen::VectorXf gamma, beta, dgamma, dbeta;
  Rows scale, shift, dscale, dshift;  // (samples, hidden)
  simdnorm::Moments<float> moments;
  simdnorm::Workspace<float> workspace;

  Arrays(Index rows, Index hidden)
      : x(Rows::Random(rows, hidden)),
        residual(Rows::Random(rows, hidden)),
        sum(rows, hidden),
        y(rows, hidden),
        between(rows, hidden),
        dy(Rows::Random(rows, hidden)),
        gamma(Eigen::VectorXf::Random(hidden)),
        beta(Eigen::VectorXf::Random(hidden)),
        dgamma(hidden),
        dbeta(hidden),
        scale(Rows::Random(rows % 8 == 0 ? 8 : 1, hidden)),
        shift(Rows::Random(scale.rows(), hidden)),
        dscale(scale),
        dshift(shift) {}
  Index rows_per_sample() const { return x.rows() / scale.rows(); }
  Index bytes() const { return 4 * x.size() * 4; }  // two operands read, two written; backward three and one
};

template <Norm norm> auto norm_of(const Arrays& a) {
  if constexpr (norm == Norm::layer) {
    return simdnorm::LayerNorm<float>(a.gamma, a.beta, 1e-5F);
  } else {
    return simdnorm::RMSNorm<float>(a.gamma, 1e-5F);
  }
}
template <Norm norm, class Dx> void backward(Arrays& a, Dx&& dx) {
  if constexpr (norm == Norm::layer) {
    norm_of<norm>(a).backward(a.x, a.residual, a.moments, dx, a.dgamma, a.dbeta, a.workspace);
  } else {
    norm_of<norm>(a).backward(a.x, a.residual, a.moments, dx, a.dgamma, a.workspace);
  }
}

/// One way to compute an operation. What it computes are sum (but for backward) and y.
struct Way {
  const char* name;
  std::function<void(Arrays&)> run;
};

/// sum = x + residual, y = norm(sum)
template <Norm norm> std::vector<Way> residual_sums() {
  return {
      {"simdnorm", [](Arrays& a) { norm_of<norm>(a).forward(residual_sum(a.x, a.residual, a.sum), a.y); }},
      {"simdnorm_in_two",
       [](Arrays& a) {
         a.sum = a.x + a.residual;
         norm_of<norm>(a).forward(a.sum, a.y);
       }},
      {"eigen_array", [](Arrays& a) {
         for (Index r = 0; r < a.x.rows(); ++r) {
           auto sum = a.sum.row(r);
           sum = a.x.row(r) + a.residual.row(r);
           const float mean = norm == Norm::layer ? sum.mean() : 0;
           const float rstd = 1 / std::sqrt((sum - mean).square().mean() + 1e-5F);
           a.y.row(r) = (sum - mean) * rstd * a.gamma.array().transpose();
           if (norm == Norm::layer) a.y.row(r) += a.beta.array().transpose();
         }
       }}};
}
/// y = norm(x * a + b), of an expression, against the norm of a tensor: in one call, in two, and of the tensor x alone, which
/// moves as many bytes and computes something else.
template <Norm norm> std::vector<Way> expressions() {
  return {{"simdnorm", [](Arrays& a) { norm_of<norm>(a).forward(a.x * 1.5F + 0.25F, a.y); }},
          {"simdnorm_in_two",
           [](Arrays& a) {
             a.y = a.x * 1.5F + 0.25F;
             norm_of<norm>(a).forward(a.y, a.y);
           }},
          {"plain_tensor", [](Arrays& a) { norm_of<norm>(a).forward(a.x, a.y); }}};
}
/// The same of an expression that costs much.
template <Norm norm> std::vector<Way> costly_expressions() {
  return {{"simdnorm", [](Arrays& a) { norm_of<norm>(a).forward(a.x.tanh(), a.y); }},
          {"simdnorm_in_two", [](Arrays& a) {
             a.y = a.x.tanh();
             norm_of<norm>(a).forward(a.y, a.y);
           }}};
}
/// y = residual + norm(x)
template <Norm norm> std::vector<Way> added_norms() {
  return {{"simdnorm", [](Arrays& a) { norm_of<norm>(a).forward(a.x, added(a.residual, a.y)); }},
          {"simdnorm_in_two", [](Arrays& a) {
             norm_of<norm>(a).forward(a.x, a.y);
             a.y += a.residual;
           }}};
}
/// y = sum + the gradient of residual, where x is dy; and dgamma, dbeta. (The names are those of the arrays.)
template <Norm norm> std::vector<Way> added_gradients() {
  return {{"simdnorm", [](Arrays& a) { backward<norm>(a, added(a.sum, a.y)); }},
          {"simdnorm_in_two", [](Arrays& a) {
             backward<norm>(a, a.y);
             a.y += a.sum;
           }}};
}

/// f(the rows of a sample of the Rows that it is given, its number)
template <class F> void each_sample(const Arrays& a, const F& f) {
  const Index count = a.rows_per_sample();
  for (Index s = 0; s < a.scale.rows(); ++s)
    f([=](auto& all) { return all.middleRows(s * count, count); }, s);
}
/// adaLN: y = layer_norm(x) * (1 + scale) + shift, with a scale and a shift for each sample
std::vector<Way> modulated_norms() {
  return {{"simdnorm",
           [](Arrays& a) { simdnorm::ModulatedLayerNorm<float>(a.scale, a.shift, 1e-5F).forward(a.x, a.y); }},
          {"simdnorm_in_two", [](Arrays& a) {
             simdnorm::LayerNorm<float>(a.x.cols(), 1e-5F).forward(a.x, a.y);
             each_sample(a, [&](const auto& of, Index s) {
               of(a.y) = (of(a.y).rowwise() * (1 + a.scale.row(s))).rowwise() + a.shift.row(s);
             });
           }}};
}
/// y = the gradient of residual, where x is dy; and dscale, dshift. In two, `between` is the norm that forward has kept.
std::vector<Way> modulated_gradients() {
  return {{"simdnorm",
           [](Arrays& a) {
             simdnorm::ModulatedLayerNorm<float>(a.scale, a.shift, 1e-5F)
                 .backward(a.x, a.residual, a.moments, a.y, a.dscale, a.dshift, a.workspace);
           }},
          {"simdnorm_in_two", [](Arrays& a) {
             each_sample(a, [&](const auto& of, Index s) {
               a.dscale.row(s) = (of(a.x) * of(a.between)).colwise().sum();
               a.dshift.row(s) = of(a.x).colwise().sum();
               of(a.y) = of(a.x).rowwise() * (1 + a.scale.row(s));
             });
             simdnorm::LayerNorm<float>(a.x.cols(), 1e-5F).backward(a.y, a.residual, a.moments, a.y);
           }}};
}

/// f on vectors of some arrays of one size, of which each is given as a function that loads, and one that stores, at a place.
template <class F> void each_vector(Index count, const F& f) {
  using V = simdnorm::simd::Vector<float>;
  const auto at = [&](auto lanes, Index i) {
    f([=](const Rows& a) { return simdnorm::simd::load<V>(lanes, a.data() + i); },
      [=](Rows& a, V values) { simdnorm::simd::store(lanes, a.data() + i, values); });
  };
  Index i = 0;
  for (; i + V::width <= count; i += V::width) at(simdnorm::simd::All{}, i);
  if (i < count) at(simdnorm::simd::First{static_cast<int>(count - i)}, i);
}

/// y = rms_norm(x) * silu(residual)
std::vector<Way> gated_norms() {
  return {{"simdnorm", [](Arrays& a) { norm_of<Norm::rms>(a).forward(a.x, gated(a.y, a.residual)); }},
          {"simdnorm_in_two", [](Arrays& a) {
             norm_of<Norm::rms>(a).forward(a.x, a.y);
             each_vector(a.x.size(), [&](const auto& load, const auto& store) {
               store(a.y, load(a.y) * simdnorm::simd::silu(load(a.residual)));
             });
           }}};
}
/// sum = dz and y = dx of that, of x as z and residual as x. In two, `between` is the norm that forward has kept.
std::vector<Way> gated_gradients() {
  return {{"simdnorm",
           [](Arrays& a) {
             norm_of<Norm::rms>(a).backward(gated(a.dy, a.x).gradient(a.sum), a.residual, a.moments, a.y,
                                            a.dgamma, a.workspace);
           }},
          {"simdnorm_in_two", [](Arrays& a) {
             each_vector(a.x.size(), [&](const auto& load, const auto& store) {
               const auto z = load(a.x), dy = load(a.dy);
               store(a.y, dy * simdnorm::simd::silu(z));
               store(a.sum, dy * simdnorm::simd::silu_derivative(z) * load(a.between));
             });
             norm_of<Norm::rms>(a).backward(a.y, a.residual, a.moments, a.y, a.dgamma, a.workspace);
           }}};
}
/// y = rms_norm(x * silu(residual))
std::vector<Way> norms_of_gated() {
  return {{"simdnorm", [](Arrays& a) { norm_of<Norm::rms>(a).forward(gated(a.x, a.residual), a.y); }},
          {"simdnorm_in_two", [](Arrays& a) {
             each_vector(a.x.size(), [&](const auto& load, const auto& store) {
               store(a.y, load(a.x) * simdnorm::simd::silu(load(a.residual)));
             });
             norm_of<Norm::rms>(a).forward(a.y, a.y);
           }}};
}
/// y = dx and sum = dz of that, of between as x and dy as z; residual is what was normalized, and x the gradient of its norm.
std::vector<Way> gradients_of_gated() {
  return {{"simdnorm",
           [](Arrays& a) {
             norm_of<Norm::rms>(a).backward(a.x, a.residual, a.moments,
                                            gate_gradients(a.between, a.dy, a.y, a.sum), a.dgamma,
                                            a.workspace);
           }},
          {"simdnorm_in_two", [](Arrays& a) {
             norm_of<Norm::rms>(a).backward(a.x, a.residual, a.moments, a.y, a.dgamma, a.workspace);
             each_vector(a.x.size(), [&](const auto& load, const auto& store) {
               const auto z = load(a.dy), du = load(a.y);
               store(a.y, du * simdnorm::simd::silu(z));
               store(a.sum, du * load(a.between) * simdnorm::simd::silu_derivative(z));
             });
           }}};
}

struct Operation {
  const char* name;
  bool forward;
  Norm norm;
  std::vector<Way> ways;
};

/// Only the arrays of one shape exist at a time.
Arrays& arrays_of(const Shape& shape) {
  static std::unique_ptr<Arrays> arrays;
  if (arrays == nullptr || arrays->x.rows() != shape.rows() || arrays->x.cols() != shape.hidden()) {
    arrays.reset();
    arrays = std::make_unique<Arrays>(shape.rows(), shape.hidden());
  }
  return *arrays;
}

/// Whether a way computes what the first does.
bool is_right(const Operation& operation, const Way& way, Arrays& a) {
  if (operation.forward) a.sum.setZero();
  operation.ways.front().run(a);
  const Rows sum = a.sum, y = a.y, dscale = a.dscale, dshift = a.dshift;
  if (operation.forward) a.sum.setZero();
  a.y.setZero();
  way.run(a);
  const auto near = [&](const Rows& got, const Rows& expected, float units) {
    return ((got - expected).abs() <= units * (1 + expected.abs())).all();
  };
  const float of_samples = 1e-5F * static_cast<float>(a.rows_per_sample());
  return ((a.sum - sum).abs() <= 1e-5F).all() && near(a.y, y, 1e-4F) && near(a.dscale, dscale, of_samples) &&
         near(a.dshift, dshift, of_samples);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<Operation> operations = {
      {"layer_norm_of_sum", true, Norm::layer, residual_sums<Norm::layer>()},
      {"rms_norm_of_sum", true, Norm::rms, residual_sums<Norm::rms>()},
      {"layer_norm_of_expression", true, Norm::layer, expressions<Norm::layer>()},
      {"rms_norm_of_expression", true, Norm::rms, expressions<Norm::rms>()},
      {"layer_norm_of_tanh", true, Norm::layer, costly_expressions<Norm::layer>()},
      {"layer_norm_added", true, Norm::layer, added_norms<Norm::layer>()},
      {"layer_norm_backward_added", false, Norm::layer, added_gradients<Norm::layer>()},
      {"rms_norm_backward_added", false, Norm::rms, added_gradients<Norm::rms>()},
      {"layer_norm_modulated", true, Norm::layer, modulated_norms()},
      {"layer_norm_backward_modulated", false, Norm::layer, modulated_gradients()},
      {"rms_norm_gated", true, Norm::rms, gated_norms()},
      {"rms_norm_backward_gated", false, Norm::rms, gated_gradients()},
      {"rms_norm_of_gated", true, Norm::rms, norms_of_gated()},
      {"rms_norm_backward_of_gated", false, Norm::rms, gradients_of_gated()}};
  for (const Operation& operation : operations) {
    for (const Shape& shape : all_shapes()) {
      const std::string prefix = std::string(operation.name) + "/" + path(shape) + "/";
      const auto time = [&](const std::string& name, const std::function<void(benchmark::State&)>& loop) {
        benchmark::RegisterBenchmark((prefix + name).c_str(), loop);
      };
      time("memcpy", [shape](benchmark::State& state) {
        Arrays& a = arrays_of(shape);
        const std::size_t bytes = static_cast<std::size_t>(a.x.size()) * sizeof(float);
        for (auto iteration : state) {
          static_cast<void>(iteration);
          std::memcpy(a.sum.data(), a.x.data(), bytes);
          std::memcpy(a.y.data(), a.residual.data(), bytes);
          benchmark::ClobberMemory();
        }
        state.SetBytesProcessed(state.iterations() * a.bytes());
      });
      for (const Way& way : operation.ways) {
        time(way.name, [&operation, &way, shape](benchmark::State& state) {
          Arrays& a = arrays_of(shape);
          simdnorm::LayerNorm<float>(a.x.cols(), 1e-5F).forward(a.residual, a.between);
          norm_of<Norm::layer>(a).forward(a.residual, a.y, a.moments);
          if (operation.norm == Norm::rms) norm_of<Norm::rms>(a).forward(a.residual, a.between, a.moments);
          if (!operation.forward) a.sum = Rows::Random(a.x.rows(), a.x.cols());
          if (way.name != std::string("plain_tensor") && !is_right(operation, way, a)) {
            state.SkipWithError("computes something else");
            return;
          }
          for (auto iteration : state) {
            static_cast<void>(iteration);
            way.run(a);
            benchmark::ClobberMemory();
          }
          state.SetBytesProcessed(state.iterations() * a.bytes());
          state.SetLabel(label(shape));
        });
      }
    }
  }
  return run_registered(argc, argv);
}
