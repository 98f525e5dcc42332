// The definitions of norms.hpp, for norms_*.cpp.
#pragma once

#include <simdnorm/simdnorm.hpp>

#include "../layers/dynamic_tanh.hpp"
#include "../layers/switchable_norm.hpp"
#include "norms.hpp"

namespace gpt {

/// Calls f with simdnorm's norm of that kind; false where it has none.
template <class T, class F> bool with_simdnorm(const Norm<T>& norm, F&& f) {
  if (norm.kind == Kind::layer_norm) f(simdnorm::LayerNorm<T>(norm.gamma, norm.beta));
  if (norm.kind == Kind::rms_norm) f(simdnorm::RMSNorm<T>(norm.gamma));
  return norm.kind == Kind::layer_norm || norm.kind == Kind::rms_norm;
}

/// The arguments of a forward, and the device where there is one.
template <class Functor, class X, class Y, class T>
void forward(const Functor& norm, const X& x, Y&& y, simdnorm::Moments<T>& moments, Run run) {
  if (run.device != nullptr)
    norm.forward(x, y, moments, *run.device);
  else
    norm.forward(x, y, moments);
}

template <class T> layers::RowView<T> row(const Eigen::Map<Vector<T>>& view) {
  return {const_cast<T*>(view.data()), view.size()};
}
template <class T> layers::BatchNorm<T> batch_norm(const Norm<T>& n) {
  return {row<T>(n.gamma), row<T>(n.beta), row<T>(n.running_mean), row<T>(n.running_variance)};
}
template <class T> layers::SwitchableNorm<T> switchable_norm(const Norm<T>& n) {
  return {row<T>(n.gamma), row<T>(n.beta), row<T>(n.mixture), row<T>(n.running_mean),
          row<T>(n.running_variance)};
}
template <class T> layers::DynamicTanh<T> dynamic_tanh(const Norm<T>& n) {
  return {row<T>(n.gamma), row<T>(n.beta), row<T>(n.alpha)};
}

/// Of the kinds that are not simdnorm's: in T, on copies.
template <class T, class A>
void normalize_elsewhere(const Norm<T>& norm, Normalized<T, A>& place, Mode mode) {
  const Matrix<T> x = place.x.template cast<T>();
  Matrix<T> y;
  const auto of_columns = [&](auto layer) {
    if (mode == Mode::training)
      layer.forward(x, y, place.columns);
    else
      layer.infer(x, y);
  };
  switch (norm.kind) {
    case Kind::batch_norm:
      of_columns(batch_norm(norm));
      break;
    case Kind::switchable_norm:
      of_columns(switchable_norm(norm));
      break;
    case Kind::dynamic_tanh:
      dynamic_tanh(norm).forward(x, y);
      break;
    default:
      y = x;
  }
  place.y = y.template cast<A>();
}
/// dx, in T.
template <class T, class A>
Matrix<T> backward_elsewhere(const Norm<T>& norm, const Matrix<A>& dy, const Normalized<T, A>& place,
                             Norm<T>& gradient) {
  const Matrix<T> x = place.x.template cast<T>();
  Matrix<T> dx = dy.template cast<T>();
  const auto dgamma = row<T>(gradient.gamma), dbeta = row<T>(gradient.beta);
  switch (norm.kind) {
    case Kind::batch_norm:
      batch_norm(norm).backward(dx, x, place.columns, dx, dgamma, dbeta);
      break;
    case Kind::switchable_norm:
      switchable_norm(norm).backward(dx, x, place.columns, dx, dgamma, dbeta, row<T>(gradient.mixture));
      break;
    case Kind::dynamic_tanh:
      dynamic_tanh(norm).backward(dx, x, dx, dgamma, dbeta, row<T>(gradient.alpha));
      break;
    default:
      break;
  }
  return dx;
}

template <class T, class A> void normalize(const Norm<T>& norm, Normalized<T, A>& place, Run run) {
  place.y.resize(place.x.rows(), place.x.cols());
  if (!with_simdnorm(norm,
                     [&](const auto& of_kind) { forward(of_kind, place.x, place.y, place.moments, run); }))
    normalize_elsewhere(norm, place, run.mode);
}

template <class T, class A>
void add_and_normalize(const Norm<T>& norm, const Matrix<A>& branch, T alpha, const Matrix<A>& stream,
                       Normalized<T, A>& place, Run run) {
  place.x.resize(stream.rows(), stream.cols());
  place.y.resize(stream.rows(), stream.cols());
  const auto sum = simdnorm::residual_sum(branch, stream, place.x).alpha(static_cast<double>(alpha));
  if (!with_simdnorm(norm,
                     [&](const auto& of_kind) { forward(of_kind, sum, place.y, place.moments, run); })) {
    place.x = (branch.template cast<T>() + alpha * stream.template cast<T>()).template cast<A>();
    normalize_elsewhere(norm, place, run.mode);
  }
}

template <class T, class A>
void normalize_and_add(const Norm<T>& norm, Normalized<T, A>& place, const Matrix<A>& stream, Matrix<A>& sum,
                       Run run) {
  sum.resize(stream.rows(), stream.cols());
  const auto y = simdnorm::added(stream, sum);
  if (!with_simdnorm(norm, [&](const auto& of_kind) { forward(of_kind, place.x, y, place.moments, run); })) {
    normalize_elsewhere(norm, place, run.mode);
    sum = stream + place.y;
  }
}

/// dx: a matrix, or one that something is added to. What is frozen has no gradient, and none is computed.
template <class T, class A, class Dx>
bool backward(const Norm<T>& norm, const Matrix<A>& dy, const Normalized<T, A>& place, Dx&& dx,
              Norm<T>& gradient, simdnorm::Workspace<T>& workspace) {
  return with_simdnorm(norm, [&](const auto& of_kind) {
    if (gradient.gamma.size() == 0)
      of_kind.backward(dy, place.x, place.moments, dx);
    else if constexpr (std::is_same_v<std::decay_t<decltype(of_kind)>, simdnorm::RMSNorm<T>>)
      of_kind.backward(dy, place.x, place.moments, dx, gradient.gamma, simdnorm::accumulate, workspace);
    else
      of_kind.backward(dy, place.x, place.moments, dx, gradient.gamma, gradient.beta, simdnorm::accumulate,
                       workspace);
  });
}

template <class T, class A>
void normalize_backward(const Norm<T>& norm, const Matrix<A>& dy, const Normalized<T, A>& place,
                        Matrix<A>& dx, Norm<T>& gradient, simdnorm::Workspace<T>& workspace) {
  dx.resize(dy.rows(), dy.cols());
  if (!backward(norm, dy, place, dx, gradient, workspace))
    dx = backward_elsewhere(norm, dy, place, gradient).template cast<A>();
}

template <class T, class A>
void normalize_backward_and_add(const Norm<T>& norm, const Matrix<A>& dy, const Normalized<T, A>& place,
                                Matrix<A>& dx, Norm<T>& gradient, simdnorm::Workspace<T>& workspace) {
  if (!backward(norm, dy, place, simdnorm::added(dx, dx), gradient, workspace))
    dx = (dx.template cast<T>() + backward_elsewhere(norm, dy, place, gradient)).template cast<A>();
}

}  // namespace gpt

/// Compiles all of them for one pair of types.
#define GPT_NORMS(T, A)                                                                                     \
  namespace gpt {                                                                                           \
  template void normalize(const Norm<T>&, Normalized<T, A>&, Run);                                          \
  template void add_and_normalize(const Norm<T>&, const Matrix<A>&, T, const Matrix<A>&, Normalized<T, A>&, \
                                  Run);                                                                     \
  template void normalize_and_add(const Norm<T>&, Normalized<T, A>&, const Matrix<A>&, Matrix<A>&, Run);    \
  template void normalize_backward(const Norm<T>&, const Matrix<A>&, const Normalized<T, A>&, Matrix<A>&,   \
                                   Norm<T>&, simdnorm::Workspace<T>&);                                      \
  template void normalize_backward_and_add(const Norm<T>&, const Matrix<A>&, const Normalized<T, A>&,       \
                                           Matrix<A>&, Norm<T>&, simdnorm::Workspace<T>&);                  \
  }
