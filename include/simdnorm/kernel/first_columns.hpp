// RMSNorm whose mean square is that of the first columns of a row: rstd = 1/sqrt(sum over c < measured of x_c^2 / measured +
// epsilon), by which all columns are multiplied.
#pragma once

#include "backward.hpp"

namespace simdnorm {

/// g, the gradient of xhat, and 1 in the columns that were measured, 0 in the others.
template <class Vector> struct PartlyMeasured { Vector g, measured; };

/// 1 in the columns before `end`, 0 in the others.
template <class Block, class Lanes>
SIMDNORM_INLINE typename Block::Vector ones_before(const Block& /*block*/, Index end, At<Lanes> at) {
  using V = typename Block::Vector;
  using T = typename V::Scalar;
  if constexpr (Block::across) {
    return V::broadcast(at.column < end ? T(1) : T(0));
  } else {
    return simd::first_of(static_cast<int>(std::clamp<Index>(end - at.column, 0, V::width)),
                          V::broadcast(T(1)));
  }
}
/// What maps dy to both. Scale maps it to g.
template <class Scale> struct ScaleOfFirst {
  Scale scale;
  Index measured;

  template <class At, class Vector> struct AtColumn {
    At scale;
    Vector measured;
    template <class Value> SIMDNORM_INLINE PartlyMeasured<Vector> operator()(const Value& dy) const {
      return {scale(dy), measured};
    }
  };
  template <class Block, class Lanes> SIMDNORM_INLINE auto at(const Block& block, At<Lanes> column) const {
    using Vector = typename Block::Vector;
    return AtColumn<decltype(scale.at(block, column)), Vector>{scale.at(block, column),
                                                               ones_before(block, measured, column)};
  }
};

/// The statistic. Of the others' columns the gradient reaches x through xhat alone, and that of the mean square:
///   dx_c = (g_c - xhat_c * sum over all columns of (g * xhat) / measured) * rstd   for c < measured,
///   dx_c = g_c * rstd                                                              else.
template <class T> struct MeanSquareOfFirst : MeanSquare<T> {
  Index measured;

  template <class Vector>
  static SIMDNORM_INLINE Terms<Vector, 1> gradient_term(const PartlyMeasured<Vector>& a, Vector xhat) {
    return {{a.g * xhat}};
  }
  template <class Block> class InputGradient {
   public:
    SIMDNORM_INLINE InputGradient(const Block& block, const RowMoments<T>* moments,
                                  const GradientMeans<T>* means)
        : g_xhat_(block.row_values(means, &GradientMeans<T>::g_xhat)),
          rstd_(block.row_values(moments, &RowMoments<T>::rstd)) {}

    /// (The mean is masked, not the product, which may overflow where nothing was measured.)
    template <class Lanes, class Vector>
    SIMDNORM_INLINE Vector operator()(At<Lanes> at, const PartlyMeasured<Vector>& a, Vector xhat) const {
      return (a.g - xhat * (g_xhat_(at) * a.measured)) * rstd_(at);
    }

   private:
    typename Block::RowValues g_xhat_, rstd_;
  };
};

template <class T, class Scale>
ScaleOfFirst<Scale> scale_with(const MeanSquareOfFirst<T>& statistic, const Scale& scale) {
  return {scale, statistic.measured};
}
template <class T, class Block, class Dy, class X, class Scale, class Threads>
SIMDNORM_INLINE void find_means(const MeanSquareOfFirst<T>& statistic, const Block& block,
                                const Spans<Threads>& spans, const Dy& dy, const X& x, const Scale& scale,
                                const RowMoments<T>* moments, GradientMeans<T>* means) {
  gradient_means<MeanSquareOfFirst<T>>(block, spans, statistic.measured, dy, x, scale, moments, means);
}

// --- what is measured ---

/// Rows that have been read, and with that made, before they are measured.
template <class Source> struct ReadBefore : Source {
  explicit ReadBefore(const Source& source) : Source(source) {}
  const Source& first() const { return *this; }
};
/// Reads all columns of a block for the first time.
template <class Block, class Source>
SIMDNORM_KERNEL void read_first(Block block, const Source& source, Index hidden) {
  using T = typename Block::Scalar;
  using V = simd::Vector<T, typename Block::Architecture>;
  const auto first = source.first();
  V poison = V::broadcast(T(0));  // NaN as soon as one number is Inf or NaN
  block.folded([&](const auto& rows, int) SIMDNORM_BODY {
    rows.columns(0, hidden, [&](auto column) SIMDNORM_BODY {
      rows.rows(column,
                [&](auto at) SIMDNORM_BODY { poison = poison + first.load(rows, at) * V::broadcast(T(0)); });
    });
  });
  if (SIMDNORM_UNLIKELY(!simd::in_order(simd::All{}, poison, poison))) {
    for (int r = 0; r < block.count(); ++r) source.tidy(block.row(r), hidden);
  }
}

/// What the forward driver asks for: the moments of RMSNorm of the first columns.
template <class Block, class Source, class T, class Threads>
SIMDNORM_INLINE void measure(const Block& block, const Source& source, const MeanSquareOfFirst<T>& statistic,
                             const Spans<Threads>& spans, RowMoments<T>* moments) {
  const MeanSquare<T>& of_first = statistic;
  const Spans<Threads> measured(statistic.measured, spans.threads);
  using Again = std::decay_t<decltype(read_again(source))>;
  if constexpr (std::is_same_v<std::decay_t<decltype(read_again(source).first())>, Again>) {
    measure(block, source, of_first, measured, moments);
  } else {
    read_first(block, source, spans.hidden);
    measure(block, ReadBefore<Source>(source), of_first, measured, moments);
  }
}

/// An epilogue: the canonical NaN for any. (The other columns may hold Inf or NaN, and overflow, where the row is ordinary.)
struct CanonicalNumbers {
  template <class Block, class Lanes> SIMDNORM_INLINE CanonicalNumbers at(const Block&, At<Lanes>) const {
    return {};
  }
  template <class Value> SIMDNORM_INLINE auto operator()(const Value& y) const {
    return canonical(rounded(y));
  }
};

}  // namespace simdnorm
