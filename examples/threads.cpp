// threads: one call on one thread, on Eigen's thread pool, on threads of one's own: the same bits each time.
#define EIGEN_USE_THREADS  // declares Eigen::ThreadPoolDevice; before any include of Eigen or simdnorm
#include <simdnorm/simdnorm.hpp>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <random>
#include <thread>
#include <vector>

namespace {

using Matrix = Eigen::Tensor<float, 2, Eigen::RowMajor>;
using Vector = Eigen::Tensor<float, 1, Eigen::RowMajor>;

constexpr Eigen::Index rows = 2000, hidden = 768;

struct Results {
  Matrix y{rows, hidden}, dx{rows, hidden};
  Vector dgamma{hidden}, dbeta{hidden};
};

// What pointers.hpp asks of an executor: f(task) once for each task, on any thread, in any order.
struct StandardThreads {
  int count;

  template <class Function>
  void operator()(simdnorm::Index tasks, simdnorm::Index elements_per_task, Function&& f) const {
    std::atomic<simdnorm::Index> next{0};
    const auto work = [&] {
      for (simdnorm::Index task = next++; task < tasks; task = next++) f(task);
    };
    std::vector<std::thread> helpers;
    if (tasks * elements_per_task > 50000)  // to start a thread takes longer than to normalize a few rows
      for (int i = 1; i < count; ++i) helpers.emplace_back(work);
    work();
    for (std::thread& helper : helpers) helper.join();
  }
};

template <class Tensor> void fill(Tensor& tensor, float mean, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(mean, 1.f);
  for (Eigen::Index i = 0; i < tensor.size(); ++i) tensor.data()[i] = normal(generator);
}

template <class Tensor> bool equal(const Tensor& a, const Tensor& b) {
  return std::equal(a.data(), a.data() + a.size(), b.data());
}

bool equal(const Results& a, const Results& b) {
  return equal(a.y, b.y) && equal(a.dx, b.dx) && equal(a.dgamma, b.dgamma) && equal(a.dbeta, b.dbeta);
}

}  // namespace

int main() {
  Matrix x(rows, hidden), dy(rows, hidden);
  Vector gamma(hidden), beta(hidden);
  fill(x, 5.f, 1);
  fill(dy, 0.f, 2);
  fill(gamma, 1.f, 3);
  fill(beta, 0.f, 4);
  const simdnorm::LayerNorm<float> norm(gamma, beta, 1e-5f);
  simdnorm::Moments<float> moments;

  Results serial;  // without a device: the calling thread alone
  norm.forward(x, serial.y, moments);
  norm.backward(dy, x, moments, serial.dx, serial.dgamma, serial.dbeta);

  bool same = true;
  for (const int count : {1, 2, 3, 16}) {
    Eigen::ThreadPool threads(count);
    const Eigen::ThreadPoolDevice pool(&threads, threads.NumThreads());
    Results pooled;
    norm.forward(x, pooled.y, moments, pool);
    norm.backward(dy, x, moments, pooled.dx, pooled.dgamma, pooled.dbeta, pool);

    const simdnorm::RowShape shape{rows, hidden};
    const StandardThreads own{count};
    Results mine;
    simdnorm::layer_norm_forward(shape, x.data(), gamma.data(), beta.data(), 1e-5f, mine.y.data(),
                                 moments.data(), own);
    simdnorm::layer_norm_backward(shape, dy.data(), x.data(), gamma.data(), moments.data(), mine.dx.data(),
                                  mine.dgamma.data(), mine.dbeta.data(), simdnorm::GradientOptions{}, own);

    const bool pool_same = equal(pooled, serial), own_same = equal(mine, serial);
    std::printf("%2d threads: Eigen's pool %s, own threads %s\n", count, pool_same ? "same bits" : "DIFFERS",
                own_same ? "same bits" : "DIFFERS");
    same = same && pool_same && own_same;
  }
  return same ? 0 : 1;
}
