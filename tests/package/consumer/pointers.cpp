// The file of a consumer without Eigen: it compiles where no Eigen is to be found.
#include <simdnorm/pointers.hpp>

#include "consumer.hpp"

Row normalized_by_pointers(Row x) {
  Row y{};
  simdnorm::layer_norm_forward({1, 8}, x.data(), nullptr, nullptr, 0.0f, y.data());
  return y;
}
