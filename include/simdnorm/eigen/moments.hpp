// What a caller keeps between calls: the moments of the rows, and scratch memory for the parameter gradients.
#pragma once

#include <vector>

#include "../kernel/backward.hpp"

namespace simdnorm {

/// What forward measured on each row, for backward. forward sizes it: it allocates when the number of rows
/// grows.
template <class T> class Moments {
 public:
  Index rows() const { return static_cast<Index>(of_row_.size()); }
  /// The mean of a row, 0 for RMSNorm.
  T mean(Index row) const { return true_mean(of_row_[static_cast<std::size_t>(row)]); }
  /// 1/sqrt(variance + epsilon) of a row; 1/sqrt(mean square + epsilon) for RMSNorm.
  T rstd(Index row) const { return true_rstd(of_row_[static_cast<std::size_t>(row)]); }

  void resize(Index rows) { of_row_.resize(static_cast<std::size_t>(rows)); }
  RowMoments<T>* data() { return of_row_.data(); }
  const RowMoments<T>* data() const { return of_row_.data(); }

 private:
  std::vector<RowMoments<T>> of_row_;
};

/// Scratch memory for dgamma and dbeta: given to every call of backward, it grows to what the largest needs,
/// and no other call allocates. One for each call at a time.
template <class T> class Workspace {
 public:
  void* reserve(RowShape shape, Index sums = 2) {
    return reserve_bytes(gradient_workspace_bytes<T>(shape, sums));
  }
  void* reserve_bytes(Index bytes) {
    const auto doubles = static_cast<std::size_t>(bytes) / sizeof(double);
    if (memory_.size() < doubles) memory_.resize(doubles);
    return memory_.data();
  }

 private:
  std::vector<double> memory_;
};

/// As a last argument of backward: adds to dgamma and dbeta instead of overwriting them.
struct Accumulate {};
inline constexpr Accumulate accumulate;

}  // namespace simdnorm
