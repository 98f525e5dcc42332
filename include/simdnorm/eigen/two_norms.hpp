// Two norms of one Eigen object: kernel/two_norms.hpp.
#pragma once

#include "../kernel/two_norms.hpp"
#include "view.hpp"

namespace simdnorm {

template <class Y, class Gamma, class Beta, class Y2> struct TensorTwoNorms {
  View<Y> y;
  Gamma gamma_2;
  Beta beta_2;
  View<Y2> y_2;
};
template <class Dy, class Gamma, class Dy2, class Dgamma, class Dbeta> struct TensorTwoGradients {
  View<const Dy> dy;
  Gamma gamma_2;
  View<const Dy2> dy_2;
  Dgamma dgamma_2;
  Dbeta dbeta_2;
};
/// As y of a forward: y, and in y_2 the norm of the same x with other vectors, nullptr for 1 and 0: see kernel/two_norms.hpp.
template <class Y, class Gamma, class Beta, class Y2,
          class = std::enable_if_t<has_memory<std::decay_t<Y>>() && has_memory<std::decay_t<Y2>>()>>
TensorTwoNorms<std::remove_reference_t<Y>, view_t<const Gamma&>, view_t<const Beta&>,
               std::remove_reference_t<Y2>>
two_norms(Y&& y, const Gamma& gamma_2, const Beta& beta_2, Y2&& y_2) {
  return {{y}, view(gamma_2), view(beta_2), {y_2}};
}
/// As dy of a backward: the gradients of both, of which dx is one; dgamma_2 and dbeta_2: both of float or both of double, nullptr
/// for one that is not wanted.
template <class Dy, class Gamma, class Dy2, class Dgamma, class Dbeta,
          class = std::enable_if_t<is_readable<Dy>() && is_readable<Dy2>()>>
TensorTwoGradients<Dy, view_t<const Gamma&>, Dy2, view_t<Dgamma>, view_t<Dbeta>> two_gradients(
    const Dy& dy, const Gamma& gamma_2, const Dy2& dy_2, Dgamma&& dgamma_2, Dbeta&& dbeta_2) {
  return {{dy}, view(gamma_2), {dy_2}, view(dgamma_2), view(dbeta_2)};
}

template <class Y, class P, class B, class Y2> struct ScalarOf<TensorTwoNorms<Y, P, B, Y2>> {
  using type = scalar_t<View<Y>, P, B, View<Y2>>;
};

template <class Call, class Y, class P, class B, class Y2>
auto as_rows(const Call& call, const char* name, const TensorTwoNorms<Y, P, B, Y2>& a) {
  return TwoNorms{as_written(call, name, a.y), as_vector(call, "gamma_2", a.gamma_2),
                  as_vector(call, "beta_2", a.beta_2), as_written(call, "y_2", a.y_2)};
}
template <class Call, class Dy, class P, class Dy2, class Dgamma, class Dbeta>
auto as_rows(const Call& call, const char* name, const TensorTwoGradients<Dy, P, Dy2, Dgamma, Dbeta>& a) {
  using G = compute_t<typename ScalarOf<Dgamma>::type, typename ScalarOf<Dbeta>::type>;
  return TwoGradients{as_rows(call, name, a.dy), as_vector(call, "gamma_2", a.gamma_2),
                      as_rows(call, "dy_2", a.dy_2), sums_to<G>(call, "dgamma_2", a.dgamma_2),
                      sums_to<G>(call, "dbeta_2", a.dbeta_2)};
}

}  // namespace simdnorm
