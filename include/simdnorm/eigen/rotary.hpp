// Rotary embeddings of Eigen objects: kernel/rotated.hpp, kernel/unrotated.hpp.
#pragma once

#include "../kernel/rotated.hpp"
#include "../kernel/unrotated.hpp"
#include "view.hpp"

namespace simdnorm {

template <class Y, RotaryPairs Pairs, class C, class I> struct TensorRotated {
  View<Y> y;
  Rotary<Pairs, C, I> rotary;
};
template <class Dy, RotaryPairs Pairs, class C, class I> struct TensorUnrotated {
  View<const Dy> dy;
  Rotary<Pairs, C, I> rotary;
};
/// As y of a forward, norm(x) turned by a rotary embedding: see kernel/rotated.hpp. Of tensors (..., tokens, heads, head_dim) whose
/// last dimension is normalized, heads and tokens of a Rotary may be left out: they are those of the shape. (Not with positions
/// and column-major tensors, whose tokens do not follow one another.)
template <class Y, RotaryPairs Pairs, class C, class I,
          class = std::enable_if_t<has_memory<std::decay_t<Y>>()>>
TensorRotated<std::remove_reference_t<Y>, Pairs, C, I> rotated(Y&& y, const Rotary<Pairs, C, I>& rotary) {
  return {{y}, rotary};
}
/// As dy of a backward, where y of forward was rotated: see kernel/unrotated.hpp.
template <class Dy, RotaryPairs Pairs, class C, class I, class = std::enable_if_t<has_memory<Dy>()>>
TensorUnrotated<Dy, Pairs, C, I> unrotated(const Dy& dy, const Rotary<Pairs, C, I>& rotary) {
  return {{dy}, rotary};
}

template <class Y, RotaryPairs P, class C, class I> struct ScalarOf<TensorRotated<Y, P, C, I>> {
  using type = compute_t<stored_t<Y>, C>;
};

/// The rotation of a call's rows.
template <class Call, RotaryPairs P, class C, class I>
RotaryRows<P, C, I> rotary_of(const Call& call, Rotary<P, C, I> rotary) {
  const bool of_shape = call.x.layout.row_major || rotary.positions == nullptr;
  const TokenRows found = of_shape ? call.rows_of_tokens() : TokenRows{};
  if (rotary.heads == 0) rotary.heads = found.heads;
  if (rotary.tokens == 0) rotary.tokens = found.tokens;
  return {rotary};
}
template <class Call, class Y, RotaryPairs P, class C, class I>
auto as_rows(const Call& call, const char* name, const TensorRotated<Y, P, C, I>& a) {
  return Rotated{as_written(call, name, a.y), rotary_of(call, a.rotary)};
}
template <class Call, class Dy, RotaryPairs P, class C, class I>
auto as_rows(const Call& call, const char* name, const TensorUnrotated<Dy, P, C, I>& a) {
  return Unrotated{as_rows(call, name, a.dy), rotary_of(call, a.rotary)};
}

}  // namespace simdnorm
