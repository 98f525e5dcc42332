// LayerNorm and RMSNorm as functors over Eigen tensors and matrices, of equal parts of the normalized places, each by itself.
#pragma once

#include "../grouped_norm.hpp"
#include "functor.hpp"

namespace simdnorm {

/// The part of the two that does not depend on which norm it is: `Layer` says.
template <class P, class Casting, bool Layer> class GroupedNorm : private NormFunctor<P> {
  using Base = NormFunctor<P>;

 protected:
  using Epsilon = typename Base::Epsilon;

  GroupedNorm(const char* name, Index groups, LearnedVector<P> gamma, LearnedVector<P> beta, Epsilon epsilon,
              Axes axes)
      : Base(name, gamma, beta, -1, epsilon, axes), groups_(groups) {}

 public:
  /// Last arguments, in any order: Moments<T>& (kept for backward, those of each group after one another), a device.
  template <class X, class Y, class... Last> void forward(const X& x, Y&& y, Last&&... last) const {
    using T = typename Base::template Computed<X, Y>;
    static_assert(std::conjunction_v<std::bool_constant<is_forward_option<T, std::decay_t<Last>>>...>,
                  "simdnorm: forward: after y come a Moments<T>&, a device; T is double where x, y or gamma "
                  "holds double, else float");
    const typename Base::template Call<std::decay_t<decltype(shape_of(x))>> call(*this, "forward",
                                                                                 shape_of(x));
    const auto x_rows = call.read_argument("x", x);
    const auto y_rows = call.written_argument("y", y);
    const T epsilon = static_cast<T>(this->epsilon_);
    RowMoments<T>* moments = nullptr;
    if (Moments<T>* const kept = find_last<Moments<T>>(last...)) {
      const Check check(Layer ? "grouped_layer_norm_forward" : "grouped_rms_norm_forward", call.shape);
      const Groups groups =
          check_grouped_forward(check, groups_, read_rows(call.shape, x_rows), this->gamma_.data,
                                this->beta_.data, epsilon, written_rows(call.shape, y_rows), moments);
      kept->resize(groups.records());
      moments = kept->data();
    }
    const auto executor = executor_of(find_device(last...));
    if constexpr (Layer) {
      grouped_layer_norm_forward<Casting>(call.shape, groups_, x_rows, this->gamma_.data, this->beta_.data,
                                          epsilon, y_rows, moments, executor);
    } else {
      grouped_rms_norm_forward<Casting>(call.shape, groups_, x_rows, this->gamma_.data, epsilon, y_rows,
                                        moments, executor);
    }
  }

  /// dx alone, or after it dgamma (of LayerNorm also dbeta), nullptr for one that is not wanted. Last arguments, in any order:
  /// accumulate, a Workspace<T>&, a device.
  template <class Dy, class X, class T, class Dx, class... Last>
  void backward(const Dy& dy, const X& x, const Moments<T>& moments, Dx&& dx, Last&&... last) const {
    if constexpr (std::conjunction_v<std::bool_constant<is_backward_option<T, std::decay_t<Last>>>...>) {
      backward_with(dy, x, moments, dx, nullptr, nullptr, last...);
    } else if constexpr (Layer) {
      backward_with(dy, x, moments, dx, last...);
    } else {
      backward_without_beta(dy, x, moments, dx, last...);
    }
  }

 private:
  template <class Dy, class X, class T, class Dx, class Dgamma, class... Last>
  void backward_without_beta(const Dy& dy, const X& x, const Moments<T>& moments, Dx& dx, Dgamma&& dgamma,
                             Last&... last) const {
    backward_with(dy, x, moments, dx, dgamma, nullptr, last...);
  }
  template <class Dy, class X, class T, class Dx, class Dgamma, class Dbeta, class... Last>
  void backward_with(const Dy& dy, const X& x, const Moments<T>& moments, Dx& dx, Dgamma&& dgamma,
                     Dbeta&& dbeta, Last&... last) const {
    static_assert(
        std::conjunction_v<std::bool_constant<is_backward_option<T, std::decay_t<Last>>>...>,
        "simdnorm: backward: after dx come dgamma and, of GroupedLayerNorm, dbeta, then accumulate, "
        "a Workspace<T>&, a device");
    const typename Base::template Call<std::decay_t<decltype(shape_of(x))>> call(*this, "backward",
                                                                                 shape_of(x));
    const Groups groups(
        Check(Layer ? "grouped_layer_norm_backward" : "grouped_rms_norm_backward", call.shape), groups_);
    if (moments.rows() != groups.records())
      (call.operation.message() << "moments hold " << moments.rows() << " rows but x of shape "
                                << call.x.layout << " has " << call.shape.rows << " in each of " << groups_
                                << " groups")
          .fail();
    const auto dy_rows = call.read_argument("dy", dy);
    const auto x_rows = call.read_argument("x", x);
    const auto dx_rows = call.written_argument("dx", dx);
    const auto to_gamma = call.written_vector("dgamma", dgamma);
    const auto to_beta = call.written_vector("dbeta", dbeta);
    GradientOptions options;
    options.accumulate = find_last<const Accumulate>(last...) != nullptr;
    if (auto* workspace = find_last<Workspace<T>>(last...))
      options.workspace = workspace->reserve_bytes(grouped_workspace_bytes<T>(call.shape, groups_));
    const auto executor = executor_of(find_device(last...));
    if constexpr (Layer) {
      grouped_layer_norm_backward<Casting>(call.shape, groups_, with_beta(dy_rows, this->beta_.data), x_rows,
                                           this->gamma_.data, moments.data(), dx_rows, to_gamma, to_beta,
                                           options, executor);
    } else {
      grouped_rms_norm_backward<Casting>(call.shape, groups_, dy_rows, x_rows, this->gamma_.data,
                                         moments.data(), dx_rows, to_gamma, options, executor);
    }
  }

  Index groups_;
};

/// LayerNorm of `groups` equal parts of the normalized places, one after another in storage order, each by itself. gamma, beta,
/// dgamma and dbeta have one element for each place. All else: as LayerNorm and grouped_layer_norm_forward.
template <class P, class Casting = RoundOnce> class GroupedLayerNorm : public GroupedNorm<P, Casting, true> {
  using Base = GroupedNorm<P, Casting, true>;
  using Epsilon = typename Base::Epsilon;

 public:
  GroupedLayerNorm(Index groups, LearnedVector<P> gamma, LearnedVector<P> beta,
                   Epsilon epsilon = Epsilon(1e-5), Axes axes = {})
      : Base("GroupedLayerNorm", groups, gamma, beta, epsilon, axes) {}
};

/// The same of RMSNorm: as the RMSNormGated of Mamba-2 has it with a group_size of hidden / groups.
template <class P, class Casting = RoundOnce> class GroupedRMSNorm : public GroupedNorm<P, Casting, false> {
  using Base = GroupedNorm<P, Casting, false>;
  using Epsilon = typename Base::Epsilon;

 public:
  GroupedRMSNorm(Index groups, LearnedVector<P> gamma, Epsilon epsilon = Epsilon(1e-5), Axes axes = {})
      : Base("GroupedRMSNorm", groups, gamma, nullptr, epsilon, axes) {}
};

}  // namespace simdnorm
