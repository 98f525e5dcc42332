// Eigen objects as parts of an argument: each a view, or that there is none; and what a call asks of an argument.
#pragma once

#include "computed_rows.hpp"

namespace simdnorm {

/// An object, or that there is none.
template <class X> struct View { X& object; };
template <> struct View<std::nullptr_t> {};
template <class X> View<std::remove_reference_t<X>> view(X&& object) { return {object}; }
inline View<std::nullptr_t> view(std::nullptr_t) { return {}; }
template <class X> using view_t = decltype(view(std::declval<X>()));
/// The same of what may be an argument already.
template <class X> auto as_argument(const X& x) {
  if constexpr (is_readable<X>()) {
    return View<const X>{x};
  } else {
    return x;
  }
}

// --- what a call asks of an argument ---

/// The object that a call's shape is taken from.
template <class X> const X& shape_of(const X& x) { return x; }
template <class X> const X& shape_of(const View<X>& x) { return x.object; }

/// It is no Eigen object, but has the shape of one. (Chosen rows: gathered.hpp.)
template <class X> inline constexpr bool has_shape = false;

/// The type of its numbers, as far as it says what a call computes in.
template <class X> struct ScalarOf { using type = stored_t<X>; };
template <> struct ScalarOf<View<std::nullptr_t>> { using type = void; };
template <class X> struct ScalarOf<View<X>> { using type = stored_t<X>; };
template <class... X> using scalar_t = compute_t<typename ScalarOf<std::decay_t<X>>::type...>;

/// The argument as the operators take it. Call: of functor.hpp.
template <class Call, class Z> std::nullptr_t as_rows(const Call&, const char*, const Z&) {
  static_assert(has_memory<Z>(),
                "simdnorm: operands must be Eigen tensors, matrices or maps that lie in memory, or what "
                "eigen/arguments.hpp makes of them");
  return nullptr;
}
template <class Call> std::nullptr_t as_rows(const Call&, const char*, View<std::nullptr_t>) {
  return nullptr;
}
template <class Call, class X> auto as_rows(const Call& call, const char* name, View<const X> x) {
  return call.rows_read(name, x.object);
}
template <class Call, class X> auto as_rows(const Call& call, const char* name, View<X> x) {
  if constexpr (is_expression<X>()) {
    return call.rows_read(name, x.object);
  } else {
    return call.rows_written(name, x.object);
  }
}
/// The same of an argument that is written: of a map that is const too, as long as it lets its numbers be changed.
template <class Call, class Z> auto as_written(const Call& call, const char* name, const Z& argument) {
  return as_rows(call, name, argument);
}
template <class Call, class X> auto as_written(const Call& call, const char* name, View<X> x) {
  return call.rows_written(name, x.object);
}
template <class Call> std::nullptr_t as_written(const Call&, const char*, View<std::nullptr_t>) {
  return nullptr;
}
template <class Call> std::nullptr_t as_vector(const Call&, const char*, View<std::nullptr_t>) {
  return nullptr;
}
template <class Call, class X> auto as_vector(const Call& call, const char* name, View<const X> x) {
  return call.read_vector(name, x.object);
}
template <class Call> std::nullptr_t as_numbers_of_rows(const Call&, const char*, View<std::nullptr_t>) {
  return nullptr;
}
template <class Call, class X> auto as_numbers_of_rows(const Call& call, const char* name, View<const X> x) {
  return call.read_rows_of_numbers(name, x.object);
}
/// Where a gradient goes; G: its numbers, where there is none.
template <class G, class Call, class X> auto sums_to(const Call& call, const char* name, View<X> x) {
  return call.written_vector(name, x.object);
}
template <class G, class Call> G* sums_to(const Call&, const char*, View<std::nullptr_t>) { return nullptr; }

}  // namespace simdnorm
