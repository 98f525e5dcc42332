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
/// residual: sum = x + residual, and the forward of that sum.
enum class Pass { forward, backward, residual };
/// How rows lie in memory: x, dy, y and dx of one type; int8: x of float, and of y codes with a scale for each row. All else
/// is float.
enum class Type { float32, bfloat16, float16, int8 };

inline std::string path(Norm norm, Pass pass, Type type = Type::float32) {
  const char* const passes[] = {"_forward", "_backward", "_residual"};
  const char* const types[] = {"", "_bf16", "_fp16", "_int8"};
  return std::string(norm == Norm::layer ? "layer_norm" : "rms_norm") + passes[static_cast<int>(pass)] +
         types[static_cast<int>(type)];
}
/// For a person: "RMSNorm forward, bf16".
inline std::string operation(Norm norm, Pass pass, Type type = Type::float32) {
  const char* const passes[] = {" forward", " backward", " of x + residual"};
  const char* const types[] = {"", ", bf16", ", fp16", ", int8"};
  return std::string(norm == Norm::layer ? "LayerNorm" : "RMSNorm") + passes[static_cast<int>(pass)] +
         types[static_cast<int>(type)];
}

/// Rows of the operation's type: float itself, the bits of bfloat16 or of binary16, int8.
struct Stored {
  const void *x, *dy;
  void *y, *dx;
};

/// Plain pointers, what every candidate is handed. x, dy, y, dx, residual, sum: (rows, hidden). gamma, beta, dgamma, dbeta:
/// (hidden). mean, rstd, moments: (rows), for backward.
struct View {
  Index rows, hidden;
  float epsilon;
  const float *x, *dy, *gamma, *beta, *mean, *rstd;
  float *y, *dx, *dgamma, *dbeta;
  const simdnorm::Moments<float>* moments;
  simdnorm::Workspace<float>* workspace;
  Stored stored;  // what is read and written; of float it is x, dy, y and dx
  float* scales;  // (rows), of int8
  const float* residual;
  float* sum;
  Index bytes_moved;  // x and y, or dy, x and dx, or x, residual, sum and y, as stored
  Index bytes() const { return rows * hidden * 4; }  // of x in float
};

}  // namespace bench
