// Whether the kernels, as they were compiled into this program and run on this thread, give the bits that they
// give everywhere. Compiler flags that no macro tells of (clang's -fassociative-math), flushed subnormal numbers
// (gcc's -Ofast on one library of the program is enough), another rounding mode or a compiler's fault change them.
#pragma once

#include <cmath>
#include <cstring>
#include <limits>

#include "pointers.hpp"

namespace simdnorm {

/// What self_test_hash() is where all is well.
inline constexpr std::uint64_t self_test_golden = 0x2ff1948d85c816af;

/// The bits of numbers, mixed into one word in the order in which they come.
class BitHash {
 public:
  template <class T> void add(const T* numbers, Index count) {
    for (Index i = 0; i < count; ++i) {
      std::conditional_t<(sizeof(T) > 4), std::uint64_t,
                         std::conditional_t<(sizeof(T) > 2), std::uint32_t,
                                            std::conditional_t<(sizeof(T) > 1), std::uint16_t, std::uint8_t>>>
          bits;
      static_assert(sizeof bits == sizeof(T));
      std::memcpy(&bits, numbers + i, sizeof bits);
      word_ = (word_ ^ bits) * 0x9e3779b97f4a7c15U;
      word_ ^= word_ >> 32;
    }
  }
  std::uint64_t word() const { return word_; }

 private:
  std::uint64_t word_ = 0xcbf29ce484222325U;
};

/// Numbers that are made of integers by exact operations: rows with and without a mean, constant, and of extreme magnitude.
template <class T> class SelfTestNumbers {
 public:
  /// A whole number of 42 bits and a sign, rounded to T, times 2^exponent. Source of the generator: Vigna's
  /// splitmix64.
  T number(int exponent, std::int64_t mean = 0) {
    std::uint64_t bits = state_ += 0x9e3779b97f4a7c15U;
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9U;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebU;
    const auto whole =
        static_cast<std::int64_t>((bits ^ (bits >> 31)) >> 21) - (std::int64_t(1) << 42) + mean;
    return std::ldexp(static_cast<T>(whole), exponent);
  }
  T element_of_row(Index r) {
    using Limits = std::numeric_limits<T>;
    switch (r % 6) {
      case 2:
        return number(-42, std::int64_t(8000) << 42);
      case 3:
        return T(-3.25);
      case 4:
        return number(Limits::max_exponent - 45);
      case 5:
        return number(Limits::min_exponent - 40);  // subnormal
      default:
        return number(-41);
    }
  }

 private:
  std::uint64_t state_ = 42;
};

/// The operators on one shape, given such numbers and a NaN. No memory is allocated.
template <class T> class SelfTest {
 public:
  static constexpr Index most_elements = 640, most_hidden = 640, most_rows = 36;

  /// Adds all that the operators write to the hash.
  void run(RowShape shape, BitHash& hash) {
    const Index hidden = shape.hidden, elements = shape.rows * hidden;
    T *const x = x_, *const dy = dy_, *const y = y_, *const dx = dx_;
    for (Index c = 0; c < hidden; ++c) {
      gamma_[c] = numbers_.number(-41);
      beta_[c] = numbers_.number(-41);
    }
    for (Index i = 0; i < elements; ++i) {
      x[i] = numbers_.element_of_row(i / (hidden * shape.after) * shape.after + i % shape.after);
      dy[i] = numbers_.number(-41);
    }
    for (const bool poisoned : {false, true}) {  // last, for it leaves little of dgamma
      if (poisoned) x[elements / 2] = std::numeric_limits<T>::quiet_NaN();
      layer_norm_forward(shape, x, gamma_, beta_, T(0x1p-17), y, moments_);
      layer_norm_backward(shape, dy, x, gamma_, moments_, dx, dgamma_, dbeta_, options_);
      add_outputs(shape, hash);
      hash.add(dbeta_, hidden);
      rms_norm_forward(shape, x, gamma_, T(0), y, moments_);
      rms_norm_backward(shape, dy, x, gamma_, moments_, dx, dgamma_, options_);
      add_outputs(shape, hash);
    }
  }

 private:
  void add_outputs(RowShape shape, BitHash& hash) const {
    hash.add(y_, shape.rows * shape.hidden);
    for (Index r = 0; r < shape.rows; ++r) {
      const T moments[] = {moments_[r].mean, moments_[r].mean_low, moments_[r].rstd, moments_[r].scale};
      hash.add(moments, 4);
    }
    hash.add(dx_, shape.rows * shape.hidden);
    hash.add(dgamma_, shape.hidden);
  }

  SelfTestNumbers<T> numbers_;
  alignas(64) T x_[most_elements], dy_[most_elements], y_[most_elements], dx_[most_elements];
  T gamma_[most_hidden], beta_[most_hidden], dgamma_[most_hidden], dbeta_[most_hidden];
  RowMoments<T> moments_[most_rows];
  double workspace_[2 * most_hidden * 3];
  GradientOptions options_{false, workspace_};
};

/// The same of operators from X to Y, numbers of 16 bits, and to y in 8 bits.
template <class X, class Y> class NarrowSelfTest {
 public:
  void run(RowShape shape, BitHash& hash) {
    const Index hidden = shape.hidden, elements = shape.rows * hidden;
    X *const x = x_, *const dx = dx_;
    Y *const dy = dy_, *const y = y_;
    for (Index c = 0; c < hidden; ++c) {
      gamma_[c] = numbers_.number(-41);
      beta_[c] = numbers_.number(-41);
    }
    for (Index i = 0; i < elements; ++i) {
      const Index row = i / (hidden * shape.after) * shape.after + i % shape.after;
      x[i] = simd::narrow_number<X>(numbers_.element_of_row(row));
      dy[i] = simd::narrow_number<Y>(numbers_.number(-41));
    }
    layer_norm_forward(shape, x, gamma_, beta_, 0x1p-17F, y, moments_);
    hash.add(y, elements);
    layer_norm_backward(shape, dy, x, gamma_, moments_, dx, dgamma_, dbeta_, options_);
    hash.add(dx, elements);
    hash.add(dgamma_, hidden);
    rms_norm_forward<RoundXhat>(shape, x, gamma_, 0x1p-17F, y);
    hash.add(y, elements);
    run_codes<std::int8_t>(shape, x, hash);
    run_codes<Float8E4M3>(shape, x, hash);
    run_codes<Float8E5M2>(shape, x, hash);
  }

 private:
  static constexpr Index most_elements = 640, most_hidden = 640, most_rows = 36;

  template <class Q> void run_codes(RowShape shape, const X* x, BitHash& hash) {
    Q codes[static_cast<std::size_t>(most_elements)];
    float scales[static_cast<std::size_t>(most_rows)];
    layer_norm_forward(shape, x, gamma_, beta_, 0x1p-17F, per_token(+codes, +scales));
    hash.add(codes, shape.rows * shape.hidden);
    hash.add(scales, shape.rows);
    rms_norm_forward<OnePlusGamma>(shape, x, gamma_, 0x1p-17F, per_tensor(+codes, 0x1p-6F));
    hash.add(codes, shape.rows * shape.hidden);
  }

  SelfTestNumbers<float> numbers_;
  X x_[most_elements], dx_[most_elements];
  Y y_[most_elements], dy_[most_elements];
  float gamma_[most_hidden], beta_[most_hidden], dgamma_[most_hidden], dbeta_[most_hidden];
  RowMoments<float> moments_[most_rows];
  double workspace_[2 * most_hidden * 3];
  GradientOptions options_{false, workspace_};
};

/// A hash over y, the moments, dx, dgamma and dbeta of both norms, float and double, bfloat16 and fp16, and y as int8 and
/// fp8, contiguous rows and rows side by side. Takes about 300 KiB of stack and, with optimization, one or two milliseconds.
inline std::uint64_t self_test_hash() {
  constexpr RowShape shapes[] = {{6, 1},   {7, 7},   {9, 33},     {19, 16},   {8, 64},
                                 {1, 530}, {6, 100}, {35, 9, 35}, {8, 65, 4}, {2, 19, 2}};
  BitHash hash;
  SelfTest<float> of_float;
  for (const RowShape& shape : shapes) of_float.run(shape, hash);
  SelfTest<double> of_double;
  for (const RowShape& shape : shapes) of_double.run(shape, hash);
  NarrowSelfTest<BFloat16, Float16> from_bfloat;
  for (const RowShape& shape : shapes) from_bfloat.run(shape, hash);
  NarrowSelfTest<Float16, BFloat16> from_half;
  for (const RowShape& shape : shapes) from_half.run(shape, hash);
  return hash.word();
}

/// True where the kernels give the bits that they give everywhere: to be called once, when a program starts.
inline bool self_test() { return self_test_hash() == self_test_golden; }

}  // namespace simdnorm
