// What the figures depend on: processor, caches, compiler, instruction set. And threads that stay on their
// processors.
#pragma once

#include <benchmark/benchmark.h>

#include <fstream>
#include <simdnorm/simd.hpp>
#include <string>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace bench {

/// Keeps this thread on the processor it runs on, and those that it starts later on that one and on the next
/// ones that this process may use, `count` in all. Says which, or none where the system has no such call or fewer
/// processors.
inline std::vector<int> pin_to_cpus(int count) {
#if defined(__linux__)
  cpu_set_t allowed, set;
  CPU_ZERO(&set);
  const int first = sched_getcpu();
  if (first < 0 || sched_getaffinity(0, sizeof allowed, &allowed) != 0) return {};
  std::vector<int> cpus;
  for (int i = 0; i < CPU_SETSIZE && static_cast<int>(cpus.size()) < count; ++i) {
    const int cpu = (first + i) % CPU_SETSIZE;
    if (!CPU_ISSET(static_cast<std::size_t>(cpu), &allowed)) continue;
    CPU_SET(static_cast<std::size_t>(cpu), &set);
    cpus.push_back(cpu);
  }
  if (static_cast<int>(cpus.size()) == count && sched_setaffinity(0, sizeof set, &set) == 0) return cpus;
#else
  static_cast<void>(count);
#endif
  return {};
}

/// Says where, or -1.
inline int pin_to_one_cpu() {
  const std::vector<int> cpus = pin_to_cpus(1);
  return cpus.empty() ? -1 : cpus[0];
}

inline std::string cpu_model() {
#if defined(__linux__)
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) return line.substr(colon + 2);
  }
#elif defined(__APPLE__)
  char name[256];
  std::size_t size = sizeof name;
  if (sysctlbyname("machdep.cpu.brand_string", name, &size, nullptr, 0) == 0) return name;
#endif
  return "unknown processor";
}

/// "L1 32 KiB, L2 512 KiB, L3 32 MiB": data and unified caches.
inline std::string cache_sizes() {
  std::string text;
  for (const auto& cache : benchmark::CPUInfo::Get().caches) {
    if (cache.type == "Instruction") continue;
    const bool large = cache.size >= 1 << 20 && cache.size % (1 << 20) == 0;
    text += (text.empty() ? "L" : ", L") + std::to_string(cache.level) + " " +
            (large ? std::to_string(cache.size >> 20) + " MiB" : std::to_string(cache.size >> 10) + " KiB");
  }
  return text.empty() ? "caches unknown" : text;
}

inline std::string compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#elif defined(__GNUC__)
  return "g++ " __VERSION__;
#elif defined(_MSC_VER)
  return "MSVC " + std::to_string(_MSC_VER);
#else
  return "unknown compiler";
#endif
}

/// What simdnorm uses, and the baselines may use: it follows from the compiler's flags.
inline std::string instruction_set() { return simdnorm::simd::DefaultArch::name(); }

/// Empty if this program was compiled as it should be.
inline std::string build_warning() {
#if !defined(NDEBUG)
  return "assertions are on (NDEBUG is not defined)";
#elif defined(__GNUC__) && !defined(__OPTIMIZE__)
  return "compiled without optimization";
#else
  return {};
#endif
}

}  // namespace bench
