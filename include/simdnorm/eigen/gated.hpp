// Gates of Eigen objects: the arguments of kernel/gated.hpp.
#pragma once

#include "../kernel/gated.hpp"
#include "arguments.hpp"

namespace simdnorm {

template <class Dy, class Z, class Dz> struct TensorGatedGradient {
  View<Dy> dy;
  View<const Z> z;
  View<Dz> dz;
};
template <class X, class Z, class U = View<std::nullptr_t>> struct TensorGated {
  View<X> x;
  View<const Z> z;
  U u;

  /// As dy of a backward: dz, too, is written. beta is the functor's.
  template <class Dz, class = std::enable_if_t<has_memory<std::decay_t<Dz>>()>>
  TensorGatedGradient<X, Z, std::remove_reference_t<Dz>> gradient(Dz&& dz) const {
    return {x, z, {dz}};
  }
};
/// x times the gate silu(z): as y or x of a forward, as dy or x of a backward:
///   norm.forward(x, gated(y, z), moments);
///   norm.backward(gated(dy, z).gradient(dz), x, moments, dx, dgamma);
/// All have the shape of x. See kernel/gated.hpp.
template <class X, class Z, class = std::enable_if_t<has_memory<std::decay_t<X>>() && has_memory<Z>()>>
TensorGated<std::remove_reference_t<X>, Z> gated(X&& x, const Z& z) {
  return {{x}, {z}, {}};
}
template <class X, class Z, class U, class = std::enable_if_t<has_memory<X>() && has_memory<Z>()>>
TensorGated<const X, Z, view_t<U>> gated(const X& x, const Z& z, U&& u) {
  return {{x}, {z}, view(u)};
}

template <class X, class Z, class Dx, class Dz> struct TensorGateGradients {
  View<const X> x;
  View<const Z> z;
  View<Dx> dx;
  View<Dz> dz;
};
/// As dx of a backward whose x was gated(x, z).
template <class X, class Z, class Dx, class Dz,
          class = std::enable_if_t<has_memory<X>() && has_memory<Z>() && has_memory<std::decay_t<Dx>>() &&
                                   has_memory<std::decay_t<Dz>>()>>
TensorGateGradients<X, Z, std::remove_reference_t<Dx>, std::remove_reference_t<Dz>> gate_gradients(const X& x,
                                                                                                   const Z& z,
                                                                                                   Dx&& dx,
                                                                                                   Dz&& dz) {
  return {{x}, {z}, {dx}, {dz}};
}

template <class X, class Z, class U> const auto& shape_of(const TensorGated<X, Z, U>& a) {
  return a.x.object;
}
template <class X, class Z, class U> struct ScalarOf<TensorGated<X, Z, U>> {
  using type = scalar_t<View<X>, View<Z>, U>;
};

/// Rows that are written if they can be: whether they are, the operator knows.
template <class Call, class X> auto gated_rows(const Call& call, const char* name, View<X> x) {
  if constexpr (std::is_const_v<std::remove_pointer_t<decltype(x.object.data())>>) {
    return call.rows_read(name, x.object);
  } else {
    return call.rows_written(name, x.object);
  }
}
template <class Call, class X, class Z, class U>
auto as_rows(const Call& call, const char* name, const TensorGated<X, Z, U>& a) {
  return Gated{gated_rows(call, name, a.x), as_rows(call, "z", a.z), as_written(call, "u", a.u)};
}
template <class Call, class Dy, class Z, class Dz>
auto as_rows(const Call& call, const char* name, const TensorGatedGradient<Dy, Z, Dz>& a) {
  return GatedGradient{gated_rows(call, name, a.dy), as_rows(call, "z", a.z), as_written(call, "dz", a.dz),
                       BetaNotGiven{}};
}
template <class Call, class X, class Z, class Dx, class Dz>
auto as_rows(const Call& call, const char* name, const TensorGateGradients<X, Z, Dx, Dz>& a) {
  return GateGradients{as_rows(call, "the gated x", a.x), as_rows(call, "z", a.z),
                       as_written(call, name, a.dx), as_written(call, "dz", a.dz)};
}

/// dy of a LayerNorm, which has a beta.
template <class Dy, class B> const Dy& with_beta(const Dy& dy, const B* /*beta*/) { return dy; }
template <class Dy, class Z, class Dz, class B>
auto with_beta(const GatedGradient<Dy, Z, Dz>& a, const B* beta) {
  return GatedGradient{a.dy, a.z, a.dz, beta};
}

}  // namespace simdnorm
