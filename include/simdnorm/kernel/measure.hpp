// The first phase of forward: the moments of a block's rows, measured once for ordinary rows and again for
// those that are not.
#pragma once

#include <cmath>
#include <limits>

#include "source.hpp"
#include "statistic.hpp"

namespace simdnorm {

/// sums[r] = the statistic's sums of row r, read times scale[r], about shift[r], which is guessed from a
/// sample first if asked.
template <class Statistic, class Block, class Source, class T>
SIMDNORM_NOINLINE void fold_about(Block block, Source source, Index hidden, const T* scale, bool guess,
                                  T* shift, Extended<T> (*sums)[Statistic::sums]) {
  const auto rows = scaled(block, source, [&](int r) { return scale[r]; });
  if (guess) Statistic::shift(block, rows, hidden, shift);
  const auto shifts = block.row_values([&](int r) { return shift[r]; });
  fold<Statistic::sums>(
      block, hidden,
      [&](auto at) SIMDNORM_INLINE_LAMBDA { return Statistic::term(rows.load(block, at), shifts(at)); },
      sums);
}

/// The power of two that brings the larger of max |x| and sqrt(epsilon) near 1; 1 where it is near enough,
/// NaN where x is not finite.
template <class Block, class Source, class T>
T scale_of(const Block& block, const Source& source, Index hidden, T epsilon) {
  using V = typename Block::Vector;
  V largest = V::broadcast(T(0));
  V poison = largest;  // 0 * x: NaN as soon as one x is Inf or NaN
  block.columns(0, hidden, [&](auto column) {
    const V x = simd::keep(column.lanes, source.load(block, column));
    largest = simd::max_magnitude(largest, x);
    poison = poison + x * V::broadcast(T(0));
  });
  T of_lane[V::width], poison_of_lane[V::width];
  simd::store(simd::All{}, of_lane, largest);
  simd::store(simd::All{}, poison_of_lane, poison);
  T magnitude = static_cast<T>(simd::square_root(static_cast<double>(epsilon)));
  const int lanes =
      Block::columns_per_vector == 1 ? 1 : V::width;  // of rows that lie side by side this is the first
  for (int lane = 0; lane < lanes; ++lane) {
    if (!(poison_of_lane[lane] == T(0))) return std::numeric_limits<T>::quiet_NaN();
    magnitude = std::max(magnitude, of_lane[lane]);
  }
  const int limit = std::numeric_limits<T>::max_exponent - 2;
  const int exponent = magnitude > T(0) ? std::clamp(std::ilogb(magnitude), -limit, limit) : 0;
  return std::abs(exponent) < limit / 4 ? T(1) : std::ldexp(T(1), -exponent);
}

/// Measures one row that was not measured well at first: scaled if it is of extreme magnitude, about its
/// mean. Returns the moments of the row itself where T can hold them and x - mean cannot overflow, else those
/// of the scaled row.
template <class Statistic, class Block, class Source>
SIMDNORM_NOINLINE RowMoments<typename Statistic::Scalar> measure_again(const Block& row, const Source& source,
                                                                       const Statistic& statistic,
                                                                       Index hidden) {
  using T = typename Statistic::Scalar;
  const T scale = scale_of(row, source, hidden, statistic.epsilon);
  if (scale != scale) return {scale, scale, scale, scale};

  const double wide_scale = static_cast<double>(scale);
  const Extended<T> epsilon{
      simd::product(simd::product(static_cast<double>(statistic.epsilon), wide_scale), wide_scale)};
  T shift[static_cast<std::size_t>(Block::capacity)];
  Extended<T> sums[static_cast<std::size_t>(Block::capacity)][Statistic::sums];
  RowMoments<T> moments{};
  for (int attempt = 0; attempt < 3;
       ++attempt) {  // about the mean of a sample; about the mean; about the mean to all digits
    fold_about<Statistic>(row, source, hidden, &scale, attempt == 0, shift, sums);
    if (Statistic::finish(sums[0], shift[0], hidden, epsilon, moments)) break;
    shift[0] = moments.mean;
  }
  if (scale == T(1)) return moments;
  const double rstd = static_cast<double>(moments.rstd) * wide_scale;
  const double reach = 0x1p60;
  if (rstd < reach && rstd > 1 / reach && wide_scale > 1 / reach)
    return {moments.mean / scale, moments.mean_low / scale, static_cast<T>(rstd), T(1)};
  moments.scale = scale;
  return moments;
}

/// moments[r] = what the statistic finds on row r of the block.
template <class Statistic, class Block, class Source, class T>
SIMDNORM_INLINE void measure(const Block& block, const Source& source, const Statistic& statistic,
                             Index hidden, RowMoments<T>* moments) {
  constexpr auto capacity = static_cast<std::size_t>(Block::capacity);
  T scale[capacity], shift[capacity];
  Extended<T> sums[capacity][Statistic::sums];
  std::fill(scale, scale + block.count(), T(1));
  fold_about<Statistic>(block, source, hidden, scale, true, shift, sums);
  const Extended<T> epsilon{static_cast<double>(statistic.epsilon)};
  for (int r = 0; r < block.count(); ++r) {
    if (SIMDNORM_UNLIKELY(!Statistic::finish(sums[r], shift[r], hidden, epsilon, moments[r])))
      moments[r] = measure_again(block.row(r), source, statistic, hidden);
  }
}

/// All rows may be read as they are: none is scaled, and none is NaN.
template <class T> SIMDNORM_INLINE bool all_unscaled(const RowMoments<T>* moments, int count) {
  bool all = true;
  for (int r = 0; r < count; ++r) all &= moments[r].scale == T(1);
  return all;
}

}  // namespace simdnorm
