// What an operation reads and writes, as every candidate is handed it: plain pointers.
#pragma once

#include <cstdint>
#include <string>

namespace simdnorm {
template <class T> class Moments;
template <class T> class Workspace;
}  // namespace simdnorm

namespace bench {

using Index = std::int64_t;

enum class Norm { layer, rms };
enum class Pass { forward, backward };

inline std::string path(Norm norm, Pass pass) {
  return std::string(norm == Norm::layer ? "layer_norm" : "rms_norm") +
         (pass == Pass::forward ? "_forward" : "_backward");
}

/// Plain pointers, what every candidate is handed. x, dy, y, dx: (rows, hidden). gamma, beta, dgamma, dbeta:
/// (hidden). mean, rstd, moments: (rows), for backward.
struct View {
  Index rows, hidden;
  float epsilon;
  const float *x, *dy, *gamma, *beta, *mean, *rstd;
  float *y, *dx, *dgamma, *dbeta;
  const simdnorm::Moments<float>* moments;
  simdnorm::Workspace<float>* workspace;
  Index bytes() const { return rows * hidden * 4; }  // of x
};

}  // namespace bench
