// Forward and backward as every functor has them: the last arguments, the operands as rows, the moments.
#pragma once

#include <algorithm>
#include <tuple>
#include <utility>

#include "functor.hpp"

namespace simdnorm {

/// forward and backward of a functor. Norm, which derives from this, says what is its own:
///   gradients                                             how many may follow dx
///   checked_records(call, x, epsilon, y)                  checks as forward does; how many records of moments there are
///   forward_rows(call, x, epsilon, y, moments, executor)
///   workspace_bytes<T>(call, dy, dx)                      of scratch memory, for backward
///   backward_rows(call, dy, x, moments, dx, options, executor, gradients...), each of these an object or nullptr
/// and, where its calls are not those of NormFunctor, call_of and expect_moments.
template <class Norm, class P> class Passes : protected NormFunctor<P> {
 public:
  /// Last arguments, in any order: Moments<T>& (kept for backward), a device.
  template <class X, class Y, class... Last> void forward(const X& x, Y&& y, Last&&... last) const {
    using T = typename NormFunctor<P>::template Computed<X, Y>;
    static_assert(
        std::conjunction_v<std::bool_constant<is_forward_option<T, std::decay_t<Last>>>...>,
        "simdnorm: forward: after y come a Moments<T>&, a device; T is double where x, y or what is "
        "learned holds double, else float");
    const auto& call = norm().call_of("forward", shape_of(x));
    const auto& x_rows = call.read_argument("x", x);
    const auto& y_rows = call.written_argument("y", y);
    const T epsilon = static_cast<T>(this->epsilon_);
    RowMoments<T>* moments = nullptr;
    if (Moments<T>* const kept = find_last<Moments<T>>(last...)) {
      kept->resize(norm().checked_records(call, simdnorm::read_rows(call.shape, x_rows), epsilon,
                                          written_rows(call.shape, y_rows)));
      moments = kept->data();
    }
    norm().forward_rows(call, x_rows, epsilon, y_rows, moments, executor_of(find_device(last...)));
  }

  /// dx alone, or after it the gradients of what is learned, all of them, nullptr for one that is not wanted: of LayerNorm dgamma and
  /// dbeta, of RMSNorm dgamma. Last arguments, in any order: accumulate, a Workspace<T>&, a device.
  template <class Dy, class X, class T, class Dx, class... Last>
  void backward(const Dy& dy, const X& x, const Moments<T>& moments, Dx&& dx, Last&&... last) const {
    const auto all = std::forward_as_tuple(last...);
    constexpr auto count = static_cast<std::size_t>(Norm::gradients);
    if constexpr (std::conjunction_v<std::bool_constant<is_backward_option<T, std::decay_t<Last>>>...>) {
      backward_with(dy, x, moments, dx, none(std::make_index_sequence<count>()), all);
    } else {
      static_assert(sizeof...(Last) >= count, "simdnorm: backward: after dx come all gradients, or none");
      backward_with(dy, x, moments, dx, part<0>(all, std::make_index_sequence<count>()),
                    part<count>(all, std::make_index_sequence<std::max(sizeof...(Last), count) - count>()));
    }
  }

 protected:
  using NormFunctor<P>::NormFunctor;

  template <class X> auto call_of(const char* method, const X& x) const {
    return typename NormFunctor<P>::template Call<X>(*this, method, x);
  }
  template <class Call, class T> void expect_moments(const Call& call, const Moments<T>& moments) const {
    call.expect_moments(moments);
  }

 private:
  const Norm& norm() const { return static_cast<const Norm&>(*this); }

  template <std::size_t... I> static auto none(std::index_sequence<I...>) {
    return std::tuple{(static_cast<void>(I), nullptr)...};
  }
  template <std::size_t First, class All, std::size_t... I>
  static auto part(const All& all, std::index_sequence<I...>) {
    return std::tie(std::get<First + I>(all)...);
  }

  template <class Dy, class X, class T, class Dx, class Gradients, class... Last>
  void backward_with(const Dy& dy, const X& x, const Moments<T>& moments, Dx& dx, const Gradients& gradients,
                     const std::tuple<Last&...>& options) const {
    static_assert(
        std::conjunction_v<std::bool_constant<is_backward_option<T, std::decay_t<Last>>>...>,
        "simdnorm: backward: after dx and the gradients of what is learned (dgamma and dbeta; dgamma; "
        "dscale and dshift; dg) come accumulate, a Workspace<T>&, a device");
    const auto& call = norm().call_of("backward", shape_of(x));
    norm().expect_moments(call, moments);
    const auto& dy_rows = call.read_argument("dy", dy);
    const auto& x_rows = call.read_argument("x", x);
    const auto& dx_rows = call.written_argument("dx", dx);
    std::apply(
        [&](auto&... last) {
          std::apply(
              [&](auto&... gradient) {
                norm().backward_rows(
                    call, dy_rows, x_rows, moments.data(), dx_rows,
                    gradient_options<T>(
                        [&] { return norm().template workspace_bytes<T>(call, dy_rows, dx_rows); }, last...),
                    executor_of(find_device(last...)), gradient...);
              },
              gradients);
        },
        options);
  }
};

}  // namespace simdnorm
