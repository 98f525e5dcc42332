// The first phase of backward: the means over a row that dx needs. (What is kept of a row may be something else: partial.hpp,
// double_backward.hpp.)
#pragma once

#include <cmath>
#include <limits>

#include "source.hpp"
#include "spans.hpp"
#include "statistic.hpp"

namespace simdnorm {

/// The means of as many rows as a vector has elements, or of the first `count`, from their sums over columns, which are divided
/// by `divisor`; NaN where one of the two is not finite.
template <class Statistic, class T, class V>
SIMDNORM_INLINE void keep_sums(const Extended<T, V> (&sum)[Statistic::sums], Index divisor, int count,
                               GradientMeans<T>* means) {
  T g[V::width] = {}, g_xhat[V::width];
  Statistic::gradient_means(sum, divisor, g, g_xhat);
  for (int r = 0; r < std::min(V::width, count); ++r) {
    means[r] = {g[r], g_xhat[r]};
    if (SIMDNORM_UNLIKELY(!(std::isfinite(means[r].g) && std::isfinite(means[r].g_xhat))))
      means[r] = {std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::quiet_NaN()};
  }
}

/// Folds columns of the rows of a block into the sums that dx needs; `scale` maps dy to g, the gradient of xhat.
template <class Statistic, class Block, class Dy, class X, class Scale, class T, class Sums>
SIMDNORM_KERNEL void sum_gradients(Block block, Columns columns, const Dy& dy_of_rows, const X& x_of_rows,
                                   const Scale& scale_of_rows, const RowMoments<T>* moments, Sums& sums) {
  const Dy dy_to_make = dy_of_rows;
  const X x = x_of_rows;
  const Scale scale = scale_of_rows;
  const auto& dy = made_before(block, columns, dy_to_make);
  block.folded([&](const auto& rows, int first) SIMDNORM_BODY {
    using Rows = std::decay_t<decltype(rows)>;
    const auto& values = scaled(rows, x, moments + first);
    const typename Statistic::template Normalizer<Rows> xhat(rows, moments + first);
    fold(rows, columns, four_at_once<Statistic::sums>([&](auto at) SIMDNORM_BODY {
           const auto g = scale.at(rows, at)(dy.load(rows, at));
           return Statistic::gradient_term(g, xhat(at, values.load(rows, at)));
         }),
         sums, first);
  });
}

/// means[r] = the means over row r that dx needs; NaN, and so will be dx, where one of them is not finite. (Of a part of the
/// rows, their sums: partial.hpp.)
template <class Statistic, class Block, class Dy, class X, class Scale, class T, class Record, class Threads>
SIMDNORM_NOINLINE void gradient_means(const Block& block, const Spans<Threads>& spans, Index divisor,
                                      const Dy& dy, const X& x, const Scale& scale,
                                      const RowMoments<T>* moments, Record* means) {
  using Sums = SumsOf<Block, Statistic::sums>;
  using V = typename Sums::Vector;
  const int count = block.count();
  Sums sums;
  const auto fold_columns = [&](Columns columns, Sums& to) SIMDNORM_INLINE_LAMBDA {
    sum_gradients<Statistic>(block, columns, dy, x, scale, moments, to);
  };
  fold_spans(spans, count, fold_columns, sums);
  if (count == 1) {
    Extended<T, OneNumber> sum[Statistic::sums];
    sums.load_row(0, sum);
    keep_sums<Statistic>(sum, divisor, 1, means);
  } else {
    for (int first = 0; first < count; first += V::width) {
      Extended<T, V> sum[Statistic::sums];
      sums.load(first, count, sum);
      keep_sums<Statistic>(sum, divisor, count - first, means + first);
    }
  }
}

/// The means that backward takes: of rows that are all here. (Of others: merged.hpp, first_columns.hpp.)
template <class Statistic, class Block, class Dy, class X, class Scale, class T, class Means, class Threads>
SIMDNORM_INLINE void find_means(const Statistic& /*statistic*/, const Block& block,
                                const Spans<Threads>& spans, const Dy& dy, const X& x, const Scale& scale,
                                const RowMoments<T>* moments, Means* means) {
  gradient_means<Statistic>(block, spans, spans.hidden, dy, x, scale, moments, means);
}

}  // namespace simdnorm
