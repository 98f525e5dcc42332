// LayerNorm and RMSNorm as functors over Eigen tensors and matrices, of equal parts of the normalized places, each by itself.
#pragma once

#include "../grouped_norm.hpp"
#include "passes.hpp"

namespace simdnorm {

/// The part of the two that does not depend on which norm it is: `Layer` says.
template <class P, class Casting, bool Layer>
class GroupedNorm : public Passes<GroupedNorm<P, Casting, Layer>, P> {
  using Base = Passes<GroupedNorm<P, Casting, Layer>, P>;

 protected:
  using Epsilon = typename Base::Epsilon;

  GroupedNorm(const char* name, Index groups, LearnedVector<P> gamma, LearnedVector<P> beta, Epsilon epsilon,
              Axes axes)
      : Base(name, gamma, beta, -1, epsilon, axes), groups_(groups) {}

 private:
  friend Base;
  static constexpr int gradients = Layer ? 2 : 1;

  /// One record for each row of each group, those of a group after one another.
  template <class Call, class X, class T, class Y>
  Index checked_records(const Call& call, const X& x, T epsilon, const Y& y) const {
    const RowMoments<T>* const not_yet = nullptr;
    const Check check(Layer ? "grouped_layer_norm_forward" : "grouped_rms_norm_forward", call.shape);
    return check_grouped_forward(check, groups_, x, this->gamma_.data, this->beta_.data, epsilon, y, not_yet)
        .records();
  }
  template <class Call, class X, class T, class Y, class Executor>
  void forward_rows(const Call& call, const X& x, T epsilon, const Y& y, RowMoments<T>* moments,
                    const Executor& executor) const {
    if constexpr (Layer) {
      grouped_layer_norm_forward<Casting>(call.shape, groups_, x, this->gamma_.data, this->beta_.data,
                                          epsilon, y, moments, executor);
    } else {
      grouped_rms_norm_forward<Casting>(call.shape, groups_, x, this->gamma_.data, epsilon, y, moments,
                                        executor);
    }
  }
  template <class Call, class T> void expect_moments(const Call& call, const Moments<T>& moments) const {
    const Groups groups(
        Check(Layer ? "grouped_layer_norm_backward" : "grouped_rms_norm_backward", call.shape), groups_);
    if (moments.rows() != groups.records())
      (call.operation.message() << "moments hold " << moments.rows() << " rows but x of shape "
                                << call.x.layout << " has " << call.shape.rows << " in each of " << groups_
                                << " groups")
          .fail();
  }
  template <class T, class Call, class Dy, class Dx>
  Index workspace_bytes(const Call& call, const Dy& /*dy*/, const Dx& /*dx*/) const {
    return grouped_workspace_bytes<T>(call.shape, groups_);
  }
  template <class Call, class Dy, class X, class T, class Dx, class Executor, class Dgamma, class... Dbeta>
  void backward_rows(const Call& call, const Dy& dy, const X& x, const RowMoments<T>* moments, const Dx& dx,
                     const GradientOptions& options, const Executor& executor, Dgamma& dgamma,
                     Dbeta&... dbeta) const {
    const auto to_gamma = call.written_vector("dgamma", dgamma);
    if constexpr (Layer) {
      grouped_layer_norm_backward<Casting>(call.shape, groups_, with_beta(dy, this->beta_.data), x,
                                           this->gamma_.data, moments, dx, to_gamma,
                                           call.written_vector("dbeta", dbeta)..., options, executor);
    } else {
      grouped_rms_norm_backward<Casting>(call.shape, groups_, dy, x, this->gamma_.data, moments, dx, to_gamma,
                                         options, executor);
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
