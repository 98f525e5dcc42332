// simdnorm itself, by plain pointers. Its functors on Eigen objects run the same kernels.
#include <simdnorm/pointers.hpp>

#include "peer.hpp"

namespace {

using namespace accuracy;
using Moments = std::vector<simdnorm::RowMoments<float>>;

Moments layer_forward(const Problem& p, float* y) {
  Moments moments(support::size(p.rows));
  simdnorm::layer_norm_forward(p.shape(), p.x.data(), p.gamma.data(), p.beta.data(), p.epsilon, y,
                               moments.data());
  return moments;
}

void layer_backward(const Problem& p, const Gradients& out) {
  const Moments moments = layer_forward(p, out.dx);  // y is nobody's: dx is written next
  simdnorm::layer_norm_backward(p.shape(), p.dy.data(), p.x.data(), p.gamma.data(), moments.data(), out.dx,
                                out.dgamma, out.dbeta);
}

Moments rms_forward(const Problem& p, float* y) {
  Moments moments(support::size(p.rows));
  simdnorm::rms_norm_forward(p.shape(), p.x.data(), p.gamma.data(), p.epsilon, y, moments.data());
  return moments;
}

void rms_backward(const Problem& p, const Gradients& out) {
  const Moments moments = rms_forward(p, out.dx);
  simdnorm::rms_norm_backward(p.shape(), p.dy.data(), p.x.data(), p.gamma.data(), moments.data(), out.dx,
                              out.dgamma);
}

const Listed layer({"simdnorm", Norm::layer, layer_forward, layer_backward});
const Listed rms({"RMSNorm of simdnorm", Norm::rms, rms_forward, rms_backward});

}  // namespace
