// PyTorch's LayerNorm: the two operators that torch.nn.functional.layer_norm and its autograd end in.
// It has no RMSNorm before 2.4.
#include <ATen/Parallel.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/native_layer_norm.h>
#include <ATen/ops/native_layer_norm_backward.h>
#include <torch/csrc/api/include/torch/version.h>

#include <algorithm>

#include "peer.hpp"

namespace {

using namespace accuracy;

// A view. Torch's tensors have no const elements; these two operators write none of their inputs.
at::Tensor tensor(const std::vector<float>& values, at::IntArrayRef sizes) {
  return at::from_blob(const_cast<float*>(values.data()), sizes, at::kFloat);
}

void copy(const at::Tensor& from, float* to) {
  const at::Tensor packed = from.contiguous();
  std::copy_n(packed.data_ptr<float>(), packed.numel(), to);
}

// y, mean and rstd.
auto layer_norm(const Problem& p) {
  at::set_num_threads(1);
  return at::native_layer_norm(tensor(p.x, {p.rows, p.hidden}), {p.hidden}, tensor(p.gamma, {p.hidden}),
                               tensor(p.beta, {p.hidden}), static_cast<double>(p.epsilon));
}

void forward(const Problem& p, float* y) { copy(std::get<0>(layer_norm(p)), y); }

void backward(const Problem& p, const Gradients& out) {
  const auto [y, mean, rstd] = layer_norm(p);
  const auto [dx, dgamma, dbeta] = at::native_layer_norm_backward(
      tensor(p.dy, {p.rows, p.hidden}), tensor(p.x, {p.rows, p.hidden}), {p.hidden}, mean, rstd,
      tensor(p.gamma, {p.hidden}), tensor(p.beta, {p.hidden}), {true, true, true});
  copy(dx, out.dx);
  copy(dgamma, out.dgamma);
  copy(dbeta, out.dbeta);
}

const std::string version = std::to_string(TORCH_VERSION_MAJOR) + "." + std::to_string(TORCH_VERSION_MINOR);
const Listed listed({"torch " + version, Norm::layer, forward, backward});

}  // namespace
