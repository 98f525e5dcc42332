// Eigen's devices as executors.
#pragma once

#include <unsupported/Eigen/CXX11/Tensor>

#include "../storage.hpp"

namespace simdnorm {

/// Below this many elements a call stays on its thread: handing out work would cost more than it saves.
inline constexpr Index smallest_parallel = 65536;

template <class Device, class = void>
inline constexpr bool is_thread_pool =
    false;  // found by what it can do: ThreadPoolDevice is declared under EIGEN_USE_THREADS only
template <class Device>
inline constexpr bool
    is_thread_pool<Device, std::void_t<decltype(std::declval<const Device&>().currentThreadId()),
                                       decltype(std::declval<const Device&>().numThreadsInPool())>> = true;

template <class Device>
inline constexpr bool is_device = std::is_same_v<Device, Eigen::DefaultDevice> || is_thread_pool<Device>;

/// Runs tasks on a ThreadPoolDevice. A call from inside a task of the same pool runs serially on its thread: waiting
/// there for other tasks of the pool could wait for ever.
template <class Device> struct PoolExecutor {
  const Device& device;

  template <class F> void operator()(Index tasks, Index elements_per_task, const F& f) const {
    if (tasks > 1 && tasks * elements_per_task >= smallest_parallel && device.numThreads() > 1 &&
        device.currentThreadId() < 0) {
      const double elements = static_cast<double>(elements_per_task);
      const Eigen::TensorOpCost cost(8 * elements, 8 * elements,
                                     2 * elements);  // bytes read, bytes written, cycles
      device.parallelFor(static_cast<Eigen::Index>(tasks), cost, [&f](Eigen::Index first, Eigen::Index last) {
        for (Eigen::Index task = first; task < last; ++task) f(static_cast<Index>(task));
      });
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
