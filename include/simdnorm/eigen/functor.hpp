// What LayerNorm and RMSNorm share as functors over Eigen objects: their parameters, the checks of shapes,
// the last arguments of a call, and Eigen's customOp. (Forward and backward: passes.hpp.)
#pragma once

#include <cstddef>

#include "arguments.hpp"
#include "device.hpp"
#include "gated.hpp"
#include "gathered.hpp"
#include "moments.hpp"
#include "rotary.hpp"
#include "two_norms.hpp"

namespace simdnorm {

/// gamma or beta: a view of a vector, or nothing.
template <class P> struct LearnedVector {
  using Stored = typename StoredAs<P>::type;
  const Stored* data = nullptr;
  Index size = -1;  // -1: absent, fits any size

  LearnedVector(std::nullptr_t) {}
  template <class V> LearnedVector(const V& vector) {
    static_assert(
        has_memory<V>(),
        "simdnorm: gamma and beta are Eigen tensors, matrices or maps that lie in memory, or nullptr");
    static_assert(std::is_same_v<std::remove_const_t<typename V::Scalar>, P>,
                  "simdnorm: gamma and beta must hold the type that LayerNorm<P> or RMSNorm<P> names");
    const auto view = operand<const Stored>(vector);
    if (!view.layout.is_packed())
      (Message() << "gamma and beta must lie contiguous, but one of shape " << view.layout << " has gaps")
          .fail();
    data = view.data;
    size = view.layout.elements();
  }
};

// --- the last arguments of a call: in any order, each at most once ---

template <class Wanted> Wanted* find_last() { return nullptr; }
template <class Wanted, class First, class... Rest> Wanted* find_last(First& first, Rest&... rest) {
  if constexpr (std::is_same_v<std::remove_const_t<First>, std::remove_const_t<Wanted>>) {
    return &first;
  } else {
    return find_last<Wanted>(rest...);
  }
}

/// The device among the last arguments.
inline const Eigen::DefaultDevice& find_device() {
  static const Eigen::DefaultDevice device{};
  return device;
}
template <class First, class... Rest> const auto& find_device(const First& first, const Rest&... rest) {
  if constexpr (is_device<First>) {
    return first;
  } else {
    return find_device(rest...);
  }
}

/// T is what the call computes in.
template <class T, class Last>
inline constexpr bool is_backward_option =
    std::is_same_v<Last, Accumulate> || std::is_same_v<Last, Workspace<T>> || is_device<Last>;

template <class T, class Last>
inline constexpr bool is_forward_option = std::is_same_v<Last, Moments<T>> || is_device<Last>;

/// bytes(): how many the workspace, if there is one, must have.
template <class T, class Bytes, class... Last>
GradientOptions gradient_options(const Bytes& bytes, Last&... last) {
  GradientOptions options;
  options.accumulate = find_last<const Accumulate>(last...) != nullptr;
  if (auto* workspace = find_last<Workspace<T>>(last...))
    options.workspace = workspace->reserve_bytes(bytes());
  return options;
}

// --- the functor ---

/// The part of a functor that does not depend on which norm it is.
template <class P> class NormFunctor {
  using Stored = typename StoredAs<P>::type;
  static_assert(
      simd::is_number<Stored>,
      "simdnorm: LayerNorm<P> and RMSNorm<P> need P = float, double, Eigen::bfloat16 or Eigen::half");

 protected:
  /// double for P = double, else float.
  using Epsilon = compute_t<Stored>;

  /// What a call on these objects computes in.
  template <class... Objects> using Computed = compute_t<Stored, scalar_t<Objects>...>;

  /// The hidden size that a functor without gamma and beta is made with.
  static Index checked_hidden(const char* name, Index hidden) {
    if (hidden < 1) (Message() << name << ": hidden must be at least 1 but is " << hidden).fail();
    return hidden;
  }
  NormFunctor(const char* name, LearnedVector<P> gamma, LearnedVector<P> beta, Index hidden, Epsilon epsilon,
              Axes axes)
      : name_(name), gamma_(gamma), beta_(beta), hidden_(hidden), epsilon_(epsilon), axes_(axes) {
    if (!(epsilon >= Epsilon(0)))
      (Message() << name << ": epsilon must be at least 0 but is " << static_cast<double>(epsilon)).fail();
    if (gamma.size >= 0 && beta.size >= 0 && gamma.size != beta.size)
      (Message() << name << ": gamma has shape (" << gamma.size << ") but beta has shape (" << beta.size
                 << ")")
          .fail();
    if (hidden_ < 0) hidden_ = gamma.size >= 0 ? gamma.size : beta.size;
  }

  /// A call's operands as rows; all have x's shape and storage order.
  template <class X> struct Call {
    const NormFunctor& norm;
    Operation operation;
    Operand<const stored_t<X>, rank_of<X>()> x;
    RowShape shape;

    Call(const NormFunctor& functor, const char* method, const X& x_object)
        : norm(functor),
          operation{functor.name_, method},
          x(read("x", x_object)),
          shape(
              rows_over(functor.axes_, layout_of(x_object), operation)) {  // not x.layout: that is in memory
      if (norm.hidden_ >= 0 && norm.hidden_ != shape.hidden)
        (operation.message() << "gamma and beta have shape (" << norm.hidden_ << ") but x of shape "
                             << x.layout << " is normalized over " << shape.hidden << " elements")
            .fail();
    }

    /// An argument as the operators take it.
    template <class Z> auto read_argument(const char* name, const Z& object) const {
      if constexpr (is_readable<Z>()) {
        return rows_read(name, object);
      } else {
        return as_rows(*this, name, object);
      }
    }
    template <class Z> auto written_argument(const char* name, Z& object) const {
      if constexpr (has_memory<std::decay_t<Z>>()) {
        return rows_written(name, object);
      } else {
        return as_rows(*this, name, object);
      }
    }

    template <class Z> auto rows_read(const char* name, const Z& object) const {
      expect_like_x<Z>();
      const Strided<const stored_t<Z>>& rows = rows_of(name, read(name, object));
      if constexpr (is_expression<Z>()) {
        return ExpressionRows<Z>(object, {rows.outer, rows.column});
      } else {
        return rows;
      }
    }
    template <class Z> Strided<stored_t<Z>> rows_written(const char* name, Z& object) const {
      static_assert(has_memory<Z>(),
                    "simdnorm: y and dx must be Eigen tensors, matrices or maps that lie in memory");
      static_assert(!std::is_const_v<std::remove_pointer_t<decltype(object.data())>>,
                    "simdnorm: y and dx must be writable");
      expect_like_x<Z>();
      return rows_of(name, operand<stored_t<Z>>(object));
    }
    template <class Z> void expect_rows_of_table(const char* name, const Z& chosen) const {
      expect_like_x<Z>();
      chosen.expect(operation, name, AxisRange(norm.axes_, x.layout), x.layout);
    }
    /// Numbers of which each row has one.
    template <class Z> auto read_rows_of_numbers(const char* name, const Z& object) const {
      return numbers_of_rows(name, operand<const stored_t<Z>>(object));
    }
    template <class Z> auto written_rows_of_numbers(const char* name, Z& object) const {
      return numbers_of_rows(name, operand<stored_t<Z>>(object));
    }
    const Stored* beta() const { return norm.beta_.data; }
    /// Arrays (hidden): bias or layer_scale; dgamma, dbeta, dbias or dlayer_scale.
    template <class Z> auto read_vector(const char* name, const Z& object) const {
      static_assert(
          has_memory<Z>(),
          "simdnorm: bias, layer_scale, ddgamma and ddbeta are an Eigen tensor, matrix or map in memory");
      return vector(name, operand<const stored_t<Z>>(object));
    }
    template <class Z> auto written_vector(const char* name, Z& object) const {
      if constexpr (std::is_same_v<std::remove_const_t<Z>, std::nullptr_t>) {
        return nullptr;
      } else {
        static_assert(
            has_memory<Z>(),
            "simdnorm: dgamma, dbeta, dbias and dlayer_scale are Eigen tensors, matrices or maps in memory");
        static_assert(!std::is_const_v<std::remove_pointer_t<decltype(object.data())>>,
                      "simdnorm: dgamma and dbeta must be writable");
        return vector(name, operand<typename Z::Scalar>(object));
      }
    }
    TokenRows rows_of_tokens() const { return token_rows(norm.axes_, x.layout); }
    template <class T> void expect_moments(const Moments<T>& moments) const {
      if (moments.rows() != shape.rows)
        (operation.message() << "moments hold " << moments.rows() << " rows but x of shape " << x.layout
                             << " has " << shape.rows)
            .fail();
    }

   private:
    template <class Z>
    SIMDNORM_INLINE Operand<const stored_t<Z>, rank_of<Z>()> read(const char* name, const Z& object) const {
      static_assert(is_readable<Z>() || has_shape<Z>,
                    "simdnorm: operands must be Eigen tensors, matrices, maps or expressions of them");
      if constexpr (is_expression<Z>() || has_shape<Z>) {
        return {nullptr, layout_of(object)};
      } else {
        auto view = operand<const stored_t<Z>>(object);
        if (view.data == nullptr && view.layout.elements() != 0)
          (operation.message() << name << " of shape " << view.layout
                               << " is an expression that lies nowhere in memory: evaluate it first")
              .fail();
        return view;
      }
    }
    template <class Z> static void expect_like_x() {
      static_assert(rank_of<Z>() == rank_of<X>(), "simdnorm: all operands of a call must have the rank of x");
      static_assert(rank_of<Z>() == 1 || is_row_major<Z>() == is_row_major<X>(),
                    "simdnorm: all operands of a call must have the storage order of x");
    }
    template <class T, int Rank> T* numbers_of_rows(const char* name, const Operand<T, Rank>& view) const {
      if (view.layout.elements() != shape.rows || !view.layout.is_packed())
        (operation.message() << name << " have shape " << view.layout
                             << (view.layout.is_packed() ? "" : " with gaps") << " but x of shape "
                             << x.layout << " has " << shape.rows << " rows")
            .fail();
      return view.data;
    }
    template <class T, int Rank> T* vector(const char* name, const Operand<T, Rank>& view) const {
      if (view.layout.elements() != shape.hidden || !view.layout.is_packed())
        (operation.message() << name << " has shape " << view.layout
                             << (view.layout.is_packed() ? "" : " with gaps") << " but x of shape "
                             << x.layout << " is normalized over " << shape.hidden << " elements")
            .fail();
      return view.data;
    }
    template <class T, int Rank>
    SIMDNORM_INLINE Strided<T> rows_of(const char* name, const Operand<T, Rank>& view) const {
      if (!view.layout.has_sizes_of(x.layout))
        (operation.message() << name << " has shape " << view.layout << " but x has shape " << x.layout)
            .fail();
      const RowStrides& strides = row_strides(norm.axes_, view.layout, shape, name, operation);
      return {view.data, strides.outer, strides.column};
    }
  };

  const char* name_;
  LearnedVector<P> gamma_, beta_;
  Index hidden_;  // -1 where nothing fixes it
  Epsilon epsilon_;
  Axes axes_;
};

/// Adds Eigen's customOp to a functor: Norm has forward(x, y, device).
template <class Norm> struct TensorFunctor {
  template <class In> auto dimensions(const In& x) const {
    const Eigen::TensorEvaluator<const In, Eigen::DefaultDevice> evaluator(x, Eigen::DefaultDevice());
    return
        typename Eigen::TensorEvaluator<const In, Eigen::DefaultDevice>::Dimensions(evaluator.dimensions());
  }
  /// Normalizes x into y; an expression is evaluated into y and normalized there.
  template <class In, class Out, class Device> void eval(const In& x, Out& y, const Device& device) const {
    const Norm& norm = static_cast<const Norm&>(*this);
    if constexpr (is_tensor<In>) {
      if (x.data() != nullptr) {
        norm.forward(x, y, device);
        return;
      }
    }
    if (y.size() > 0) y.device(device) = x;  // of nothing, Eigen copies from a null pointer
    norm.forward(y, y, device);
  }
  /// The normalized expression: expression.customOp(norm).
  template <class Expression> auto operator()(const Expression& expression) const {
    return expression.customOp(static_cast<const Norm&>(*this));
  }
};

}  // namespace simdnorm
