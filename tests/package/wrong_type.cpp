// Must not compile: DOOR chooses a public door that is given a type simdnorm does not have.
#include <simdnorm/simdnorm.hpp>

void wrong(int* x, Eigen::Tensor<int, 2>& t, Eigen::Tensor<float, 2>& y) {
  (void)x, (void)t, (void)y;
#if DOOR == 1
  simdnorm::LayerNorm<int> norm(8);
#elif DOOR == 2
  simdnorm::RMSNorm<long double> norm(8);
#elif DOOR == 3
  simdnorm::layer_norm_forward({1, 8}, x, nullptr, nullptr, 1, x);
#elif DOOR == 4
  simdnorm::LayerNorm<float>(8).forward(t, y);
#endif
}
