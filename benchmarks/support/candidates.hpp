// Who is measured: memcpy, the baselines and simdnorm, each on the same arrays. Another library is one more
// entry in a list.
#pragma once

#include <benchmark/benchmark.h>

#include <cstring>
#include <functional>
#include <simdnorm/simdnorm.hpp>
#include <string>
#include <vector>

#include "baselines.hpp"
#include "operands.hpp"

namespace bench {

/// A call with its arguments: to run it once for the check, and to time it, by Google Benchmark or in a loop
/// of one's own.
struct Bound {
  std::function<void()> once;
  std::function<void(benchmark::State&)> timed;
  std::function<void(Index calls)> repeated;
};

struct Candidate {
  std::string name;
  std::function<Bound(const View&)> bind;
};

/// prepare(view) does what a user does once, and returns the call that is timed. The loop is instantiated for
/// each call, so that nothing but the call is timed: one row takes less than 100 ns.
template <class Prepare> Candidate candidate(const char* name, Prepare prepare) {
  return {name, [prepare](const View& view) {
            const auto call = prepare(view);
            return Bound{call,
                         [call](benchmark::State& state) {
                           for (auto iteration : state) {
                             static_cast<void>(iteration);
                             call();
                             benchmark::ClobberMemory();
                           }
                         },
                         [call](Index calls) {
                           for (; calls > 0; --calls) {
                             call();
                             benchmark::ClobberMemory();
                           }
                         }};
          }};
}

/// The yardstick: as many bytes read and written as the operation must move, half of them each. Its output is
/// no norm.
inline Candidate memcpy_of(Pass pass) {
  return candidate("memcpy", [pass](const View& v) {
    const bool forward = pass == Pass::forward;
    const auto bytes = static_cast<std::size_t>(forward ? v.bytes() : v.bytes() / 2 * 3);
    return [from = v.x, to = forward ? v.y : v.dx, bytes] { std::memcpy(to, from, bytes); };
  });
}

using In = Eigen::TensorMap<const Eigen::Tensor<float, 2, Eigen::RowMajor>>;
using Out = Eigen::TensorMap<Eigen::Tensor<float, 2, Eigen::RowMajor>>;
using InVector = Eigen::TensorMap<const Eigen::Tensor<float, 1, Eigen::RowMajor>>;
using OutVector = Eigen::TensorMap<Eigen::Tensor<float, 1, Eigen::RowMajor>>;

inline simdnorm::LayerNorm<float> layer_norm_of(const View& v) {
  return simdnorm::LayerNorm<float>(InVector(v.gamma, v.hidden), InVector(v.beta, v.hidden), v.epsilon);
}
inline simdnorm::RMSNorm<float> rms_norm_of(const View& v) {
  return simdnorm::RMSNorm<float>(InVector(v.gamma, v.hidden), v.epsilon);
}

// A baseline's arguments.
template <auto baseline> auto layer_forward(const View& v) {
  return [v] { baseline(v.rows, v.hidden, v.x, v.gamma, v.beta, v.epsilon, v.y); };
}
template <auto baseline> auto layer_backward(const View& v) {
  return [v] { baseline(v.rows, v.hidden, v.dy, v.x, v.gamma, v.mean, v.rstd, v.dx, v.dgamma, v.dbeta); };
}
template <auto baseline> auto rms_forward(const View& v) {
  return [v] { baseline(v.rows, v.hidden, v.x, v.gamma, v.epsilon, v.y); };
}
template <auto baseline> auto rms_backward(const View& v) {
  return [v] { baseline(v.rows, v.hidden, v.dy, v.x, v.gamma, v.rstd, v.dx, v.dgamma); };
}

/// What the table compares, under the same names for each operation; simdnorm is its functor on tensors. A
/// template, so that a program of one norm does not compile the other.
template <Norm norm> std::vector<Candidate> candidates(Pass pass) {
  if constexpr (norm == Norm::layer) {
    if (pass == Pass::forward) {
      return {candidate("naive", layer_forward<naive::layer_norm_forward>),
              candidate("eigen_tensor", layer_forward<eigen_tensor::layer_norm_forward>),
              candidate("eigen_array", layer_forward<eigen_array::layer_norm_forward>),
              candidate("simdnorm", [](const View& v) {
                return [functor = layer_norm_of(v), x = In(v.x, v.rows, v.hidden),
                        y = Out(v.y, v.rows, v.hidden)] { functor.forward(x, y); };
              })};
    }
    return {candidate("naive", layer_backward<naive::layer_norm_backward>),
            candidate("eigen_tensor", layer_backward<eigen_tensor::layer_norm_backward>),
            candidate("eigen_array", layer_backward<eigen_array::layer_norm_backward>),
            candidate("simdnorm", [](const View& v) {
              return [v, functor = layer_norm_of(v), dy = In(v.dy, v.rows, v.hidden),
                      x = In(v.x, v.rows, v.hidden), dx = Out(v.dx, v.rows, v.hidden),
                      dgamma = OutVector(v.dgamma, v.hidden), dbeta = OutVector(v.dbeta, v.hidden)] {
                functor.backward(dy, x, *v.moments, dx, dgamma, dbeta, *v.workspace);
              };
            })};
  } else {
    if (pass == Pass::forward) {
      return {candidate("naive", rms_forward<naive::rms_norm_forward>),
              candidate("eigen_tensor", rms_forward<eigen_tensor::rms_norm_forward>),
              candidate("eigen_array", rms_forward<eigen_array::rms_norm_forward>),
              candidate("simdnorm", [](const View& v) {
                return [functor = rms_norm_of(v), x = In(v.x, v.rows, v.hidden),
                        y = Out(v.y, v.rows, v.hidden)] { functor.forward(x, y); };
              })};
    }
    return {candidate("naive", rms_backward<naive::rms_norm_backward>),
            candidate("eigen_tensor", rms_backward<eigen_tensor::rms_norm_backward>),
            candidate("eigen_array", rms_backward<eigen_array::rms_norm_backward>),
            candidate("simdnorm", [](const View& v) {
              return [v, functor = rms_norm_of(v), dy = In(v.dy, v.rows, v.hidden),
                      x = In(v.x, v.rows, v.hidden), dx = Out(v.dx, v.rows, v.hidden),
                      dgamma = OutVector(v.dgamma, v.hidden)] {
                functor.backward(dy, x, *v.moments, dx, dgamma, *v.workspace);
              };
            })};
  }
}

}  // namespace bench
