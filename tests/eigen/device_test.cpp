// Thread pools: the same bits for any number of threads, small calls that stay on their thread, and calls
// from inside a task of the pool itself.
#define EIGEN_USE_THREADS
#include <simdnorm/simdnorm.hpp>

#include "support/tensors.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <future>

namespace {

using namespace support;
using simdnorm::Index;
using Rows = Eigen::Tensor<float, 2, Eigen::RowMajor>;
using Columns = Eigen::Tensor<float, 2, Eigen::ColMajor>;

// A pool that counts the tasks it is given.
class CountingPool : public Eigen::ThreadPoolInterface {
 public:
  explicit CountingPool(int threads) : pool_(threads) {}
  void Schedule(std::function<void()> f) override {
    ++scheduled;
    pool_.Schedule(std::move(f));
  }
  void ScheduleWithHint(std::function<void()> f, int first, int last) override {
    ++scheduled;
    pool_.ScheduleWithHint(std::move(f), first, last);
  }
  void Cancel() override { pool_.Cancel(); }
  int NumThreads() const override { return pool_.NumThreads(); }
  int CurrentThreadId() const override { return pool_.CurrentThreadId(); }
  std::atomic<int> scheduled{0};

 private:
  Eigen::ThreadPool pool_;
};

template <class Tensor> struct Outputs {
  Tensor y, dx;
  Eigen::Tensor<float, 1> dgamma, dbeta;
  simdnorm::Moments<float> moments;
};

template <class Tensor, class Device>
Outputs<Tensor> run(const Tensor& x, const Tensor& dy, const simdnorm::LayerNorm<float>& norm,
                    const Device& device) {
  const Index hidden = x.dimension(1);
  Outputs<Tensor> out{Tensor(x.dimensions()),
                      Tensor(x.dimensions()),
                      Eigen::Tensor<float, 1>(hidden),
                      Eigen::Tensor<float, 1>(hidden),
                      {}};
  norm.forward(x, out.y, out.moments, device);
  norm.backward(dy, x, out.moments, out.dx, out.dgamma, out.dbeta, device);
  return out;
}

template <class A> Index difference(const A& a, const A& b) {
  return first_difference(a.data(), b.data(), a.size());
}

template <class Tensor> void check_thread_counts(Index rows, Index hidden) {
  Tensor x(rows, hidden), dy(rows, hidden);
  Random random(1);
  fill_normal(random, x.data(), rows * hidden);
  fill_normal(random, dy.data(), rows * hidden);
  std::vector<float> gamma_values(size(hidden));
  fill_gamma(random, gamma_values.data(), hidden);
  const Eigen::Tensor<float, 1> gamma = vector_of(gamma_values), beta = vector_of(gamma_values);
  const simdnorm::LayerNorm<float> norm(gamma, beta, 1e-5f);
  const Outputs<Tensor> expected = run(x, dy, norm, Eigen::DefaultDevice());
  for (int threads : {1, 2, 3, 16}) {
    CountingPool counting(threads);
    const Eigen::ThreadPoolDevice pool(&counting, threads);
    const Outputs<Tensor> out = run(x, dy, norm, pool);
    EXPECT_EQ(difference(out.y, expected.y), -1) << "y, " << threads << " threads";
    EXPECT_EQ(difference(out.dx, expected.dx), -1) << "dx, " << threads << " threads";
    EXPECT_EQ(difference(out.dgamma, expected.dgamma), -1) << "dgamma, " << threads << " threads";
    EXPECT_EQ(difference(out.dbeta, expected.dbeta), -1) << "dbeta, " << threads << " threads";
    for (Index r = 0; r < rows; ++r) ASSERT_EQ(out.moments.rstd(r), expected.moments.rstd(r));
    if (threads > 1) {
      EXPECT_GT(counting.scheduled, 0) << "nothing ran on the pool: " << rows << " x " << hidden;
    } else {
      EXPECT_EQ(counting.scheduled, 0) << "one thread needs no hand-over";
    }
  }
}

TEST(Devices, AnyNumberOfThreadsGivesTheSameBits) {
  check_thread_counts<Rows>(2000, 100);
  check_thread_counts<Rows>(257, 1023);
  check_thread_counts<Rows>(30000, 7);
  check_thread_counts<Columns>(2000, 100);
  check_thread_counts<Columns>(257, 1023);
}

TEST(Devices, FewElementsStayOnTheirThread) {
  CountingPool counting(2);
  const Eigen::ThreadPoolDevice pool(&counting, 2);
  const simdnorm::LayerNorm<float> norm(64);
  for (Index rows : {64, 1700}) {  // one task, and several
    Rows x(rows, 64), y(rows, 64), expected(rows, 64);
    x.setRandom();
    norm.forward(x, expected);
    norm.forward(x, y, pool);
    EXPECT_EQ(difference(y, expected), -1);
    EXPECT_EQ(counting.scheduled, 0) << rows << " rows";
  }
}

TEST(Devices, RMSNormRunsOnThePool) {
  Rows x(4000, 64), y(4000, 64), expected(4000, 64), dx(4000, 64), dx_expected(4000, 64);
  x.setRandom();
  Eigen::Tensor<float, 1> dgamma(64), dgamma_expected(64);
  const simdnorm::RMSNorm<float> norm(64);
  simdnorm::Moments<float> moments;
  norm.forward(x, expected, moments);
  norm.backward(x, x, moments, dx_expected, dgamma_expected);
  for (int threads : {2, 3, 16}) {
    CountingPool counting(threads);
    const Eigen::ThreadPoolDevice pool(&counting, threads);
    norm.forward(x, y, moments, pool);
    norm.backward(x, x, moments, dx, dgamma, pool);
    EXPECT_EQ(difference(y, expected), -1);
    EXPECT_EQ(difference(dx, dx_expected), -1);
    EXPECT_EQ(difference(dgamma, dgamma_expected), -1);
    EXPECT_GT(counting.scheduled, 0);
  }
}

// A pool whose threads are busy with something else: it runs its tasks only when it is told to.
class BusyPool : public Eigen::ThreadPoolInterface {
 public:
  void Schedule(std::function<void()> f) override { tasks.push_back(std::move(f)); }
  int NumThreads() const override { return 4; }
  int CurrentThreadId() const override { return -1; }
  std::vector<std::function<void()>> tasks;
};

TEST(Devices, ACallWaitsForNoThreadToBegin) {
  BusyPool busy;
  const Eigen::ThreadPoolDevice pool(&busy, 4);
  {
    Rows x(4000, 100), dy(4000, 100);
    x.setRandom();
    dy.setRandom();
    const simdnorm::LayerNorm<float> norm(100);
    const Outputs<Rows> expected = run(x, dy, norm, Eigen::DefaultDevice()), out = run(x, dy, norm, pool);
    EXPECT_EQ(difference(out.y, expected.y), -1);
    EXPECT_EQ(difference(out.dx, expected.dx), -1);
    EXPECT_EQ(difference(out.dgamma, expected.dgamma), -1);
    EXPECT_EQ(difference(out.dbeta, expected.dbeta), -1);
  }
  // Two threads each for forward and backward, the first of which would have asked for the third.
  EXPECT_EQ(busy.tasks.size(), 4U);
  // A thread that comes when all is done, and the tensors are gone, finds nothing to do and asks for nobody.
  for (std::size_t i = 0; i < busy.tasks.size(); ++i) busy.tasks[i]();
  EXPECT_EQ(busy.tasks.size(), 4U);
}

// README says so: the other threads are at work on what an exception would take away.
TEST(DevicesDeathTest, AnExceptionFromASharedTaskEndsTheProgram) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";  // ThreadSanitizer has a thread of its own
  BusyPool busy;
  const Eigen::ThreadPoolDevice pool(&busy, 4);
  EXPECT_DEATH(simdnorm::executor_of(pool)(4, simdnorm::smallest_share, [](Index) { throw 1; }), "");
  const auto alone = [&] { simdnorm::executor_of(pool)(4, 1, [](Index) { throw 1; }); };
  EXPECT_THROW(alone(), int);
}

// A pool may run a task at once, on the thread that hands it out, as Eigen's does when its queue is full.
class ImmediatePool : public BusyPool {
 public:
  void Schedule(std::function<void()> f) override {
    ++scheduled;
    f();
  }
  int scheduled = 0;
};

TEST(Devices, APoolMayRunATaskAtOnce) {
  Rows x(8000, 100), y(8000, 100), expected(8000, 100);
  x.setRandom();
  const simdnorm::LayerNorm<float> norm(100);
  norm.forward(x, expected);
  for (const int threads : {2, 3, 4, 5, 8, 100}) {
    ImmediatePool immediate;
    const Eigen::ThreadPoolDevice pool(&immediate, threads);
    y.setZero();
    norm.forward(x, y, pool);
    EXPECT_EQ(difference(y, expected), -1) << threads << " threads";
    // The caller's own thread is none of them, and each gets a share of the elements. One that finds nothing left asks for nobody.
    EXPECT_GE(immediate.scheduled, 1);
    EXPECT_LE(immediate.scheduled,
              std::min(threads, static_cast<int>(8000 * 100 / simdnorm::smallest_share)) - 1);
    if (threads <= 5) {
      EXPECT_EQ(immediate.scheduled, threads - 1);
    }
  }
}

// A pool's own tasks call the operators on the same pool: every thread of it at once, and more calls than
// threads.
TEST(Devices, ACallFromInsideATaskOfThePoolReturns) {
  for (int threads : {1, 2, 4}) {
    Eigen::ThreadPool threads_of_pool(threads);
    const Eigen::ThreadPoolDevice pool(&threads_of_pool, threads);
    const int calls = 3 * threads;
    Rows x(4000, 64), expected(4000, 64);
    x.setRandom();
    const simdnorm::LayerNorm<float> norm(64);
    norm.forward(x, expected);
    std::vector<Rows> y(size(calls), Rows(4000, 64));
    std::vector<std::promise<void>> done(size(calls));
    for (int i = 0; i < calls; ++i) {
      threads_of_pool.Schedule([&, i] {
        norm.forward(x, y[size(i)], pool);
        Eigen::Tensor<float, 1> dgamma(64), dbeta(64);
        simdnorm::Moments<float> moments;
        Rows dx(4000, 64);
        norm.forward(x, dx, moments, pool);
        norm.backward(x, x, moments, dx, dgamma, dbeta, pool);
        done[size(i)].set_value();
      });
    }
    for (int i = 0; i < calls; ++i) {
      if (done[size(i)].get_future().wait_for(std::chrono::seconds(60)) != std::future_status::ready) {
        std::fprintf(stderr, "a call from inside a task of the pool waits for ever\n");
        std::abort();  // the pool could not be destroyed either
      }
      EXPECT_EQ(difference(y[size(i)], expected), -1);
    }
  }
}

}  // namespace
