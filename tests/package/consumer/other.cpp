// The second file that includes everything: nothing of simdnorm may be defined twice.
#include <simdnorm/simdnorm.hpp>

#include "consumer.hpp"

Row normalized_elsewhere(Row x) {
  Eigen::TensorMap<Eigen::Tensor<float, 2, Eigen::RowMajor>> row(x.data(), 1, 8);
  simdnorm::LayerNorm<float>(8, 0.0f).forward(row, row);
  return x;
}
