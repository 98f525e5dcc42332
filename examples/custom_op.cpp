// custom_op: a norm inside an Eigen Tensor expression, on one thread and on a pool, in place too.
#define EIGEN_USE_THREADS  // declares Eigen::ThreadPoolDevice; before any include of Eigen or simdnorm
#include <simdnorm/simdnorm.hpp>

#include <algorithm>
#include <cstdio>
#include <random>

namespace {

using Tensor = Eigen::Tensor<float, 3, Eigen::RowMajor>;  // (batch, tokens, hidden)

int failures = 0;

void check(bool holds, const char* property) {
  std::printf("%s  %s\n", holds ? "ok  " : "FAIL", property);
  if (!holds) ++failures;
}

bool equal(const Tensor& a, const Tensor& b) {
  return a.dimensions() == b.dimensions() && std::equal(a.data(), a.data() + a.size(), b.data());
}

template <class AnyTensor> void fill(AnyTensor& tensor, float mean, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(mean, 1.f);
  for (Eigen::Index i = 0; i < tensor.size(); ++i) tensor.data()[i] = normal(generator);
}

}  // namespace

int main() {
  const Eigen::Index batch = 3, tokens = 50, hidden = 512;
  Tensor x(batch, tokens, hidden), residual(batch, tokens, hidden), y(batch, tokens, hidden);
  Eigen::Tensor<float, 1, Eigen::RowMajor> gamma(hidden), beta(hidden);
  fill(x, 2.f, 1);
  fill(residual, 0.f, 2);
  fill(gamma, 1.f, 3);
  fill(beta, 0.f, 4);
  const simdnorm::LayerNorm<float> norm(gamma, beta, 1e-5f);
  const simdnorm::RMSNorm<float> rms(gamma, 1e-6f);

  // The same by hand: the sum is stored, then normalized.
  const Tensor sum = x + residual;
  Tensor expected(batch, tokens, hidden);
  norm.forward(sum, expected);

  // In an expression the sum is evaluated straight into y and normalized there: no temporary tensor.
  y = (x + residual).customOp(norm);
  check(equal(y, expected), "y = (x + residual).customOp(norm)");

  y.setZero();
  y = norm(x + residual);
  check(equal(y, expected), "y = norm(x + residual)");

  Eigen::ThreadPool threads(4);
  const Eigen::ThreadPoolDevice pool(&threads, threads.NumThreads());
  y.setZero();
  y.device(pool) = norm(x + residual);
  check(equal(y, expected), "y.device(pool) = norm(x + residual)");

  y = sum;
  y = norm(y);
  check(equal(y, expected), "y = norm(y), in place");

  y = x;
  y.device(pool) = norm(y + residual);
  check(equal(y, expected), "y.device(pool) = norm(y + residual), in place");

  // The result may be an operand again, as in a post-norm block with a second branch. That costs a temporary.
  y = residual + norm(x + residual);
  const Tensor added = residual + expected;
  check(equal(y, added), "y = residual + norm(x + residual)");

  y = rms(x);
  rms.forward(x, expected);
  check(equal(y, expected), "y = rms(x)");

  return failures == 0 ? 0 : 1;
}
