// The arrays that a benchmark reads and writes, and the check of what was written: the formulas in double.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <simdnorm/simdnorm.hpp>
#include <string>
#include <vector>

#include "real_data.hpp"
#include "shapes.hpp"
#include "view.hpp"

namespace bench {

/// Arrays in one allocation. Large arrays that malloc returns all start at the same place of a page, and a
/// load from one then has to wait for a store to another (4 KiB aliasing): here no two arrays do.
class Arena {
 public:
  /// So many bytes after a cache line each begins; those of malloc begin 16 bytes after one.
  static inline Index offset = 0;

  /// The number of an array with so many bytes.
  std::size_t add(Index bytes) {
    const Index page = 4096, stagger = 11 * 64;
    const Index start =
        (size_ + page - 1) / page * page + static_cast<Index>(starts_.size()) * stagger % page + offset;
    starts_.push_back(start);
    size_ = start + bytes;
    return starts_.size() - 1;
  }
  void allocate() {
    memory_.reset(static_cast<char*>(::operator new(static_cast<std::size_t>(size_), alignment)));
    // Or else a page would be touched for the first time while it is timed.
    std::memset(memory_.get(), 0, static_cast<std::size_t>(size_));
  }
  template <class T> T* at(std::size_t array) const {
    return reinterpret_cast<T*>(memory_.get() + starts_[array]);
  }

 private:
  static constexpr std::align_val_t alignment{4096};
  struct Delete {
    void operator()(char* memory) const { ::operator delete(memory, alignment); }
  };
  std::unique_ptr<char, Delete> memory_;
  std::vector<Index> starts_;
  Index size_ = 0;
};

/// The arrays of one operation on one shape, filled with random values or with real ones. Of another type than float the values
/// are such as the type holds: it is their norm that is checked.
class Operands {
 public:
  Operands(Norm norm, Pass pass, const Shape& shape, Type type = Type::float32)
      : norm_(norm), pass_(pass), type_(type) {
    allocate(shape.rows(), shape.hidden());
    view_.epsilon = norm == Norm::layer ? 1e-5f : 1e-6f;
    fill(x_, view_.rows * view_.hidden, 0.25f, 1.f);
    fill(gamma_, view_.hidden, 1.f, 0.25f);
    fill(beta_, view_.hidden, 0.f, 0.5f);
    prepare();
  }
  Operands(Norm norm, Pass pass, const RealData& data) : norm_(norm), pass_(pass), type_(Type::float32) {
    allocate(data.rows, data.hidden);
    view_.epsilon = data.epsilon;
    std::copy(data.x.begin(), data.x.end(), x_);
    std::copy(data.gamma.begin(), data.gamma.end(), gamma_);
    std::copy(data.beta.begin(), data.beta.end(), beta_);
    framework_ = data.y;
    prepare();
  }

  Operands(const Operands&) = delete;  // the view points into this object

  Norm norm() const { return norm_; }
  Pass pass() const { return pass_; }
  const View& view() const { return view_; }

  /// The bytes that must move: those of rows (view.hpp). gamma, beta and the statistics are left out.
  Index bytes_moved() const { return view_.bytes_moved; }

  /// Runs a candidate once and compares all that it must write with the formulas. Empty if right, else what
  /// is wrong. Of one that rounds_everywhere, to a type of 16 bits, y and dx may be off by several roundings, and dgamma and
  /// dbeta by anything: a sum in such a type stops growing.
  template <class Call> std::string check(const Call& call, bool rounds_everywhere = false) const {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (float* output : {view_.y, view_.dx, view_.sum}) {
      if (output != nullptr) std::fill(output, output + view_.rows * view_.hidden, nan);
    }
    for (float* output : {view_.dgamma, view_.dbeta}) {
      if (output != nullptr) std::fill(output, output + view_.hidden, nan);
    }
    const Index elements = view_.rows * view_.hidden;
    void* const stored = pass_ == Pass::backward ? view_.stored.dx : view_.stored.y;
    if (type_ == Type::int8) {
      std::memset(stored, 0x80, static_cast<std::size_t>(elements));
      std::fill(view_.scales, view_.scales + view_.rows, nan);
    } else if (type_ != Type::float32) {
      std::memset(stored, 0xff, static_cast<std::size_t>(elements) * 2);  // NaN
    }
    call();
    float* const output = pass_ == Pass::backward ? view_.dx : view_.y;
    if (type_ == Type::bfloat16) widen(static_cast<const Eigen::bfloat16*>(stored), output);
    if (type_ == Type::float16) widen(static_cast<const Eigen::half*>(stored), output);
    if (type_ == Type::int8) {
      const std::int8_t* const codes = static_cast<const std::int8_t*>(stored);
      for (Index i = 0; i < elements; ++i)
        output[i] = static_cast<float>(codes[i]) * view_.scales[i / view_.hidden];
    }
    return pass_ == Pass::backward ? check_backward(rounds_everywhere) : check_forward(rounds_everywhere);
  }

 private:
  void allocate(Index rows, Index hidden) {
    const Index n = rows * hidden, bytes = n * 4;
    const bool backward = pass_ == Pass::backward, residual = pass_ == Pass::residual,
               layer = norm_ == Norm::layer;
    const bool narrow = type_ == Type::bfloat16 || type_ == Type::float16;
    const Index x_bytes = narrow ? n * 2 : bytes, y_bytes = type_ == Type::int8 ? n : x_bytes;
    const Index moved = x_bytes + y_bytes + (backward ? x_bytes : 0) + (residual ? 2 * x_bytes : 0);
    const std::size_t x = arena_.add(x_bytes), dy = arena_.add(backward || residual ? x_bytes : 0);
    const std::size_t sum = arena_.add(residual ? x_bytes : 0), exact = arena_.add(residual ? x_bytes : 0);
    // memcpy's yardstick copies half of what moves: x, and where there is more to read what follows it, onto y or dx and
    // what follows these.
    const std::size_t y = arena_.add(std::max(y_bytes, moved / 2));
    const std::size_t gamma = arena_.add(hidden * 4), beta = arena_.add(hidden * 4);
    const std::size_t dgamma = arena_.add(hidden * 4), dbeta = arena_.add(hidden * 4);
    const std::size_t mean = arena_.add(rows * 4), rstd = arena_.add(rows * 4), scales = arena_.add(rows * 4);
    // For the check, and for y before it is quantized: the same rows in float.
    const std::size_t float_x = narrow ? arena_.add(bytes) : x;
    const std::size_t float_dy = narrow ? arena_.add(backward ? bytes : 0) : dy;
    const std::size_t float_y = type_ != Type::float32 ? arena_.add(bytes) : y;
    arena_.allocate();
    x_ = arena_.at<float>(float_x), gamma_ = arena_.at<float>(gamma), beta_ = arena_.at<float>(beta);
    dy_ = arena_.at<float>(float_dy), mean_ = arena_.at<float>(mean), rstd_ = arena_.at<float>(rstd);
    normalized_ = residual ? arena_.at<float>(exact) : x_;
    moments_.resize(rows);
    view_ = {};
    view_.rows = rows, view_.hidden = hidden;
    view_.x = x_, view_.gamma = gamma_;
    view_.beta = layer ? beta_ : nullptr;
    view_.bytes_moved = moved;
    view_.scales = type_ == Type::int8 ? arena_.at<float>(scales) : nullptr;
    view_.stored.x = arena_.at<void>(x);
    if (backward) {
      view_.dy = dy_, view_.mean = mean_, view_.rstd = rstd_, view_.moments = &moments_;
      view_.dx = arena_.at<float>(float_y);
      view_.dgamma = arena_.at<float>(dgamma);
      view_.dbeta = layer ? arena_.at<float>(dbeta) : nullptr;
      view_.workspace = &workspace_;
      view_.stored.dy = arena_.at<void>(dy), view_.stored.dx = arena_.at<void>(y);
    } else {
      view_.y = arena_.at<float>(float_y);
      view_.stored.y = arena_.at<void>(y);
    }
    if (residual) view_.residual = dy_, view_.sum = arena_.at<float>(sum);
  }

  template <class T> void widen(const T* stored, float* values) const {
    for (Index i = 0; i < view_.rows * view_.hidden; ++i) values[i] = static_cast<float>(stored[i]);
  }
  /// What the operation reads, of the values; and the values become what it reads.
  template <class T> void narrow(float* values, const void* stored) const {
    T* const numbers = static_cast<T*>(const_cast<void*>(stored));
    for (Index i = 0; i < view_.rows * view_.hidden; ++i) numbers[i] = static_cast<T>(values[i]);
    widen(numbers, values);
  }
  void store_inputs() {
    const bool backward = pass_ == Pass::backward;
    if (type_ == Type::bfloat16) {
      narrow<Eigen::bfloat16>(x_, view_.stored.x);
      if (backward) narrow<Eigen::bfloat16>(dy_, view_.stored.dy);
    } else if (type_ == Type::float16) {
      narrow<Eigen::half>(x_, view_.stored.x);
      if (backward) narrow<Eigen::half>(dy_, view_.stored.dy);
    }
  }

  /// dy, and the statistics of the rows of x: in double for the check, rounded for the candidates.
  void prepare() {
    if (pass_ != Pass::forward) fill(dy_, view_.rows * view_.hidden, 0.1f, 1.f);
    if (pass_ == Pass::residual) {
      for (Index i = 0; i < view_.rows * view_.hidden; ++i) normalized_[i] = x_[i] + dy_[i];
    }
    store_inputs();
    const double n = static_cast<double>(view_.hidden);
    exact_.resize(static_cast<std::size_t>(view_.rows));
    for (Index r = 0; r < view_.rows; ++r) {
      const float* row = normalized_ + r * view_.hidden;
      double sum = 0, squares = 0;
      for (Index c = 0; c < view_.hidden; ++c) sum += double(row[c]);
      const double mean = norm_ == Norm::layer ? sum / n : 0;
      for (Index c = 0; c < view_.hidden; ++c) squares += (double(row[c]) - mean) * (double(row[c]) - mean);
      const double rstd = 1 / std::sqrt(squares / n + double(view_.epsilon));
      exact_[static_cast<std::size_t>(r)] = {mean, rstd};
      mean_[r] = static_cast<float>(mean), rstd_[r] = static_cast<float>(rstd);
      moments_.data()[r] = {mean_[r], static_cast<float>(mean - double(mean_[r])), rstd_[r], 1.f};
    }
  }

  /// About normal: the sum of four uniform values. A generator of the standard library would take longer than
  /// the timing.
  void fill(float* values, Index count, float mean, float deviation) {
    for (Index i = 0; i < count; ++i) {
      state_ = state_ * 6364136223846793005u + 1442695040888963407u;
      std::uint64_t bits = state_ ^ state_ >> 31;
      int sum = 0;
      for (int k = 0; k < 4; ++k) sum += static_cast<int>(bits >> 16 * k & 0xffff);
      values[i] = mean + deviation * (static_cast<float>(sum) - 2 * 65535.f) * (1 / 37837.f);
    }
  }

  // A float loop over many terms errs by more than a rounding; a wrong formula errs by more than this.
  static constexpr double fine = 1e-4, coarse = 1.0 / 32;
  static bool near(double got, double expected, double allowed) {
    return std::abs(got - expected) <= allowed;
  }
  /// By how much the nearest number of the type may be off, in row r.
  double rounding(Index r, double exact) const {
    switch (type_) {
      case Type::bfloat16:
        return std::ldexp(std::abs(exact), -8);
      case Type::float16:
        return std::ldexp(std::abs(exact), -11);
      case Type::int8:
        return double(view_.scales[r]) / 2;
      default:
        return 0;
    }
  }
  static std::string wrong(const char* what, Index r, Index c, double got, double expected) {
    return std::string(what) + " of row " + std::to_string(r) + ", column " + std::to_string(c) + " is " +
           std::to_string(got) + ", expected " + std::to_string(expected);
  }

  std::string check_forward(bool rounds_everywhere) const {
    const double tolerance = rounds_everywhere ? coarse : fine;
    for (Index r = 0; r < view_.rows; ++r) {
      const Statistics s = exact_[static_cast<std::size_t>(r)];
      double largest = 0;
      for (Index c = 0; c < view_.hidden; ++c) {
        const float x = normalized_[r * view_.hidden + c];
        if (view_.sum != nullptr && view_.sum[r * view_.hidden + c] != x)
          return wrong("the sum", r, c, double(view_.sum[r * view_.hidden + c]), double(x));
        const double xhat = (double(x) - s.mean) * s.rstd;
        const double beta = view_.beta != nullptr ? double(beta_[c]) : 0;
        const double y = xhat * double(gamma_[c]) + beta, got = double(view_.y[r * view_.hidden + c]);
        largest = std::fmax(largest, std::abs(y));
        if (!near(got, y, tolerance * (1 + std::abs(y)) + rounding(r, y))) return wrong("y", r, c, got, y);
        if (framework_.empty()) continue;
        const double theirs = double(framework_[static_cast<std::size_t>(r * view_.hidden + c)]);
        if (!near(theirs, y, tolerance * (1 + std::abs(y))))
          return wrong("the y in the file", r, c, theirs, y);
      }
      if (view_.scales != nullptr && !near(double(view_.scales[r]) * 127, largest, tolerance * (1 + largest)))
        return wrong("127 times the scale", r, 0, double(view_.scales[r]) * 127, largest);
    }
    return {};
  }

  std::string check_backward(bool rounds_everywhere) const {
    const double tolerance = rounds_everywhere ? coarse : fine;
    const Index hidden = view_.hidden;
    const double n = static_cast<double>(hidden);
    std::vector<double> dgamma(static_cast<std::size_t>(hidden)), dbeta = dgamma, magnitude = dgamma;
    for (Index r = 0; r < view_.rows; ++r) {
      const Statistics s = exact_[static_cast<std::size_t>(r)];
      const float *x = x_ + r * hidden, *dy = dy_ + r * hidden, *dx = view_.dx + r * hidden;
      const auto xhat = [&](Index c) { return (double(x[c]) - s.mean) * s.rstd; };
      const auto g = [&](Index c) { return double(dy[c]) * double(gamma_[c]); };
      double mean_g = 0, mean_g_xhat = 0;
      for (Index c = 0; c < hidden; ++c) {
        const std::size_t column = static_cast<std::size_t>(c);
        if (norm_ == Norm::layer) mean_g += g(c) / n;
        mean_g_xhat += g(c) * xhat(c) / n;
        dgamma[column] += double(dy[c]) * xhat(c);
        dbeta[column] += double(dy[c]);
        magnitude[column] += std::abs(double(dy[c])) * std::fmax(1, std::abs(xhat(c)));
      }
      for (Index c = 0; c < hidden; ++c) {
        const double expected = (g(c) - mean_g - xhat(c) * mean_g_xhat) * s.rstd, got = double(dx[c]);
        if (!near(got, expected, tolerance * (s.rstd + std::abs(expected)) + rounding(r, expected)))
          return wrong("dx", r, c, got, expected);
      }
    }
    for (Index c = 0; c < hidden; ++c) {
      const std::size_t column = static_cast<std::size_t>(c);
      const double gamma = double(view_.dgamma[c]);
      const double allowed =
          rounds_everywhere ? std::numeric_limits<double>::infinity() : 0.1 * tolerance * magnitude[column];
      if (!near(gamma, dgamma[column], allowed)) return wrong("dgamma", 0, c, gamma, dgamma[column]);
      if (view_.dbeta == nullptr) continue;
      const double beta = double(view_.dbeta[c]);
      if (!near(beta, dbeta[column], allowed)) return wrong("dbeta", 0, c, beta, dbeta[column]);
    }
    return {};
  }

  struct Statistics {
    double mean, rstd;
  };

  Norm norm_;
  Pass pass_;
  Type type_;
  Arena arena_;
  View view_;
  float *x_, *dy_, *gamma_, *beta_, *mean_, *rstd_;  // dy_: dy, or the residual
  float* normalized_;                                // x, or x + residual
  simdnorm::Moments<float> moments_;
  simdnorm::Workspace<float> workspace_;
  std::vector<Statistics> exact_;
  std::vector<float> framework_;  // y of real data, as computed by the framework it comes from
  std::uint64_t state_ = 42;
};

}  // namespace bench
