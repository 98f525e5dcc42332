// The gradients of gamma and beta: dgamma = sum over rows of dy * xhat, dbeta = sum over rows of dy.
//
// Rows are cut into segments whose number and borders depend on the shape alone. In a segment, what the rows that
// are mapped together add, a sum in T of two of them (of four, where rows lie side by side), is added to totals in
// Extended<T>; the segments' totals are added in order. So the bits do not depend on the number of threads, and
// errors do not grow with the number of rows.
#pragma once

#include <cstddef>
#include <memory>

#include "blocks.hpp"

namespace simdnorm {

/// Where backward is not asked for gradients of parameters.
struct NoParameterGradient {
  template <class Blocks> static Index blocks_per_task(const Blocks& blocks) { return blocks.per_task(); }
  static NoParameterGradient begin(Index /*task*/) { return {}; }

  template <class Block> struct Column {
    template <class Lanes>
    SIMDNORM_INLINE void add(const Block&, At<Lanes>, typename Block::Vector /*dy*/,
                             typename Block::Vector /*xhat*/) {}
    template <class Lanes> SIMDNORM_INLINE void end(const NoParameterGradient&, At<Lanes>) const {}
  };
};

/// So few segments that their totals cost little, each of so many rows, which are whole blocks; and so many
/// segments that many threads find work.
inline constexpr Index segment_min_rows = 64;
inline constexpr Index segment_limit = 64;

/// Blocks in one segment.
template <class Blocks> Index blocks_per_segment(const Blocks& blocks) {
  const Index smallest = segment_min_rows / blocks.rows_per_block();
  return std::max(smallest, (blocks.count() + segment_limit - 1) / segment_limit);
}
template <class Blocks> Index segment_count(const Blocks& blocks) {
  return (blocks.count() + blocks_per_segment(blocks) - 1) / blocks_per_segment(blocks);
}

/// Arrays of one number a column are padded so that a whole vector may begin at any column: beyond its lanes it adds 0.
constexpr Index padded_hidden(Index hidden) {
  return (hidden + 2 * (fold_lanes - 1)) / fold_lanes * fold_lanes;
}

/// The totals of one segment, for `sums` gradients, in numbers of double.
template <class T> constexpr Index segment_doubles(Index hidden, Index sums) {
  return sums * padded_hidden(hidden) * Extended<T>::words;
}
/// Bytes of the workspace for `segments` of them.
template <class T> constexpr Index workspace_bytes(Index segments, Index hidden, Index sums) {
  return segments * segment_doubles<T>(hidden, sums) * static_cast<Index>(sizeof(double));
}

/// dgamma and, if Beta, dbeta, with `workspace` for all segments. Both are summed where one of them is
/// wanted: the other costs two additions a column, and is not worth kernels of its own.
/// `Xhat` maps xhat to what gamma was multiplied with.
template <class T, class Arch, bool Beta, class Xhat> class ParameterGradient {
 public:
  static constexpr Index sums = Beta ? 2 : 1;

  ParameterGradient(Index hidden, void* workspace)
      : hidden_(hidden), totals_(static_cast<double*>(workspace)) {}

  template <class Blocks> static Index blocks_per_task(const Blocks& blocks) {
    return blocks_per_segment(blocks);
  }

  /// The totals of one segment, gamma's, then beta's: `count` numbers in all.
  struct Segment {
    Index count;
    double* gamma;
    double* beta;
  };
  Segment begin(Index task) const {
    double* const total = totals_of(task);
    std::fill(total, total + segment_doubles<T>(hidden_, sums), 0.0);
    return {sums * padded_hidden(hidden_), total, total + padded_hidden(hidden_)};
  }

  /// The sums over one block's rows, at one column.
  template <class Block> struct Column {
    typename Block::RowSum gamma;
    typename Block::RowSum beta;
    template <class Lanes>
    SIMDNORM_INLINE void add(const Block&, At<Lanes> at, typename Block::Vector dy,
                             typename Block::Vector xhat) {
      gamma.add(at, dy * Xhat::of(xhat));
      if constexpr (Beta) beta.add(at, dy);
    }
    template <class Lanes> SIMDNORM_INLINE void end(const Segment& segment, At<Lanes> at) const {
      gamma.add_to(segment.gamma, segment.count, at.column);
      if constexpr (Beta) beta.add_to(segment.beta, segment.count, at.column);
    }
  };

  /// Writes, or adds, the sums over all segments, rounded once.
  template <class G> void finish(Index segments, bool accumulate, G* dgamma, G* dbeta) const {
    const Index padded = padded_hidden(hidden_), count = sums * padded;
    double* const total = totals_of(0);
    for (Index s = 1; s < segments; ++s) add_totals<T, Arch>(totals_of(s), count, count, total);
    if (dgamma != nullptr) finish(total, count, accumulate, dgamma);
    if (Beta && dbeta != nullptr) finish(total + padded, count, accumulate, dbeta);
  }

 private:
  template <class G> void finish(const double* total, Index count, bool accumulate, G* gradient) const {
    RowsAlong<T, Arch, 1>{0}.columns(0, hidden_, [&](auto at) SIMDNORM_INLINE_LAMBDA {
      VectorSum<T, Arch> sum;
      sum.load(total + at.column, count);
      if (accumulate) sum.add(simd::load_doubles<simd::Vector<T, Arch>>(at.lanes, gradient + at.column));
      sum.round(at.lanes, gradient + at.column);
    });
  }
  double* totals_of(Index segment) const { return totals_ + segment * segment_doubles<T>(hidden_, sums); }

  Index hidden_;
  double* totals_;
};

}  // namespace simdnorm
