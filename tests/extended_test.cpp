// Numbers of twice the precision against the oracle's.
#include <simdnorm/extended.hpp>

#include <gtest/gtest.h>

#include "support/four_numbers.hpp"
#include "support/oracle.hpp"
#include "support/row_families.hpp"

namespace {

using namespace simdnorm;
using oracle::narrow;
using oracle::quad;
using oracle::wide;
using support::Random;

// Of one number: what it is split into, and what it is rounded to.
template <class T> T high_of(const Extended<T>& x) {
  T high, low;
  x.split(&high, &low);
  return high;
}
template <class T> T low_of(const Extended<T>& x) {
  T high, low;
  x.split(&high, &low);
  return low;
}
template <class T> T rounded_of(const Extended<T>& x) {
  T nearest;
  x.round(&nearest);
  return nearest;
}

quad value_of(Extended<float> x) { return wide(x.value); }
quad value_of(Extended<double> x) { return wide(x.hi) + wide(x.lo); }

Extended<double> random_extended(Random& random, int low, int high) {
  const double hi = random.log_uniform(low, high);
  return Extended<double>::two_sum(hi, hi * std::ldexp(random.uniform(), -53));
}

double relative_error(Extended<double> got, quad exact, quad size) {
  return std::abs(narrow((value_of(got) - exact) / size));
}

TEST(ExtendedDouble, SumsAndProductsOfTwoDoublesAreExact) {
  Random random(1);
  for (int i = 0; i < 20000; ++i) {
    const double a = random.log_uniform(-40, 40), b = random.log_uniform(-40, 40);
    EXPECT_EQ(narrow(value_of(Extended<double>::two_sum(a, b)) - (wide(a) + wide(b))), 0);
    EXPECT_EQ(narrow(value_of(Extended<double>::two_product(a, b)) - wide(a) * wide(b)), 0);
  }
}

// Bounds of Joldes, Muller and Popescu, Tight and rigorous error bounds for basic building blocks of
// double-word arithmetic (2017), with room for the plainer product: 2^-106 is a unit in the last place of a
// double-double.
TEST(ExtendedDouble, ArithmeticHasTwiceTheDigits) {
  Random random(2);
  const double unit = std::ldexp(1.0, -106);
  for (int i = 0; i < 20000; ++i) {
    const Extended<double> a = random_extended(random, -30, 30), b = random_extended(random, -30, 30);
    const double d = random.log_uniform(-30, 30);
    const quad x = value_of(a), y = value_of(b);
    EXPECT_LE(relative_error(a + b, x + y, x + y), 4 * unit);
    EXPECT_LE(relative_error(a - b, x - y, x - y), 4 * unit);
    EXPECT_LE(relative_error(a * b, x * y, x * y), 16 * unit);
    EXPECT_LE(relative_error(a / d, x / wide(d), x / wide(d)), 16 * unit);
  }
}

TEST(Extended, TakesItsWordsInAnArray) {
  EXPECT_EQ(static_cast<std::size_t>(Extended<float>::words) * sizeof(double), sizeof(Extended<float>));
  EXPECT_EQ(static_cast<std::size_t>(Extended<double>::words) * sizeof(double), sizeof(Extended<double>));
}

TEST(ExtendedDouble, HighAndLowAreItsWords) {
  const Extended<double> x{1.0, std::ldexp(1.0, -60)};
  EXPECT_EQ(high_of(x), 1.0);
  EXPECT_EQ(low_of(x), std::ldexp(1.0, -60));
  EXPECT_EQ(rounded_of(x), 1.0);
}

TEST(ExtendedFloat, HighAndLowAddUp) {
  Random random(3);
  for (int i = 0; i < 20000; ++i) {
    const double d = random.log_uniform(-60, 60);
    const Extended<float> x{d};
    EXPECT_EQ(high_of(x), static_cast<float>(d));
    EXPECT_EQ(rounded_of(x), static_cast<float>(d));
    EXPECT_LE(std::abs(static_cast<double>(high_of(x)) + static_cast<double>(low_of(x)) - d),
              std::abs(d) * std::ldexp(1.0, -48));
  }
}

TEST(ExtendedFloat, ArithmeticIsThatOfDouble) {
  Random random(4);
  for (int i = 0; i < 2000; ++i) {
    const double a = random.log_uniform(-30, 30), b = random.log_uniform(-30, 30);
    const Extended<float> x{a}, y{b};
    EXPECT_EQ((x + y).value, a + b);
    EXPECT_EQ((x - y).value, a - b);
    EXPECT_EQ((x * y).value, a * b);
    EXPECT_EQ((x / b).value, a / b);
  }
}

// The nearest number but in rare cases, and never further than the next one.
template <class T> void check_inverse_square_root(int low, int high) {
  Random random(5);
  int not_nearest = 0;
  const double u = static_cast<double>(std::numeric_limits<T>::epsilon()) / 2;
  for (int i = 0; i < 50000; ++i) {
    Extended<T> x{std::abs(random.log_uniform(low, high))};
    if constexpr (std::is_same_v<T, double>)
      x = Extended<double>::two_sum(x.hi, x.hi * std::ldexp(random.uniform(), -53));
    const quad exact = oracle::reciprocal_sqrt(value_of(x));
    const T got = rounded_of(inverse_square_root(x));
    const int exponent = std::ilogb(got);
    const double in_halves = std::abs(narrow((wide(got) - exact) * wide(std::ldexp(1.0, -exponent)))) / u;
    ASSERT_LE(in_halves, 1.01);
    not_nearest += in_halves > 1;
  }
  EXPECT_LE(not_nearest, 5);
}
TEST(InverseSquareRoot, OfExtendedFloat) { check_inverse_square_root<float>(-200, 200); }
TEST(InverseSquareRoot, OfExtendedDouble) { check_inverse_square_root<double>(-900, 900); }

template <class K> struct Totals : testing::Test {};
template <class T, class Arch> struct Kind {
  using Scalar = T;
  using Architecture = Arch;
};
using Kinds = testing::Types<Kind<float, simd::DefaultArch>, Kind<double, simd::DefaultArch>,
                             Kind<float, simd::NoSimd>, Kind<double, simd::NoSimd>,
                             Kind<float, simd::FourNumbers>, Kind<double, simd::FourNumbers>>;
TYPED_TEST_SUITE(Totals, Kinds);

// total += part, all of it.
template <class Arch, class T> void add_array(const std::vector<T>& part, std::vector<double>& total) {
  using V = simd::Vector<T, Arch>;
  const Index count = static_cast<Index>(part.size());
  for (Index i = 0; i < count; i += V::width)
    add_to_totals(simd::load<V>(simd::All{}, part.data() + i), TotalsAt{total.data() + i, count, true});
}
// Of the total, each number rounded once; of the last vector all but one element.
template <class T, class Arch> std::vector<T> rounded(const std::vector<double>& total, Index count) {
  constexpr int width = simd::Vector<T, Arch>::width;
  std::vector<T> out(static_cast<std::size_t>(count), T(-1));
  for (Index i = 0; i < count; i += width) {
    VectorSum<T, Arch> sum;
    sum.load(total.data() + i, count);
    if (i + width < count || width == 1) {
      sum.round(simd::All{}, out.data() + i);
    } else {
      sum.round(simd::First{width - 1}, out.data() + i);
      EXPECT_EQ(out.back(), T(-1)) << "written beyond the lanes that are meant";
      out.back() = rounded_of(total_at<T>(total.data(), count, count - 1));
    }
  }
  return out;
}

TYPED_TEST(Totals, KeepTwiceTheDigitsOfManyParts) {
  using T = typename TypeParam::Scalar;
  using Arch = typename TypeParam::Architecture;
  Random random(6);
  const Index count = 48;
  constexpr Index words = Extended<T>::words;
  std::vector<double> total(static_cast<std::size_t>(count * words), 0.0), other = total;
  std::vector<quad> exact(static_cast<std::size_t>(count), wide(0.0)), sizes = exact;
  std::vector<T> part(static_cast<std::size_t>(count));
  for (int round = 0; round < 100; ++round) {
    for (std::size_t i = 0; i < part.size(); ++i) {
      part[i] = static_cast<T>(random.log_uniform(-10, 10));
      exact[i] += wide(part[i]);
      sizes[i] += oracle::abs(wide(part[i]));
    }
    add_array<Arch>(part, round < 60 ? total : other);
  }
  add_totals<T, Arch>(other.data(), count, count, total.data());
  const double bound = 100 * std::ldexp(1.0, words == 1 ? -53 : -104);
  for (Index i = 0; i < count; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const quad got = value_of(total_at<T>(total.data(), count, i));
    EXPECT_LE(narrow(oracle::abs(got - exact[at]) / sizes[at]), bound) << i;
  }
  // Rounded once: what is nearest to the total.
  const std::vector<T> nearest = rounded<T, Arch>(total, count);
  for (Index i = 0; i < count; ++i)
    EXPECT_EQ(nearest[static_cast<std::size_t>(i)], rounded_of(total_at<T>(total.data(), count, i))) << i;
}

// A sum of products to twice the digits, of each element of a vector by itself, also through memory.
TYPED_TEST(Totals, VectorSumsKeepTwiceTheDigitsOfProducts) {
  using T = typename TypeParam::Scalar;
  using V = simd::Vector<T, typename TypeParam::Architecture>;
  Random random(7);
  const auto width = static_cast<std::size_t>(V::width);
  VectorSum<T, typename TypeParam::Architecture> sum;
  std::vector<quad> exact(width, wide(0.0)), sizes = exact;
  std::vector<T> a(width), b(width);
  std::vector<double> memory(2 * 48);
  for (int round = 0; round < 1000; ++round) {
    for (std::size_t i = 0; i < width; ++i) {
      a[i] = static_cast<T>(random.log_uniform(-10, 10));
      b[i] = static_cast<T>(random.log_uniform(-10, 10));
      exact[i] += wide(a[i]) * wide(b[i]) + wide(a[i]);
      sizes[i] += oracle::abs(wide(a[i]) * wide(b[i])) + oracle::abs(wide(a[i]));
    }
    const auto x = simd::as_doubles(simd::load<V>(simd::All{}, a.data()));
    sum.add(x);
    sum.add_product(x, simd::as_doubles(simd::load<V>(simd::All{}, b.data())));
    sum.store(memory.data() + 16, 48);
    sum = {};
    sum.load(memory.data() + 16, 48);
  }
  // Of a product of doubles, what is below its upper digits, 2^-25 of it, is rounded.
  const double bound = 2000 * std::ldexp(1.0, Extended<T>::words == 1 ? -53 : -78);
  for (std::size_t i = 0; i < width; ++i) {
    const quad got = value_of(total_at<T>(memory.data() + 16, 48, static_cast<Index>(i)));
    EXPECT_LE(narrow(oracle::abs(got - exact[i]) / sizes[i]), bound) << i;
  }
}

// One infinity makes a total infinite, two of different signs make it NaN, and neither touches its neighbours.
TYPED_TEST(Totals, OfInfinities) {
  using T = typename TypeParam::Scalar;
  using Arch = typename TypeParam::Architecture;
  const Index count = 16;
  const T inf = std::numeric_limits<T>::infinity();
  std::vector<double> total(static_cast<std::size_t>(count * Extended<T>::words), 0.0);
  std::vector<T> part(static_cast<std::size_t>(count), T(1));
  part[3] = inf;
  part[5] = -inf;
  add_array<Arch>(part, total);
  part[3] = 1;
  part[5] = inf;
  add_array<Arch>(part, total);
  const std::vector<T> sums = rounded<T, Arch>(total, count);
  for (std::size_t i = 0; i < part.size(); ++i) {
    if (i == 5) {
      EXPECT_EQ(support::bits_of(sums[i]), support::bits_of(std::numeric_limits<T>::quiet_NaN()));
    } else {
      EXPECT_EQ(sums[i], i == 3 ? inf : T(2)) << i;
    }
  }
}

TYPED_TEST(Totals, AddOneNumber) {
  using T = typename TypeParam::Scalar;
  double total[2 * 16] = {1, 7};
  const Extended<T> third = Extended<T>{1.0} / 3.0;
  add_number_to_totals(third, TotalsAt{total, 16, true});
  add_number_to_totals(third, TotalsAt{total, 16, true});
  const quad exact = wide(1.0) + value_of(third) + value_of(third);
  EXPECT_LE(narrow(oracle::abs(value_of(total_at<T>(total, 16, 0)) - exact)),
            std::ldexp(1.0, Extended<T>::words == 1 ? -51 : -102));
  EXPECT_EQ(total[1], 7);
  T rounded = 0;
  round_number_of(TotalsAt{total, 16, true}, &rounded);
  EXPECT_EQ(support::bits_of(rounded), support::bits_of(rounded_of(total_at<T>(total, 16, 0))));
}

// What stands where nothing was added yet is not read: the sum is 0 + part, so that -0 becomes 0.
TYPED_TEST(Totals, BeginWithWhatIsAddedFirst) {
  using T = typename TypeParam::Scalar;
  using Arch = typename TypeParam::Architecture;
  using V = simd::Vector<T, Arch>;
  const Index count = 16;
  std::vector<double> total(static_cast<std::size_t>(count * Extended<T>::words),
                            std::numeric_limits<double>::quiet_NaN());
  std::vector<T> part(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < part.size(); ++i) part[i] = static_cast<T>(i) - T(7.25);
  part[3] = -T(0);
  for (bool begun : {false, true}) {
    for (Index i = 0; i < count; i += V::width)
      add_to_totals(simd::load<V>(simd::All{}, part.data() + i), TotalsAt{total.data() + i, count, begun});
    const std::vector<T> sums = rounded<T, Arch>(total, count);
    for (std::size_t i = 0; i < part.size(); ++i)
      EXPECT_EQ(support::bits_of(sums[i]), support::bits_of(T(0) + (begun ? 2 : 1) * part[i])) << i;
  }
  total.assign(total.size(), std::numeric_limits<double>::quiet_NaN());
  add_number_to_totals(Extended<T>{-0.0}, TotalsAt{total.data(), count, false});
  EXPECT_EQ(support::bits_of(narrow(value_of(total_at<T>(total.data(), count, 0)))), support::bits_of(0.0));
}

// In vectors, each number is what it is by itself, bit for bit.
TYPED_TEST(Totals, VectorsOfNumbersAreThoseNumbers) {
  using T = typename TypeParam::Scalar;
  using V = simd::Vector<double, typename TypeParam::Architecture>;
  constexpr auto width = static_cast<std::size_t>(V::width);
  Random random(8);
  for (int round = 0; round < 500; ++round) {
    double words[4][width];
    for (auto& word : words) {
      for (double& value : word) value = std::abs(random.log_uniform(-20, 20));
    }
    const double n = 1 + round % 77;
    const auto results = [&](auto a_hi, auto a_lo, auto b_hi, auto b_lo, T* out) {
      using Number = decltype(a_hi);
      using Wide = Extended<T, Number>;
      Wide a{a_hi}, b{b_hi};
      if constexpr (Wide::words == 2) {
        const Number small = simd::Numbers<Number>::all(0x1p-80);
        a = Wide::two_sum(a_hi, simd::product(a_lo, small));
        b = Wide::two_sum(b_hi, simd::product(b_lo, small));
      }
      constexpr auto count = static_cast<std::size_t>(simd::Numbers<Number>::count);
      (a + b).split(out, out + count);
      (a - b).split(out + 2 * count, out + 3 * count);
      (a * b).split(out + 4 * count, out + 5 * count);
      (a / b_hi).split(out + 6 * count, out + 7 * count);
      mean_of(a, n).split(out + 8 * count, out + 9 * count);
      inverse_square_root(a).round(out + 10 * count);
      Wide::all(n).round(out + 11 * count);
    };
    T together[12 * width], alone[12];
    const auto vector = [&](std::size_t word) { return simd::load<V>(simd::All{}, words[word]); };
    results(vector(0), vector(1), vector(2), vector(3), together);
    for (std::size_t i = 0; i < width; ++i) {
      results(words[0][i], words[1][i], words[2][i], words[3][i], alone);
      for (std::size_t k = 0; k < 12; ++k)
        EXPECT_EQ(support::bits_of(together[k * width + i]), support::bits_of(alone[k])) << k;
    }
  }
}

TEST(MeanOf, ASumIsTheQuotient) {
  Random random(7);
  for (Index n = 1; n <= 5000; ++n) {
    const double count = static_cast<double>(n);
    const Extended<float> sum{random.log_uniform(-30, 30)};
    const quad exact = value_of(sum) / wide(count);
    EXPECT_LE(narrow(oracle::abs(value_of(mean_of(sum, count)) / exact - wide(1.0))), 0x1p-52) << n;
    const Extended<double> wide_sum{sum.value};
    EXPECT_LE(narrow(oracle::abs(value_of(mean_of(wide_sum, count)) / exact - wide(1.0))), 0x1p-103) << n;
  }
}

}  // namespace
