// Vectors of four numbers on every machine.
#pragma once

#include <simdnorm/simd.hpp>

#include <algorithm>
#include <array>

namespace simdnorm::simd {

// A register of four numbers, each by the operations of one: what is compiled for registers without masked
// loads and stores runs in every build.
struct FourNumbers {};
template <class T> struct Register<T, FourNumbers> {
  using One = Register<T, NoSimd>;
  using type = std::array<T, 4>;
  static constexpr int width = 4;

  static type load(const T* p) { return {p[0], p[1], p[2], p[3]}; }
  static void store(T* p, type a) { std::copy(a.begin(), a.end(), p); }
  static type broadcast(T x) { return {x, x, x, x}; }
  static type add(type a, type b) {
    return each([](T x, T y) { return One::add(x, y); }, a, b);
  }
  static type sub(type a, type b) {
    return each([](T x, T y) { return One::sub(x, y); }, a, b);
  }
  static type mul(type a, type b) {
    return each([](T x, T y) { return One::mul(x, y); }, a, b);
  }
  static type div(type a, type b) {
    return each([](T x, T y) { return One::div(x, y); }, a, b);
  }
  static type square_root(type a) {
    return each([](T x, T) { return One::square_root(x); }, a, a);
  }
  static bool in_order(type a, type b) {
    return a[0] <= b[0] && a[1] <= b[1] && a[2] <= b[2] && a[3] <= b[3];
  }
  static type add_exact_product(type a, type b, type c) { return add(mul(a, b), c); }
  static type upper_digits(type a) {
    return each([](T x, T) { return One::upper_digits(x); }, a, a);
  }
  static type max(type a, type b) {
    return each([](T x, T y) { return One::max(x, y); }, a, b);
  }
  static type abs(type a) {
    return each([](T x, T) { return One::abs(x); }, a, a);
  }
  static type number_or(type a, type b) {
    return each([](T x, T y) { return One::number_or(x, y); }, a, b);
  }
  static type keep(int count, type a) {
    std::fill(a.begin() + count, a.end(), T(0));
    return a;
  }

 private:
  template <class F> static type each(F f, type a, type b) {
    return {f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])};
  }
};

}  // namespace simdnorm::simd
