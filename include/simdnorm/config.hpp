// Version, compiler attributes, and how the library fails: the vocabulary that does not depend on an
// instruction set.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#define SIMDNORM_VERSION_MAJOR 1
#define SIMDNORM_VERSION_MINOR 0
#define SIMDNORM_VERSION_PATCH 0

// Sums are kept exact by the order and rounding of each operation. -ffast-math lets the compiler change both, and
// forget NaN; so do parts of it. (What no macro tells of, self_test.hpp finds.)
#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || \
    __FINITE_MATH_ONLY__ > 0 || (defined(_MSC_VER) && defined(_M_FP_FAST))
#error \
    "simdnorm: its results are wrong under -ffast-math, -funsafe-math-optimizations and -ffinite-math-only (or /fp:fast); compile the files that include it without."
#endif

// Kernels are written as small functions and lambdas that must become one loop; what seldom runs is compiled
// for size.
#if defined(__GNUC__) || defined(__clang__)
#define SIMDNORM_INLINE inline __attribute__((always_inline))
#define SIMDNORM_INLINE_LAMBDA __attribute__((always_inline))
#define SIMDNORM_NOINLINE __attribute__((noinline))
#define SIMDNORM_COLD __attribute__((noinline, cold))
#define SIMDNORM_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#elif defined(_MSC_VER)
#define SIMDNORM_INLINE __forceinline
#define SIMDNORM_INLINE_LAMBDA
#define SIMDNORM_NOINLINE __declspec(noinline)
#define SIMDNORM_COLD __declspec(noinline)
#define SIMDNORM_UNLIKELY(condition) (condition)
#else
#define SIMDNORM_INLINE inline
#define SIMDNORM_INLINE_LAMBDA
#define SIMDNORM_NOINLINE
#define SIMDNORM_COLD
#define SIMDNORM_UNLIKELY(condition) (condition)
#endif

// A kernel, the loops that it is made of, which call what they are given, and the bodies of these, lambdas: all become one
// function. g++ optimizes what is always inlined by itself and once more wherever it was inlined, so that the levels of a loop
// would cost most of the time to compile it; it flattens the kernel instead. (What is always inlined must then call no loop: g++
// would come to it before the loop's own code.)
#if defined(__GNUC__) && !defined(__clang__)
#define SIMDNORM_KERNEL __attribute__((noinline, flatten))
#define SIMDNORM_LOOP inline
#define SIMDNORM_BODY
#else
#define SIMDNORM_KERNEL SIMDNORM_NOINLINE
#define SIMDNORM_LOOP SIMDNORM_INLINE
#define SIMDNORM_BODY SIMDNORM_INLINE_LAMBDA
#endif

// What happens to a wrong argument: SIMDNORM_FAIL(message), given a std::string, must not return. It may be
// defined before the first include.
#ifndef SIMDNORM_FAIL
#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define SIMDNORM_FAIL(message) throw std::invalid_argument(message)
#else
#define SIMDNORM_FAIL(message) (std::fprintf(stderr, "%s\n", (message).c_str()), std::abort())
#endif
#endif

namespace simdnorm {

/// Sizes, positions and strides, in elements; negative values are errors that checks can see.
using Index = std::int64_t;

/// The words of an error. Built where an error has been found, out of line: calls without errors do not pay
/// for it.
class Message {
 public:
  SIMDNORM_COLD Message() : words_("simdnorm: ") {}
  SIMDNORM_COLD Message& operator<<(const char* words) {
    words_ += words;
    return *this;
  }
  SIMDNORM_COLD Message& operator<<(Index number) {
    words_ += std::to_string(number);
    return *this;
  }
  SIMDNORM_COLD Message& operator<<(double number) {
    words_ += std::to_string(number);
    return *this;
  }
  /// Throws std::invalid_argument, or does what SIMDNORM_FAIL says.
  [[noreturn]] SIMDNORM_COLD void fail() const { SIMDNORM_FAIL(words_); }

 private:
  std::string words_;
};

}  // namespace simdnorm
