// The gradients of gamma and beta: dgamma = sum over rows of dy * xhat, dbeta = sum over rows of dy.
//
// Rows are cut into segments whose number and borders depend on the shape alone. In a segment, groups of rows
// are summed in T and each group is added to a total in Extended<T>; the segments' totals are added in order.
// So the bits do not depend on the number of threads, and no sum in T is longer than a group.
#pragma once

#include <cstddef>
#include <memory>

#include "blocks.hpp"

namespace simdnorm {

/// Where backward is not asked for gradients of parameters.
struct NoParameterGradient {
  template <class Blocks> static Index blocks_per_task(const Blocks& blocks) { return blocks.per_task(); }
  static NoParameterGradient begin(Index /*task*/) { return {}; }
  static void begin_group() {}
  static void end_group() {}

  template <class Block> struct Column {
    template <class Lanes>
    SIMDNORM_INLINE void add(At<Lanes>, typename Block::Vector /*dy*/, typename Block::Vector /*xhat*/) {}
    template <class Lanes> SIMDNORM_INLINE void end(const NoParameterGradient&, At<Lanes>) const {}
  };
};

inline constexpr Index segment_limit = 64;     // segments, so that many threads find work
inline constexpr Index segment_min_rows = 64;  // rows in a segment, so that its totals cost little

/// Groups of blocks in one segment.
template <class Blocks> Index groups_per_segment(const Blocks& blocks) {
  const Index groups = (blocks.count() + blocks.per_group() - 1) / blocks.per_group();
  const Index smallest = (segment_min_rows + Blocks::rows_per_group - 1) / Blocks::rows_per_group;
  return std::max(smallest, (groups + segment_limit - 1) / segment_limit);
}
template <class Blocks> Index segment_count(const Blocks& blocks) {
  const Index blocks_per_segment = groups_per_segment(blocks) * blocks.per_group();
  return (blocks.count() + blocks_per_segment - 1) / blocks_per_segment;
}

/// Arrays of one number a column are padded so that whole vectors cover them.
constexpr Index padded_hidden(Index hidden) { return (hidden + fold_lanes - 1) / fold_lanes * fold_lanes; }

/// Bytes that one segment takes for `sums` gradients: totals in Extended<T>, and the sums of the current
/// group in T.
template <class T> constexpr Index segment_bytes(Index hidden, Index sums) {
  const Index numbers = sums * padded_hidden(hidden);
  return numbers * static_cast<Index>(sizeof(double)) * Extended<T>::words +
         numbers * static_cast<Index>(sizeof(T));
}

/// dgamma and, if Beta, dbeta, with `workspace` for all segments. Both are summed where one of them is
/// wanted: the other costs two additions a column, and is not worth kernels of its own.
template <class T, class Arch, bool Beta> class ParameterGradient {
 public:
  static constexpr Index sums = Beta ? 2 : 1;

  ParameterGradient(Index hidden, std::byte* workspace) : hidden_(hidden), workspace_(workspace) {}

  template <class Blocks> static Index blocks_per_task(const Blocks& blocks) {
    return groups_per_segment(blocks) * blocks.per_group();
  }

  /// The sums of one segment, in its part of the workspace: gamma's, then beta's.
  class Segment {
   public:
    Segment(Index hidden, std::byte* memory)
        : count_(sums * padded_hidden(hidden)),
          total_(reinterpret_cast<double*>(memory)),
          group_(reinterpret_cast<T*>(total_ + count_ * Extended<T>::words)) {}
    void begin_group() { std::fill(group_, group_ + count_, T(0)); }
    void end_group() {
      if (first_group_) {
        start_total<Arch>(group_, count_, total_);
      } else {
        add_to_total<Arch>(group_, count_, total_);
      }
      first_group_ = false;
    }
    T* group_gamma() const { return group_; }
    T* group_beta() const { return group_ + count_ / sums * (sums - 1); }

   private:
    Index count_;
    double* total_;
    T* group_;
    bool first_group_ = true;
  };
  Segment begin(Index task) const { return {hidden_, memory_of(task)}; }

  /// The sums over one block's rows, at one column.
  template <class Block> struct Column {
    typename Block::RowSum gamma;
    typename Block::RowSum beta;
    template <class Lanes>
    SIMDNORM_INLINE void add(At<Lanes> at, typename Block::Vector dy, typename Block::Vector xhat) {
      gamma.add(at, dy * xhat);
      if constexpr (Beta) beta.add(at, dy);
    }
    template <class Lanes> SIMDNORM_INLINE void end(const Segment& segment, At<Lanes> column) const {
      gamma.add_to(segment.group_gamma(), column);
      if constexpr (Beta) beta.add_to(segment.group_beta(), column);
    }
  };

  /// Writes, or adds, the sums over all segments, rounded once.
  void finish(Index segments, bool accumulate, T* dgamma, T* dbeta) const {
    const Index count = sums * padded_hidden(hidden_);
    double* total = reinterpret_cast<double*>(memory_of(0));
    T* rounded = reinterpret_cast<T*>(total + count * Extended<T>::words);  // where the groups were
    for (Index s = 1; s < segments; ++s)
      add_totals<T, Arch>(reinterpret_cast<double*>(memory_of(s)), count, total);
    T* const gradients[] = {dgamma, dbeta};
    const auto each = [&](auto&& f) {
      for (Index i = 0; i < sums; ++i)
        if (gradients[i] != nullptr) f(gradients[i], rounded + i * padded_hidden(hidden_));
    };
    if (accumulate) {
      std::fill(rounded, rounded + count, T(0));
      each([&](const T* gradient, T* row) { std::copy(gradient, gradient + hidden_, row); });
      add_to_total<Arch>(rounded, count, total);
    }
    round_total<Arch>(total, count, rounded);
    each([&](T* gradient, const T* row) {
      RowsAlong<T, Arch, 1>{0}.columns(0, hidden_, [&](auto at) {
        const auto values = simd::load<simd::Vector<T, Arch>>(simd::All{}, row + at.column);
        simd::store(at.lanes, gradient + at.column, simd::canonical(values));
      });
    });
  }

 private:
  std::byte* memory_of(Index segment) const { return workspace_ + segment * segment_bytes<T>(hidden_, sums); }

  Index hidden_;
  std::byte* workspace_;
};

}  // namespace simdnorm
