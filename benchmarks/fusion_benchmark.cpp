// A norm and the addition beside it in one call, against the same in two: an Eigen Array expression that adds, and simdnorm's
// norm; and against one Array expression row by row. Float; every shape; forward and backward of both norms.
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
using simdnorm::residual_sum;

using Rows = Eigen::Array<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

struct Arrays {
  Rows x, residual, sum, y;
  Eigen::VectorXf gamma, beta, dgamma, dbeta;
  simdnorm::Moments<float> moments;
  simdnorm::Workspace<float> workspace;

  Arrays(Index rows, Index hidden)
      : x(Rows::Random(rows, hidden)),
        residual(Rows::Random(rows, hidden)),
        sum(rows, hidden),
        y(rows, hidden),
        gamma(Eigen::VectorXf::Random(hidden)),
        beta(Eigen::VectorXf::Random(hidden)),
        dgamma(hidden),
        dbeta(hidden) {}
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
  const Rows sum = a.sum, y = a.y;
  if (operation.forward) a.sum.setZero();
  a.y.setZero();
  way.run(a);
  return ((a.sum - sum).abs() <= 1e-5F).all() && ((a.y - y).abs() <= 1e-4F * (1 + y.abs())).all();
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<Operation> operations = {
      {"layer_norm_of_sum", true, Norm::layer, residual_sums<Norm::layer>()},
      {"rms_norm_of_sum", true, Norm::rms, residual_sums<Norm::rms>()},
      {"layer_norm_added", true, Norm::layer, added_norms<Norm::layer>()},
      {"layer_norm_backward_added", false, Norm::layer, added_gradients<Norm::layer>()},
      {"rms_norm_backward_added", false, Norm::rms, added_gradients<Norm::rms>()}};
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
          norm_of<Norm::layer>(a).forward(a.residual, a.y, a.moments);
          if (operation.norm == Norm::rms) norm_of<Norm::rms>(a).forward(a.residual, a.y, a.moments);
          if (!operation.forward) a.sum = Rows::Random(a.x.rows(), a.x.cols());
          if (!is_right(operation, way, a)) {
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
