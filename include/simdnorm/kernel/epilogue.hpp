// What maps the normalized value on: scale and shift, and when it is rounded.
#pragma once

#include "../dispatch/call.hpp"
#include "row.hpp"
#include "values.hpp"

namespace simdnorm {

/// An epilogue has at(block, column): an object that holds what it needs at that column, loaded once for all
/// rows of the block, and maps xhat to the output. xhat is a Vector or an Unrounded<Vector> (values.hpp); a map that
/// is more than a scale or a shift takes rounded(xhat).
///
/// xhat * gamma   gamma: (hidden) or absent
template <class P> struct Scale {
  Parameter<P> gamma;
  explicit Scale(const P* values) : gamma(parameter_or<P, 1>(values)) {}

  template <class Vector> struct AtColumn {
    Vector gamma;
    template <class Value> SIMDNORM_INLINE Value operator()(const Value& xhat) const { return xhat * gamma; }
  };
  template <class Block, class Lanes>
  SIMDNORM_INLINE AtColumn<typename Block::Vector> at(const Block& block, At<Lanes> column) const {
    return {block.parameter(gamma, column)};
  }
};

/// xhat * (1 + gamma), 1 + gamma rounded   gamma: (hidden) or absent, which is 0
template <class P> struct ScaleOnePlus {
  Parameter<P> gamma;
  explicit ScaleOnePlus(const P* values) : gamma(parameter_or<P, 0>(values)) {}

  template <class Block, class Lanes> SIMDNORM_INLINE auto at(const Block& block, At<Lanes> column) const {
    using Vector = typename Block::Vector;
    return
        typename Scale<P>::template AtColumn<Vector>{Vector::broadcast(1) + block.parameter(gamma, column)};
  }
};

/// xhat rounded to a number of U.
template <class U> struct RoundTo {
  template <class Block, class Lanes> SIMDNORM_INLINE RoundTo at(const Block&, At<Lanes>) const { return {}; }
  template <class Value> SIMDNORM_INLINE auto operator()(const Value& xhat) const {
    return of(rounded(xhat));
  }
  template <class Vector> static SIMDNORM_INLINE Vector of(Vector xhat) { return simd::rounded_to<U>(xhat); }
};

/// xhat + beta   beta: (hidden) or absent
template <class P> struct Shift {
  Parameter<P> beta;
  explicit Shift(const P* values) : beta(parameter_or<P, 0>(values)) {}

  template <class Vector> struct AtColumn {
    Vector beta;
    template <class Value> SIMDNORM_INLINE Value operator()(const Value& xhat) const { return xhat + beta; }
  };
  template <class Block, class Lanes>
  SIMDNORM_INLINE AtColumn<typename Block::Vector> at(const Block& block, At<Lanes> column) const {
    return {block.parameter(beta, column)};
  }
};

/// One epilogue after another: second(first(xhat)).
template <class FirstEpilogue, class SecondEpilogue> struct Chain {
  FirstEpilogue first;
  SecondEpilogue second;

  template <class FirstAt, class SecondAt> struct AtColumn {
    FirstAt first;
    SecondAt second;
    template <class Value> SIMDNORM_INLINE auto operator()(const Value& xhat) const {
      return second(first(xhat));
    }
  };
  template <class Block, class Lanes> SIMDNORM_INLINE auto at(const Block& block, At<Lanes> column) const {
    return AtColumn<decltype(first.at(block, column)), decltype(second.at(block, column))>{
        first.at(block, column), second.at(block, column)};
  }
};
template <class FirstEpilogue, class SecondEpilogue>
Chain(FirstEpilogue, SecondEpilogue) -> Chain<FirstEpilogue, SecondEpilogue>;

// --- castings: how gamma is applied, and what is rounded on the way to y, whatever y's type ---

/// y = xhat * gamma (+ beta), rounded to y's type at the end and not before.
struct RoundOnce {
  static constexpr CastingKind kind = CastingKind::round_once;
  template <class /*X*/, class P> static Scale<P> scale(const P* gamma) { return Scale<P>(gamma); }
  template <class P> static Scale<P> gradient_scale(const P* gamma) { return Scale<P>(gamma); }
  template <class /*X*/> struct Xhat {
    template <class Vector> static SIMDNORM_INLINE Vector of(Vector xhat) { return xhat; }
  };
};
/// y = round(xhat) * gamma (+ beta), where xhat is rounded to x's type first, as in the RMSNorm of Hugging Face's Llama.
/// Backward takes the rounding for the identity, but for dgamma, which sums dy * round(xhat). (Of LayerNorm it computes xhat
/// by other roundings than forward, so that near a tie the two may round to neighbours.)
struct RoundXhat {
  static constexpr CastingKind kind = CastingKind::round_xhat;
  template <class X, class P> static auto scale(const P* gamma) {
    return Chain{RoundTo<X>{}, Scale<P>(gamma)};
  }
  template <class P> static Scale<P> gradient_scale(const P* gamma) { return Scale<P>(gamma); }
  template <class X> using Xhat = RoundTo<X>;
};
/// y = xhat * (1 + gamma) (+ beta), as in the RMSNorm of Gemma. Without gamma it is 0.
struct OnePlusGamma : RoundOnce {
  static constexpr CastingKind kind = CastingKind::one_plus_gamma;
  template <class /*X*/, class P> static ScaleOnePlus<P> scale(const P* gamma) {
    return ScaleOnePlus<P>(gamma);
  }
  template <class P> static ScaleOnePlus<P> gradient_scale(const P* gamma) { return ScaleOnePlus<P>(gamma); }
};

/// What maps xhat to y: gamma, and, where the statistic has it, beta, as Casting takes them. X: the type of x's numbers.
template <class Statistic, class Casting, class X, class P, class B>
auto epilogue_of(const P* gamma, const B* beta) {
  const auto scale = Casting::template scale<X>(gamma);
  if constexpr (Statistic::centered) {
    return Chain{scale, Shift{beta}};
  } else {
    return scale;
  }
}
}  // namespace simdnorm
