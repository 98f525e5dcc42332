// x of a backward that was not kept: what it was normalized to is made again from y, xhat = (y - beta) / gamma.
#pragma once

#include <limits>

#include "../check.hpp"
#include "../operands.hpp"
#include "backward.hpp"
#include "residual_sum.hpp"

namespace simdnorm {

/// xhat, as a term; of a scaled row too it is that of the row itself. Scale: the epilogue that multiplies by gamma.
template <class Y, class Scale, class Beta, class T> struct RecoveredXhat {
  Y y;
  Scale scale;
  Beta beta;
  T least;

  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector load(const Block& block, At<Lanes> at) const {
    using V = typename Block::Vector;
    const V gamma = scale.at(block, at)(V::broadcast(T(1)));
    const V bound = simd::where_less(gamma, V::broadcast(T(0)), V::broadcast(-least), V::broadcast(least));
    const V divisor = simd::where_less(simd::max_magnitude(gamma, gamma), V::broadcast(least), bound, gamma);
    // Of lanes that are not meant, 0: across rows a quotient of beta and gamma, which may overflow, would come to sums.
    return simd::keep(at.lanes, (y.load(block, at) - beta.load(block, at)) / divisor);
  }
  template <class Block, class Lanes, class Ahead>
  SIMDNORM_INLINE void fetch(const Block& block, At<Lanes> at, Ahead ahead) const {
    y.fetch(block, at, ahead);
  }
};
template <class Block, class Y, class S, class B, class T>
SIMDNORM_INLINE const auto& scaled(const Block&, const MadeRows<RecoveredXhat<Y, S, B, T>>& source,
                                   const RowMoments<T>*) {
  return source;
}

/// A statistic whose rows are read normalized.
template <class Statistic> struct ReadNormalized : Statistic {
  template <class Block> struct Normalizer {
    Normalizer(const Block&, const RowMoments<typename Statistic::Scalar>*) {}
    template <class Lanes>
    SIMDNORM_INLINE typename Block::Vector operator()(At<Lanes>, typename Block::Vector xhat) const {
      return xhat;
    }
    template <class Lanes>
    SIMDNORM_INLINE typename Block::Vector unrounded(At<Lanes>, typename Block::Vector xhat) const {
      return xhat;
    }
  };
};

// --- as an argument ---

/// As x of a backward. Made by from_output.
template <class Y, class Beta> struct FromOutput {
  Y y;
  Beta beta;
  double least_gamma;
};
template <class Y, class B> FromOutput(Y, B, double) -> FromOutput<Y, B>;

/// As x of a backward: y of the forward stands in its place, which then need not be kept; of the moments rstd is read alone.
///   layer_norm_backward(shape, dy, from_output(y, beta), gamma, moments, dx, dgamma, dbeta);
///   rms_norm_backward(shape, dy, from_output(y), gamma, moments, dx, dgamma);
/// y: rows, a pointer or a Strided, of any type of numbers, as forward wrote them: not changed since, mapped by no function,
/// added to nothing. beta: (hidden), as forward took it; nullptr for 0. gamma is that of the call. dx may be y, or dy. Casting:
/// RoundOnce or OnePlusGamma, as of forward.
///
/// Computes xhat = (y - beta) / gamma' in T, each operation rounded by itself, where gamma' is gamma (1 + gamma, of
/// OnePlusGamma), or least_gamma with its sign where it is smaller than that. The rest is that of the call with x. xhat is off by
/// about u * (|xhat| + |beta / gamma'|), where u is what y was rounded by: 2^-24 of float, 2^-8 of bfloat16, 2^-11 of fp16. So
/// where |gamma| is far below |beta| little of x is left in y; with beta of 0, all until y becomes subnormal. Where |gamma| is
/// below least_gamma, xhat is too small by |gamma| / least_gamma: of gamma = 0 nothing of x is in y, xhat is 0, and so is dgamma
/// of that column.
/// Errors: those of the call, of y for x; a least_gamma that is not above 0 as a float: std::invalid_argument.
/// Source: the memory_efficient norms of NVIDIA Apex, which clamp gamma by 1e-5 too.
template <class Y, class Beta = std::nullptr_t, class = element_t<Y>>
FromOutput<Y, Beta> from_output(Y y, Beta beta = {}, double least_gamma = 1e-5) {
  static_assert(!std::is_void_v<element_t<Y>>, "simdnorm: from_output: y is rows of numbers, not of codes");
  return {y, beta, least_gamma};
}

template <class Y, class B> struct ComputedIn<FromOutput<Y, B>> { using type = operands_t<Y, B>; };
template <class Y, class B> struct ElementOf<FromOutput<Y, B>> { using type = element_t<Y>; };

template <class Y, class B> auto read_rows(RowShape shape, const FromOutput<Y, B>& a) {
  return FromOutput{read_rows(shape, a.y), a.beta, a.least_gamma};
}
template <class Y, class B, class Then>
SIMDNORM_INLINE void touch(const Check& check, const char*, const FromOutput<Y, B>& a, const Then& then) {
  const double smallest = static_cast<double>(std::numeric_limits<float>::min());
  if (!(a.least_gamma >= smallest && a.least_gamma <= 1 / smallest))
    check.stop(check.message() << "least_gamma must be above 0 but is " << a.least_gamma);
  const element_or_t<B, float>* const beta = a.beta;
  touch_all(check, then, "y", a.y, "beta", read_array(beta, check.shape().hidden));
}

/// The same, with the gamma of the call.
template <class FromOutput, class Scale> struct FromOutputAndGamma {
  FromOutput output;
  Scale scale;
};
template <class A, class S> FromOutputAndGamma(A, S) -> FromOutputAndGamma<A, S>;
template <class A, class S> struct ElementOf<FromOutputAndGamma<A, S>> : ElementOf<A> {};
template <class A, class S> auto operands_of(const FromOutputAndGamma<A, S>& a) {
  return operands_of(a.output.y);
}
template <class T, class Y, class B, class S>
auto source_of(const FromOutputAndGamma<FromOutput<Y, B>, S>& a) {
  using Beta = element_or_t<B, float>;
  const auto y = source_of<T>(a.output.y);
  const EachRow<Beta> beta{parameter_or<Beta, 0>(a.output.beta)};
  return MadeRows<RecoveredXhat<std::decay_t<decltype(y)>, S, EachRow<Beta>, T>>{
      {y, a.scale, beta, static_cast<T>(a.output.least_gamma)}};
}

/// backward_part of them.
template <class Statistic, class Casting, class Dy, class Y, class B, class P, class T, class Dx, class G,
          class Executor>
void backward_part(RowShape shape, RowShape of_call, const Dy& dy, const FromOutput<Y, B>& x, const P* gamma,
                   const RowMoments<T>* moments, const Dx& dx, G* dgamma, G* dbeta,
                   const GradientOptions& options, Executor&& executor) {
  static_assert(Casting::kind != CastingKind::round_xhat,
                "simdnorm: from_output: RoundXhat rounds to the type of x, which y does not tell");
  backward_part<ReadNormalized<Statistic>, Casting>(shape, of_call, dy,
                                                    FromOutputAndGamma{x, Casting::gradient_scale(gamma)},
                                                    gamma, moments, dx, dgamma, dbeta, options, executor);
}

}  // namespace simdnorm
