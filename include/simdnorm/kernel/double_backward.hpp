// Double backward, as policies of the backward driver: what maps the gradients of dx, dgamma and dbeta to those of dy, x and
// gamma.
//
//   g = dy * gamma,  u = dy * ddgamma,  J a = (a - mean(a) - xhat * mean(a * xhat)) * rstd, of RMSNorm without mean(a)
//   ddy = gamma * J ddx + ddgamma * xhat + ddbeta,  dgamma = sum over rows of dy * J ddx
//   dx = J u - rstd * (mean(g * xhat) * J ddx + mean(ddx * xhat) * J g + rstd * xhat * rest)
//   rest = mean(ddx * g) - mean(ddx) mean(g) - mean(ddx * xhat) mean(g * xhat)
// J is symmetric, d xhat = J dx and d rstd = -rstd^2 mean(xhat * dx), with epsilon too: this is exact.
#pragma once

#include "backward.hpp"
#include "two_norms.hpp"

namespace simdnorm {

// --- what is read: dy and ddx, of which a scale makes all that a place needs ---

/// Rows of zeros, which lie nowhere.
struct ZeroRows {
  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector load(const Block&, At<Lanes>) const {
    return Block::Vector::broadcast(0);
  }
  template <class Block, class Lanes, class Ahead> static void fetch(const Block&, At<Lanes>, Ahead) {}
};
template <class T> ZeroRows source_of(std::nullptr_t) { return {}; }

/// Everything of a place that is not xhat.
template <class Vector> struct SecondOrderInputs {
  Vector dy, ddx, gamma, ddgamma, ddbeta;

  SIMDNORM_INLINE Vector g() const { return dy * gamma; }
  SIMDNORM_INLINE Vector u() const { return dy * ddgamma; }
};

/// gamma, as Scale takes it, and the gradients of dgamma and dbeta: (hidden), or absent, which is 0.
template <class Scale, class W, class B> struct SecondOrderScale {
  Scale scale;
  Parameter<W> ddgamma;
  Parameter<B> ddbeta;

  template <class Vector> struct AtColumn {
    Vector gamma, ddgamma, ddbeta;
    SIMDNORM_INLINE SecondOrderInputs<Vector> operator()(const Two<Vector>& dy_and_ddx) const {
      return {dy_and_ddx.first, dy_and_ddx.second, gamma, ddgamma, ddbeta};
    }
  };
  template <class Block, class Lanes>
  SIMDNORM_INLINE AtColumn<typename Block::Vector> at(const Block& block, At<Lanes> column) const {
    return {scale.at(block, column).gamma, block.parameter(ddgamma, column), block.parameter(ddbeta, column)};
  }
};
template <class Scale, class W, class B>
SecondOrderScale(Scale, Parameter<W>, Parameter<B>) -> SecondOrderScale<Scale, W, B>;

// --- what is measured on a row ---

/// Means over a row: of ddx, g and u as backward takes them of g, and `rest`, which is NaN where one of them is.
template <class T> struct SecondOrderMeans {
  GradientMeans<T> ddx, g, u;
  T rest;
  SIMDNORM_INLINE bool are_numbers() const { return rest == rest; }
};

/// One of the three of each row, as policies of backward take them.
template <class T, int Capacity> struct MeansOfRows {
  GradientMeans<T> of_row[static_cast<std::size_t>(Capacity)];

  template <class Block>
  SIMDNORM_INLINE MeansOfRows(const Block& block, const SecondOrderMeans<T>* means,
                              GradientMeans<T> SecondOrderMeans<T>::*member) {
    for (int r = 0; r < block.count(); ++r) of_row[r] = means[r].*member;
  }
};

/// A number times its row's scale, where the rows' type has scales.
template <class Block> class TimesScale {
 public:
  template <class T>
  SIMDNORM_INLINE TimesScale(const Block& block, const RowMoments<T>* moments)
      : scale_(block.row_values(moments, &RowMoments<T>::scale)) {}
  template <class Lanes>
  SIMDNORM_INLINE typename Block::Vector operator()(At<Lanes> at, typename Block::Vector a) const {
    if constexpr (Block::can_scale) {
      return a * scale_(at);
    } else {
      return a;
    }
  }

 private:
  typename Block::RowValues scale_;
};

/// What a place gives: the gradients of dy and x, and what it adds to that of gamma.
template <class Vector> struct SecondOrderResults { Vector ddy, dx, of_gamma; };
template <class Vector>
SIMDNORM_INLINE SecondOrderResults<Vector> canonical(const SecondOrderResults<Vector>& values) {
  return {simd::canonical(values.ddy), simd::canonical(values.dx), simd::canonical(values.of_gamma)};
}

/// Statistic: that of the norm. Xhat: what of xhat dgamma sums (epilogue.hpp).
template <class Statistic, class Xhat> struct SecondOrder : Statistic {
  using T = typename Statistic::Scalar;
  using Means = SecondOrderMeans<T>;
  static constexpr int of_each = Statistic::sums;
  static constexpr int sums = 3 * of_each + 1;

  template <class Vector>
  static SIMDNORM_INLINE Terms<Vector, sums> gradient_term(const SecondOrderInputs<Vector>& in, Vector xhat) {
    const Vector g = in.g();
    const Terms<Vector, of_each> of[] = {Statistic::gradient_term(in.ddx, xhat),
                                         Statistic::gradient_term(g, xhat),
                                         Statistic::gradient_term(in.u(), xhat)};
    Terms<Vector, sums> all;
    simd::unroll<3>([&](auto i) SIMDNORM_INLINE_LAMBDA {
      std::copy(of[i].sum, of[i].sum + of_each, all.sum + i * of_each);
    });
    all.sum[3 * of_each] = in.ddx * g;
    return all;
  }

  template <class Block> class InputGradient {
   public:
    using Vector = typename Block::Vector;
    SIMDNORM_INLINE InputGradient(const Block& block, const RowMoments<T>* moments, const Means* means)
        : ddx_means_(block, means, &Means::ddx),
          g_means_(block, means, &Means::g),
          u_means_(block, means, &Means::u),
          j_ddx_(block, moments, ddx_means_.of_row),
          j_g_(block, moments, g_means_.of_row),
          j_u_(block, moments, u_means_.of_row),
          ddx_xhat_(block.row_values(ddx_means_.of_row, &GradientMeans<T>::g_xhat)),
          g_xhat_(block.row_values(g_means_.of_row, &GradientMeans<T>::g_xhat)),
          rest_(block.row_values(means, &Means::rest)),
          rstd_(block.row_values(moments, &RowMoments<T>::rstd)),
          scaled_(block, moments) {}

    template <class Lanes>
    SIMDNORM_INLINE SecondOrderResults<Vector> operator()(At<Lanes> at, const SecondOrderInputs<Vector>& in,
                                                          Vector xhat) const {
      const Vector ddx = j_ddx_(at, in.ddx, xhat), g = j_g_(at, in.g(), xhat), u = j_u_(at, in.u(), xhat);
      const Vector second =
          ((g_xhat_(at) * ddx + ddx_xhat_(at) * g) + xhat * rest_(at) * rstd_(at)) * rstd_(at);
      const Vector whole = scaled_(at, ddx);  // of the row itself
      return {(in.gamma * whole + in.ddgamma * Xhat::of(xhat)) + in.ddbeta,
              scaled_(at, u - scaled_(at, second)), in.dy * whole};
    }

   private:
    using OfRows = MeansOfRows<T, Block::capacity>;
    using Gradient = typename Statistic::template InputGradient<Block>;
    using RowValues = typename Block::RowValues;
    OfRows ddx_means_, g_means_, u_means_;
    Gradient j_ddx_, j_g_, j_u_;
    RowValues ddx_xhat_, g_xhat_, rest_, rstd_;
    TimesScale<Block> scaled_;
  };
};

/// As of backward's means: NaN where one that ddy takes is not finite, those of dx where any is not.
template <class Statistic, class T, class V>
SIMDNORM_INLINE void keep_sums(const Extended<T, V> (&sum)[Statistic::sums], Index divisor, int count,
                               SecondOrderMeans<T>* means) {
  constexpr int of_each = Statistic::of_each;
  const double n = static_cast<double>(divisor);
  GradientMeans<T> of[3][static_cast<std::size_t>(V::width)];
  for (int i = 0; i < 3; ++i) {
    T a[V::width] = {}, a_xhat[V::width];
    Extended<T, V> of_one[static_cast<std::size_t>(of_each)];
    std::copy(sum + i * of_each, sum + (i + 1) * of_each, of_one);
    Statistic::gradient_means(of_one, divisor, a, a_xhat);
    for (int r = 0; r < V::width; ++r) of[i][r] = {a[r], a_xhat[r]};
  }
  Extended<T, V> wide_rest = mean_of(sum[3 * of_each], n);
  for (int s = 0; s < of_each; ++s) wide_rest = wide_rest - mean_of(sum[s], n) * mean_of(sum[of_each + s], n);
  T rest[V::width];
  wide_rest.round(rest);
  constexpr T nan = std::numeric_limits<T>::quiet_NaN();
  const auto is_finite = [](const GradientMeans<T>& a) {
    return std::isfinite(a.g) && std::isfinite(a.g_xhat);
  };
  for (int r = 0; r < std::min(V::width, count); ++r) {
    means[r] = {of[0][r], of[1][r], of[2][r], rest[r]};
    if (SIMDNORM_UNLIKELY(!is_finite(means[r].ddx))) means[r].ddx = {nan, nan};
    if (SIMDNORM_UNLIKELY(!(is_finite(means[r].ddx) && is_finite(means[r].g) && is_finite(means[r].u) &&
                            std::isfinite(means[r].rest))))
      means[r] = {means[r].ddx, {nan, nan}, {nan, nan}, nan};
  }
}

// --- what is written ---

/// Of gamma.
struct SecondOrderGammaTerm {
  template <class Block, class Lanes, class Vector>
  SIMDNORM_INLINE Vector operator()(const Block&, At<Lanes>, const SecondOrderResults<Vector>& values) const {
    return values.of_gamma;
  }
};

/// As dx of the driver: ddy and dx, either of which may be nullptr.
template <class Ddy, class Dx> struct SecondOrderRows {
  Ddy ddy;
  Dx dx;
};
template <class Ddy, class Dx> SecondOrderRows(Ddy, Dx) -> SecondOrderRows<Ddy, Dx>;
template <class Ddy, class Dx> auto operands_of(const SecondOrderRows<Ddy, Dx>& a) {
  return std::tuple_cat(operands_of(a.ddy), operands_of(a.dx));
}

/// Which of the results a sink is given.
struct DdyAndDx {
  template <class Vector> static SIMDNORM_INLINE Two<Vector> of(const SecondOrderResults<Vector>& values) {
    return {values.ddy, values.dx};
  }
};
struct DdyAlone {
  template <class Vector> static SIMDNORM_INLINE Vector of(const SecondOrderResults<Vector>& values) {
    return values.ddy;
  }
};
struct DxAlone {
  template <class Vector> static SIMDNORM_INLINE Vector of(const SecondOrderResults<Vector>& values) {
    return values.dx;
  }
};
template <class Which, class Sink> struct SecondOrderSink : Sink {
  explicit SecondOrderSink(const Sink& sink) : Sink(sink) {}

  template <class Block, class Lanes, class Vector>
  SIMDNORM_INLINE auto store(const Block& block, At<Lanes> at, const SecondOrderResults<Vector>& values) {
    Sink::store(block, at, Which::of(values));
    return values;
  }
  template <class How> auto written(How how) const {
    return SecondOrderSink<Which, Written<Sink, How>>(Sink::written(how));
  }
};
struct NotStored {
  template <class Block, class Lanes, class Value>
  SIMDNORM_INLINE void store(const Block&, At<Lanes>, const Value&) const {}
};
/// The statistic has scaled what is to be scaled.
template <class Block, class Which, class Sink, class T>
SIMDNORM_INLINE auto scaled_sink(const Block&, const SecondOrderSink<Which, Sink>& sink,
                                 const RowMoments<T>*) {
  return sink;
}
template <class Block, class Which, class Sink, class T>
SIMDNORM_INLINE auto scaled_sink(const Block&, const CanonicalSink<SecondOrderSink<Which, Sink>>& sink,
                                 const RowMoments<T>*) {
  return sink;
}

template <class Which, class Run> auto to_second_order_sink(const Run& run) {
  return [&run](const auto& sink, const auto& writer) {
    run(SecondOrderSink<Which, std::decay_t<decltype(sink)>>(sink), writer);
  };
}
template <int Rows, class Blocks, class Read, class U, class V, class Run>
void with_sink(RowShape shape, const Read& read, const SecondOrderRows<Strided<U>, Strided<V>>& a,
               const Run& run) {
  with_two_sinks<Rows, Blocks>(shape, read, a.ddy, a.dx, to_second_order_sink<DdyAndDx>(run));
}
template <int Rows, class Blocks, class Read, class U, class Run>
void with_sink(RowShape shape, const Read& read, const SecondOrderRows<Strided<U>, std::nullptr_t>& a,
               const Run& run) {
  with_sink<Rows, Blocks>(shape, read, a.ddy, to_second_order_sink<DdyAlone>(run));
}
template <int Rows, class Blocks, class Read, class V, class Run>
void with_sink(RowShape shape, const Read& read, const SecondOrderRows<std::nullptr_t, Strided<V>>& a,
               const Run& run) {
  with_sink<Rows, Blocks>(shape, read, a.dx, to_second_order_sink<DxAlone>(run));
}
template <int /*Rows*/, class Blocks, class Read, class Run>
void with_sink(RowShape /*shape*/, const Read& /*read*/,
               const SecondOrderRows<std::nullptr_t, std::nullptr_t>& /*a*/, const Run& run) {
  run(SecondOrderSink<DxAlone, NotStored>({}), DirectWriter{});
}

}  // namespace simdnorm
