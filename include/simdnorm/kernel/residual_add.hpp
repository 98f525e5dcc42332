// Results that are added to what another path brings: to a residual in forward, to its gradient in backward.
#pragma once

#include "../check.hpp"
#include "../operands.hpp"
#include "mapped.hpp"
#include "parameter_gradient.hpp"
#include "writer.hpp"

namespace simdnorm {

// --- sinks ---

/// addend + what is stored, on the way to another sink.
template <class Sink, class Addend> struct AddedSink {
  Sink sink;
  Addend addend;  // a source

  template <class Block, class Lanes>
  SIMDNORM_INLINE auto store(const Block& block, At<Lanes> at, typename Block::Vector values) {
    return sink.store(block, at, simd::canonical(addend.last(block, at) + values));
  }
  template <class How> auto written(How how) const {
    return AddedSink<Written<Sink, How>, FetchedRows<Addend>>{sink.written(how), {addend, how.rows_ahead}};
  }
};

/// To two sinks; what the first stores is returned.
template <class First, class Second> struct BothSinks {
  First first;
  Second second;

  template <class Block, class Lanes>
  SIMDNORM_INLINE auto store(const Block& block, At<Lanes> at, typename Block::Vector values) {
    const auto stored = first.store(block, at, values);
    second.store(block, at, values);
    return stored;
  }
  template <class How> auto written(How how) const {
    return BothSinks<Written<First, How>, Written<Second, How>>{first.written(how), second.written(how)};
  }
};
template <class First, class Second> BothSinks(First, Second) -> BothSinks<First, Second>;

// --- as arguments ---

/// As y of a forward, or dx of a backward. Made by added.
template <class Addend, class Y> struct Added {
  Addend addend;
  Y y;
};
template <class R, class Y> Added(R, Y) -> Added<R, Y>;

/// As y of a forward: addend + norm(x), as where a branch is normalized before it is added. As dx of a backward: addend + the
/// gradient of x, where the addend is what comes back along the residual.
/// addend, y: rows, a pointer or a Strided each, of any types of numbers; y may be addend or x, dx addend, dy or x, where both
/// hold types of one size. Added in T of the call, then rounded to y's type.
/// Errors: those of the call; a missing addend, or any other overlap: std::invalid_argument, before anything is written.
template <class Addend, class Y, class = element_t<Addend>, class = element_t<Y>>
Added<Addend, Y> added(Addend addend, Y y) {
  static_assert(!std::is_void_v<element_t<Y>>, "simdnorm: added: y is rows of numbers, not of codes");
  return {addend, y};
}

/// As dx of a backward. Made by residual_gradients.
template <class Dsum, class Dx, class Dresidual, class Alpha = std::nullptr_t> struct ResidualGradients {
  Dsum dsum;
  Dx dx;
  Dresidual dresidual;
  Alpha residual_scale;

  /// Multiplies dresidual. Rounded to T.
  ResidualGradients<Dsum, Dx, Dresidual, double> alpha(double number) const {
    return {dsum, dx, dresidual, number};
  }
};
template <class S, class X, class R, class A> ResidualGradients(S, X, R, A) -> ResidualGradients<S, X, R, A>;

/// As dx of a backward: the gradients of both terms of a residual_sum, dx = dsum + the gradient of what was normalized, and
/// dresidual = that, or, by a method of what this returns, that * alpha.
/// dsum: what else comes back to the sum, or nullptr. dx, dresidual: neither is nullptr. All rows, a pointer or a Strided
/// each, of any types; dx, and dresidual, may be dsum, dy or x, where both hold types of one size, but not each other. Computed
/// in T of the call, then rounded to their types.
/// Errors: those of the call; a missing operand, or any other overlap: std::invalid_argument, before anything is written.
template <class Dsum, class Dx, class Dresidual, class = element_t<Dx>, class = element_t<Dresidual>>
ResidualGradients<Dsum, Dx, Dresidual> residual_gradients(Dsum dsum, Dx dx, Dresidual dresidual) {
  return {dsum, dx, dresidual, nullptr};
}

template <class R, class Y> struct ComputedIn<Added<R, Y>> { using type = operands_t<R, Y>; };
template <class S, class X, class R, class A> struct ComputedIn<ResidualGradients<S, X, R, A>> {
  using type = operands_t<S, X, R>;
};

// --- as rows: the same structs, of Strided ---

template <class R, class Y> auto written_rows(RowShape shape, const Added<R, Y>& a) {
  return Added{read_rows(shape, a.addend), written_rows(shape, a.y)};
}
template <class S, class X, class R, class A>
auto written_rows(RowShape shape, const ResidualGradients<S, X, R, A>& a) {
  return ResidualGradients{read_rows(shape, a.dsum), written_rows(shape, a.dx),
                           written_rows(shape, a.dresidual), a.residual_scale};
}

template <class R, class Y> auto operands_of(const Added<R, Y>& a) {
  return std::tuple_cat(operands_of(a.y), operands_of(a.addend));
}
template <class S, class X, class R, class A> auto operands_of(const ResidualGradients<S, X, R, A>& a) {
  return std::tuple_cat(operands_of(a.dx), operands_of(a.dresidual), operands_of(a.dsum));
}

template <class R, class Y, class Then>
SIMDNORM_INLINE void touch(const Check& check, const char* name, const Added<R, Y>& a, const Then& then) {
  touch_all(check, then, name, a.y, "addend", a.addend);
}
template <class S, class X, class R, class A, class Then>
SIMDNORM_INLINE void touch(const Check& check, const char* name, const ResidualGradients<S, X, R, A>& a,
                           const Then& then) {
  touch_all(check, then, name, a.dx, "dresidual", a.dresidual, "dsum", a.dsum);
}

/// What the branch asks for.
template <class S, class X, class R, class A>
inline constexpr Index column_sums<ResidualGradients<S, X, R, A>> = column_sums<X>;
template <class T, class S, class X, class R, class A>
auto column_sums_of(const ResidualGradients<S, X, R, A>& a) {
  return column_sums_of<T>(a.dx);
}

/// Where both hold one type.
template <class U> struct PartsOfCall<Added<Strided<const U>, Strided<U>>> {
  using type = U;
  using Sum = Added<Strided<const U>, Strided<U>>;
  static const Strided<U>* rows(const Sum& a) { return &a.y; }
  static const Strided<const U>* addend(const Sum& a) { return &a.addend; }
};

// --- as sinks ---

template <int Rows, class Blocks, class Read, class R, class U, class Run>
void with_sink(RowShape shape, const Read& read, const Added<Strided<const R>, Strided<U>>& a,
               const Run& run) {
  const AddedSink<StoredRows<U>, LoadedRows<R>> sink{{a.y}, {a.addend}};
  with_lines<Rows, Blocks>(shape, std::tuple_cat(read, operands_of(a.addend)), sink, a.y, run);
}

/// The sink of one of two results. (Of a branch: branch.hpp.)
template <class T, class U> StoredRows<U> sink_of(const Strided<U>& rows) { return {rows}; }
template <class T, class U> StoredRows<U> times_sink(const Strided<U>& rows, std::nullptr_t) {
  return {rows};
}
template <class T, class U>
MappedSink<StoredRows<U>, TimesNumber<T>> times_sink(const Strided<U>& rows, double number) {
  return {{rows}, {static_cast<T>(number)}};
}
template <class Sink> Sink added_sink(const Sink& sink, std::nullptr_t) { return sink; }
template <class Sink, class S>
AddedSink<Sink, LoadedRows<S>> added_sink(const Sink& sink, const Strided<const S>& addend) {
  return {sink, {addend}};
}
template <int Rows, class Blocks, class Read, class S, class X, class R, class A, class Run>
void with_sink(RowShape shape, const Read& read, const ResidualGradients<S, X, Strided<R>, A>& a,
               const Run& run) {
  using T = typename Blocks::Scalar;
  const BothSinks both{sink_of<T>(a.dx), times_sink<T>(a.dresidual, a.residual_scale)};
  const auto others = std::tuple_cat(operands_of(a.dx), operands_of(a.dsum));
  with_lines_of_all<Rows, Blocks>(shape, read, added_sink(both, a.dsum), a.dresidual, others, run);
}

}  // namespace simdnorm
