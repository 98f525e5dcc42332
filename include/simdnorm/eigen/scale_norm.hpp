// ScaleNorm as a functor over Eigen tensors and matrices.
#pragma once

#include "../scale_norm.hpp"
#include "passes.hpp"

namespace simdnorm {

/// The one learned number: a view of it, or a number that lives here, rounded to P.
template <class P> class LearnedNumber {
 public:
  using Stored = typename StoredAs<P>::type;

  LearnedNumber(std::nullptr_t) : LearnedNumber(1) {}
  template <class G> LearnedNumber(const G& g) {
    if constexpr (std::is_arithmetic_v<G>) {
      if constexpr (simd::is_narrow<Stored>) {
        number_ = simd::narrow_number<Stored>(static_cast<float>(g));
      } else {
        number_ = static_cast<Stored>(g);
      }
    } else {
      static_assert(has_memory<G>(),
                    "simdnorm: ScaleNorm: g is a number, nullptr, or an Eigen object of one element that "
                    "lies in memory");
      static_assert(std::is_same_v<std::remove_const_t<typename G::Scalar>, P>,
                    "simdnorm: ScaleNorm: g must hold the type that ScaleNorm<P> names");
      if (g.size() != 1)
        (Message() << "ScaleNorm: g has " << Index{g.size()} << " elements but must have 1").fail();
      place_ = reinterpret_cast<const Stored*>(g.data());
    }
  }
  const Stored* place() const { return place_ == nullptr ? &number_ : place_; }

 private:
  const Stored* place_ = nullptr;
  Stored number_{};
};

/// y = g * x/sqrt(sum(x^2) + epsilon) over the normalized axes (the last, unless axes says otherwise).
///
/// g: a number, or an Eigen object of one element, which is a view; hidden: how many elements are normalized. dg, after dx: a
/// float or a double, or an Eigen object of one. epsilon is added to the square of the length: others who bound the length
/// itself by 1e-5 have, about, the 1e-10 that is taken where none is given.
///
/// Types, objects and axes: as LayerNorm. Formulas, precision, aliasing and errors: scale_norm_forward and scale_norm_backward.
template <class P> class ScaleNorm : public Passes<ScaleNorm<P>, P>, public TensorFunctor<ScaleNorm<P>> {
  using Base = Passes<ScaleNorm<P>, P>;
  using Epsilon = typename Base::Epsilon;

 public:
  ScaleNorm(LearnedNumber<P> g, Index hidden, Epsilon epsilon = Epsilon(1e-10), Axes axes = {})
      : Base("ScaleNorm", nullptr, nullptr, Base::checked_hidden("ScaleNorm", hidden), epsilon, axes),
        g_(g) {}

 private:
  friend Base;
  static constexpr int gradients = 1;

  template <class Call, class X, class T, class Y>
  Index checked_records(const Call& call, const X& x, T epsilon, const Y& y) const {
    const RowMoments<T>* const not_yet = nullptr;
    check_scale_forward(call.shape, x, g_.place(), epsilon, y, not_yet);
    return call.shape.rows;
  }
  template <class Call, class X, class T, class Y, class Executor>
  void forward_rows(const Call& call, const X& x, T epsilon, const Y& y, RowMoments<T>* moments,
                    const Executor& executor) const {
    scale_norm_forward(call.shape, computed_once(x, y), g_.place(), epsilon, y, moments, executor);
  }
  template <class T, class Call, class Dy, class Dx>
  static Index workspace_bytes(const Call& call, const Dy& /*dy*/, const Dx& /*dx*/) {
    return gradient_workspace_bytes<T>(call.shape, 1 + column_sums<Dx>);
  }
  template <class Call, class Dy, class X, class T, class Dx, class Executor, class Dg>
  void backward_rows(const Call& call, const Dy& dy, const X& x, const RowMoments<T>* moments, const Dx& dx,
                     const GradientOptions& options, const Executor& executor, Dg& dg) const {
    scale_norm_backward(call.shape, dy, x, g_.place(), moments, dx, place_of(call.operation, dg), options,
                        executor);
  }
  template <class Dg> static auto place_of(const Operation& operation, Dg& dg) {
    if constexpr (std::is_same_v<std::remove_const_t<Dg>, std::nullptr_t>) {
      return nullptr;
    } else if constexpr (std::is_arithmetic_v<Dg>) {
      return &dg;
    } else {
      static_assert(has_memory<std::remove_const_t<Dg>>(),
                    "simdnorm: dg is a float or a double, or an Eigen object of one that lies in memory");
      if (dg.size() != 1)
        (operation.message() << "dg has " << Index{dg.size()} << " elements but must have 1").fail();
      return dg.data();
    }
  }
  LearnedNumber<P> g_;
};

}  // namespace simdnorm
