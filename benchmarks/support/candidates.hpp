// Who is measured: memcpy, the baselines and simdnorm, each on the same arrays. Another library is one more
// entry in a list.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
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
    const bool backward = pass == Pass::backward;
    const auto bytes = static_cast<std::size_t>(v.bytes_moved / 2);
    return [from = v.stored.x, to = backward ? v.stored.dx : v.stored.y, bytes] {
      std::memcpy(to, from, bytes);
    };
  });
}

template <class T> using InOf = Eigen::TensorMap<const Eigen::Tensor<T, 2, Eigen::RowMajor>>;
template <class T> using OutOf = Eigen::TensorMap<Eigen::Tensor<T, 2, Eigen::RowMajor>>;
using In = InOf<float>;
using Out = OutOf<float>;
using InVector = Eigen::TensorMap<const Eigen::Tensor<float, 1, Eigen::RowMajor>>;
using OutVector = Eigen::TensorMap<Eigen::Tensor<float, 1, Eigen::RowMajor>>;

/// A view's rows as T, the type in which its operation stores them: float, Eigen::bfloat16 or Eigen::half.
template <class T> struct RowsOf {
  const T *x, *dy;
  T *y, *dx;
  explicit RowsOf(const View& v)
      : x(static_cast<const T*>(v.stored.x)),
        dy(static_cast<const T*>(v.stored.dy)),
        y(static_cast<T*>(v.stored.y)),
        dx(static_cast<T*>(v.stored.dx)) {}
};

inline simdnorm::LayerNorm<float> layer_norm_of(const View& v) {
  return simdnorm::LayerNorm<float>(InVector(v.gamma, v.hidden), InVector(v.beta, v.hidden), v.epsilon);
}
inline simdnorm::RMSNorm<float> rms_norm_of(const View& v) {
  return simdnorm::RMSNorm<float>(InVector(v.gamma, v.hidden), v.epsilon);
}
template <Norm norm> auto norm_of(const View& v) {
  if constexpr (norm == Norm::layer) {
    return layer_norm_of(v);
  } else {
    return rms_norm_of(v);
  }
}

// A baseline's arguments; it is one for rows of T.
template <class T>
using LayerForward = void (*)(Index, Index, const T*, const float*, const float*, float, T*);
template <class T>
using LayerBackward = void (*)(Index, Index, const T*, const T*, const float*, const float*, const float*, T*,
                               float*, float*);
template <class T> using RmsForward = void (*)(Index, Index, const T*, const float*, float, T*);
template <class T>
using RmsBackward = void (*)(Index, Index, const T*, const T*, const float*, const float*, T*, float*);

template <class T, LayerForward<T> baseline> auto layer_forward(const View& v) {
  return [v, r = RowsOf<T>(v)] { baseline(v.rows, v.hidden, r.x, v.gamma, v.beta, v.epsilon, r.y); };
}
template <class T, LayerBackward<T> baseline> auto layer_backward(const View& v) {
  return [v, r = RowsOf<T>(v)] {
    baseline(v.rows, v.hidden, r.dy, r.x, v.gamma, v.mean, v.rstd, r.dx, v.dgamma, v.dbeta);
  };
}
template <class T, RmsForward<T> baseline> auto rms_forward(const View& v) {
  return [v, r = RowsOf<T>(v)] { baseline(v.rows, v.hidden, r.x, v.gamma, v.epsilon, r.y); };
}
template <class T, RmsBackward<T> baseline> auto rms_backward(const View& v) {
  return [v, r = RowsOf<T>(v)] { baseline(v.rows, v.hidden, r.dy, r.x, v.gamma, v.rstd, r.dx, v.dgamma); };
}

/// What the table compares, under the same names for each operation; simdnorm is its functor on tensors.
template <Norm norm, class T> std::vector<Candidate> forward_candidates() {
  const Candidate simdnorm = candidate("simdnorm", [](const View& v) {
    const RowsOf<T> rows(v);
    return [functor = norm_of<norm>(v), x = InOf<T>(rows.x, v.rows, v.hidden),
            y = OutOf<T>(rows.y, v.rows, v.hidden)] { functor.forward(x, y); };
  });
  if constexpr (norm == Norm::layer) {
    return {candidate("naive", layer_forward<T, naive::layer_norm_forward>),
            candidate("eigen_tensor", layer_forward<T, eigen_tensor::layer_norm_forward>),
            candidate("eigen_array", layer_forward<T, eigen_array::layer_norm_forward>), simdnorm};
  } else {
    return {candidate("naive", rms_forward<T, naive::rms_norm_forward>),
            candidate("eigen_tensor", rms_forward<T, eigen_tensor::rms_norm_forward>),
            candidate("eigen_array", rms_forward<T, eigen_array::rms_norm_forward>), simdnorm};
  }
}
template <Norm norm, class T> std::vector<Candidate> backward_candidates() {
  const Candidate simdnorm = candidate("simdnorm", [](const View& v) {
    const RowsOf<T> rows(v);
    return [v, functor = norm_of<norm>(v), dy = InOf<T>(rows.dy, v.rows, v.hidden),
            x = InOf<T>(rows.x, v.rows, v.hidden), dx = OutOf<T>(rows.dx, v.rows, v.hidden),
            dgamma = OutVector(v.dgamma, v.hidden), dbeta = OutVector(v.dbeta, v.hidden)] {
      if constexpr (norm == Norm::layer) {
        functor.backward(dy, x, *v.moments, dx, dgamma, dbeta, *v.workspace);
      } else {
        functor.backward(dy, x, *v.moments, dx, dgamma, *v.workspace);
      }
    };
  });
  if constexpr (norm == Norm::layer) {
    return {candidate("naive", layer_backward<T, naive::layer_norm_backward>),
            candidate("eigen_tensor", layer_backward<T, eigen_tensor::layer_norm_backward>),
            candidate("eigen_array", layer_backward<T, eigen_array::layer_norm_backward>), simdnorm};
  } else {
    return {candidate("naive", rms_backward<T, naive::rms_norm_backward>),
            candidate("eigen_tensor", rms_backward<T, eigen_tensor::rms_norm_backward>),
            candidate("eigen_array", rms_backward<T, eigen_array::rms_norm_backward>), simdnorm};
  }
}

/// Codes of int8 with a scale for each row. The baselines compute y in float and quantize it in a loop of its own.
template <Norm norm> std::vector<Candidate> int8_candidates() {
  return {candidate("naive",
                    [](const View& v) {
                      return [v, codes = static_cast<std::int8_t*>(v.stored.y)] {
                        if constexpr (norm == Norm::layer) {
                          naive::layer_norm_forward(v.rows, v.hidden, v.x, v.gamma, v.beta, v.epsilon, v.y);
                        } else {
                          naive::rms_norm_forward(v.rows, v.hidden, v.x, v.gamma, v.epsilon, v.y);
                        }
                        naive::quantize(v.rows, v.hidden, v.y, codes, v.scales);
                      };
                    }),
          candidate("eigen_array",
                    [](const View& v) {
                      return [v, codes = static_cast<std::int8_t*>(v.stored.y)] {
                        if constexpr (norm == Norm::layer) {
                          eigen_array::layer_norm_forward(v.rows, v.hidden, v.x, v.gamma, v.beta, v.epsilon,
                                                          v.y);
                        } else {
                          eigen_array::rms_norm_forward(v.rows, v.hidden, v.x, v.gamma, v.epsilon, v.y);
                        }
                        eigen_array::quantize(v.rows, v.hidden, v.y, codes, v.scales);
                      };
                    }),
          candidate("simdnorm", [](const View& v) {
            return [functor = norm_of<norm>(v), x = In(v.x, v.rows, v.hidden),
                    codes = OutOf<std::int8_t>(static_cast<std::int8_t*>(v.stored.y), v.rows, v.hidden),
                    scales = OutVector(v.scales, v.rows)] {
              functor.forward(x, simdnorm::per_token(codes, scales));
            };
          })};
}

/// The norm of x + residual, which is kept: by the baselines in a loop, and an expression, of its own.
template <Norm norm> std::vector<Candidate> residual_candidates() {
  const auto of_sum = [](View v) {
    v.stored.x = v.x = v.sum;
    return v;
  };
  const auto baseline = [=](const char* name, auto add, auto forward) {
    return candidate(name, [=](const View& v) {
      return [v, add, call = forward(of_sum(v))] {
        add(v);
        call();
      };
    });
  };
  const auto by_loop = [](const View& v) {
    for (Index i = 0; i < v.rows * v.hidden; ++i) v.sum[i] = v.x[i] + v.residual[i];
  };
  const auto by_array = [](const View& v) {
    using Array = Eigen::ArrayXf;
    const Index count = v.rows * v.hidden;
    Array::Map(v.sum, count) = Array::Map(v.x, count) + Array::Map(v.residual, count);
  };
  const Candidate simdnorm = candidate("simdnorm", [](const View& v) {
    return [v, functor = norm_of<norm>(v), x = In(v.x, v.rows, v.hidden),
            residual = In(v.residual, v.rows, v.hidden), y = Out(v.y, v.rows, v.hidden)] {
      Out sum(v.sum, v.rows, v.hidden);
      functor.forward(simdnorm::residual_sum(x, residual, sum), y);
    };
  });
  if constexpr (norm == Norm::layer) {
    return {baseline("naive", by_loop, layer_forward<float, naive::layer_norm_forward>),
            baseline("eigen_array", by_array, layer_forward<float, eigen_array::layer_norm_forward>),
            simdnorm};
  } else {
    return {baseline("naive", by_loop, rms_forward<float, naive::rms_norm_forward>),
            baseline("eigen_array", by_array, rms_forward<float, eigen_array::rms_norm_forward>), simdnorm};
  }
}

/// In float. A template, so that a program of one norm does not compile the other.
template <Norm norm> std::vector<Candidate> candidates(Pass pass) {
  return pass == Pass::forward    ? forward_candidates<norm, float>()
         : pass == Pass::backward ? backward_candidates<norm, float>()
                                  : residual_candidates<norm>();
}

}  // namespace bench
