// Eigen expressions, which lie nowhere in memory: how their elements are computed, from what, and at what cost.
#pragma once

#include <tuple>

#include "operand.hpp"

namespace simdnorm {

// --- elements of an expression by their places in storage order, 0 for the first, one by one and by packets of Eigen ---

template <class Scalar>
inline constexpr int packet_size_of = static_cast<int>(Eigen::internal::packet_traits<Scalar>::size);

/// Of a tensor.
template <class X> class TensorElements {
  using Evaluator = Eigen::TensorEvaluator<const X, Eigen::DefaultDevice>;
  // A copy that no pointer leads to stays in registers. (What is destroyed may count references, not made for threads.)
  static constexpr bool is_plain = std::is_trivially_destructible_v<Evaluator>;
  std::conditional_t<is_plain, const Evaluator, const Evaluator&> evaluator_;

 public:
  using Scalar = std::remove_const_t<typename X::Scalar>;
  static constexpr int packet_size = Evaluator::PacketAccess ? packet_size_of<Scalar> : 1;

  /// What computes the elements, while it lives. What Eigen must evaluate as a whole, a product for example, it evaluates
  /// at once.
  class Owner {
   public:
    explicit Owner(const X& x) : evaluator_(x, default_device) { evaluator_.evalSubExprsIfNeeded(nullptr); }
    Owner(const Owner&) = delete;
    Owner& operator=(const Owner&) = delete;
    ~Owner() { evaluator_.cleanup(); }
    TensorElements elements() const { return TensorElements(evaluator_); }

   private:
    Evaluator evaluator_;
  };
  explicit TensorElements(const Evaluator& evaluator) : evaluator_(evaluator) {}

  SIMDNORM_INLINE Scalar one(Index i) const { return evaluator_.coeff(i); }
  static constexpr bool is_packet(Index /*i*/) { return true; }
  SIMDNORM_INLINE auto packet(Index i) const { return evaluator_.template packet<Eigen::Unaligned>(i); }
};

/// Of a matrix or an array.
template <class X> class MatrixElements {
  using Evaluator = Eigen::internal::evaluator<X>;
  static constexpr unsigned flags = Evaluator::Flags;
  static constexpr bool is_linear = (flags & Eigen::LinearAccessBit) != 0;
  const Evaluator& evaluator_;
  Index inner_;

  template <class F> SIMDNORM_INLINE auto at(Index i, const F& f) const {
    const Index outer = i / inner_, inner = i - outer * inner_;
    return X::IsRowMajor ? f(outer, inner) : f(inner, outer);
  }

 public:
  using Scalar = std::remove_const_t<typename X::Scalar>;
  static constexpr int packet_size = (flags & Eigen::PacketAccessBit) != 0 ? packet_size_of<Scalar> : 1;

  class Owner {
   public:
    explicit Owner(const X& x) : evaluator_(x), inner_(x.innerSize()) {}
    MatrixElements elements() const { return MatrixElements(evaluator_, inner_); }

   private:
    Evaluator evaluator_;
    Index inner_;
  };
  MatrixElements(const Evaluator& evaluator, Index inner) : evaluator_(evaluator), inner_(inner) {}

  SIMDNORM_INLINE Scalar one(Index i) const {
    if constexpr (is_linear) {
      return evaluator_.coeff(i);
    } else {
      return at(i, [&](Index row, Index column) { return evaluator_.coeff(row, column); });
    }
  }
  SIMDNORM_INLINE bool is_packet(Index i) const { return is_linear || i % inner_ + packet_size <= inner_; }
  SIMDNORM_INLINE auto packet(Index i) const {
    using Packet = typename Eigen::internal::packet_traits<Scalar>::type;
    if constexpr (is_linear) {
      return evaluator_.template packet<Eigen::Unaligned, Packet>(i);
    } else {
      return at(i, [&](Index row, Index column) {
        return evaluator_.template packet<Eigen::Unaligned, Packet>(row, column);
      });
    }
  }
};

template <class X> using elements_t = std::conditional_t<is_matrix<X>, MatrixElements<X>, TensorElements<X>>;

// --- what an expression is made of ---

/// The expressions from whose elements i one makes its element i, and what that costs, in Eigen's units: the sum of two
/// floats is 1. Of others than these the cost is not known.
template <class X> struct ElementWise {
  static constexpr int cost = has_memory<X>() ? 0 : 1000;
  static std::tuple<> operands(const X&) { return {}; }
};
template <class Op> struct CostOf {
  static constexpr int cost = static_cast<int>(Eigen::internal::functor_traits<Op>::Cost);
};
template <class Op> struct OfNone : CostOf<Op> {
  template <class X> static std::tuple<> operands(const X&) { return {}; }
};
template <class Op> struct OfOne : CostOf<Op> {
  template <class X> static auto operands(const X& x) { return std::tie(x.nestedExpression()); }
};
template <class Op, class A> struct ElementWise<Eigen::TensorCwiseNullaryOp<Op, A>> : OfNone<Op> {};
template <class Op, class A> struct ElementWise<Eigen::CwiseNullaryOp<Op, A>> : OfNone<Op> {};
template <class Op, class A> struct ElementWise<Eigen::TensorCwiseUnaryOp<Op, A>> : OfOne<Op> {};
template <class Op, class A> struct ElementWise<Eigen::CwiseUnaryOp<Op, A>> : OfOne<Op> {};
template <class Op, class A, class B> struct ElementWise<Eigen::TensorCwiseBinaryOp<Op, A, B>> : CostOf<Op> {
  template <class X> static auto operands(const X& x) {
    return std::tie(x.lhsExpression(), x.rhsExpression());
  }
};
template <class Op, class A, class B> struct ElementWise<Eigen::CwiseBinaryOp<Op, A, B>> : CostOf<Op> {
  template <class X> static auto operands(const X& x) { return std::tie(x.lhs(), x.rhs()); }
};
template <class U, class A> struct ElementWise<Eigen::TensorConversionOp<U, A>> {
  static constexpr int cost = 1;
  template <class X> static auto operands(const X& x) { return std::tie(x.expression()); }
};

template <class X> constexpr int cost_of();
template <class... X> constexpr int cost_of_all(const std::tuple<X...>*) {
  return (0 + ... + cost_of<std::decay_t<X>>());
}
/// The cost of one element.
template <class X> constexpr int cost_of() {
  using Operands = decltype(ElementWise<X>::operands(std::declval<const X&>()));
  return ElementWise<X>::cost + cost_of_all(static_cast<const Operands*>(nullptr));
}

/// What lies in memory and goes element by element into x, place(object) of each, in a tuple.
template <class X, class Place> auto leaves_of(const X& x, const Place& place) {
  if constexpr (has_memory<X>()) {
    return std::tuple(place(x));
  } else {
    return std::apply([&](const auto&... operand) { return std::tuple_cat(leaves_of(operand, place)...); },
                      ElementWise<X>::operands(x));
  }
}

}  // namespace simdnorm
