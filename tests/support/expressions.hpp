// Norms of expressions against those of the tensors that Eigen evaluates them to. EIGEN_USE_THREADS comes before.
//
// Products that are added to have few digits, so that they are exact, and the same whether or not the compiler fuses them.
#pragma once

#include <simdnorm/simdnorm.hpp>

#include <gtest/gtest.h>

#include <cstring>

namespace support {

using simdnorm::Index;
using simdnorm::LayerNorm;
using simdnorm::Moments;
using simdnorm::RMSNorm;

template <class T, int Rank, int Order = Eigen::RowMajor> using Tensor = Eigen::Tensor<T, Rank, Order>;
using Matrix = Eigen::Array<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Indices = Eigen::array<Index, 2>;

inline constexpr Index rows = 19;
inline constexpr Index all_hidden[] = {1, 3, 16, 37, 200};  // below a packet, whole lines, tails

template <class A, class B> bool same(const A& a, const B& b) {
  return a.size() == b.size() &&
         std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(typename A::Scalar)) ==
             0;
}
// Multiples of 1/64 from -4 to 4, of which float, and half of them, hold products and sums.
template <class X> void fill(X& x, unsigned seed) {
  for (Index i = 0; i < x.size(); ++i) {
    seed = seed * 1664525U + 1013904223U;
    x.data()[i] = static_cast<typename X::Scalar>(static_cast<float>(seed >> 23) / 64 - 4);
  }
}
template <class X, class... Sizes> X filled(unsigned seed, Sizes... sizes) {
  X x(sizes...);
  fill(x, seed);
  return x;
}

struct Expressions : testing::Test {
  Eigen::VectorXf gamma = Eigen::VectorXf::Random(200), beta = Eigen::VectorXf::Random(200);
  Eigen::ThreadPool threads{3};
  Eigen::ThreadPoolDevice pool{&threads, 3};

  LayerNorm<float> layer(Index hidden, simdnorm::Axes axes = {}) const {
    return {first(gamma, hidden), first(beta, hidden), 1e-5F, axes};
  }
  static Eigen::Map<const Eigen::VectorXf> first(const Eigen::VectorXf& all, Index count) {
    return {all.data(), count};
  }
  // y = norm(expression), for a y of Plain, which is what Eigen evaluates the expression to.
  template <class Plain, class Norm, class X> void check(const Norm& norm, const X& expression) {
    const Plain x = expression;
    Plain y = x, expected = x;
    Moments<typename Plain::Scalar> moments, moments_expected;
    norm.forward(x, expected, moments_expected, pool);
    norm.forward(expression, y, moments, pool);
    EXPECT_TRUE(same(y, expected));
    ASSERT_EQ(moments.rows(), moments_expected.rows());
    EXPECT_EQ(std::memcmp(moments.data(), moments_expected.data(),
                          static_cast<std::size_t>(moments.rows()) * sizeof(*moments.data())),
              0);
  }
};
using Rows = Tensor<float, 2>;

}  // namespace support
