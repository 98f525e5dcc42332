// adaLN on raw pointers: norms whose scale and shift come with each item of a batch, y = xhat * (1 + scale) + shift.
#pragma once

#include "check.hpp"
#include "kernel/backward.hpp"
#include "kernel/branch.hpp"
#include "kernel/gated.hpp"
#include "kernel/gathered.hpp"
#include "kernel/mapped.hpp"
#include "kernel/quantize.hpp"
#include "kernel/residual_add.hpp"
#include "kernel/residual_sum.hpp"
#include "kernel/rotated.hpp"
#include "kernel/unrotated.hpp"
#include "operands.hpp"

namespace simdnorm {

// --- rows by item ---

/// An argument without its first rows, `row` of them, a multiple of shape.after.
constexpr std::nullptr_t rows_from(RowShape, std::nullptr_t, Index /*row*/) { return nullptr; }
template <class T> constexpr Strided<T> rows_from(RowShape shape, const Strided<T>& rows, Index row) {
  return {rows.data + row / shape.after * rows.outer, rows.outer, rows.column};
}
template <class Q> auto rows_from(RowShape shape, const RowQuantized<Q>& y, Index row) {
  return RowQuantized<Q>{rows_from(shape, y.operand, row), y.scales + row};
}
template <class Q> auto rows_from(RowShape shape, const TensorQuantized<Q>& y, Index row) {
  return TensorQuantized<Q>{rows_from(shape, y.operand, row), y.scale, y.inverse, y.zero};
}
template <class X, class R, class S, class B, class A>
auto rows_from(RowShape shape, const ResidualSum<X, R, S, B, A>& a, Index row) {
  return ResidualSum{rows_from(shape, a.x, row), rows_from(shape, a.residual, row),
                     rows_from(shape, a.sum, row), a.bias_values, a.residual_scale};
}
template <class R, class Y> auto rows_from(RowShape shape, const Added<R, Y>& a, Index row) {
  return Added{rows_from(shape, a.addend, row), rows_from(shape, a.y, row)};
}
template <class S, class X, class R, class A>
auto rows_from(RowShape shape, const ResidualGradients<S, X, R, A>& a, Index row) {
  return ResidualGradients{rows_from(shape, a.dsum, row), rows_from(shape, a.dx, row),
                           rows_from(shape, a.dresidual, row), a.residual_scale};
}
constexpr std::nullptr_t part_from(std::nullptr_t, Index /*row*/) { return nullptr; }
template <class P> const P* part_from(const P* row_scale, Index row) { return row_scale + row; }
inline Dropout part_from(Dropout mask, Index row) {
  mask.first_row += row;
  return mask;
}
template <class X, class B, class L, class M, class R>
auto rows_from(RowShape shape, const Branch<X, B, L, M, R>& a, Index row) {
  static_assert(column_sums<Branch<X, B, L, M, R>> == 0,
                "simdnorm: dbias and dlayer_scale are not for the gradients of a modulated norm");
  return Branch{rows_from(shape, a.x, row), a.bias_values, a.layer_scale_values, part_from(a.mask, row),
                part_from(a.row_scale_values, row)};
}
template <class F, class Y> auto rows_from(RowShape shape, const Mapped<F, Y>& a, Index row) {
  return Mapped{a.function, rows_from(shape, a.y, row)};
}
template <class X, class Z, class U> auto rows_from(RowShape shape, const Gated<X, Z, U>& a, Index row) {
  return Gated{rows_from(shape, a.x, row), rows_from(shape, a.z, row), rows_from(shape, a.u, row)};
}
template <class X, class Z, class Dx, class Dz>
auto rows_from(RowShape shape, const GateGradients<X, Z, Dx, Dz>& a, Index row) {
  return GateGradients{rows_from(shape, a.x, row), rows_from(shape, a.z, row), rows_from(shape, a.dx, row),
                       rows_from(shape, a.dz, row)};
}
template <class X, class I> auto rows_from(RowShape, const Gathered<X, I>& a, Index row) {
  return Gathered{a.table, a.table_rows, a.numbers + row};
}
template <RotaryPairs Pairs, class C, class I>
RotaryRows<Pairs, C, I> rotary_from(const RotaryRows<Pairs, C, I>& a, Index row) {
  return {a.rotary, a.first_row + row};
}
template <class Y, RotaryPairs Pairs, class C, class I>
auto rows_from(RowShape shape, const Rotated<Y, Pairs, C, I>& a, Index row) {
  return Rotated{rows_from(shape, a.y, row), rotary_from(a.rotary, row)};
}
template <class Dy, RotaryPairs Pairs, class C, class I>
auto rows_from(RowShape shape, const Unrotated<Dy, Pairs, C, I>& a, Index row) {
  return Unrotated{rows_from(shape, a.dy, row), rotary_from(a.rotary, row), a.hidden};
}

/// The rows of a call as `count` items, one after another, of as many rows each.
class Items {
 public:
  Items(RowShape shape, Index count) : of_each_(shape), count_(count) {
    if (count > 0) of_each_.rows /= count;
  }
  RowShape shape_of_each() const { return of_each_; }

  /// Calls f(item, its first row, the executor of its rows) for every item.
  template <class Executor, class F> void each(const Executor& executor, const F& f) const {
    each_part(count_, of_each_.rows * of_each_.hidden, executor,
              [&](Index item, const auto& of_item) { f(item, item * of_each_.rows, of_item); });
  }

 private:
  RowShape of_each_;
  Index count_;
};

// --- arrays (hidden), one for each item ---

/// The array of one item, or nullptr. P: its numbers, const where they are only read.
template <class P> constexpr P* array_of_item(std::nullptr_t, Index /*item*/) { return nullptr; }
template <class P> constexpr P* array_of_item(const Strided<P>& arrays, Index item) {
  return arrays.data == nullptr ? nullptr : arrays.data + item * arrays.outer;
}

/// All of them, as an argument of a check.
template <Use How, class P> struct ItemArrays {
  Strided<P> arrays;
  Index items;
};
constexpr std::nullptr_t read_arrays(std::nullptr_t, Index) { return nullptr; }
constexpr std::nullptr_t written_arrays(std::nullptr_t, Index) { return nullptr; }
template <class P> ItemArrays<Use::reads, P> read_arrays(const Strided<P>& arrays, Index items) {
  return {arrays, items};
}
template <class P> ItemArrays<Use::writes, P> written_arrays(const Strided<P>& arrays, Index items) {
  return {arrays, items};
}
template <Use How, class P, class Then>
SIMDNORM_INLINE void touch(const Check& check, const char* name, const ItemArrays<How, P>& a,
                           const Then& then) {
  const Index hidden = check.shape().hidden, size = static_cast<Index>(sizeof(P));
  const Index least = is_written<How> ? hidden : 0;
  Region region{name};
  if (a.arrays.data != nullptr && a.items > 0) {
    if (a.arrays.column != 1 && hidden > 1)
      check.stop(check.message() << name << " has column " << a.arrays.column
                                 << ", but the numbers of one item must be contiguous");
    if (a.arrays.outer < least && a.items > 1)
      check.stop(check.message() << name << " has outer " << a.arrays.outer << ", but it must be at least "
                                 << least);
    region = Check::array(name, a.arrays.data, (a.items - 1) * a.arrays.outer + hidden);
    region.width = region.column = size;
    region.run = hidden * size;
    region.outer = a.arrays.outer * size;
  }
  then(Touched<How>{region});
}

inline void check_items(const Check& check, Index items) {
  const RowShape shape = check.shape();
  const bool divides = items == 0
                           ? shape.rows == 0
                           : items > 0 && shape.rows % items == 0 && shape.rows / items % shape.after == 0;
  if (!divides)
    check.stop(check.message() << "rows must be a multiple of items"
                               << (shape.after == 1 ? "" : " times after") << ", but items is " << items);
}

// --- what the operators share: the checks, and the items one by one ---

template <class X, class Scale, class Shift, class T, class Y>
void check_modulated_forward(const Check& check, Index items, const X& x, const Scale& scale,
                             const Shift& shift, T epsilon, const Y& y, const RowMoments<T>* moments) {
  check_items(check, items);
  check.epsilon(epsilon);
  check_all_apart(check, "x", x, "y", y, "moments", written_array(moments, check.shape().rows), "scale",
                  read_arrays(scale, items), "shift", read_arrays(shift, items));
}

/// `epilogue_of(item)` is that of its rows.
template <class X, class Scale, class Shift, class Statistic, class EpilogueOf, class Y, class T,
          class Executor>
void modulated_forward(const Check& check, Index items, const X& x, const Scale& scale, const Shift& shift,
                       const Statistic& statistic, const EpilogueOf& epilogue_of, const Y& y,
                       RowMoments<T>* moments, const Executor& executor) {
  check_modulated_forward(check, items, x, scale, shift, statistic.epsilon, y, moments);
  const RowShape shape = check.shape();
  const Items of_call(shape, items);
  of_call.each(executor, [&](Index item, Index row, const auto& of_item) {
    forward_part(of_call.shape_of_each(), shape, rows_from(shape, x, row), statistic, epilogue_of(item),
                 rows_from(shape, y, row), moments == nullptr ? nullptr : moments + row, of_item);
  });
}

/// Bytes of scratch memory that the backward functions below take for dscale and dshift.
template <class T> Index modulated_workspace_bytes(RowShape shape, Index items) {
  return items * gradient_workspace_bytes<T>(Items(shape, items).shape_of_each());
}

template <class Statistic, class Casting, class G, class Dy, class X, class Scale, class T, class Dx,
          class Dscale, class Dshift, class Executor>
void modulated_backward(const Check& check, Index items, const Dy& dy, const X& x, const Scale& scale,
                        const RowMoments<T>* moments, const Dx& dx, const Dscale& dscale,
                        const Dshift& dshift, const GradientOptions& options, const Executor& executor) {
  const RowShape shape = check.shape();
  check_items(check, items);
  if (moments == nullptr && shape.rows > 0) check.stop(check.message() << "moments is nullptr");
  check_all_apart(check, "dy", dy, "x", x, "dx", dx, "moments", read_array(moments, shape.rows), "scale",
                  read_arrays(scale, items), "dscale", written_arrays(dscale, items), "dshift",
                  written_arrays(dshift, items));
  const Items of_call(shape, items);
  const Index bytes = gradient_workspace_bytes<T>(of_call.shape_of_each());
  of_call.each(executor, [&](Index item, Index row, const auto& of_item) {
    GradientOptions of_these = options;
    if (options.workspace != nullptr)
      of_these.workspace = static_cast<char*>(options.workspace) + item * bytes;
    backward_part<Statistic, Casting>(
        of_call.shape_of_each(), shape, rows_from(shape, dy, row), rows_from(shape, x, row),
        array_of_item<const element_or_t<Scale, T>>(scale, item), moments + row, rows_from(shape, dx, row),
        array_of_item<G>(dscale, item), array_of_item<G>(dshift, item), of_these, of_item);
  });
}

// --- the operators ---

/// Forward: y = xhat * (1 + scale) + shift, xhat = (x - mean) * rstd as in layer_norm_forward, where rows of one item share
/// scale and shift: the modulation of adaLN, conditional layer normalization, FiLM after a norm.
///
/// items: how many; the rows of an item follow one another, rows / items each (a multiple of shape.after).
/// scale, shift: (items, hidden), a pointer or a Strided whose column is 1 (a slice of a wider matrix, for example), nullptr
/// for 0; of any types of numbers. x, y, moments: all that layer_norm_forward takes.
/// Casting: OnePlusGamma; with RoundOnce y = xhat * scale + shift.
///
/// The bits are those of layer_norm_forward<Casting> of each item's rows by itself, with scale as its gamma and shift as its
/// beta; so are T, precision, and what may be what.
/// Errors: those of layer_norm_forward; rows that are no multiple of items; numbers of an item that are not contiguous:
/// std::invalid_argument, before anything is written.
/// Source: Peebles, Xie, Scalable Diffusion Models with Transformers (2023).
template <class Casting = OnePlusGamma, class X, class Scale, class Shift, class Y, class Executor = Serial>
void modulated_layer_norm_forward(RowShape shape, Index items, const X& x, const Scale& scale,
                                  const Shift& shift, operands_t<X, Scale, Shift, Y> epsilon, const Y& y,
                                  RowMoments<operands_t<X, Scale, Shift, Y>>* moments = nullptr,
                                  const Executor& executor = {}) {
  using T = operands_t<X, Scale, Shift, Y>;
  using P = const element_or_t<Scale, T>;
  using B = const element_or_t<Shift, T>;
  const Check check("modulated_layer_norm_forward", shape);
  const auto scales = read_rows({items, shape.hidden}, scale);
  const auto shifts = read_rows({items, shape.hidden}, shift);
  const auto epilogue_of = [&](Index item) {
    return Chain{Casting::template scale<element_t<X>>(array_of_item<P>(scales, item)),
                 simdnorm::Shift<element_or_t<Shift, T>>(array_of_item<B>(shifts, item))};
  };
  modulated_forward(check, items, read_rows(shape, x), scales, shifts, Variance<T>{epsilon}, epilogue_of,
                    written_rows(shape, y), moments, executor);
}

/// Backward: dx as layer_norm_backward with g = dy * (1 + scale); dscale = sum over the rows of an item of dy * xhat, dshift =
/// sum over these rows of dy.
///
/// dscale, dshift: (items, hidden), a pointer or a Strided whose column is 1, nullptr for one that is not wanted; both float
/// or both double. The workspace is one of modulated_workspace_bytes<T>(shape, items); without it each item allocates its
/// own. All else: as layer_norm_backward, and its bits.
template <class Casting = OnePlusGamma, class Dy, class X, class Scale, class T, class Dx,
          class Dscale = std::nullptr_t, class Dshift = std::nullptr_t, class Executor = Serial>
void modulated_layer_norm_backward(RowShape shape, Index items, const Dy& dy, const X& x, const Scale& scale,
                                   const RowMoments<T>* moments, const Dx& dx, const Dscale& dscale = {},
                                   const Dshift& dshift = {}, const GradientOptions& options = {},
                                   const Executor& executor = {}) {
  static_assert(std::is_same_v<T, operands_t<Dy, X, Scale, Dx>>,
                "simdnorm: moments hold double where one of dy, x, scale and dx does, else float");
  const Check check("modulated_layer_norm_backward", shape);
  const RowShape arrays{items, shape.hidden};
  modulated_backward<Variance<T>, Casting, gradient_t<Dscale, Dshift, T>>(
      check, items, read_rows(shape, dy), read_rows(shape, x), read_rows(arrays, scale), moments,
      written_rows(shape, dx), written_rows(arrays, dscale), written_rows(arrays, dshift), options, executor);
}

/// The same of RMSNorm: y = xhat * (1 + scale), xhat = x * rstd as in rms_norm_forward.
template <class Casting = OnePlusGamma, class X, class Scale, class Y, class Executor = Serial>
void modulated_rms_norm_forward(RowShape shape, Index items, const X& x, const Scale& scale,
                                operands_t<X, Scale, Y> epsilon, const Y& y,
                                RowMoments<operands_t<X, Scale, Y>>* moments = nullptr,
                                const Executor& executor = {}) {
  using T = operands_t<X, Scale, Y>;
  using P = const element_or_t<Scale, T>;
  const Check check("modulated_rms_norm_forward", shape);
  const auto scales = read_rows({items, shape.hidden}, scale);
  const auto epilogue_of = [&](Index item) {
    return Casting::template scale<element_t<X>>(array_of_item<P>(scales, item));
  };
  modulated_forward(check, items, read_rows(shape, x), scales, nullptr, MeanSquare<T>{epsilon}, epilogue_of,
                    written_rows(shape, y), moments, executor);
}

/// Its gradients: dx as rms_norm_backward with g = dy * (1 + scale), dscale = sum over the rows of an item of dy * xhat. All
/// else: as modulated_layer_norm_backward.
template <class Casting = OnePlusGamma, class Dy, class X, class Scale, class T, class Dx,
          class Dscale = std::nullptr_t, class Executor = Serial>
void modulated_rms_norm_backward(RowShape shape, Index items, const Dy& dy, const X& x, const Scale& scale,
                                 const RowMoments<T>* moments, const Dx& dx, const Dscale& dscale = {},
                                 const GradientOptions& options = {}, const Executor& executor = {}) {
  static_assert(std::is_same_v<T, operands_t<Dy, X, Scale, Dx>>,
                "simdnorm: moments hold double where one of dy, x, scale and dx does, else float");
  const Check check("modulated_rms_norm_backward", shape);
  const RowShape arrays{items, shape.hidden};
  modulated_backward<MeanSquare<T>, Casting, gradient_t<Dscale, std::nullptr_t, T>>(
      check, items, read_rows(shape, dy), read_rows(shape, x), read_rows(arrays, scale), moments,
      written_rows(shape, dx), written_rows(arrays, dscale), nullptr, options, executor);
}

}  // namespace simdnorm
