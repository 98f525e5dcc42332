// first_call: LayerNorm over the last dimension of a (batch, tokens, hidden) tensor.
#include <simdnorm/simdnorm.hpp>

#include <cstdio>

int main() {
  Eigen::Tensor<float, 3, Eigen::RowMajor> x(4, 7, 768), y(4, 7, 768);  // (batch, tokens, hidden)
  x.setRandom();
  const Eigen::VectorXf gamma = Eigen::VectorXf::Constant(768, 2), beta = Eigen::VectorXf::Constant(768, 3);

  const simdnorm::LayerNorm<float> norm(gamma, beta, 1e-5f);  // a view: gamma and beta are not copied
  norm.forward(x, y);                                         // every token now has mean 3 and deviation 2

  const Eigen::array<int, 1> hidden = {2};
  const Eigen::Tensor<float, 2, Eigen::RowMajor> mean = y.mean(hidden), square = y.square().mean(hidden);
  const Eigen::Tensor<float, 0, Eigen::RowMajor> error =
      ((mean - 3.f).abs() + (square - 13.f).abs()).maximum();
  std::printf("first token: mean %.4f, mean square %.4f (3 and 13 expected)\n", double(mean(0, 0)),
              double(square(0, 0)));
  return error() < 0.01f ? 0 : 1;
}
