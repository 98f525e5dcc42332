// A number as the unevaluated sum of two doubles (106 bits, double's exponents): the oracle's arithmetic
// where the compiler has no 128-bit float. Algorithms: Knuth's two-sum, Dekker's product by fma, one Newton
// step in division.
#pragma once

#include <cmath>

namespace oracle {

struct DoubleDouble {
  double high = 0, low = 0;

  DoubleDouble() = default;
  DoubleDouble(double value) : high(value) {}
  DoubleDouble(double h, double l) : high(h), low(l) {}
  explicit operator double() const { return high + low; }

  // |a| >= |b|, or a == 0.
  static DoubleDouble quick_sum(double a, double b) {
    const double sum = a + b;
    return {sum, b - (sum - a)};
  }
  static DoubleDouble sum(double a, double b) {
    const double total = a + b, part = total - a;
    return {total, (a - (total - part)) + (b - part)};
  }
  static DoubleDouble product(double a, double b) {
    // volatile: a compiler that contracts a*b + c would otherwise replace the rounded product in the sums
    // that follow.
    volatile double rounded = a * b;
    const double p = rounded;
    return {p, std::fma(a, b, -p)};
  }

  friend DoubleDouble operator+(DoubleDouble a, DoubleDouble b) {
    const DoubleDouble s = sum(a.high, b.high), t = sum(a.low, b.low);
    const DoubleDouble v = quick_sum(s.high, s.low + t.high);
    return quick_sum(v.high, v.low + t.low);
  }
  friend DoubleDouble operator-(DoubleDouble a) { return {-a.high, -a.low}; }
  friend DoubleDouble operator-(DoubleDouble a, DoubleDouble b) { return a + -b; }
  friend DoubleDouble operator*(DoubleDouble a, DoubleDouble b) {
    const DoubleDouble p = product(a.high, b.high);
    return quick_sum(p.high, p.low + (a.high * b.low + a.low * b.high));
  }
  friend DoubleDouble operator/(DoubleDouble a, DoubleDouble b) {
    const double first = a.high / b.high;
    if (first == 0) return {first, 0};
    const DoubleDouble rest = a - DoubleDouble(first) * b;
    const double second = rest.high / b.high;
    const double third = (rest - DoubleDouble(second) * b).high / b.high;
    return quick_sum(first, second) + DoubleDouble(third);
  }
  DoubleDouble& operator+=(DoubleDouble b) { return *this = *this + b; }
  DoubleDouble& operator-=(DoubleDouble b) { return *this = *this - b; }
  DoubleDouble& operator*=(DoubleDouble b) { return *this = *this * b; }
  DoubleDouble& operator/=(DoubleDouble b) { return *this = *this / b; }

  friend bool operator<(DoubleDouble a, DoubleDouble b) {
    return a.high < b.high || (a.high == b.high && a.low < b.low);
  }
  friend bool operator>(DoubleDouble a, DoubleDouble b) { return b < a; }
  friend bool operator<=(DoubleDouble a, DoubleDouble b) { return !(b < a); }
  friend bool operator>=(DoubleDouble a, DoubleDouble b) { return !(a < b); }
  friend bool operator==(DoubleDouble a, DoubleDouble b) { return a.high == b.high && a.low == b.low; }
  friend bool operator!=(DoubleDouble a, DoubleDouble b) { return !(a == b); }
};

}  // namespace oracle
