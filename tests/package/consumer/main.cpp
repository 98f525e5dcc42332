// Three files instantiate the same templates and are linked into one program; all must give the same numbers.
#include "consumer.hpp"

#include <simdnorm/simdnorm.hpp>

#include <cstdio>

#if SIMDNORM_VERSION_MAJOR < 0 || SIMDNORM_VERSION_MINOR < 0 || SIMDNORM_VERSION_PATCH < 0
#error "simdnorm.hpp gives its version"
#endif

int main() {
  const Row x{-1, 1, -1, 1, 1, -1, 1, -1};  // mean 0, variance 1: the result is x itself
  Row y{}, z{};
  Eigen::TensorMap<const Eigen::Tensor<float, 2, Eigen::RowMajor>> in(x.data(), 1, 8);
  Eigen::TensorMap<Eigen::Tensor<float, 2, Eigen::RowMajor>> out(y.data(), 1, 8), rms(z.data(), 1, 8);

  simdnorm::LayerNorm<float>(8, 0.0f).forward(in, out);
  simdnorm::RMSNorm<float>(8, 0.0f).forward(in, rms);

  const bool same = y == x && z == x && normalized_elsewhere(x) == x && normalized_by_pointers(x) == x;
  std::puts(same ? "the three files agree" : "the three files differ");
  return same ? 0 : 1;
}
