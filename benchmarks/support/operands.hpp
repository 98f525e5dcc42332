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
  /// The number of an array with so many bytes.
  std::size_t add(Index bytes) {
    const Index page = 4096, stagger = 11 * 64;
    const Index start =
        (size_ + page - 1) / page * page + static_cast<Index>(starts_.size()) * stagger % page;
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

/// The arrays of one operation on one shape, filled with random values or with real ones.
class Operands {
 public:
  Operands(Norm norm, Pass pass, const Shape& shape) : norm_(norm), pass_(pass) {
    allocate(shape.rows(), shape.hidden());
    view_.epsilon = norm == Norm::layer ? 1e-5f : 1e-6f;
    fill(x_, view_.rows * view_.hidden, 0.25f, 1.f);
    fill(gamma_, view_.hidden, 1.f, 0.25f);
    fill(beta_, view_.hidden, 0.f, 0.5f);
    prepare();
  }
  Operands(Norm norm, Pass pass, const RealData& data) : norm_(norm), pass_(pass) {
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

  /// The bytes that must move: forward x and y, backward dy, x and dx. gamma, beta and the statistics are
  /// left out.
  Index bytes_moved() const { return view_.bytes() * (pass_ == Pass::forward ? 2 : 3); }

  /// Runs a candidate once and compares all that it must write with the formulas. Empty if right, else what
  /// is wrong.
  template <class Call> std::string check(const Call& call) const {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (float* output : {view_.y, view_.dx}) {
      if (output != nullptr) std::fill(output, output + view_.rows * view_.hidden, nan);
    }
    for (float* output : {view_.dgamma, view_.dbeta}) {
      if (output != nullptr) std::fill(output, output + view_.hidden, nan);
    }
    call();
    return pass_ == Pass::forward ? check_forward() : check_backward();
  }

 private:
  void allocate(Index rows, Index hidden) {
    const Index bytes = rows * hidden * 4;
    const bool backward = pass_ == Pass::backward, layer = norm_ == Norm::layer;
    const std::size_t x = arena_.add(bytes), dy = arena_.add(backward ? bytes : 0), y = arena_.add(bytes);
    // memcpy's yardstick of backward copies one and a half arrays onto one and a half: x and dy onto dx and
    // this.
    arena_.add(backward ? bytes / 2 : 0);
    const std::size_t gamma = arena_.add(hidden * 4), beta = arena_.add(hidden * 4);
    const std::size_t dgamma = arena_.add(hidden * 4), dbeta = arena_.add(hidden * 4);
    const std::size_t mean = arena_.add(rows * 4), rstd = arena_.add(rows * 4);
    arena_.allocate();
    x_ = arena_.at<float>(x), gamma_ = arena_.at<float>(gamma), beta_ = arena_.at<float>(beta);
    dy_ = arena_.at<float>(dy), mean_ = arena_.at<float>(mean), rstd_ = arena_.at<float>(rstd);
    moments_.resize(rows);
    view_ = {};
    view_.rows = rows, view_.hidden = hidden;
    view_.x = x_, view_.gamma = gamma_;
    view_.beta = layer ? beta_ : nullptr;
    if (backward) {
      view_.dy = dy_, view_.mean = mean_, view_.rstd = rstd_, view_.moments = &moments_;
      view_.dx = arena_.at<float>(y);
      view_.dgamma = arena_.at<float>(dgamma);
      view_.dbeta = layer ? arena_.at<float>(dbeta) : nullptr;
      view_.workspace = &workspace_;
    } else {
      view_.y = arena_.at<float>(y);
    }
  }

  /// dy, and the statistics of the rows of x: in double for the check, rounded for the candidates.
  void prepare() {
    if (pass_ == Pass::backward) fill(dy_, view_.rows * view_.hidden, 0.1f, 1.f);
    const double n = static_cast<double>(view_.hidden);
    exact_.resize(static_cast<std::size_t>(view_.rows));
    for (Index r = 0; r < view_.rows; ++r) {
      const float* row = x_ + r * view_.hidden;
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
  static bool near(double got, double expected, double magnitude) {
    return std::abs(got - expected) <= 1e-4 * magnitude;
  }
  static std::string wrong(const char* what, Index r, Index c, double got, double expected) {
    return std::string(what) + " of row " + std::to_string(r) + ", column " + std::to_string(c) + " is " +
           std::to_string(got) + ", expected " + std::to_string(expected);
  }

  std::string check_forward() const {
    for (Index r = 0; r < view_.rows; ++r) {
      const Statistics s = exact_[static_cast<std::size_t>(r)];
      for (Index c = 0; c < view_.hidden; ++c) {
        const double xhat = (double(x_[r * view_.hidden + c]) - s.mean) * s.rstd;
        const double beta = view_.beta != nullptr ? double(beta_[c]) : 0;
        const double y = xhat * double(gamma_[c]) + beta, got = double(view_.y[r * view_.hidden + c]);
        if (!near(got, y, 1 + std::abs(y))) return wrong("y", r, c, got, y);
        if (framework_.empty()) continue;
        const double theirs = double(framework_[static_cast<std::size_t>(r * view_.hidden + c)]);
        if (!near(theirs, y, 1 + std::abs(y))) return wrong("the y in the file", r, c, theirs, y);
      }
    }
    return {};
  }

  std::string check_backward() const {
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
        if (!near(got, expected, s.rstd + std::abs(expected))) return wrong("dx", r, c, got, expected);
      }
    }
    for (Index c = 0; c < hidden; ++c) {
      const std::size_t column = static_cast<std::size_t>(c);
      const double gamma = double(view_.dgamma[c]);
      if (!near(gamma, dgamma[column], 0.1 * magnitude[column]))
        return wrong("dgamma", 0, c, gamma, dgamma[column]);
      if (view_.dbeta == nullptr) continue;
      const double beta = double(view_.dbeta[c]);
      if (!near(beta, dbeta[column], 0.1 * magnitude[column]))
        return wrong("dbeta", 0, c, beta, dbeta[column]);
    }
    return {};
  }

  struct Statistics {
    double mean, rstd;
  };

  Norm norm_;
  Pass pass_;
  Arena arena_;
  View view_;
  float *x_, *dy_, *gamma_, *beta_, *mean_, *rstd_;
  simdnorm::Moments<float> moments_;
  simdnorm::Workspace<float> workspace_;
  std::vector<Statistics> exact_;
  std::vector<float> framework_;  // y of real data, as computed by the framework it comes from
  std::uint64_t state_ = 42;
};

}  // namespace bench
