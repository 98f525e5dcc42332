// The first phase of forward: the moments of a block's rows, measured once for ordinary rows and again for
// those that are not. (What is kept of a row, `Record`, may be something else than its moments: partial.hpp.)
#pragma once

#include <cmath>
#include <limits>

#include "blocks.hpp"
#include "source.hpp"
#include "spans.hpp"
#include "statistic.hpp"

namespace simdnorm {

/// Rows that are read as they are, before they are measured.
template <class T> SIMDNORM_INLINE void read_unscaled(RowMoments<T>* moments, int count) {
  std::fill(moments, moments + count, RowMoments<T>{T(0), T(0), T(0), T(1)});
}

/// The moments of as many rows as `lanes` means, from what was found of them. Returns variance + epsilon.
template <class Statistic, class Lanes, class T, class V>
SIMDNORM_INLINE Extended<T, V> keep(Lanes lanes, Spread<T, V> found, double epsilon, RowMoments<T>* moments) {
  const Extended<T, V> power = found.variance + Extended<T, V>::all(epsilon);
  T mean[V::width] = {}, mean_low[V::width] = {}, rstd[V::width];
  if constexpr (Statistic::centered) found.mean.split(mean, mean_low);
  inverse_square_root(power).round(rstd);
  for (int i = 0; i < simd::count_of<V>(lanes); ++i)
    moments[i] = {mean[i], mean_low[i], rstd[i], moments[i].scale};
  return power;
}

/// Keeps the rows of a block from r on, as many as `lanes` means, from their sums. Returns whether each can be normalized
/// as it is, and its moments are precise.
template <class Statistic, class Lanes, class V, class T, class Record>
SIMDNORM_INLINE bool finish_rows(Lanes lanes, const Extended<T, V> (&sums)[Statistic::sums], Index hidden,
                                 double epsilon, Record* moments) {
  const Extended<T, V> power =
      keep<Statistic>(lanes, Statistic::spread(sums, V::broadcast(0), hidden), epsilon, moments);
  return are_ordinary(lanes, power) && Statistic::are_precise(lanes, sums, hidden, power);
}

/// The same of row r.
template <class Statistic, class Sums, class Record>
SIMDNORM_INLINE bool finish_row(const Sums& sums, int r, Index hidden, double epsilon, Record* moments) {
  Extended<typename Statistic::Scalar, OneNumber> sum[Statistic::sums];
  sums.load_row(r, sum);
  return finish_rows<Statistic>(simd::All{}, sum, hidden, epsilon, moments + r);
}
/// The same row by row, with measured[r] for each.
template <class Statistic, class Sums, class Record>
SIMDNORM_COLD void finish_each_row(const Sums& sums, int count, Index hidden, double epsilon, bool* measured,
                                   Record* moments) {
  for (int r = 0; r < count; ++r) measured[r] = finish_row<Statistic>(sums, r, hidden, epsilon, moments);
}

/// Contiguous rows that are folded about zero at once: two where vectors are so wide that a row's sums are few, and wait for the
/// additions before. (Rows of double, and those that are made, are as fast one by one, or faster: benchmarks/README.md.)
template <class Statistic, class Block, class Source> inline constexpr int rows_folded = 1;
template <class Statistic, class T, class Arch, class U>
inline constexpr int rows_folded<Statistic, BlockAlong<T, Arch>, LoadedRows<U>> =
    simd::Vector<T, Arch>::width == 16 && Statistic::chains == 1 ? 2 : 1;
template <class Statistic, class Block, class Source>
inline constexpr int rows_folded<Statistic, Block, FetchedAsRead<Source>> =
    rows_folded<Statistic, Block, Source>;

/// Folds columns of the rows of a block, read times moments[r].scale, about zero.
template <class Statistic, class Block, class Source, class Record, class Sums>
SIMDNORM_KERNEL void sum_about_zero(Block block, const Source& source_of_rows, Columns columns,
                                    const Record* moments, Sums& sums) {
  const Source source_to_make = source_of_rows;
  const auto& source = made_before(block, columns, source_to_make);
  block.template folded<rows_folded<Statistic, Block, Source>>(
      [&](const auto& rows, int first) SIMDNORM_BODY {
        const auto& values = scaled(rows, source, moments + first);
        fold(rows, columns,
             each_column<Statistic::sums, Statistic::chains>(
                 [&](auto at, auto* sum) SIMDNORM_BODY { Statistic::add(values.doubles(rows, at), sum); }),
             sums, first);
      });
}
/// The same about the means that were found.
template <class Statistic, class Block, class Source, class Record, class Sums>
SIMDNORM_KERNEL SIMDNORM_COLD void sum_about_means(Block block, const Source& source, Columns columns,
                                                   const Record* moments, Sums& sums) {
  block.folded([&](const auto& rows, int first) {
    const auto& values = scaled(rows, source, moments + first);
    const auto mean = rows.row_values(moments + first, &Record::mean);
    fold(rows, columns, each_column<Statistic::sums>([&](auto at, auto* sum) SIMDNORM_BODY {
           Statistic::add_about(at.lanes, values.load(rows, at), mean(at), sum);
         }),
         sums, first);
  });
}

/// Measures the rows of a block by one fold. Returns whether all could be measured so; else measured[r] says which.
template <class Statistic, class Block, class Source, class Record, class Threads>
SIMDNORM_KERNEL bool measure_about_zero(const Block& block, const Source& source, const Spans<Threads>& spans,
                                        double epsilon, bool* measured, Record* moments) {
  using Sums = SumsOf<Block, Statistic::sums>;
  using V = typename Sums::Vector;
  const int count = block.count();
  Sums sums;
  const auto fold_columns = [&](Columns columns, Sums& to) SIMDNORM_INLINE_LAMBDA {
    sum_about_zero<Statistic>(block, source, columns, moments, to);
  };
  fold_spans(spans, count, fold_columns, sums);
  bool all = true;
  if (count == 1) {
    all = finish_row<Statistic>(sums, 0, spans.hidden, epsilon, moments);
  } else {
    for (int r = 0; r < count; r += V::width) {
      Extended<typename Statistic::Scalar, V> sum[Statistic::sums];
      sums.load(r, count, sum);
      simd::with_lanes<V>(count - r, [&](auto lanes) SIMDNORM_BODY {
        all &= finish_rows<Statistic>(lanes, sum, spans.hidden, epsilon, moments + r);
      });
    }
  }
  if (SIMDNORM_UNLIKELY(!all))
    finish_each_row<Statistic>(sums, count, spans.hidden, epsilon, measured, moments);
  return all;
}

/// Measures the rows of a block again that are not yet `measured`, about the means that were found. The squares have
/// digits to spare then: such a mean is off by less than a deviation, or the row is constant.
template <class Statistic, class Block, class Source, class Record, class Threads>
SIMDNORM_COLD void measure_about_means(const Block& block, const Source& source, const Spans<Threads>& spans,
                                       double epsilon, bool* measured, Record* moments) {
  if constexpr (Statistic::centered) {
    using Sums = SumsOf<Block, Statistic::sums>;
    Sums sums;
    const auto fold_columns = [&](Columns columns, Sums& to) {
      sum_about_means<Statistic>(block, source, columns, moments, to);
    };
    fold_spans(spans, block.count(), fold_columns, sums);
    for (int r = 0; r < block.count(); ++r) {
      if (measured[r]) continue;
      Extended<typename Statistic::Scalar, OneNumber> sum[Statistic::sums];
      sums.load_row(r, sum);
      const OneNumber mean = OneNumber::broadcast(static_cast<double>(moments[r].mean));
      const simd::All one;
      measured[r] = are_ordinary(
          one, keep<Statistic>(one, Statistic::spread(sum, mean, spans.hidden), epsilon, moments + r));
    }
  }
}

/// The power of two that brings numbers of 2^exponent near 1; 1 where they are near enough.
template <class T> SIMDNORM_INLINE T scale_for(int exponent) {
  const int limit = std::numeric_limits<T>::max_exponent - 2;
  return std::abs(exponent) < limit / 4 ? T(1) : std::ldexp(T(1), -std::clamp(exponent, -limit, limit));
}

/// That of the larger of max |x| and sqrt(epsilon); NaN where x is not finite. For a block of one row across rows.
template <class Row, class Source, class T>
SIMDNORM_KERNEL SIMDNORM_COLD T scale_of(const Row& row, const Source& source, Index hidden, T epsilon) {
  using V = typename Row::Vector;
  V largest = V::broadcast(T(0));
  V poison = largest;  // 0 * x: NaN as soon as one x is Inf or NaN
  row.columns(0, hidden, [&](auto column) {
    row.rows(column, [&](auto at) {
      const V x = source.load(row, at);
      largest = simd::max_magnitude(largest, x);
      poison = poison + x * V::broadcast(T(0));
    });
  });
  T magnitude[V::width], not_finite[V::width];  // the row is the first element
  simd::store(simd::All{}, magnitude, largest);
  simd::store(simd::All{}, not_finite, poison);
  if (!(not_finite[0] == T(0))) return std::numeric_limits<T>::quiet_NaN();
  const T reach = std::max(magnitude[0], static_cast<T>(simd::square_root(static_cast<double>(epsilon))));
  return scale_for<T>(reach > T(0) ? std::ilogb(reach) : 0);
}

/// The only value of a finite row that has no other; else NaN. For a block of one row across rows.
template <class Row, class Source>
SIMDNORM_KERNEL SIMDNORM_COLD typename Row::Scalar constant_of(const Row& row, const Source& source,
                                                               Index hidden) {
  using T = typename Row::Scalar;
  using V = typename Row::Vector;
  V first = V::broadcast(T(0));
  V apart = first;
  row.columns(0, hidden, [&](auto column) {
    row.rows(column, [&](auto at) {
      const V x = source.load(row, at);
      if (at.column == 0) first = x;
      apart = simd::max_magnitude(apart, x - first);
    });
  });
  T value[V::width], difference[V::width];  // the row is the first element
  simd::store(simd::All{}, value, first);
  simd::store(simd::All{}, difference, apart);
  return difference[0] == T(0) ? value[0] : std::numeric_limits<T>::quiet_NaN();
}

/// 1/sqrt(epsilon) of any magnitude; 0 for 0 and for infinity: a constant row is normalized to 0 then. Scaled by an even
/// power of two on the way.
template <class T> SIMDNORM_COLD T rstd_of_epsilon(T epsilon) {
  if (!(epsilon > T(0) && std::isfinite(epsilon))) return T(0);
  int exponent = 0;
  const double fraction = std::frexp(static_cast<double>(epsilon), &exponent);
  T rstd = T(0);
  inverse_square_root(Extended<T>{std::ldexp(fraction, exponent % 2)}).round(&rstd);
  return std::ldexp(rstd, -(exponent / 2));
}

/// Moments of a scaled row as those of a row scaled so that rstd is near 1: rstd times a gradient does not overflow before
/// the scale brings it back. A mean, or the rest of one, near the subnormal numbers is 0: what is left of it would hang on the
/// scale that it was measured with. (Scales of one row lie less than 2^24 apart.)
template <class T> SIMDNORM_COLD RowMoments<T> with_rstd_near_one(const RowMoments<T>& moments) {
  if (!(moments.rstd > T(0))) return moments;
  const int limit = std::numeric_limits<T>::max_exponent - 2, of_scale = std::ilogb(moments.scale);
  const int exponent = std::clamp(std::ilogb(moments.rstd), -limit - of_scale, limit - of_scale);
  const T up = std::ldexp(T(1), exponent), down = std::ldexp(T(1), -exponent);
  constexpr T least = std::numeric_limits<T>::min() * T(1 << 24);
  const auto or_zero = [&](T number) { return std::abs(number) < least ? T(0) : number; };
  return {or_zero(moments.mean * up), or_zero(moments.mean_low * up), moments.rstd * down,
          moments.scale * up};
}

/// Moments of a scaled row as those of the row itself where T can hold them and x - mean cannot overflow, else as those of
/// another scale.
template <class T> SIMDNORM_INLINE RowMoments<T> brought_back(RowMoments<T> moments) {
  const T scale = moments.scale;
  if (!std::isfinite(moments.rstd)) moments.rstd = T(0);  // 1/sqrt(0), of a row of zeros; 1/sqrt(infinity)
  if (scale == T(1)) return moments;
  const double rstd = static_cast<double>(moments.rstd) * static_cast<double>(scale);
  const double reach = 0x1p60;
  if (rstd < reach && rstd > 1 / reach)
    return {moments.mean / scale, moments.mean_low / scale, static_cast<T>(rstd), T(1)};
  return with_rstd_near_one(moments);
}

/// epsilon of a row times `scale`.
template <class T> SIMDNORM_INLINE double scaled_epsilon(T epsilon, T scale) {
  const double wide_scale = static_cast<double>(scale);
  return simd::product(simd::product(static_cast<double>(epsilon), wide_scale), wide_scale);
}

/// Measures one row, read times record->scale.
template <class Statistic, class Row, class Source, class Record, class Threads>
SIMDNORM_COLD void measure_alone(const Row& row, const Source& source, const Statistic& statistic,
                                 const Spans<Threads>& spans, Record* record) {
  const double epsilon = scaled_epsilon(statistic.epsilon, record->scale);
  bool measured = true;
  if (!measure_about_zero<Statistic>(row, source, spans, epsilon, &measured, record))
    measure_about_means<Statistic>(row, source, spans, epsilon, &measured, record);
}

/// Measures one row that cannot be normalized as it is: of extreme magnitude, constant, or not finite. (The
/// variance of a constant row is epsilon alone, which a scale could bring out of range.)
template <class Statistic, class Row, class Source, class T, class Threads>
SIMDNORM_COLD void measure_scaled(const Row& row, const Source& source, const Statistic& statistic,
                                  const Spans<Threads>& spans, RowMoments<T>* moments) {
  const T scale = scale_of(row, source, spans.hidden, statistic.epsilon);
  *moments = {scale, scale, scale, scale};
  if (scale != scale) return;
  if constexpr (Statistic::centered) {
    const T value = constant_of(row, source, spans.hidden);
    if (value == value) {
      *moments = {value, T(0), rstd_of_epsilon(statistic.epsilon), T(1)};
      return;
    }
  }
  measure_alone(row, source, statistic, spans, moments);
  *moments = brought_back(*moments);
}

/// The rows that the first fold did not measure.
template <class Statistic, class Block, class Source, class Record, class Threads>
SIMDNORM_COLD void measure_again(const Block& block, const Source& source, const Statistic& statistic,
                                 const Spans<Threads>& spans, bool* measured, Record* moments) {
  measure_about_means<Statistic>(block, source, spans, static_cast<double>(statistic.epsilon), measured,
                                 moments);
  for (int r = 0; r < block.count(); ++r) {
    if (!measured[r]) measure_scaled(block.row(r), source, statistic, spans, moments + r);
  }
}

/// moments[r] = what the statistic finds on row r of the block.
template <class Statistic, class Block, class Source, class Record, class Threads>
SIMDNORM_INLINE void measure(const Block& block, const Source& source, const Statistic& statistic,
                             const Spans<Threads>& spans, Record* moments) {
  bool measured[static_cast<std::size_t>(Block::capacity)];
  read_unscaled(moments, block.count());
  if (SIMDNORM_UNLIKELY(!measure_about_zero<Statistic>(
          block, source.first(), spans, static_cast<double>(statistic.epsilon), measured, moments)))
    measure_again(block, read_again(source), statistic, spans, measured, moments);
}

/// All rows may be read as they are: none is scaled, and none is NaN.
template <class T> SIMDNORM_INLINE bool all_unscaled(const RowMoments<T>* moments, int count) {
  bool all = true;
  for (int r = 0; r < count; ++r) all &= moments[r].scale == T(1);
  return all;
}

}  // namespace simdnorm
