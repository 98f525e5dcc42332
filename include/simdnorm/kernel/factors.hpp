// What a branch of a residual is multiplied with, and what its gradient adds to sums over rows.
#pragma once

#include "dropout.hpp"
#include "mapped.hpp"
#include "parameter_gradient.hpp"
#include "residual_sum.hpp"

namespace simdnorm {

// --- terms of a sum, as in residual_sum.hpp ---

/// The same number in all columns of a row.
template <class P> struct RowFactors {
  const P* values;  // (rows)

  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector load(const Block& block, At<Lanes> at) const {
    return block.of_rows(values, at);
  }
  template <class Block, class Lanes, class Ahead> static void fetch(const Block&, At<Lanes>, Ahead) {}
};

/// a * factor
template <class A, class Factor> struct TimesTerm {
  A a;
  Factor factor;  // a term

  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector load(const Block& block, At<Lanes> at) const {
    return a.load(block, at) * factor.load(block, at);
  }
  template <class Block, class Lanes, class Ahead>
  SIMDNORM_INLINE void fetch(const Block& block, At<Lanes> at, Ahead ahead) const {
    a.fetch(block, at, ahead);
  }
};

/// The factors of a branch. (Of dropout: DropoutMask.)
template <class T> std::nullptr_t mask_of(std::nullptr_t) { return nullptr; }
template <class T> DropoutMask<T> mask_of(const Dropout& dropout) { return DropoutMask<T>(dropout); }
inline std::nullptr_t of_columns(std::nullptr_t) { return nullptr; }
template <class P> EachRow<P> of_columns(const P* values) { return {parameter_or<P, 1>(values)}; }
inline std::nullptr_t of_rows(std::nullptr_t) { return nullptr; }
template <class P> RowFactors<P> of_rows(const P* values) { return {values}; }

template <class Term> Term times_factor(const Term& term, std::nullptr_t) { return term; }
template <class Term, class Factor>
TimesTerm<Term, Factor> times_factor(const Term& term, const Factor& factor) {
  return {term, factor};
}
template <class Block, class Lanes, class Vector>
SIMDNORM_INLINE Vector times_factor(const Block&, At<Lanes>, Vector values, std::nullptr_t) {
  return values;
}
template <class Block, class Lanes, class Vector, class Factor>
SIMDNORM_INLINE Vector times_factor(const Block& block, At<Lanes> at, Vector values, const Factor& factor) {
  return values * factor.load(block, at);
}

// --- the way back ---

/// The gradient of the product with layer_scale, and that of the branch itself, which is stored.
template <class Vector> struct BranchGradient { Vector product, branch; };
template <class Vector> SIMDNORM_INLINE Vector to_store(const BranchGradient<Vector>& gradient) {
  return gradient.branch;
}

/// As a map of results.
template <class Mask, class OfRows, class OfColumns> struct BranchMap {
  Mask mask;
  OfRows rows;
  OfColumns columns;

  template <class Block, class Lanes, class Vector>
  SIMDNORM_INLINE BranchGradient<Vector> operator()(const Block& block, At<Lanes> at, Vector values) const {
    const Vector product = times_factor(block, at, times_factor(block, at, values, rows), mask);
    return {product, times_factor(block, at, product, columns)};
  }
};

/// As terms of sums over rows: the gradients of a bias, and of layer_scale. x: the source of what that multiplied.
struct BiasTerm {
  template <class Block, class Lanes, class Vector>
  SIMDNORM_INLINE Vector operator()(const Block&, At<Lanes> at,
                                    const BranchGradient<Vector>& gradient) const {
    return simd::keep(at.lanes, gradient.branch);
  }
};
template <class Source> struct LayerScaleTerm {
  Source x;

  template <class Block, class Lanes, class Vector>
  SIMDNORM_INLINE Vector operator()(const Block& block, At<Lanes> at,
                                    const BranchGradient<Vector>& gradient) const {
    return simd::keep(at.lanes, gradient.product * x.load(block, at));
  }
};

}  // namespace simdnorm
