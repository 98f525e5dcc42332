// A vector of T, loaded and stored whole or in part, whose operators round each operation by itself: all that the kernels
// ask of an instruction set.
#pragma once

#include <limits>
#include <utility>

#include "simd_register.hpp"

namespace simdnorm::simd {

// --- vectors ---

/// A vector of T. Operators round each operation by itself; what is fused is add_exact_product alone.
template <class T, class Arch = DefaultArch> struct Vector {
  using Scalar = T;
  using R = Register<T, Arch>;
  using Architecture = Arch;
  static constexpr int width = R::width;
  typename R::type value;

  static SIMDNORM_INLINE Vector broadcast(T x) { return {R::broadcast(x)}; }
  friend SIMDNORM_INLINE Vector operator+(Vector a, Vector b) { return {R::add(a.value, b.value)}; }
  friend SIMDNORM_INLINE Vector operator-(Vector a, Vector b) { return {R::sub(a.value, b.value)}; }
  friend SIMDNORM_INLINE Vector operator*(Vector a, Vector b) { return {R::mul(a.value, b.value)}; }
  friend SIMDNORM_INLINE Vector operator/(Vector a, Vector b) { return {R::div(a.value, b.value)}; }
};

/// Which elements of a vector are meant: all of them,
struct All {};
/// or the first `count`, 1 <= count < width; nothing beyond them is read or written.
struct First {
  int count;
};

template <class V> constexpr int count_of(All) { return V::width; }
template <class V> constexpr int count_of(First lanes) { return lanes.count; }
/// Calls f(lanes) for the first `count` >= 1 elements of a V, or for all of them if there are no more.
template <class V, class F> SIMDNORM_LOOP void with_lanes(int count, const F& f) {
  if (count >= V::width) {
    f(All{});
  } else {
    f(First{count});
  }
}

template <class V> SIMDNORM_INLINE V load(All, const typename V::Scalar* p) { return {V::R::load(p)}; }
template <class V> SIMDNORM_INLINE V load(First lanes, const typename V::Scalar* p) {
  return {load_first<typename V::R>(p, lanes.count, static_cast<const typename V::R::type*>(nullptr))};
}
template <class T, class Arch> SIMDNORM_INLINE void store(All, T* p, Vector<T, Arch> a) {
  Register<T, Arch>::store(p, a.value);
}
template <class T, class Arch> SIMDNORM_INLINE void store(First lanes, T* p, Vector<T, Arch> a) {
  using R = Register<T, Arch>;
  store_first<R>(p, lanes.count, a.value, static_cast<const typename R::type*>(nullptr));
}

/// a in the lanes that are meant, 0 in the others.
template <class T, class Arch> SIMDNORM_INLINE Vector<T, Arch> keep(All, Vector<T, Arch> a) { return a; }
template <class T, class Arch> SIMDNORM_INLINE Vector<T, Arch> keep(First lanes, Vector<T, Arch> a) {
  return {Register<T, Arch>::keep(lanes.count, a.value)};
}

/// a, and b where a is NaN.
template <class T, class Arch>
SIMDNORM_INLINE Vector<T, Arch> number_or(Vector<T, Arch> a, Vector<T, Arch> b) {
  return {Register<T, Arch>::where_number(a.value, a.value, b.value)};
}
/// a with every NaN made the canonical quiet one: which NaN an operation gives depends on the instruction set.
template <class T, class Arch> SIMDNORM_INLINE Vector<T, Arch> canonical(Vector<T, Arch> a) {
  return number_or(a, Vector<T, Arch>::broadcast(std::numeric_limits<T>::quiet_NaN()));
}

/// a, of which nothing that made it, elsewhere, is fused with what is made of it here.
template <class T, class Arch> SIMDNORM_INLINE Vector<T, Arch> as_rounded(Vector<T, Arch> a) {
  SIMDNORM_ROUND(a.value);
  return a;
}

template <class T, class Arch> SIMDNORM_INLINE Vector<T, Arch> product(Vector<T, Arch> a, Vector<T, Arch> b) {
  return a * b;
}
/// The IEEE square root of each element. (Of floats, xsimd 8.1 approximates it on NEON.)
template <class Arch> SIMDNORM_INLINE Vector<double, Arch> square_root(Vector<double, Arch> a) {
  return {Register<double, Arch>::square_root(a.value)};
}

/// a <= b in all lanes that are meant; false where one is NaN.
template <class Lanes, class T, class Arch>
SIMDNORM_INLINE bool in_order(Lanes lanes, Vector<T, Arch> a, Vector<T, Arch> b) {
  return Register<T, Arch>::in_order(keep(lanes, a).value, keep(lanes, b).value);
}

/// a * b + c where a * b is exact: fused or not, the same bits.
template <class T, class Arch>
SIMDNORM_INLINE Vector<T, Arch> add_exact_product(Vector<T, Arch> a, Vector<T, Arch> b, Vector<T, Arch> c) {
  return {Register<T, Arch>::add_exact_product(a.value, b.value, c.value)};
}

/// a without the lower 27 of its 53 binary digits.
template <class Arch> SIMDNORM_INLINE Vector<double, Arch> upper_digits(Vector<double, Arch> a) {
  return {Register<double, Arch>::upper_digits(a.value)};
}

/// x where a < b, y elsewhere, also where one is NaN.
template <class T, class Arch>
SIMDNORM_INLINE Vector<T, Arch> where_less(Vector<T, Arch> a, Vector<T, Arch> b, Vector<T, Arch> x,
                                           Vector<T, Arch> y) {
  return {Register<T, Arch>::where_less(a.value, b.value, x.value, y.value)};
}

/// The numbers of a vector's elements.
template <class T> inline constexpr T places[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
/// a in the first `count` elements, 0 <= count, 0 in the others.
template <class T, class Arch> SIMDNORM_INLINE Vector<T, Arch> first_of(int count, Vector<T, Arch> a) {
  using V = Vector<T, Arch>;
  return where_less(load<V>(All{}, places<T>), V::broadcast(static_cast<T>(count)), a, V::broadcast(T(0)));
}

/// The larger, and the smaller, of each two numbers; where one is NaN the result is either.
template <class T, class Arch> SIMDNORM_INLINE Vector<T, Arch> larger(Vector<T, Arch> a, Vector<T, Arch> b) {
  return {Register<T, Arch>::max(a.value, b.value)};
}
template <class T, class Arch> SIMDNORM_INLINE Vector<T, Arch> smaller(Vector<T, Arch> a, Vector<T, Arch> b) {
  return {Register<T, Arch>::min(a.value, b.value)};
}

/// max(|a|, |b|); where one is NaN the result is either.
template <class T, class Arch>
SIMDNORM_INLINE Vector<T, Arch> max_magnitude(Vector<T, Arch> a, Vector<T, Arch> b) {
  using R = Register<T, Arch>;
  return {R::max(R::abs(a.value), R::abs(b.value))};
}

/// f of a as an xsimd batch, or as a number where there is no xsimd: for what xsimd has and no kernel needs.
template <class T, class Arch, class F>
SIMDNORM_INLINE Vector<T, Arch> by_batch(Vector<T, Arch> a, const F& f) {
  using R = Register<T, Arch>;
  return {static_cast<typename R::type>(f(typename R::Batch(a.value)))};
}

template <class F, int... I> SIMDNORM_INLINE void unroll(F&& f, std::integer_sequence<int, I...>) {
  (f(std::integral_constant<int, I>{}), ...);
}
/// Calls f(0), ..., f(Count - 1) with the numbers as types: arrays of vectors that it indexes stay in
/// registers.
template <int Count, class F> SIMDNORM_INLINE void unroll(F&& f) {
  unroll(f, std::make_integer_sequence<int, Count>{});
}
template <class F, int... I> SIMDNORM_LOOP void unroll_body(F&& f, std::integer_sequence<int, I...>) {
  (f(std::integral_constant<int, I>{}), ...);
}
/// The same for the body of a loop.
template <int Count, class F> SIMDNORM_LOOP void unroll_body(F&& f) {
  unroll_body(f, std::make_integer_sequence<int, Count>{});
}

}  // namespace simdnorm::simd
