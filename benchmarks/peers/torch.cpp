// PyTorch's LayerNorm: the operators that torch.nn.functional.layer_norm and its autograd end in, which allocate
// their outputs, and the kernels inside of them. It has no RMSNorm before 2.4, and was given Llama's formula.
//
// Of bfloat16, 1.13 has gamma and beta in bfloat16 too, and mean, rstd, dgamma and dbeta.
#if defined(__x86_64__)  // as PyTorch itself is built for it: the declarations of its kernels depend on these
#define HAVE_AVX2_CPU_DEFINITION
#define HAVE_AVX512_CPU_DEFINITION
#endif
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/native/layer_norm.h>
#include <torch/csrc/api/include/torch/version.h>

#include <cstring>
#include <memory>
#include <tuple>

#include "peer.hpp"

namespace {

using namespace bench;

// Views of the caller's arrays. Torch's tensors have no const elements; nothing here writes an input.
at::Tensor view(const void* values, at::IntArrayRef sizes, at::ScalarType type = at::kFloat) {
  return at::from_blob(const_cast<void*>(values), sizes, type);
}
struct Tensors {
  explicit Tensors(const View& v, at::ScalarType type = at::kFloat)
      : rows(v.rows),
        hidden(v.hidden),
        epsilon(static_cast<double>(v.epsilon)),
        x(view(v.stored.x, {rows, hidden}, type)),
        gamma(view(v.gamma, {hidden}).to(type)) {
    if (v.beta) beta = view(v.beta, {hidden}).to(type);
    if (v.dy) dy = view(v.stored.dy, {rows, hidden}, type);
    at::set_num_threads(peer_threads());
    at::GradMode::set_enabled(false);  // what torch::NoGradGuard does, on this thread
  }
  std::int64_t rows, hidden;
  double epsilon;
  at::Tensor x, gamma, beta, dy;
};

void copy(const at::Tensor& from, void* to) {
  const at::Tensor packed = from.contiguous();
  std::memcpy(to, packed.data_ptr(), packed.nbytes());
}

// Of results that are allocated by each call; the last ones are freed before.
template <class Results, class Function, class Collect> Call allocating(Function function, Collect collect) {
  const auto kept = std::make_shared<Results>();
  return call(
      [=] {
        *kept = Results();
        *kept = function();
      },
      [=] { collect(*kept); });
}

Call forward(const View& v, at::ScalarType type) {
  return allocating<at::Tensor>(
      [t = Tensors(v, type)] { return at::layer_norm(t.x, {t.hidden}, t.gamma, t.beta, t.epsilon); },
      [v](const at::Tensor& y) { copy(y, v.stored.y); });
}

// native_layer_norm_out is no help to who has memory already: it calls the operator above and copies what that
// returns. This is what such an operator would call, and what PyTorch's static runtime does call.
Call forward_kernel(const View& v) {
  return call([t = Tensors(v), y = std::make_shared<at::Tensor>(view(v.y, {v.rows, v.hidden}))] {
    at::native::LayerNormKernel(at::kCPU, t.x, t.gamma, t.beta, t.rows, t.hidden, t.epsilon, y.get(), nullptr,
                                nullptr);
  });
}

// The sum, and its norm.
Call residual_forward(const View& v) {
  using Two = std::pair<at::Tensor, at::Tensor>;
  const at::Tensor residual = view(v.residual, {v.rows, v.hidden});
  return allocating<Two>(
      [t = Tensors(v), residual] {
        const at::Tensor sum = t.x + residual;
        return Two{sum, at::layer_norm(sum, {t.hidden}, t.gamma, t.beta, t.epsilon)};
      },
      [v](const Two& results) {
        copy(results.first, v.sum);
        copy(results.second, v.y);
      });
}

using Three = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

Three statistics(const Tensors& t) {  // y, mean and rstd
  return at::native_layer_norm(t.x, {t.hidden}, t.gamma, t.beta, t.epsilon);
}

Call backward(const View& v, at::ScalarType type) {
  const Tensors t(v, type);
  const auto [y, mean, rstd] = statistics(t);
  return allocating<Three>(
      [t, mean = mean, rstd = rstd] {
        return at::native_layer_norm_backward(t.dy, t.x, {t.hidden}, mean, rstd, t.gamma, t.beta,
                                              {true, true, true});
      },
      [v](const Three& gradients) {
        copy(std::get<0>(gradients), v.stored.dx);
        copy(std::get<1>(gradients).to(at::kFloat), v.dgamma);
        copy(std::get<2>(gradients).to(at::kFloat), v.dbeta);
      });
}

Call backward_kernel(const View& v) {
  const Tensors t(v);
  const auto [y, mean, rstd] = statistics(t);
  const auto gradients = std::make_shared<Three>(view(v.dx, {v.rows, v.hidden}), view(v.dgamma, {v.hidden}),
                                                 view(v.dbeta, {v.hidden}));
  return call([t, mean = mean, rstd = rstd, gradients] {
    auto& [dx, dgamma, dbeta] = *gradients;
    at::native::LayerNormBackwardKernel(at::kCPU, t.dy, t.x, mean, rstd, t.gamma, t.rows, t.hidden, &dx,
                                        &dgamma, &dbeta);
  });
}

Call rms_forward(const View& v) {
  return allocating<at::Tensor>(
      [t = Tensors(v)] { return t.x * at::rsqrt(t.x.pow(2).mean(-1, true) + t.epsilon) * t.gamma; },
      [v](const at::Tensor& y) { copy(y, v.y); });
}

const std::string version = std::to_string(TORCH_VERSION_MAJOR) + "." + std::to_string(TORCH_VERSION_MINOR);
const Listed listed[] = {
    Listed({"torch", version, "", Norm::layer, Pass::forward,
            [](const View& v) { return forward(v, at::kFloat); }}),
    Listed({"torch", version, "kernel", Norm::layer, Pass::forward, forward_kernel}),
    Listed({"torch", version, "", Norm::layer, Pass::backward,
            [](const View& v) { return backward(v, at::kFloat); }}),
    Listed({"torch", version, "kernel", Norm::layer, Pass::backward, backward_kernel}),
    Listed({"torch", version, "composed", Norm::rms, Pass::forward, rms_forward}),
    Listed({"torch", version, "composed", Norm::layer, Pass::residual, residual_forward}),
    Listed({"torch", version, "", Norm::layer, Pass::forward,
            [](const View& v) { return forward(v, at::kBFloat16); }, Type::bfloat16, true}),
    Listed({"torch", version, "", Norm::layer, Pass::backward,
            [](const View& v) { return backward(v, at::kBFloat16); }, Type::bfloat16, true}),
};

}  // namespace
