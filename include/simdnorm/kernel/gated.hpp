// Gates: silu(z) = z / (1 + exp(-z)) times what a norm reads or writes, and the gradients of both.
#pragma once

#include "../check.hpp"
#include "../operands.hpp"
#include "epilogue.hpp"
#include "gate.hpp"

namespace simdnorm {

// --- as arguments ---

/// In the place of a beta: that of RMSNorm, which has none. (LayerNorm asks for one, nullptr if need be: without it dz would be
/// wrong.)
struct BetaNotGiven {
  template <class P> constexpr operator P*() const { return nullptr; }
};
template <> struct ElementOf<BetaNotGiven> { using type = void; };

/// As dy of a backward whose y was gated. Made by Gated::gradient.
template <class Dy, class Z, class Dz, class Beta = BetaNotGiven> struct GatedGradient {
  Dy dy;
  Z z;
  Dz dz;
  Beta beta;
};
template <class Dy, class Z, class Dz, class B> GatedGradient(Dy, Z, Dz, B) -> GatedGradient<Dy, Z, Dz, B>;

/// Made by gated.
template <class X, class Z, class U = std::nullptr_t> struct Gated {
  X x;
  Z z;
  U u;

  /// As dy of a backward: dz, too, is written. beta: what forward had, of LayerNorm.
  template <class Dz, class Beta = BetaNotGiven, class = element_t<Dz>>
  GatedGradient<X, Z, Dz, Beta> gradient(Dz dz, Beta beta = {}) const {
    return {x, z, dz, beta};
  }
};
template <class X, class Z, class U> Gated(X, Z, U) -> Gated<X, Z, U>;

/// As dx of a backward whose x was gated. Made by gate_gradients.
template <class X, class Z, class Dx, class Dz> struct GateGradients {
  X x;
  Z z;
  Dx dx;
  Dz dz;
};
template <class X, class Z, class Dx, class Dz> GateGradients(X, Z, Dx, Dz) -> GateGradients<X, Z, Dx, Dz>;

/// x times the gate silu(z), as
///   y of a forward:   y = norm(x) * silu(z);
///   dy of a backward: the backward of that, by gated(dy, z), or, with dz = dy * silu'(z) * norm(x), by
///   gated(dy, z).gradient(dz, beta), where norm(x) has forward's bits; beta: what forward of LayerNorm had, nullptr for none:
///     rms_norm_forward(shape, x, gamma, epsilon, gated(y, z), moments);
///     rms_norm_backward(shape, gated(dy, z).gradient(dz), x, gamma, moments, dx, dgamma);
///   x of a forward: the norm of u = x * silu(z), which is kept, rounded to its type, where a third argument
///   says so, and else made again each time that it is read; x of its backward is u, or gated(x, z), dx gate_gradients;
///   x of residual_sum: residual + x * silu(z), without u; dx of its backward is residual_gradients(dsum, gate_gradients(...),
///   dresidual).
/// What is gated, z, u, dz: rows, a pointer or a Strided each, of any types of numbers.
/// y may be x or z; u may be x or z, and y the one of them that u is not. dz may be dy or z, and dx the other, but with dz
/// neither may be x. All where both hold types of one size.
/// silu, which costs several times what the norm does, is computed once a call, but of a gated x that is not kept, nor y of T, and
/// of dy whose dx or dz does not hold T, twice.
/// Each operation is rounded by itself, in T of the call, products from left to right; silu is that of simd_silu.hpp. A y, and a
/// dz, that is NaN is the canonical one. A gate of -Inf is -0, silu's limit: only what is not finite is NaN then.
/// Errors: those of the call; a missing operand, or any other overlap: std::invalid_argument, before anything is written.
/// Source: Dao, Gu, Transformers are SSMs (2024), RMSNormGated: norm_before_gate is gated(y, z), its opposite gated(x, z).
template <class X, class Z, class U = std::nullptr_t, class = element_t<X>, class = element_t<Z>,
          class = element_t<U>>
Gated<X, Z, U> gated(X x, Z z, U u = {}) {
  static_assert(!std::is_void_v<element_t<X>> && !std::is_void_v<element_t<Z>>,
                "simdnorm: gated: what is gated, and z, are rows of numbers, neither codes nor nullptr");
  return {x, z, u};
}

/// As dx of a backward whose x was gated(x, z): with du, the gradient of x * silu(z),
/// dx = du * silu(z) and dz = du * x * silu'(z):
///   rms_norm_forward(shape, gated(x, z), gamma, epsilon, y, moments);
///   rms_norm_backward(shape, dy, gated(x, z), gamma, moments, gate_gradients(x, z, dx, dz), dgamma);
/// x, z: those that were gated. dx, dz: each may be dy, x or z, where both hold types of one size, but not both the same.
/// All else: as gated.
template <class X, class Z, class Dx, class Dz, class = element_t<X>, class = element_t<Z>,
          class = element_t<Dx>, class = element_t<Dz>>
GateGradients<X, Z, Dx, Dz> gate_gradients(X x, Z z, Dx dx, Dz dz) {
  return {x, z, dx, dz};
}

template <class X, class Z, class U>
inline constexpr bool keeps_rows<Gated<X, Z, U>> = !std::is_null_pointer_v<U>;
template <class X, class Z, class U> struct ComputedIn<Gated<X, Z, U>> { using type = operands_t<X, Z, U>; };
/// Of what is normalized.
template <class X, class Z, class U> struct ElementOf<Gated<X, Z, U>> {
  using type = element_or_t<U, operands_t<X, Z>>;
};
template <class Dy, class Z, class Dz, class B> struct ComputedIn<GatedGradient<Dy, Z, Dz, B>> {
  using type = operands_t<Dy, Z, Dz, B>;
};
template <class X, class Z, class Dx, class Dz> struct ComputedIn<GateGradients<X, Z, Dx, Dz>> {
  using type = operands_t<X, Z, Dx, Dz>;
};
template <class X, class Z, class Dx, class Dz> struct ElementOf<GateGradients<X, Z, Dx, Dz>> {
  using type = element_t<Dx>;
};

// --- as rows: the same structs, of Strided ---

template <class X, class Z, class U> auto read_rows(RowShape shape, const Gated<X, Z, U>& a) {
  return Gated{read_rows(shape, a.x), read_rows(shape, a.z), written_rows(shape, a.u)};
}
template <class X, class Z> auto written_rows(RowShape shape, const Gated<X, Z>& a) {
  return Gated{written_rows(shape, a.x), read_rows(shape, a.z), nullptr};
}
template <class Dy, class Z, class Dz, class B>
auto read_rows(RowShape shape, const GatedGradient<Dy, Z, Dz, B>& a) {
  return GatedGradient{read_rows(shape, a.dy), read_rows(shape, a.z), written_rows(shape, a.dz), a.beta};
}
template <class X, class Z, class Dx, class Dz>
auto written_rows(RowShape shape, const GateGradients<X, Z, Dx, Dz>& a) {
  return GateGradients{read_rows(shape, a.x), read_rows(shape, a.z), written_rows(shape, a.dx),
                       written_rows(shape, a.dz)};
}

template <class X, class Z, class U> auto operands_of(const Gated<X, Z, U>& a) {
  return std::tuple_cat(operands_of(a.x), operands_of(a.z), operands_of(a.u));
}
template <class Dy, class Z, class Dz, class B> auto operands_of(const GatedGradient<Dy, Z, Dz, B>& a) {
  return std::tuple_cat(operands_of(a.dy), operands_of(a.z), operands_of(a.dz));
}
template <class X, class Z, class Dx, class Dz> auto operands_of(const GateGradients<X, Z, Dx, Dz>& a) {
  return std::tuple_cat(operands_of(a.dx), operands_of(a.dz), operands_of(a.x), operands_of(a.z));
}

template <class X, class Z, class U, class Then>
SIMDNORM_INLINE void touch(const Check& check, const char* name, const Gated<X, Z, U>& a, const Then& then) {
  touch_all(check, then, name, a.x, "z", a.z, "u", a.u);
}
template <class Dy, class Z, class Dz, class B, class Then>
SIMDNORM_INLINE void touch(const Check& check, const char* name, const GatedGradient<Dy, Z, Dz, B>& a,
                           const Then& then) {
  const element_or_t<B, float>* const beta = a.beta;
  touch_all(check, then, name, a.dy, "z", a.z, "dz", a.dz, "beta", read_array(beta, check.shape().hidden));
}
template <class X, class Z, class Dx, class Dz, class Then>
SIMDNORM_INLINE void touch(const Check& check, const char* name, const GateGradients<X, Z, Dx, Dz>& a,
                           const Then& then) {
  touch_all(check, then, name, a.dx, "dz", a.dz, "the gated x", a.x, "z", a.z);
}

// --- as sources and sinks ---

template <class T, class X, class Z, class U>
auto source_of(const Gated<Strided<const X>, Strided<const Z>, U>& a) {
  return kept(GatedTerm{LoadedRows<X>{a.x}, LoadedRows<Z>{a.z}}, a.u);
}
/// u that nobody asked for is kept in y until this is written, where y holds T.
template <class T, class X, class Z> auto kept_in(const Gated<X, Z>& a, const Strided<T>& y) {
  return Gated{a.x, a.z, y};
}
template <class T, class Dy, class NormOf, class Dz, class Dx>
auto gate_gradient_rows(const Dy& gated_dy, const NormOf& norm_of, const Strided<Dz>& dz, const Dx&) {
  return GatedGradientRows{gated_dy, norm_of, StoredRows<Dz>{dz}};
}
template <class T, class Dy, class NormOf>
auto gate_gradient_rows(const Dy& gated_dy, const NormOf& norm_of, const Strided<T>& dz,
                        const Strided<T>& dx) {
  return KeptGatedGradientRows{gated_dy, norm_of, dx, dz};
}
/// dx in which dy * silu(z) is kept before it is written: its lines are in the caches.
template <class T> struct KeptIn { Strided<T> dx; };
template <class T> auto operands_of(const KeptIn<T>& a) { return operands_of(a.dx); }
template <class T, class Dy, class Z, class B>
KeptIn<T> written_beside(const GatedGradient<Dy, Z, Strided<T>, B>&, const Strided<T>& dx) {
  return {dx};
}
template <int Rows, class Blocks, class Read, class T, class Run>
void with_sink(RowShape /*shape*/, const Read& /*read*/, const KeptIn<T>& a, const Run& run) {
  run(StoredRows<T>{a.dx}, DirectWriter{});
}
/// With the epilogue that forward has.
template <class T, class Statistic, class Casting, class X, class P, class Dy, class Z, class Dz, class B,
          class Dx>
auto gradient_source_of(const GatedGradient<Strided<const Dy>, Strided<const Z>, Strided<Dz>, B>& a,
                        const P* gamma, const Dx& dx) {
  static_assert(Statistic::centered || std::is_void_v<element_t<B>>, "simdnorm: RMSNorm has no beta");
  static_assert(!Statistic::centered || !std::is_same_v<B, BetaNotGiven>,
                "simdnorm: gated(dy, z).gradient(dz, beta) of LayerNorm needs forward's beta, or nullptr");
  const GatedTerm gated_dy{LoadedRows<Dy>{a.dy}, LoadedRows<Z>{a.z}};
  const element_or_t<B, P>* const beta = a.beta;
  return gate_gradient_rows<T>(gated_dy, epilogue_of<Statistic, Casting, X>(gamma, beta), a.dz, dx);
}
template <class Dy, class X, class Z, class U>
const Gated<X, Z, Strided<U>>& beside(const Dy&, const Gated<X, Z, Strided<U>>& x) {
  static_assert(std::is_void_v<U>, "simdnorm: x of a backward is u, which forward has kept, or gated(x, z)");
  return x;
}
/// dx and dz may be written before x is read for the last time.
template <class Dy, class Z, class Dz, class B, class X>
StillRead<X> beside(const GatedGradient<Dy, Z, Dz, B>&, const X& x) {
  return {x};
}

template <int Rows, class Blocks, class Read, class U, class Z, class Run>
void with_sink(RowShape shape, const Read& read, const Gated<Strided<U>, Strided<const Z>>& a,
               const Run& run) {
  with_mapped<Rows, Blocks>(shape, std::tuple_cat(read, operands_of(a.z)), a.x,
                            TimesGate<LoadedRows<Z>>{{a.z}}, run);
}
template <class T, class X, class Z, class Dx, class Dz>
auto sink_of(const GateGradients<Strided<const X>, Strided<const Z>, Strided<Dx>, Strided<Dz>>& a) {
  return GateGradientsSink<LoadedRows<X>, LoadedRows<Z>, StoredRows<Dx>, StoredRows<Dz>>{
      {a.x}, {a.z}, {a.dx}, {a.dz}};
}
template <int Rows, class Blocks, class Read, class X, class Z, class Dx, class Dz, class Run>
void with_sink(RowShape shape, const Read& read, const GateGradients<X, Z, Dx, Dz>& a, const Run& run) {
  with_lines_of_all<Rows, Blocks>(shape, read, sink_of<typename Blocks::Scalar>(a), a.dx,
                                  std::tuple_cat(operands_of(a.dz), operands_of(a.x), operands_of(a.z)), run);
}

}  // namespace simdnorm
