// Vectors of four numbers on every machine.
#pragma once

#include <simdnorm/simd_words.hpp>

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
  static type min(type a, type b) {
    return each([](T x, T y) { return One::min(x, y); }, a, b);
  }
  static type where_number(type a, type x, type y) {
    for (std::size_t i = 0; i < 4; ++i) a[i] = One::where_number(a[i], x[i], y[i]);
    return a;
  }
  static type where_less(type a, type b, type x, type y) {
    for (std::size_t i = 0; i < 4; ++i) a[i] = One::where_less(a[i], b[i], x[i], y[i]);
    return a;
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

template <> struct WordRegister<FourNumbers> {
  using One = WordRegister<NoSimd>;
  using type = std::array<std::uint32_t, 4>;
  static constexpr int width = 4;

  static type load(const std::uint32_t* p) { return {p[0], p[1], p[2], p[3]}; }
  static void store(std::uint32_t* p, type a) { std::copy(a.begin(), a.end(), p); }
  static type broadcast(std::uint32_t x) { return {x, x, x, x}; }
  static type add(type a, type b) {
    return each([](std::uint32_t x, std::uint32_t y) { return One::add(x, y); }, a, b);
  }
  static type bits_and(type a, type b) {
    return each([](std::uint32_t x, std::uint32_t y) { return One::bits_and(x, y); }, a, b);
  }
  static type bits_or(type a, type b) {
    return each([](std::uint32_t x, std::uint32_t y) { return One::bits_or(x, y); }, a, b);
  }
  static type max(type a, type b) {
    return each([](std::uint32_t x, std::uint32_t y) { return One::max(x, y); }, a, b);
  }
  static type left(type a, int count) {
    for (std::uint32_t& word : a) word = One::left(word, count);
    return a;
  }
  static type right(type a, int count) {
    for (std::uint32_t& word : a) word = One::right(word, count);
    return a;
  }

 private:
  template <class F> static type each(F f, type a, type b) {
    return {f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])};
  }
};

}  // namespace simdnorm::simd
