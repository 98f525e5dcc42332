// x as a sum with a residual, in the pass of the norm that reads it.
#pragma once

#include "../check.hpp"
#include "../operands.hpp"
#include "sink.hpp"
#include "source.hpp"

namespace simdnorm {

// --- terms: what a sum is made of. Each has load and fetch of a source; T is what the call computes in ---

/// a + b
template <class A, class B> struct Plus {
  A a;
  B b;

  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector load(const Block& block, At<Lanes> at) const {
    return a.load(block, at) + b.load(block, at);
  }
  template <class Block, class Lanes, class Ahead>
  SIMDNORM_INLINE void fetch(const Block& block, At<Lanes> at, Ahead ahead) const {
    a.fetch(block, at, ahead);
    b.fetch(block, at, ahead);
  }
};
template <class A, class B> Plus(A, B) -> Plus<A, B>;

/// a * number
template <class A, class T> struct Times {
  A a;
  T number;

  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector load(const Block& block, At<Lanes> at) const {
    return a.load(block, at) * Block::Vector::broadcast(number);
  }
  template <class Block, class Lanes, class Ahead>
  SIMDNORM_INLINE void fetch(const Block& block, At<Lanes> at, Ahead ahead) const {
    a.fetch(block, at, ahead);
  }
};

/// The same number in all rows of a column.
template <class P> struct EachRow {
  Parameter<P> values;

  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector load(const Block& block, At<Lanes> at) const {
    return block.parameter(values, at);
  }
  template <class Block, class Lanes, class Ahead> static void fetch(const Block&, At<Lanes>, Ahead) {}
};

// --- sources ---

/// Rows that are made from others again each time that they are read.
template <class Made> struct MadeRows {
  Made made;

  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector load(const Block& block, At<Lanes> at) const {
    return made.load(block, at);
  }
  template <class Block, class Lanes> SIMDNORM_INLINE auto doubles(const Block& block, At<Lanes> at) const {
    return simd::as_doubles(load(block, at));
  }
  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector last(const Block& block, At<Lanes> at) const {
    return load(block, at);
  }
  const MadeRows& first() const { return *this; }
  template <class Block, class Lanes, class Ahead>
  SIMDNORM_INLINE void fetch(const Block& block, At<Lanes> at, Ahead ahead) const {
    made.fetch(block, at, ahead);
  }
  template <class Row> static void tidy(const Row& /*row*/, Index /*hidden*/) {}
};

/// Rows that are made, and stored as U's numbers as they are read.
template <class Made, class U> struct StoredAsRead {
  Made made;
  StoredRows<U> kept;

  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector load(const Block& block, At<Lanes> at) const {
    const auto values = made.load(block, at);
    kept.store(block, at, values);
    return simd::rounded_to<U>(values);
  }
  template <class Block, class Lanes> SIMDNORM_INLINE auto doubles(const Block& block, At<Lanes> at) const {
    return simd::as_doubles(load(block, at));
  }
  template <class Block, class Lanes, class Ahead>
  SIMDNORM_INLINE void fetch(const Block& block, At<Lanes> at, Ahead ahead) const {
    made.fetch(block, at, ahead);
  }
};

/// Rows that are made from others when they are first read, and stored, rounded to U's numbers: the rest of the call reads
/// these.
template <class Made, class U> struct KeptRows : LoadedRows<U> {
  StoredAsRead<Made, U> as_read;
  KeptRows(const Made& made, const Strided<U>& rows)
      : LoadedRows<U>{read_rows({}, rows)}, as_read{made, {rows}} {}

  const StoredAsRead<Made, U>& first() const { return as_read; }

  template <class Block, class Lanes, class Ahead>
  SIMDNORM_INLINE void fetch(const Block& block, At<Lanes> at, Ahead ahead) const {
    LoadedRows<U>::fetch(block, at, ahead);
    as_read.fetch(block, at, ahead);
  }
  /// Of the NaNs that a sum may have, each is the canonical one afterwards.
  template <class Row> SIMDNORM_KERNEL SIMDNORM_COLD void tidy(const Row& row, Index hidden) const {
    row.columns(0, hidden, [&](auto column) {
      row.rows(column, [&](auto at) { as_read.kept.store(row, at, simd::canonical(this->load(row, at))); });
    });
  }
};

template <class A, class B> inline constexpr bool is_fetched_first<Plus<A, B>> = true;
template <class Made> inline constexpr bool is_fetched_first<MadeRows<Made>> = is_fetched_first<Made>;
template <class Made, class U>
inline constexpr bool is_fetched_first<KeptRows<Made, U>> = is_fetched_first<Made>;

/// An argument that keeps what it makes when it is first read. It is no part of another: that reads it in its own way.
/// (Of others: gated.hpp, branch.hpp.)
template <class X> inline constexpr bool keeps_rows = false;

// --- as an argument ---

/// As x of forward. Made by residual_sum; nullptr_t is the type of what is absent.
template <class X, class Residual, class Sum, class Bias = std::nullptr_t, class Alpha = std::nullptr_t>
struct ResidualSum {
  X x;
  Residual residual;
  Sum sum;
  Bias bias_values;
  Alpha residual_scale;

  /// (hidden), or nullptr, added to every row of x.
  template <class NewBias> ResidualSum<X, Residual, Sum, NewBias, Alpha> bias(NewBias values) const {
    return {x, residual, sum, values, residual_scale};
  }
  /// Multiplies the residual. Rounded to T.
  ResidualSum<X, Residual, Sum, Bias, double> alpha(double number) const {
    return {x, residual, sum, bias_values, number};
  }
};
template <class X, class R, class S, class B, class A>
ResidualSum(X, R, S, B, A) -> ResidualSum<X, R, S, B, A>;

/// As x of a forward: what is normalized is x + residual, or, by methods of what this returns, residual * alpha + (x + bias):
///   layer_norm_forward(shape, residual_sum(x, residual, sum).bias(b).alpha(a), gamma, beta, epsilon, y, moments);
/// x, residual, sum: rows, a pointer or a Strided each, of float, double, BFloat16 or Float16, whatever the others hold; x also
/// branch(...), or gated(x, z) of gated.hpp. sum may be nullptr, where nobody needs it. bias: (hidden). sum may be x or residual,
/// and y the one of them that sum is not, where both hold types of one size.
/// Each operation is rounded by itself, in T of the call; the sum is rounded to its type once, and y is the norm of that: the
/// call has the bits of one that adds and of another that normalizes sum. backward takes sum as its x.
/// Errors: those of the call; a missing x, residual or sum, or any other overlap: std::invalid_argument, before anything is
/// written.
/// Source: of alpha, DeepNorm: Wang et al., DeepNet: Scaling Transformers to 1,000 Layers (2022).
template <class X, class Residual, class Sum, class = element_t<X>, class = element_t<Residual>>
ResidualSum<X, Residual, Sum> residual_sum(X x, Residual residual, Sum sum) {
  return {x, residual, sum, nullptr, nullptr};
}

template <class X, class R, class S, class B, class A>
inline constexpr bool keeps_rows<ResidualSum<X, R, S, B, A>> = !std::is_null_pointer_v<S>;
template <class X, class R, class S, class B, class A> struct ComputedIn<ResidualSum<X, R, S, B, A>> {
  using type = operands_t<X, R, S, B>;
};
/// Of what is normalized.
template <class X, class R, class S, class B, class A> struct ElementOf<ResidualSum<X, R, S, B, A>> {
  using type = element_or_t<S, operands_t<X, R, S, B>>;
};

// --- as rows: the same struct, of Strided ---

template <class X, class R, class S, class B, class A>
auto read_rows(RowShape shape, const ResidualSum<X, R, S, B, A>& a) {
  static_assert(
      !keeps_rows<X> && !keeps_rows<R>,
      "simdnorm: what residual_sum adds is not kept: gated(x, z) without u, no sum of a sum that is kept");
  return ResidualSum{read_rows(shape, a.x), read_rows(shape, a.residual), written_rows(shape, a.sum),
                     a.bias_values, a.residual_scale};
}
template <class X, class R, class S, class B, class A> auto operands_of(const ResidualSum<X, R, S, B, A>& a) {
  return std::tuple_cat(operands_of(a.x), operands_of(a.residual), operands_of(a.sum));
}
template <class X, class R, class S, class B, class A, class Then>
SIMDNORM_INLINE void touch(const Check& check, const char* name, const ResidualSum<X, R, S, B, A>& a,
                           const Then& then) {
  const element_or_t<B, float>* const bias = a.bias_values;
  touch_all(check, then, name, a.x, "residual", a.residual, "sum", a.sum, "bias",
            read_array(bias, check.shape().hidden));
}

/// Where all of it holds one type, and there is no bias and no alpha.
template <class U> struct PartsOfCall<ResidualSum<Strided<const U>, Strided<const U>, Strided<U>>> {
  using type = U;
  using Sum = ResidualSum<Strided<const U>, Strided<const U>, Strided<U>>;
  static const Strided<const U>* rows(const Sum& a) { return &a.x; }
  static const Strided<const U>* residual(const Sum& a) { return &a.residual; }
  static const Strided<U>* sum(const Sum& a) { return &a.sum; }
};

// --- as a source ---

template <class T, class Term> Term times(const Term& term, std::nullptr_t) { return term; }
template <class T, class Term> Times<Term, T> times(const Term& term, double number) {
  return {term, static_cast<T>(number)};
}
template <class Term> Term plus(const Term& term, std::nullptr_t) { return term; }
template <class Term, class P> Plus<Term, EachRow<P>> plus(const Term& term, const P* values) {
  return {term, {parameter_or<P, 0>(values)}};
}
template <class Made> MadeRows<Made> kept(const Made& made, std::nullptr_t) { return {made}; }
template <class Made, class U> KeptRows<Made, U> kept(const Made& made, const Strided<U>& rows) {
  return {made, rows};
}
/// The source of a sum.
template <class T, class X, class R, class S, class B, class A>
auto source_of(const ResidualSum<X, R, S, B, A>& a) {
  const auto scaled = times<T>(source_of<T>(a.residual), a.residual_scale);
  const auto branch = plus(source_of<T>(a.x), a.bias_values);
  return kept(Plus{scaled, branch}, a.sum);
}

}  // namespace simdnorm
