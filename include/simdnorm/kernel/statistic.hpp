// What is measured on a row, and how a value is normalized by it. LayerNorm and RMSNorm differ here and in
// nothing else.
#pragma once

#include "fold.hpp"

namespace simdnorm {

/// The statistic lies where T's arithmetic measured it well: squares neither overflowed nor lost digits by
/// underflow.
template <class T> inline bool is_ordinary(Extended<T> power) {
  const double low = std::is_same_v<T, float> ? 0x1p-100 : 0x1p-900;
  const double high = std::is_same_v<T, float> ? 0x1p120 : 0x1p900;
  return power.approximate() >= low && power.approximate() <= high;  // false for NaN
}

/// 1/sqrt(power); 0 for a power of 0: a constant row with epsilon 0 is normalized to 0.
template <class T> inline T rstd_of(Extended<T> power) {
  return power.approximate() > 0 ? inverse_square_root(power) : T(0);
}

/// LayerNorm: mean and variance, from one pass over d = x - shift for a shift near the mean:
///   mean = shift + sum(d)/n, kept as mean + mean_low;
///   variance = sum(d^2)/n - (sum(d)/n)^2;  rstd = 1/sqrt(variance + epsilon).
/// Where |mean - shift| exceeds half the root, the difference of squares would cost digits: measured again
/// about the mean.
template <class T> struct Variance {
  using Scalar = T;
  static constexpr int sums = 2;
  static constexpr bool centered = true;
  T epsilon;

  template <class Block, class Source>
  static SIMDNORM_INLINE void shift(const Block& block, const Source& source, Index hidden, T* shift) {
    sample_mean(block, source, hidden, shift);
  }
  template <class Vector> static SIMDNORM_INLINE Terms<Vector, sums> term(Vector x, Vector shift) {
    const Vector d = simd::sub_by_multiplier(x, shift);
    return {{d, d * d}};
  }
  /// False where the row must be measured again.
  static SIMDNORM_INLINE bool finish(const Extended<T> (&sum)[sums], T shift, Index hidden,
                                     Extended<T> epsilon, RowMoments<T>& moments) {
    const double n = static_cast<double>(hidden);
    const Extended<T> offset = sum[0] / n;
    const Extended<T> offset_square = offset * offset;
    const Extended<T> power = (sum[1] / n - offset_square) + epsilon;
    const Extended<T> mean = Extended<T>{static_cast<double>(shift)} + offset;
    moments = {mean.high(), mean.low(), rstd_of<T>(power), T(1)};
    return is_ordinary<T>(power) && 4 * offset_square.approximate() <= power.approximate();
  }

  /// xhat = ((x - mean) - mean_low) * rstd.
  template <class Block> class Normalizer {
   public:
    SIMDNORM_INLINE Normalizer(const Block& block, const RowMoments<T>* moments)
        : mean_(block.row_values([&](int r) { return moments[r].mean; })),
          low_(block.row_values([&](int r) { return moments[r].mean_low; })),
          rstd_(block.row_values([&](int r) { return moments[r].rstd; })) {}

    template <class Lanes>
    SIMDNORM_INLINE typename Block::Vector operator()(At<Lanes> at, typename Block::Vector x) const {
      return ((x - mean_(at)) - low_(at)) * rstd_(at);
    }

   private:
    typename Block::RowValues mean_, low_, rstd_;
  };

  /// dx = ((g - mean(g)) - xhat * mean(g * xhat)) * rstd for g, the gradient of xhat.
  template <class Vector> static SIMDNORM_INLINE Terms<Vector, sums> gradient_term(Vector g, Vector xhat) {
    return {{g, g * xhat}};
  }
  template <class Block> class InputGradient {
   public:
    SIMDNORM_INLINE InputGradient(const Block& block, const RowMoments<T>* moments,
                                  const Extended<T> (*sum)[sums], double n)
        : g_(block.row_values([&](int r) { return (sum[r][0] / n).high(); })),
          g_xhat_(block.row_values([&](int r) { return (sum[r][1] / n).high(); })),
          rstd_(block.row_values([&](int r) { return moments[r].rstd; })) {}

    template <class Lanes>
    SIMDNORM_INLINE typename Block::Vector operator()(At<Lanes> at, typename Block::Vector g,
                                                      typename Block::Vector xhat) const {
      return ((g - g_(at)) - xhat * g_xhat_(at)) * rstd_(at);
    }

   private:
    typename Block::RowValues g_, g_xhat_, rstd_;
  };
};

/// RMSNorm: the mean square; rstd = 1/sqrt(mean square + epsilon).
template <class T> struct MeanSquare {
  using Scalar = T;
  static constexpr int sums = 1;
  static constexpr bool centered = false;  // and so there is no beta
  T epsilon;

  template <class Block, class Source>
  static SIMDNORM_INLINE void shift(const Block& block, const Source&, Index, T* shift) {
    for (int r = 0; r < block.count(); ++r) shift[r] = T(0);
  }
  template <class Vector> static SIMDNORM_INLINE Terms<Vector, sums> term(Vector x, Vector /*shift*/) {
    return {{x * x}};
  }
  static SIMDNORM_INLINE bool finish(const Extended<T> (&sum)[sums], T /*shift*/, Index hidden,
                                     Extended<T> epsilon, RowMoments<T>& moments) {
    const Extended<T> power = sum[0] / static_cast<double>(hidden) + epsilon;
    moments = {T(0), T(0), rstd_of<T>(power), T(1)};
    return is_ordinary<T>(power);
  }

  /// xhat = x * rstd.
  template <class Block> class Normalizer {
   public:
    SIMDNORM_INLINE Normalizer(const Block& block, const RowMoments<T>* moments)
        : rstd_(block.row_values([&](int r) { return moments[r].rstd; })) {}

    template <class Lanes>
    SIMDNORM_INLINE typename Block::Vector operator()(At<Lanes> at, typename Block::Vector x) const {
      return x * rstd_(at);
    }

   private:
    typename Block::RowValues rstd_;
  };

  /// dx = (g - xhat * mean(g * xhat)) * rstd for g, the gradient of xhat.
  template <class Vector> static SIMDNORM_INLINE Terms<Vector, sums> gradient_term(Vector g, Vector xhat) {
    return {{g * xhat}};
  }
  template <class Block> class InputGradient {
   public:
    SIMDNORM_INLINE InputGradient(const Block& block, const RowMoments<T>* moments,
                                  const Extended<T> (*sum)[sums], double n)
        : g_xhat_(block.row_values([&](int r) { return (sum[r][0] / n).high(); })),
          rstd_(block.row_values([&](int r) { return moments[r].rstd; })) {}

    template <class Lanes>
    SIMDNORM_INLINE typename Block::Vector operator()(At<Lanes> at, typename Block::Vector g,
                                                      typename Block::Vector xhat) const {
      return (g - xhat * g_xhat_(at)) * rstd_(at);
    }

   private:
    typename Block::RowValues g_xhat_, rstd_;
  };
};

}  // namespace simdnorm
