// Eigen's devices as executors.
#pragma once

#include <unsupported/Eigen/CXX11/Tensor>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "../storage.hpp"

namespace simdnorm {

/// A thread is asked for so many elements at least. Of fewer, two threads that were awake took as long as one, or longer, where they
/// had one core between them (benchmarks/README.md).
inline constexpr Index smallest_share = 65536;

template <class Device, class = void>
inline constexpr bool is_thread_pool =
    false;  // found by what it can do: ThreadPoolDevice is declared under EIGEN_USE_THREADS only
template <class Device>
inline constexpr bool
    is_thread_pool<Device, std::void_t<decltype(std::declval<const Device&>().currentThreadId()),
                                       decltype(std::declval<const Device&>().numThreadsInPool())>> = true;

template <class Device>
inline constexpr bool is_device = std::is_same_v<Device, Eigen::DefaultDevice> || is_thread_pool<Device>;

/// The tasks of one call, which the caller's thread and threads of a pool take in turns. The caller waits for tasks that another
/// thread has begun, never for a thread to begin: one that comes when no task is left goes away. So it outlives the call.
class SharedTasks {
 public:
  using Call = void (*)(const void* f, Index task);
  SharedTasks(Index tasks, int threads, const void* f, Call call)
      : tasks_(tasks),
        per_turn_(std::max<Index>(1, tasks / (turns_per_thread * threads))),
        f_(f),
        call_(call) {}

  /// Takes tasks until none is left. Whoever has got one first asks the pool for up to so many threads more, half of which it leaves
  /// to the first that comes. An exception from a task ends the program, on whatever thread it is.
  template <class Pool>
  static void work(const std::shared_ptr<SharedTasks>& shared, Pool* pool, int more_threads) noexcept {
    for (Index first; (first = shared->take()) < shared->tasks_; shared->finish(first)) {
      for (; more_threads > 0; more_threads /= 2) {
        const int of_that_thread = (more_threads - 1) / 2;
        pool->Schedule([=] { work(shared, pool, of_that_thread); });
      }
      for (Index task = first; task < shared->end_of(first); ++task) shared->call_(shared->f_, task);
    }
  }

  /// Returns when all tasks are done. What is left of them is a turn of each other thread: a 16th of its share, or one task.
  void wait() {
    for (int i = 0; i < looks_before_sleep; ++i) {
      if (done_.load(std::memory_order_acquire) == tasks_) return;
      std::this_thread::yield();
    }
    std::unique_lock<std::mutex> lock(mutex_);
    all_done_.wait(lock, [&] { return done_.load(std::memory_order_acquire) == tasks_; });
  }

 private:
  static constexpr Index turns_per_thread = 16;
  static constexpr int looks_before_sleep = 64;

  Index take() { return next_.fetch_add(per_turn_, std::memory_order_relaxed); }
  Index end_of(Index first) const { return std::min(tasks_, first + per_turn_); }
  void finish(Index first) {
    const Index count = end_of(first) - first;
    if (done_.fetch_add(count, std::memory_order_acq_rel) + count == tasks_) {
      const std::lock_guard<std::mutex> lock(mutex_);
      all_done_.notify_one();
    }
  }

  const Index tasks_, per_turn_;
  const void* const f_;
  const Call call_;
  std::atomic<Index> next_{0}, done_{0};
  std::mutex mutex_;
  std::condition_variable all_done_;
};

/// Runs tasks on a ThreadPoolDevice. A call from inside a task of the same pool runs serially on its thread.
template <class Device> struct PoolExecutor {
  const Device& device;

  template <class F> void operator()(Index tasks, Index elements_per_task, const F& f) const {
    const Index threads =
        std::min<Index>({device.numThreads(), tasks, tasks * elements_per_task / smallest_share});
    if (threads > 1 && device.currentThreadId() < 0) {
      const auto shared = std::make_shared<SharedTasks>(
          tasks, static_cast<int>(threads), &f,
          [](const void* function, Index task) { (*static_cast<const F*>(function))(task); });
      SharedTasks::work(shared, device.getPool(), static_cast<int>(threads) - 1);
      shared->wait();
    } else {
      Serial{}(tasks, elements_per_task, f);
    }
  }
};

/// The executor of a device.
template <class Device> auto executor_of(const Device& device) {
  static_assert(is_device<Device>,
                "simdnorm: a device is an Eigen::DefaultDevice or an Eigen::ThreadPoolDevice");
  if constexpr (is_thread_pool<Device>) {
    return PoolExecutor<Device>{device};
  } else {
    return Serial{};
  }
}

}  // namespace simdnorm
