// torch: a LayerNorm of PyTorch's C++ interface, and the same module on simdnorm, which learns by torch's autograd. Both are
// trained on the same task and stay beside each other.
#include <torch/torch.h>
// torch defines CHECK and others; simdnorm's headers define nothing but SIMDNORM_*, so that the order does not matter.
#include <simdnorm/pointers.hpp>

#include <cmath>
#include <cstdio>
#include <vector>

namespace {

/// y = (x - mean)/sqrt(variance + epsilon) gamma + beta over the last dimension of x, in float.
class LayerNormFunction : public torch::autograd::Function<LayerNormFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& input,
                               const torch::Tensor& gamma, const torch::Tensor& beta, double epsilon) {
    TORCH_CHECK(input.scalar_type() == torch::kFloat && gamma.numel() > 0 &&
                    input.size(-1) == gamma.numel() && gamma.numel() == beta.numel(),
                "x ", input.sizes(), ", gamma ", gamma.sizes(), ", beta ", beta.sizes());
    const torch::Tensor x = input.contiguous();
    torch::Tensor y = torch::empty_like(x);
    // What simdnorm keeps of a row, as bytes of a tensor, so that torch frees it.
    const auto bytes = static_cast<std::int64_t>(sizeof(simdnorm::RowMoments<float>));
    torch::Tensor moments = torch::empty({shape_of(x).rows * bytes}, torch::kByte);
    simdnorm::layer_norm_forward(shape_of(x), x.data_ptr<float>(), gamma.data_ptr<float>(),
                                 beta.data_ptr<float>(), static_cast<float>(epsilon), y.data_ptr<float>(),
                                 rows_of(moments));
    context->save_for_backward({x, gamma, moments});
    return y;
  }

  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* context,
                                               torch::autograd::tensor_list gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor &x = saved[0], &gamma = saved[1], dy = gradients[0].contiguous();
    torch::Tensor dx = torch::empty_like(x), dgamma = torch::empty_like(gamma),
                  dbeta = torch::empty_like(gamma);
    simdnorm::layer_norm_backward(shape_of(x), dy.data_ptr<float>(), x.data_ptr<float>(),
                                  gamma.data_ptr<float>(), rows_of(saved[2]), dx.data_ptr<float>(),
                                  dgamma.data_ptr<float>(), dbeta.data_ptr<float>());
    return {dx, dgamma, dbeta, torch::Tensor()};
  }

 private:
  static simdnorm::RowShape shape_of(const torch::Tensor& x) { return {x.numel() / x.size(-1), x.size(-1)}; }
  static simdnorm::RowMoments<float>* rows_of(const torch::Tensor& moments) {
    return reinterpret_cast<simdnorm::RowMoments<float>*>(moments.data_ptr<std::uint8_t>());
  }
};

/// In the place of torch::nn::LayerNorm: the same names of parameters, so that its checkpoints load.
struct LayerNormImpl : torch::nn::Module {
  torch::Tensor weight, bias;
  double epsilon;

  explicit LayerNormImpl(std::int64_t hidden, double eps = 1e-5)
      : weight(register_parameter("weight", torch::ones({hidden}))),
        bias(register_parameter("bias", torch::zeros({hidden}))),
        epsilon(eps) {}
  torch::Tensor forward(const torch::Tensor& x) { return LayerNormFunction::apply(x, weight, bias, epsilon); }
};
TORCH_MODULE(LayerNorm);

/// A layer before the norm and one after it.
template <class Norm> struct Model : torch::nn::Module {
  torch::nn::Linear first, second;
  Norm norm;

  explicit Model(Norm n)
      : first(register_module("first", torch::nn::Linear(12, 40))),
        second(register_module("second", torch::nn::Linear(40, 3))),
        norm(register_module("norm", n)) {}
  torch::Tensor forward(const torch::Tensor& x) { return second(torch::relu(norm(first(x)))); }
};

/// The losses of fifty steps of Adam; the sum of a third of the numbers is what is to be told.
template <class Norm> std::vector<double> train(Norm norm) {
  torch::manual_seed(1);
  Model<Norm> model(norm);
  torch::optim::Adam optimizer(model.parameters(), 1e-2);
  const torch::Tensor x = torch::randn({4, 64, 12}), target = x.view({4, 64, 3, 4}).sum(-1);
  std::vector<double> losses;
  for (int step = 0; step < 50; ++step) {
    optimizer.zero_grad();
    const torch::Tensor loss = torch::mse_loss(model.forward(x), target);
    loss.backward();
    optimizer.step();
    losses.push_back(loss.item<double>());
  }
  return losses;
}

}  // namespace

int main() {
  torch::set_num_threads(1);
  using Options = torch::nn::LayerNormOptions;
  const std::vector<double> before = train(torch::nn::LayerNorm(Options({40}).eps(1e-5)));
  const std::vector<double> after = train(LayerNorm(40));
  double difference = 0;
  for (std::size_t i = 0; i < before.size(); ++i)
    difference = std::fmax(difference, std::abs(before[i] - after[i]) / before[i]);
  std::printf(
      "torch::nn::LayerNorm: loss %.5f to %.5f; on simdnorm: %.5f to %.5f; never further apart than %.1e\n",
      before.front(), before.back(), after.front(), after.back(), difference);
  return difference < 1e-3 && after.back() < 0.2 * after.front() ? 0 : 1;
}
