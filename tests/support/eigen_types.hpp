// Tensors of Eigen's own 16-bit numbers, and the same numbers as the pointer layer takes them.
#pragma once

#include <simdnorm/simdnorm.hpp>

#include "support/types.hpp"

namespace support {

using simdnorm::LayerNorm;
using simdnorm::Moments;
using simdnorm::per_tensor;
using simdnorm::per_token;
using simdnorm::RMSNorm;

template <class E> using Tensor = Eigen::Tensor<E, 3, Eigen::RowMajor>;

// Each of Eigen's types beside the one with the same bits.
template <class E, class U> struct Pair {
  using Eigens = E;
  using Ours = U;
};
inline constexpr Index batch = 3, tokens = 5, hidden = 40, rows = batch * tokens;

template <class P> struct EigenTypes : testing::Test {
  using Number = typename P::Eigens;
  using Bits = typename P::Ours;
  static_assert(sizeof(Number) == sizeof(Bits));

  Tensor<Number> x{batch, tokens, hidden}, dy{batch, tokens, hidden};
  Eigen::Tensor<Number, 1> gamma{hidden}, beta{hidden};
  Stored<Bits, Bits, Bits> in = every_path_of<Bits, Bits, float, Bits>(rows, hidden, 1);

  void SetUp() override {
    std::memcpy(static_cast<void*>(x.data()), in.x.data(), in.x.size() * sizeof(Bits));
    std::memcpy(static_cast<void*>(dy.data()), in.dy.data(), in.dy.size() * sizeof(Bits));
    std::memcpy(static_cast<void*>(gamma.data()), in.gamma.data(), in.gamma.size() * sizeof(Bits));
    std::memcpy(static_cast<void*>(beta.data()), in.beta.data(), in.beta.size() * sizeof(Bits));
  }
  template <class V, class T> static void expect_same(const T& tensor, const std::vector<V>& expected) {
    ASSERT_EQ(static_cast<std::size_t>(tensor.size()), expected.size());
    ASSERT_EQ(std::memcmp(tensor.data(), expected.data(), expected.size() * sizeof(V)), 0);
  }
};
using Pairs = testing::Types<Pair<Eigen::bfloat16, BFloat16>, Pair<Eigen::half, Float16>>;

}  // namespace support
