// What is measured on a row, and how a value is normalized by it. LayerNorm and RMSNorm differ here and in
// nothing else.
#pragma once

#include "../dispatch/call.hpp"
#include "fold.hpp"
#include "values.hpp"

namespace simdnorm {

/// The rows can be normalized in T as they are: neither x - mean nor rstd comes near the ends of T's range (nor, for
/// double, did the squares). Of the lanes that are meant.
template <class Lanes, class T, class V>
SIMDNORM_INLINE bool are_ordinary(Lanes lanes, Extended<T, V> power) {
  const double low = std::is_same_v<T, float> ? 0x1p-100 : 0x1p-900;
  const double high = std::is_same_v<T, float> ? 0x1p120 : 0x1p900;
  return simd::in_order(lanes, V::broadcast(low), power.approximate()) &&
         simd::in_order(lanes, power.approximate(), V::broadcast(high));
}

/// What is found of as many rows as a vector of doubles has elements: of RMSNorm the mean is 0, and the variance the mean
/// square.
template <class T, class V> struct Spread { Extended<T, V> mean, variance; };

/// The means over a row that dx needs: of g, the gradient of xhat, and of g * xhat.
template <class T> struct GradientMeans {
  T g;
  T g_xhat;
  /// Neither is NaN.
  SIMDNORM_INLINE bool are_numbers() const { return g_xhat == g_xhat; }
};

/// LayerNorm: mean and variance, from one pass over x - shift:
///   mean = shift + sum(x - shift)/n, kept as mean + mean_low;
///   variance = sum((x - shift)^2)/n - (sum(x - shift)/n)^2;  rstd = 1/sqrt(variance + epsilon).
/// The shift is 0, unless the difference of squares costs digits: then it is the mean that was found.
template <class T> struct Variance {
  using Scalar = T;
  using Means = GradientMeans<T>;  // what backward finds of a row
  static constexpr NormKind kind = NormKind::layer;
  static constexpr int sums = 2;
  static constexpr int chains = 1;  // of additions, in each lane
  static constexpr bool centered = true;
  T epsilon;

  template <class Doubles, class Sum> static SIMDNORM_INLINE void add(const Doubles& x, Sum* sum) {
    sum[0].add(x);
    sum[1].add_product(x, x);
  }
  /// The same of x - shift = d + rest, of which `rest` is what rounding took from d: (d + rest)^2 = d^2 + 2 d rest.
  template <class Lanes, class Vector, class Sum>
  static SIMDNORM_INLINE void add_about(Lanes lanes, Vector x, Vector shift, Sum* sum) {
    const Vector difference = x - shift;
    const Vector x_part = difference + shift;
    const auto d = simd::as_doubles(simd::keep(lanes, difference));
    const auto rest = simd::as_doubles((x - x_part) + ((x_part - difference) - shift));  // 0 where x is
    add(d, sum);
    sum[0].add(rest);
    sum[1].add_product(d, rest);
    sum[1].add_product(d, rest);
  }

  /// From the sums about `shift`.
  template <class V>
  static SIMDNORM_INLINE Spread<T, V> spread(const Extended<T, V> (&sum)[sums], V shift, Index hidden) {
    const double n = static_cast<double>(hidden);
    const Extended<T, V> offset = sum[0] / V::broadcast(n);  // of equal numbers exact
    return {Extended<T, V>{shift} + offset, mean_of(sum[1], n) - offset * offset};
  }
  /// The difference of squares says the power to 1/32 of a unit. Each of a lane's additions is off by 2^-53 of the
  /// sum of squares for float, and by 2^-78 for double, whose products keep fewer digits than its sums.
  template <class Lanes, class V>
  static SIMDNORM_INLINE bool are_precise(Lanes lanes, const Extended<T, V> (&sum)[sums], Index hidden,
                                          Extended<T, V> power) {
    const double n = static_cast<double>(hidden), additions = n / fold_lanes + 8;
    const double digits = std::is_same_v<T, float> ? 0x1p24 : 0x1p20;
    return simd::in_order(lanes, sum[1].approximate() * V::broadcast(additions / digits),
                          power.approximate() * V::broadcast(n));
  }

  /// xhat = ((x - mean) - mean_low) * rstd, or, with one rounding less once it is stored, (x - mean) * rstd and
  /// mean_low * rstd apart.
  template <class Block> class Normalizer {
   public:
    SIMDNORM_INLINE Normalizer(const Block& block, const RowMoments<T>* moments)
        : mean_(block.row_values(moments, &RowMoments<T>::mean)),
          low_(block.row_values(moments, &RowMoments<T>::mean_low)),
          rstd_(block.row_values(moments, &RowMoments<T>::rstd)) {}

    template <class Lanes> SIMDNORM_INLINE auto operator()(At<Lanes> at, typename Block::Vector x) const {
      return ((x - mean_(at)) - low_(at)) * rstd_(at);
    }
    template <class Lanes>
    SIMDNORM_INLINE Unrounded<typename Block::Vector> unrounded(At<Lanes> at,
                                                                typename Block::Vector x) const {
      return {(x - mean_(at)) * rstd_(at), low_(at) * rstd_(at)};
    }

   private:
    typename Block::RowValues mean_, low_, rstd_;
  };

  /// dx = ((g - mean(g)) - xhat * mean(g * xhat)) * rstd for g, the gradient of xhat.
  template <class Vector> static SIMDNORM_INLINE Terms<Vector, sums> gradient_term(Vector g, Vector xhat) {
    return {{g, g * xhat}};
  }
  template <class V>
  static SIMDNORM_INLINE void gradient_means(const Extended<T, V> (&sum)[sums], Index hidden, T* g,
                                             T* g_xhat) {
    mean_of(sum[0], static_cast<double>(hidden)).round(g);
    mean_of(sum[1], static_cast<double>(hidden)).round(g_xhat);
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
  using Means = GradientMeans<T>;
  static constexpr NormKind kind = NormKind::rms;
  static constexpr int sums = 1;
  static constexpr int chains = 2;
  static constexpr bool centered = false;  // and so there is no beta
  T epsilon;

  template <class Doubles, class Sum> static SIMDNORM_INLINE void add(const Doubles& x, Sum* sum) {
    sum[0].add_product(x, x);
  }
  template <class V>
  static SIMDNORM_INLINE Spread<T, V> spread(const Extended<T, V> (&sum)[sums], V /*shift*/, Index hidden) {
    return {Extended<T, V>::all(0), mean_of(sum[0], static_cast<double>(hidden))};
  }
  template <class Lanes, class V>
  static SIMDNORM_INLINE bool are_precise(Lanes, const Extended<T, V> (&)[sums], Index, Extended<T, V>) {
    return true;
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
    template <class Lanes>
    SIMDNORM_INLINE typename Block::Vector unrounded(At<Lanes> at, typename Block::Vector x) const {
      return operator()(at, x);
    }

   private:
    typename Block::RowValues rstd_;
  };

  /// dx = (g - xhat * mean(g * xhat)) * rstd for g, the gradient of xhat.
  template <class Vector> static SIMDNORM_INLINE Terms<Vector, sums> gradient_term(Vector g, Vector xhat) {
    return {{g * xhat}};
  }
  template <class V>
  static SIMDNORM_INLINE void gradient_means(const Extended<T, V> (&sum)[sums], Index hidden, T* /*g*/,
                                             T* g_xhat) {
    mean_of(sum[0], static_cast<double>(hidden)).round(g_xhat);
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

/// ScaleNorm: RMSNorm whose sums are divided by nothing: rstd = 1/sqrt(sum of squares + epsilon), and
/// dx = (g - xhat * sum(g * xhat)) * rstd.
template <class T> struct SquareSum : MeanSquare<T> {
  template <class V>
  static SIMDNORM_INLINE Spread<T, V> spread(const Extended<T, V> (&sum)[1], V shift, Index /*hidden*/) {
    return MeanSquare<T>::spread(sum, shift, 1);
  }
  template <class V>
  static SIMDNORM_INLINE void gradient_means(const Extended<T, V> (&sum)[1], Index /*hidden*/, T* g,
                                             T* g_xhat) {
    MeanSquare<T>::gradient_means(sum, 1, g, g_xhat);
  }
};

}  // namespace simdnorm
