// The calls that are timed. Included by dispatch_benchmark.cpp, whose calls are dispatched, and by direct.cpp, whose calls are
// not and have a namespace of their own.
#include <cstdint>

/// Operands of one shape, in float. moments: simdnorm::RowMoments<float> of either namespace.
struct Operands {
  std::int64_t rows, hidden;
  const float *x, *dy, *gamma, *beta;
  float *y, *dx, *dgamma, *dbeta;
  void *moments, *workspace;
};
struct Call {
  const char* name;
  void (*run)(const Operands&);
};
using Calls = const Call (&)[4];

namespace simdnorm {

inline constexpr float epsilon = 1e-5F;
inline void layer_forward(const Operands& o) {
  layer_norm_forward({o.rows, o.hidden}, o.x, o.gamma, o.beta, epsilon, o.y,
                     static_cast<RowMoments<float>*>(o.moments));
}
inline void rms_forward(const Operands& o) {
  rms_norm_forward({o.rows, o.hidden}, o.x, o.gamma, epsilon, o.y,
                   static_cast<RowMoments<float>*>(o.moments));
}
inline void layer_backward(const Operands& o) {
  layer_norm_backward({o.rows, o.hidden}, o.dy, o.x, o.gamma, static_cast<RowMoments<float>*>(o.moments),
                      o.dx, o.dgamma, o.dbeta, {false, o.workspace});
}
inline void rms_backward(const Operands& o) {
  rms_norm_backward({o.rows, o.hidden}, o.dy, o.x, o.gamma, static_cast<RowMoments<float>*>(o.moments), o.dx,
                    o.dgamma, {false, o.workspace});
}
inline constexpr Call calls[] = {{"layer_norm_forward", layer_forward},
                                 {"rms_norm_forward", rms_forward},
                                 {"layer_norm_backward", layer_backward},
                                 {"rms_norm_backward", rms_backward}};

}  // namespace simdnorm
