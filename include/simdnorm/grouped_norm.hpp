// Grouped norms on raw pointers: the hidden dimension in equal parts, each normalized by itself.
#pragma once

#include "check.hpp"
#include "kernel/backward.hpp"
#include "kernel/gated.hpp"
#include "kernel/gathered.hpp"
#include "kernel/mapped.hpp"
#include "kernel/quantize.hpp"
#include "kernel/residual_add.hpp"
#include "kernel/residual_sum.hpp"
#include "operands.hpp"

namespace simdnorm {

// --- columns of arguments ---

/// An array (hidden), and an argument, from a column on.
constexpr std::nullptr_t columns_from(std::nullptr_t, Index /*column*/) { return nullptr; }
constexpr BetaNotGiven columns_from(BetaNotGiven none, Index /*column*/) { return none; }
template <class P> constexpr P* columns_from(P* values, Index column) {
  return values == nullptr ? nullptr : values + column;
}
template <class T> constexpr Strided<T> columns_from(const Strided<T>& rows, Index column) {
  return {columns_from(rows.data, column * rows.column), rows.outer, rows.column};
}
template <class Q> auto columns_from(const TensorQuantized<Q>& y, Index column) {
  return TensorQuantized<Q>{columns_from(y.operand, column), y.scale, y.inverse, y.zero};
}
template <class X, class R, class S, class B, class A>
auto columns_from(const ResidualSum<X, R, S, B, A>& a, Index column) {
  return ResidualSum{columns_from(a.x, column), columns_from(a.residual, column), columns_from(a.sum, column),
                     columns_from(a.bias_values, column), a.residual_scale};
}
template <class R, class Y> auto columns_from(const Added<R, Y>& a, Index column) {
  return Added{columns_from(a.addend, column), columns_from(a.y, column)};
}
template <class S, class X, class R, class A>
auto columns_from(const ResidualGradients<S, X, R, A>& a, Index column) {
  return ResidualGradients{columns_from(a.dsum, column), columns_from(a.dx, column),
                           columns_from(a.dresidual, column), a.residual_scale};
}
template <class F, class Y> auto columns_from(const Mapped<F, Y>& a, Index column) {
  return Mapped{a.function, columns_from(a.y, column)};
}
template <class X, class I> auto columns_from(const Gathered<X, I>& a, Index column) {
  return Gathered{columns_from(a.table, column), a.table_rows, a.numbers};
}
template <class X, class Z, class U> auto columns_from(const Gated<X, Z, U>& a, Index column) {
  return Gated{columns_from(a.x, column), columns_from(a.z, column), columns_from(a.u, column)};
}
template <class Dy, class Z, class Dz, class B>
auto columns_from(const GatedGradient<Dy, Z, Dz, B>& a, Index column) {
  return GatedGradient{columns_from(a.dy, column), columns_from(a.z, column), columns_from(a.dz, column),
                       columns_from(a.beta, column)};
}
template <class X, class Z, class Dx, class Dz>
auto columns_from(const GateGradients<X, Z, Dx, Dz>& a, Index column) {
  return GateGradients{columns_from(a.x, column), columns_from(a.z, column), columns_from(a.dx, column),
                       columns_from(a.dz, column)};
}

/// The columns of a call as `count` groups, one after another.
class Groups {
 public:
  /// An error if that cannot be.
  Groups(const Check& check, Index count) : of_each_(check.shape()), count_(count) {
    if (count < 1 || of_each_.hidden % count != 0)
      check.stop(check.message() << "hidden must be a multiple of groups, but groups is " << count);
    of_each_.hidden /= count;
  }
  RowShape shape_of_each() const { return of_each_; }
  /// Records of all groups, (groups, rows).
  Index records() const { return count_ * of_each_.rows; }

  /// Calls f(group, its first column, the executor of its rows) for every group.
  template <class Executor, class F> void each(const Executor& executor, const F& f) const {
    each_part(count_, of_each_.rows * of_each_.hidden, executor,
              [&](Index group, const auto& of_group) { f(group, group * of_each_.hidden, of_group); });
  }

 private:
  RowShape of_each_;
  Index count_;
};

// --- what the operators share: the checks, and the groups one by one ---

template <class X, class P, class B, class T, class Y>
Groups check_grouped_forward(const Check& check, Index groups, const X& x, const P* gamma, const B* beta,
                             T epsilon, const Y& y, const RowMoments<T>* moments) {
  const Groups of_call(check, groups);
  check.epsilon(epsilon);
  const Index hidden = check.shape().hidden;
  check_all_apart(check, "x", x, "y", y, "moments", written_array(moments, of_call.records()), "gamma",
                  read_array(gamma, hidden), "beta", read_array(beta, hidden));
  return of_call;
}
template <class Statistic, class Casting, class X, class P, class B, class T, class Y, class Executor>
void grouped_forward(const Check& check, Index groups, const X& x, const P* gamma, const B* beta, T epsilon,
                     const Y& y, RowMoments<T>* moments, const Executor& executor) {
  const Groups of_call = check_grouped_forward(check, groups, x, gamma, beta, epsilon, y, moments);
  const RowShape of_group = of_call.shape_of_each();
  of_call.each(executor, [&](Index group, Index column, const auto& of_rows) {
    forward_rows<Statistic, Casting>(of_group, columns_from(x, column), columns_from(gamma, column),
                                     columns_from(beta, column), epsilon, columns_from(y, column),
                                     columns_from(moments, group * of_group.rows), of_rows);
  });
}

/// Bytes of scratch memory that the backward functions below take for dgamma and dbeta.
template <class T> Index grouped_workspace_bytes(RowShape shape, Index groups) {
  shape.hidden /= groups;
  return groups * gradient_workspace_bytes<T>(shape);
}
template <class Statistic, class Casting, class Dy, class X, class P, class T, class Dx, class G,
          class Executor>
void grouped_backward(const Check& check, Index groups, const Dy& dy, const X& x, const P* gamma,
                      const RowMoments<T>* moments, const Dx& dx, G* dgamma, G* dbeta,
                      const GradientOptions& options, const Executor& executor) {
  const RowShape shape = check.shape();
  const Groups of_call(check, groups);
  if (moments == nullptr && shape.rows > 0) check.stop(check.message() << "moments is nullptr");
  check_all_apart(check, "dy", dy, "x", beside(dy, x), "dx", dx, "moments",
                  read_array(moments, of_call.records()), "gamma", read_array(gamma, shape.hidden), "dgamma",
                  written_array(dgamma, shape.hidden), "dbeta", written_array(dbeta, shape.hidden));
  const RowShape of_group = of_call.shape_of_each();
  const Index bytes = gradient_workspace_bytes<T>(of_group);
  of_call.each(executor, [&](Index group, Index column, const auto& of_rows) {
    GradientOptions of_these = options;
    if (options.workspace != nullptr)
      of_these.workspace = static_cast<char*>(options.workspace) + group * bytes;
    backward_rows<Statistic, Casting>(
        of_group, columns_from(dy, column), columns_from(x, column), columns_from(gamma, column),
        columns_from(moments, group * of_group.rows), columns_from(dx, column), columns_from(dgamma, column),
        columns_from(dbeta, column), of_these, of_rows);
  });
}

// --- the operators ---

/// Forward: layer_norm_forward of each of `groups` equal parts of the hidden dimension by itself, with its part of gamma and
/// beta: mean and rstd are those of hidden / groups columns.
///
/// x: rows, residual_sum(...), gathered(...) or gated(...); y: rows, added(...), gathered(...), mapped(...), gated(...) or
/// per_tensor(...). gamma, beta: (hidden). moments: (groups, rows).
///
/// The bits are those of layer_norm_forward of each part by itself; so are T, precision, and what may be what.
/// Errors: those of layer_norm_forward; groups below 1, or hidden that is no multiple of groups: std::invalid_argument, before
/// anything is written.
/// Source: Dao, Gu, Transformers are SSMs (2024), whose RMSNormGated has a group_size.
template <class Casting = RoundOnce, class X, class Gamma, class Beta, class Y, class Executor = Serial>
void grouped_layer_norm_forward(RowShape shape, Index groups, const X& x, Gamma gamma, Beta beta,
                                operands_t<X, Gamma, Beta, Y> epsilon, const Y& y,
                                RowMoments<operands_t<X, Gamma, Beta, Y>>* moments = nullptr,
                                const Executor& executor = {}) {
  using T = operands_t<X, Gamma, Beta, Y>;
  const element_or_t<Gamma, element_or_t<Beta, T>>* const scale = gamma;
  const element_or_t<Beta, element_or_t<Gamma, T>>* const shift = beta;
  grouped_forward<Variance<T>, Casting>(Check("grouped_layer_norm_forward", shape), groups,
                                        read_rows(shape, x), scale, shift, epsilon, written_rows(shape, y),
                                        moments, executor);
}

/// Backward: layer_norm_backward of each part by itself.
///
/// dy, x, dx: rows; dy and x also gathered(...) or gated(...), dx added(...), residual_gradients(...), gathered(...) or
/// gate_gradients(...). moments: (groups, rows), as forward kept them. dgamma, dbeta:
/// (hidden). The workspace is one of grouped_workspace_bytes<T>(shape, groups); without it each group allocates its own.
/// All else: as layer_norm_backward, and its bits.
template <class Casting = RoundOnce, class Dy, class X, class Gamma, class T, class Dx,
          class Dgamma = std::nullptr_t, class Dbeta = std::nullptr_t, class Executor = Serial>
void grouped_layer_norm_backward(RowShape shape, Index groups, const Dy& dy, const X& x, Gamma gamma,
                                 const RowMoments<T>* moments, const Dx& dx, Dgamma dgamma = {},
                                 Dbeta dbeta = {}, const GradientOptions& options = {},
                                 const Executor& executor = {}) {
  static_assert(std::is_same_v<T, operands_t<Dy, X, Gamma, Dx>>,
                "simdnorm: moments hold double where one of dy, x, gamma and dx does, else float");
  using G = gradient_t<Dgamma, Dbeta, T>;
  const element_or_t<Gamma, T>* const scale = gamma;
  G *const to_gamma = dgamma, *const to_beta = dbeta;
  grouped_backward<Variance<T>, Casting>(Check("grouped_layer_norm_backward", shape), groups,
                                         read_rows(shape, dy), read_rows(shape, x), scale, moments,
                                         written_rows(shape, dx), to_gamma, to_beta, options, executor);
}

/// The same of rms_norm_forward.
template <class Casting = RoundOnce, class X, class Gamma, class Y, class Executor = Serial>
void grouped_rms_norm_forward(RowShape shape, Index groups, const X& x, Gamma gamma,
                              operands_t<X, Gamma, Y> epsilon, const Y& y,
                              RowMoments<operands_t<X, Gamma, Y>>* moments = nullptr,
                              const Executor& executor = {}) {
  using T = operands_t<X, Gamma, Y>;
  const element_or_t<Gamma, T>*const scale = gamma, *const no_beta = nullptr;
  grouped_forward<MeanSquare<T>, Casting>(Check("grouped_rms_norm_forward", shape), groups,
                                          read_rows(shape, x), scale, no_beta, epsilon,
                                          written_rows(shape, y), moments, executor);
}

/// The same of rms_norm_backward.
template <class Casting = RoundOnce, class Dy, class X, class Gamma, class T, class Dx,
          class Dgamma = std::nullptr_t, class Executor = Serial>
void grouped_rms_norm_backward(RowShape shape, Index groups, const Dy& dy, const X& x, Gamma gamma,
                               const RowMoments<T>* moments, const Dx& dx, Dgamma dgamma = {},
                               const GradientOptions& options = {}, const Executor& executor = {}) {
  static_assert(std::is_same_v<T, operands_t<Dy, X, Gamma, Dx>>,
                "simdnorm: moments hold double where one of dy, x, gamma and dx does, else float");
  using G = gradient_t<Dgamma, std::nullptr_t, T>;
  const element_or_t<Gamma, T>* const scale = gamma;
  G *const to_gamma = dgamma, *const no_beta = nullptr;
  grouped_backward<MeanSquare<T>, Casting>(Check("grouped_rms_norm_backward", shape), groups,
                                           read_rows(shape, dy), read_rows(shape, x), scale, moments,
                                           written_rows(shape, dx), to_gamma, no_beta, options, executor);
}

}  // namespace simdnorm
