// Numbers of twice the precision, in which sums are kept: double for float, a double-double for double.
// Source: T. J. Dekker, A floating-point technique for extending the available precision (1971).
#pragma once

#include <algorithm>

#include "simd_number.hpp"

namespace simdnorm {

/// A number of twice T's precision; or several, where Number is not double but a vector of doubles.
template <class T, class Number = double> struct Extended;

/// Sums of float are kept in double.
template <class Number> struct Extended<float, Number> {
  using Of = simd::Numbers<Number>;
  static constexpr int words = 1;  // doubles that one number takes in an array
  Number value;

  Extended() = default;
  SIMDNORM_INLINE Extended(Number x) : value(x) {}
  static SIMDNORM_INLINE Extended all(double x) { return Of::all(x); }
  friend SIMDNORM_INLINE Extended operator+(Extended a, Extended b) { return a.value + b.value; }
  friend SIMDNORM_INLINE Extended operator-(Extended a, Extended b) { return a.value - b.value; }
  friend SIMDNORM_INLINE Extended operator*(Extended a, Extended b) {
    return simd::product(a.value, b.value);
  }
  friend SIMDNORM_INLINE Extended operator/(Extended a, Number b) { return a.value / b; }
  SIMDNORM_INLINE Number approximate() const { return value; }

  /// The numbers as sums of two floats each: high is nearest to it, low what remains, rounded.
  SIMDNORM_INLINE void split(float* high, float* low) const {
    Of::to(high, value);
    Of::to(low, value - Of::from(high));
  }
  SIMDNORM_INLINE void round(float* p) const { Of::to(p, value); }
};

/// 1/sqrt(x), x > 0; rounded to float it is the nearest, but for one case in 10^8.
template <class Number>
SIMDNORM_INLINE Extended<float, Number> inverse_square_root(Extended<float, Number> x) {
  return simd::Numbers<Number>::all(1.0) / simd::square_root(x.value);
}

/// Sums of double are kept as hi + lo, |lo| <= ulp(hi)/2.
template <class Number> struct Extended<double, Number> {
  using Of = simd::Numbers<Number>;
  static constexpr int words = 2;
  Number hi;
  Number lo;

  Extended() = default;
  SIMDNORM_INLINE Extended(Number x) : hi(x), lo(Of::all(0.0)) {}
  SIMDNORM_INLINE Extended(Number high, Number low) : hi(high), lo(low) {}
  static SIMDNORM_INLINE Extended all(double x) { return Of::all(x); }

  /// a + b without error (Knuth).
  static SIMDNORM_INLINE Extended two_sum(Number a, Number b) {
    const Number sum = a + b;
    const Number b_part = sum - a;
    return {sum, (a - (sum - b_part)) + (b - b_part)};
  }
  /// a * b without error, for |a|, |b| < 2^995 (Dekker): the halves of 26 bits multiply exactly.
  static SIMDNORM_INLINE Extended two_product(Number a, Number b) {
    const Extended x = halves(a);
    const Extended y = halves(b);
    const Number p = simd::product(a, b);
    const Number error = simd::product(x.hi, y.hi) - p;
    return {p, ((error + simd::product(x.hi, y.lo)) + simd::product(x.lo, y.hi)) + simd::product(x.lo, y.lo)};
  }

  friend SIMDNORM_INLINE Extended operator+(Extended a, Extended b) {
    const Extended high = two_sum(a.hi, b.hi);
    const Extended low = two_sum(a.lo, b.lo);
    const Extended sum = quick_two_sum(high.hi, high.lo + low.hi);
    return quick_two_sum(sum.hi, sum.lo + low.lo);
  }
  friend SIMDNORM_INLINE Extended operator-(Extended a, Extended b) {
    const Number zero = Of::all(0.0);
    return a + Extended{zero - b.hi, zero - b.lo};
  }
  friend SIMDNORM_INLINE Extended operator*(Extended a, Extended b) {
    const Extended p = two_product(a.hi, b.hi);
    return quick_two_sum(p.hi, p.lo + (simd::product(a.hi, b.lo) + simd::product(a.lo, b.hi)));
  }
  friend SIMDNORM_INLINE Extended operator/(Extended a, Number b) {
    const Number quotient = a.hi / b;
    const Extended rest = a - two_product(quotient, b);
    return quick_two_sum(quotient, rest.hi / b);
  }
  SIMDNORM_INLINE Number approximate() const { return hi; }
  SIMDNORM_INLINE void split(double* high, double* low) const {
    Of::to(high, hi);
    Of::to(low, lo);
  }
  SIMDNORM_INLINE void round(double* p) const { Of::to(p, hi); }

 private:
  static SIMDNORM_INLINE Extended halves(Number a) {
    const Number t = simd::product(Of::all(134217729.0), a);  // 2^27 + 1
    const Number high = t - (t - a);
    return {high, a - high};
  }
  static SIMDNORM_INLINE Extended quick_two_sum(Number a, Number b) {  // |a| >= |b|
    const Number sum = a + b;
    return {sum, b - (sum - a)};
  }
};

/// 1/sqrt(x), x > 0: one Newton step r + r*(1 - x*r*r)/2 brings the double quotient to the nearest double but
/// for one case in 10^8.
template <class Number>
SIMDNORM_INLINE Extended<double, Number> inverse_square_root(Extended<double, Number> x) {
  using Wide = Extended<double, Number>;
  const Number r = simd::Numbers<Number>::all(1.0) / simd::square_root(x.hi);
  const Wide residual = Wide::all(1.0) - (x * Wide{r}) * Wide{r};
  return r + simd::product(simd::product(r, simd::Numbers<Number>::all(0.5)), residual.hi);
}

/// sum / n, for a whole n >= 1.
template <class Number>
SIMDNORM_INLINE Extended<float, Number> mean_of(Extended<float, Number> sum, double n) {
  return simd::product(sum.value,
                       simd::Numbers<Number>::all(1 / n));  // the reciprocal does not wait for the sum
}
template <class Number>
SIMDNORM_INLINE Extended<double, Number> mean_of(Extended<double, Number> sum, double n) {
  return sum / simd::Numbers<Number>::all(n);
}

// --- arrays of extended numbers: `count` first words, then `count` second words; count is a multiple of 16 ---

/// hi + lo += x, without error but for that of the sum of all lo.
template <class V> SIMDNORM_INLINE void add_exactly(V x, V& hi, V& lo) {
  const V sum = hi + x;  // two_sum of each lane
  const V x_part = sum - hi;
  lo = lo + ((hi - (sum - x_part)) + (x - x_part));
  hi = sum;
}

/// A sum in Extended<T> for each element of a vector. In arrays the sums of a vector are `width` first words,
/// and, `count` numbers on, as many second ones.
template <class T, class Arch> struct VectorSum;

template <class Arch> struct VectorSum<float, Arch> {
  using Doubles = simd::Doubles<float, Arch>;
  using V = simd::Vector<double, Arch>;
  Doubles sum = {};

  SIMDNORM_INLINE void add(const Doubles& x) {
    simd::unroll<Doubles::parts>([&](auto i)
                                     SIMDNORM_INLINE_LAMBDA { sum.part[i] = sum.part[i] + x.part[i]; });
  }
  /// += a * b, for floats in doubles, whose product is exact.
  SIMDNORM_INLINE void add_product(const Doubles& a, const Doubles& b) {
    simd::unroll<Doubles::parts>([&](auto i) SIMDNORM_INLINE_LAMBDA {
      sum.part[i] = simd::add_exact_product(a.part[i], b.part[i], sum.part[i]);
    });
  }
  friend SIMDNORM_INLINE VectorSum operator+(VectorSum a, const VectorSum& b) {
    a.add(b.sum);
    return a;
  }
  SIMDNORM_INLINE void load(const double* p, Index /*count*/) {
    simd::unroll<Doubles::parts>(
        [&](auto i) SIMDNORM_INLINE_LAMBDA { sum.part[i] = simd::load<V>(simd::All{}, p + i * V::width); });
  }
  SIMDNORM_INLINE void store(double* p, Index /*count*/) const {
    simd::unroll<Doubles::parts>(
        [&](auto i) SIMDNORM_INLINE_LAMBDA { simd::store(simd::All{}, p + i * V::width, sum.part[i]); });
  }
  /// The sums, each rounded once; of a NaN the canonical one.
  SIMDNORM_INLINE void round(simd::All, float* p) const {
    simd::unroll<Doubles::parts>([&](auto i) SIMDNORM_INLINE_LAMBDA {
      simd::store_as_float(p + i * V::width, simd::canonical(sum.part[i]));
    });
  }
  SIMDNORM_INLINE void round(simd::All, double* p) const {
    simd::unroll<Doubles::parts>([&](auto i) SIMDNORM_INLINE_LAMBDA {
      simd::store(simd::All{}, p + i * V::width, simd::canonical(sum.part[i]));
    });
  }
  template <class U> SIMDNORM_INLINE void round(simd::First lanes, U* p) const {
    U rounded[static_cast<std::size_t>(Doubles::parts * V::width)];
    round(simd::All{}, rounded);
    std::copy(rounded, rounded + lanes.count, p);
  }
};

template <class Arch> struct VectorSum<double, Arch> {
  using Doubles = simd::Doubles<double, Arch>;
  using V = simd::Vector<double, Arch>;
  V hi = V::broadcast(0), lo = V::broadcast(0);

  SIMDNORM_INLINE void add(const Doubles& x) { add_exactly(x.part[0], hi, lo); }
  /// += a * b: the upper halves' product is exact, what remains is 2^-25 of it.
  SIMDNORM_INLINE void add_product(const Doubles& a, const Doubles& b) {
    const V x = a.part[0], y = b.part[0], x_upper = simd::upper_digits(x), y_upper = simd::upper_digits(y);
    add_exactly(x_upper * y_upper, hi, lo);
    lo = lo + (x_upper * (y - y_upper) + (x - x_upper) * y);
  }
  friend SIMDNORM_INLINE VectorSum operator+(VectorSum a, const VectorSum& b) {
    add_exactly(b.hi, a.hi, a.lo);
    a.lo = a.lo + b.lo;
    return a;
  }
  SIMDNORM_INLINE void load(const double* p, Index count) {
    hi = simd::load<V>(simd::All{}, p);
    lo = simd::load<V>(simd::All{}, p + count);
  }
  SIMDNORM_INLINE void store(double* p, Index count) const {
    simd::store(simd::All{}, p, hi);
    simd::store(simd::All{}, p + count, lo);
  }
  /// (Of an infinite sum the second word is NaN.)
  template <class Lanes, class U> SIMDNORM_INLINE void round(Lanes lanes, U* p) const {
    simd::store(lanes, p, simd::canonical(simd::number_or(hi + lo, hi)));
  }
};

/// Totals from a column on, and whether anything was added to them yet: if not they are 0, whatever stands there.
struct TotalsAt {
  double* numbers;
  Index count;
  bool begun;
};

/// The numbers of one vector's places, [0, width), += part.
template <class T, class Arch>
SIMDNORM_INLINE void add_to_totals(simd::Vector<T, Arch> part, TotalsAt totals) {
  VectorSum<T, Arch> sum;
  if (!SIMDNORM_UNLIKELY(!totals.begun)) sum.load(totals.numbers, totals.count);
  sum.add(simd::as_doubles(part));
  sum.store(totals.numbers, totals.count);
}

/// The first `size` numbers of an array += those of another, a multiple of a vector's width.
template <class T, class Arch>
SIMDNORM_INLINE void add_totals(const double* other, Index size, Index count, double* total) {
  for (Index i = 0; i < size; i += simd::Vector<T, Arch>::width) {
    VectorSum<T, Arch> a, b;
    a.load(total + i, count);
    b.load(other + i, count);
    (a + b).store(total + i, count);
  }
}

/// Number 0 += x.
SIMDNORM_INLINE void add_number_to_totals(Extended<float> x, TotalsAt totals) {
  *totals.numbers = (totals.begun ? *totals.numbers : 0.0) + x.value;
}
SIMDNORM_INLINE void add_number_to_totals(Extended<double> x, TotalsAt totals) {
  double *const hi = totals.numbers, *const lo = totals.numbers + totals.count;
  const Extended<double> sum = (totals.begun ? Extended<double>{*hi, *lo} : Extended<double>{0.0}) + x;
  *hi = sum.hi;
  *lo = sum.lo;
}

/// Number 0, rounded once.
template <class T> SIMDNORM_INLINE void round_number_of(TotalsAt totals, T* p) {
  VectorSum<T, simd::NoSimd> sum;
  sum.load(totals.numbers, totals.count);
  sum.round(simd::All{}, p);
}

/// Number i of an array.
template <class T> SIMDNORM_INLINE Extended<T> total_at(const double* total, Index count, Index i) {
  if constexpr (Extended<T>::words == 1) {
    (void)count;
    return Extended<T>{total[i]};
  } else {
    return Extended<T>::two_sum(total[i], total[count + i]);
  }
}

}  // namespace simdnorm
