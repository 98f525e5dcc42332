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

/// 1/sqrt(power); 0 for a power of 0: a constant row with epsilon 0 is normalized to 0, as all are with an infinite
/// epsilon.
template <class T> inline T rstd_of(Extended<T> power) {
  return power.approximate() > 0 && std::isfinite(power.approximate()) ? inverse_square_root(power) : T(0);
}

/// The means over a row that dx needs: of g, the gradient of xhat, and of g * xhat.
template <class T> struct GradientMeans {
  T g;
  T g_xhat;
};

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

  /// A first mean, from a sample.
  template <class Block, class Source>
  static SIMDNORM_INLINE void guess(const Block& block, const Source& source, Index hidden,
                                    RowMoments<T>* moments) {
    sample_mean(block, source, hidden, moments);
  }
  template <class Vector> static SIMDNORM_INLINE Terms<Vector, sums> term(Vector x, Vector shift) {
    const Vector d = simd::sub_by_multiplier(x, shift);
    return {{d, d * d}};
  }
  /// The moments from the sums about moments.mean; false where the row must be measured again.
  static SIMDNORM_INLINE bool finish(const Extended<T> (&sum)[sums], Index hidden, Extended<T> epsilon,
                                     RowMoments<T>& moments) {
    const double n = static_cast<double>(hidden);
    const Extended<T> offset = mean_of(sum[0], n);
    const Extended<T> offset_square = offset * offset;
    const Extended<T> power = (mean_of(sum[1], n) - offset_square) + epsilon;
    const Extended<T> mean = Extended<T>{static_cast<double>(moments.mean)} + offset;
    moments = {mean.high(), mean.low(), rstd_of<T>(power), moments.scale};
    return is_ordinary<T>(power) && 4 * offset_square.approximate() <= power.approximate();
  }

  /// xhat = ((x - mean) - mean_low) * rstd.
  template <class Block> class Normalizer {
   public:
    SIMDNORM_INLINE Normalizer(const Block& block, const RowMoments<T>* moments)
        : mean_(block.row_values(moments, &RowMoments<T>::mean)),
          low_(block.row_values(moments, &RowMoments<T>::mean_low)),
          rstd_(block.row_values(moments, &RowMoments<T>::rstd)) {}

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
  static SIMDNORM_INLINE GradientMeans<T> gradient_means(const Extended<T> (&sum)[sums], Index hidden) {
    const double n = static_cast<double>(hidden);
    return {mean_of(sum[0], n).high(), mean_of(sum[1], n).high()};
  }
  template <class Block> class InputGradient {
   public:
    SIMDNORM_INLINE InputGradient(const Block& block, const RowMoments<T>* moments,
                                  const GradientMeans<T>* means)
        : g_(block.row_values(means, &GradientMeans<T>::g)),
          g_xhat_(block.row_values(means, &GradientMeans<T>::g_xhat)),
          rstd_(block.row_values(moments, &RowMoments<T>::rstd)) {}

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
  static SIMDNORM_INLINE void guess(const Block&, const Source&, Index, RowMoments<T>*) {}
  template <class Vector> static SIMDNORM_INLINE Terms<Vector, sums> term(Vector x, Vector /*shift*/) {
    return {{x * x}};
  }
  static SIMDNORM_INLINE bool finish(const Extended<T> (&sum)[sums], Index hidden, Extended<T> epsilon,
                                     RowMoments<T>& moments) {
    const Extended<T> power = mean_of(sum[0], static_cast<double>(hidden)) + epsilon;
    moments = {T(0), T(0), rstd_of<T>(power), moments.scale};
    return is_ordinary<T>(power);
  }

  /// xhat = x * rstd.
  template <class Block> class Normalizer {
   public:
    SIMDNORM_INLINE Normalizer(const Block& block, const RowMoments<T>* moments)
        : rstd_(block.row_values(moments, &RowMoments<T>::rstd)) {}

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
  static SIMDNORM_INLINE GradientMeans<T> gradient_means(const Extended<T> (&sum)[sums], Index hidden) {
    return {T(0), mean_of(sum[0], static_cast<double>(hidden)).high()};
  }
  template <class Block> class InputGradient {
   public:
    SIMDNORM_INLINE InputGradient(const Block& block, const RowMoments<T>* moments,
                                  const GradientMeans<T>* means)
        : g_xhat_(block.row_values(means, &GradientMeans<T>::g_xhat)),
          rstd_(block.row_values(moments, &RowMoments<T>::rstd)) {}

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
