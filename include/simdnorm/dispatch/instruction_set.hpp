// Which of the instruction sets that kernels are compiled for a dispatching program runs on.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "../config.hpp"

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#include <cpuid.h>
#elif defined(_MSC_VER) && defined(_M_X64)
#include <immintrin.h>
#include <intrin.h>
#elif defined(SIMDNORM_DISPATCH_SVE)
#include <sys/auxv.h>
#include <sys/prctl.h>
#endif

namespace simdnorm {

/// What the target's own flags ask for; of x86-64, AVX2 with FMA and F16C, and these with AVX-512 F, CD, DQ, BW and VL; of
/// aarch64, SVE with vectors of 256 bits.
enum class InstructionSet { baseline, avx2, avx512, sve256 };

inline const char* name_of(InstructionSet set) {
  const char* const names[] = {"baseline", "avx2", "avx512", "sve256"};
  return names[static_cast<std::size_t>(set)];
}

/// Those that simdnorm_add_dispatch compiles kernels for, the best last.
#if defined(__x86_64__) || defined(_M_X64)
inline constexpr InstructionSet dispatched_sets[] = {InstructionSet::baseline, InstructionSet::avx2,
                                                     InstructionSet::avx512};
#elif defined(SIMDNORM_DISPATCH_SVE)
inline constexpr InstructionSet dispatched_sets[] = {InstructionSet::baseline, InstructionSet::sve256};
#else
inline constexpr InstructionSet dispatched_sets[] = {InstructionSet::baseline};
#endif

/// The best of them that this processor has, and whose registers this system saves.
SIMDNORM_COLD inline InstructionSet best_instruction_set() {
#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  const bool f16c = __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;  // clang 14 cannot be asked
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && f16c;
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl");
  if (avx512) return InstructionSet::avx512;
  if (avx2) return InstructionSet::avx2;
#elif defined(_MSC_VER) && defined(_M_X64)
  int basic[4], more[4];
  __cpuid(basic, 1);
  __cpuidex(more, 7, 0);
  const auto has = [](unsigned long long word, unsigned long long bits) { return (word & bits) == bits; };
  const unsigned c = static_cast<unsigned>(basic[2]), b = static_cast<unsigned>(more[1]);
  const unsigned long long saved = has(c, 1U << 27) ? _xgetbv(0) : 0;
  const bool avx2 = has(saved, 0x06) && has(c, 1U << 12 | 1U << 28 | 1U << 29) && has(b, 1U << 5);
  const bool avx512 =
      avx2 && has(saved, 0xe6) && has(b, 1U << 16 | 1U << 17 | 1U << 28 | 1U << 30 | 1U << 31);
  if (avx512) return InstructionSet::avx512;
  if (avx2) return InstructionSet::avx2;
#elif defined(SIMDNORM_DISPATCH_SVE)  // on Linux alone
  constexpr int bytes = 256 / 8;
  const int length = (getauxval(AT_HWCAP) & HWCAP_SVE) != 0 ? prctl(PR_SVE_GET_VL) : -1;
  if (length >= 0 && (length & PR_SVE_VL_LEN_MASK) == bytes) return InstructionSet::sve256;
#endif
  return InstructionSet::baseline;
}

/// The one that is wanted by its name, if it is no better than `best`; `best` where none is.
SIMDNORM_COLD inline InstructionSet instruction_set_named(const char* name, InstructionSet best) {
  if (name == nullptr || *name == '\0') return best;
  Message words;
  words << "SIMDNORM_ISA is " << name << " but on this processor can only be";
  const char* separator = " ";
  for (const InstructionSet set : dispatched_sets) {
    if (set > best) break;
    if (std::strcmp(name, name_of(set)) == 0) return set;
    words << separator << name_of(set);
    separator = ", ";
  }
  words.fail();
}

/// What the calls of a program that dispatches run on, found out once: the best that there is, or the one that the environment
/// variable SIMDNORM_ISA names.
/// Errors: SIMDNORM_ISA names none, or one that this processor has not: std::invalid_argument, from here and from every call.
inline InstructionSet instruction_set() {
  static const InstructionSet set =
      instruction_set_named(std::getenv("SIMDNORM_ISA"), best_instruction_set());
  return set;
}

}  // namespace simdnorm
