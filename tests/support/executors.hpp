// Executors that do not run their tasks one after the other on the calling thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace support {

// Any executor, as one type: the operators of operators.hpp are compiled once for all of them.
using Executor = std::function<void(std::int64_t tasks, std::int64_t elements_per_task,
                                    const std::function<void(std::int64_t task)>& run)>;

inline void serial(std::int64_t tasks, std::int64_t /*elements_per_task*/,
                   const std::function<void(std::int64_t)>& run) {
  for (std::int64_t task = 0; task < tasks; ++task) run(task);
}

// Last task first: nothing may depend on the order.
struct Backwards {
  template <class F> void operator()(std::int64_t tasks, std::int64_t /*elements_per_task*/, F&& f) const {
    for (std::int64_t task = tasks; task-- > 0;) f(task);
  }
};

// Threads that take the next task as they become free.
struct Threads {
  int count;
  template <class F> void operator()(std::int64_t tasks, std::int64_t /*elements_per_task*/, F&& f) const {
    std::atomic<std::int64_t> next{0};
    const auto work = [&] {
      for (std::int64_t task = next++; task < tasks; task = next++) f(task);
    };
    std::vector<std::thread> helpers;
    for (int i = 1; i < count; ++i) helpers.emplace_back(work);
    work();
    for (std::thread& helper : helpers) helper.join();
  }
};

// Writes down what it was asked for, then runs the tasks.
struct Recorder {
  std::vector<std::int64_t>* tasks_seen;
  std::vector<std::int64_t>* elements_seen;
  template <class F> void operator()(std::int64_t tasks, std::int64_t elements_per_task, F&& f) const {
    tasks_seen->push_back(tasks);
    elements_seen->push_back(elements_per_task);
    for (std::int64_t task = 0; task < tasks; ++task) f(task);
  }
};

}  // namespace support
