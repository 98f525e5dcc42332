// What gates are made of: silu(z) times what is read or written, and the gradients of both.
#pragma once

#include "../simd_silu.hpp"
#include "mapped.hpp"
#include "residual_sum.hpp"

namespace simdnorm {

// --- terms, maps and sinks ---

/// x * silu(z). As a term of a sum; as a map of results, of `values` in the place of x.
template <class X, class Z> struct GatedTerm {
  X x;
  Z z;

  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector load(const Block& block, At<Lanes> at) const {
    return x.load(block, at) * simd::silu(z.load(block, at));
  }
  template <class Block, class Lanes, class Ahead>
  SIMDNORM_INLINE void fetch(const Block& block, At<Lanes> at, Ahead ahead) const {
    x.fetch(block, at, ahead);
    z.fetch(block, at, ahead);
  }
};
template <class X, class Z> GatedTerm(X, Z) -> GatedTerm<X, Z>;

/// As a map of results.
template <class Z> struct TimesGate {
  Z z;

  template <class Block, class Lanes, class Vector>
  SIMDNORM_INLINE Vector operator()(const Block& block, At<Lanes> at, Vector values) const {
    return values * simd::silu(z.last(block, at));
  }
};
template <class U> auto ahead(const TimesGate<LoadedRows<U>>& map, Index rows_ahead) {
  return TimesGate<FetchedRows<LoadedRows<U>>>{{map.z, rows_ahead}};
}

/// Of du, the gradient of u = x * silu(z): dx = du * silu(z), dz = du * x * silu'(z).
template <class X, class Z, class Dx, class Dz> struct GateGradientsSink {
  X x;
  Z z;
  Dx dx;
  Dz dz;

  template <class Block, class Lanes>
  SIMDNORM_INLINE auto store(const Block& block, At<Lanes> at, typename Block::Vector du) {
    const auto of_z = z.last(block, at), of_x = x.last(block, at);
    const auto to_x = simd::canonical(du * simd::silu(of_z));
    const auto to_z = simd::canonical(du * of_x * simd::silu_derivative(of_z));
    dx.store(block, at, to_x);
    dz.store(block, at, to_z);
    return to_x;
  }
  template <class How> auto written(How how) const {
    return GateGradientsSink<FetchedRows<X>, FetchedRows<Z>, Written<Dx, How>, Written<Dz, How>>{
        {x, how.rows_ahead}, {z, how.rows_ahead}, dx.written(how), dz.written(how)};
  }
};

/// dy * silu(z) as a source that has more results: dz = dy * silu'(z) * norm(x), where norm(x) = norm_of(xhat).
template <class Dy, class Z, class NormOf, class Dz> struct GatedGradientRows : MadeRows<GatedTerm<Dy, Z>> {
  NormOf norm_of;  // an epilogue
  Dz dz;
  GatedGradientRows(const GatedTerm<Dy, Z>& gated_dy, const NormOf& of_xhat, const Dz& dz_rows)
      : MadeRows<GatedTerm<Dy, Z>>{gated_dy}, norm_of(of_xhat), dz(dz_rows) {}

  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector of_norm(const Block& block, At<Lanes> at) const {
    return this->made.x.load(block, at) * simd::silu_derivative(this->made.z.load(block, at));
  }
};
/// What it reads first where dx and dz are rows of T: dy * silu(z) is kept in dx, and dy * silu'(z) in dz.
template <class Dy, class Z, class T> struct GatedGradientParts {
  GatedTerm<Dy, Z> made;
  StoredRows<T> dx, dz;

  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector load(const Block& block, At<Lanes> at) const {
    const auto dy = made.x.load(block, at), z = made.z.load(block, at);
    const auto g = dy * simd::silu(z);
    dx.store(block, at, g);
    dz.store(block, at, dy * simd::silu_derivative(z));
    return g;
  }
};
/// The same source then: silu is computed once.
template <class Dy, class Z, class NormOf, class T> struct KeptGatedGradientRows : LoadedRows<T> {
  GatedTerm<Dy, Z> made;
  NormOf norm_of;
  StoredRows<T> dx, dz;
  KeptGatedGradientRows(const GatedTerm<Dy, Z>& gated_dy, const NormOf& of_xhat, const Strided<T>& dx_rows,
                        const Strided<T>& dz_rows)
      : LoadedRows<T>{read_rows({}, dx_rows)}, made(gated_dy), norm_of(of_xhat), dx{dx_rows}, dz{dz_rows} {}

  GatedGradientParts<Dy, Z, T> first() const { return {made, dx, dz}; }
  template <class Block, class Lanes, class Ahead>
  SIMDNORM_INLINE void fetch(const Block& block, At<Lanes> at, Ahead ahead) const {
    made.fetch(block, at, ahead);
  }
  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector of_norm(const Block& block, At<Lanes> at) const {
    return LoadedRows<T>{read_rows({}, dz.operand)}.load(block, at);
  }
};

/// silu has so many operations, one after another, that it is computed fastest by a loop that does nothing else, over all rows of a
/// block.
template <class Block, class Source>
SIMDNORM_LOOP void make_all(const Block& block, Columns columns, const Source& source) {
  block.folded([&](const auto& rows, int /*first*/) SIMDNORM_BODY {
    rows.columns(columns.begin, columns.end, [&](auto column) SIMDNORM_BODY {
      rows.rows(column, [&](auto at) SIMDNORM_BODY { source.load(rows, at); });
    });
  });
}
template <class Block, class X, class Z, class U>
SIMDNORM_LOOP LoadedRows<U> made_before(const Block& block, Columns columns,
                                        const StoredAsRead<GatedTerm<X, Z>, U>& source) {
  make_all(block, columns, source);
  return {read_rows({}, source.kept.operand)};
}
template <class Block, class Dy, class Z, class T>
SIMDNORM_LOOP LoadedRows<T> made_before(const Block& block, Columns columns,
                                        const GatedGradientParts<Dy, Z, T>& source) {
  make_all(block, columns, source);
  return {read_rows({}, source.dx.operand)};
}

/// dz at a place.
template <class Rows, class Block, class Lanes, class Xhat>
SIMDNORM_INLINE auto gate_gradient(const Rows& dy, const Block& block, At<Lanes> at, const Xhat& xhat) {
  const auto norm = rounded(dy.norm_of.at(block, at)(xhat()));
  const auto values = simd::canonical(dy.of_norm(block, at) * norm);
  return [&dy, &block, at, values]() SIMDNORM_INLINE_LAMBDA { dy.dz.store(block, at, values); };
}
template <class Dy, class Z, class NormOf, class Dz, class Block, class Lanes, class Xhat>
SIMDNORM_INLINE auto more_results(const GatedGradientRows<Dy, Z, NormOf, Dz>& dy, const Block& block,
                                  At<Lanes> at, const Xhat& xhat) {
  return gate_gradient(dy, block, at, xhat);
}
template <class Dy, class Z, class NormOf, class T, class Block, class Lanes, class Xhat>
SIMDNORM_INLINE auto more_results(const KeptGatedGradientRows<Dy, Z, NormOf, T>& dy, const Block& block,
                                  At<Lanes> at, const Xhat& xhat) {
  return gate_gradient(dy, block, at, xhat);
}

}  // namespace simdnorm
