// Vectors of every width there is here: loads and stores whole and in part, and arithmetic that rounds each
// operation by itself.
#include <simdnorm/simd.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <simdnorm/simd_register.hpp>
#include <simdnorm/simd_shift.hpp>

#include "support/four_numbers.hpp"
#include "support/guard_pages.hpp"
#include "support/row_families.hpp"

namespace {

using namespace simdnorm;
using support::bits_of;
using support::Random;

template <class T, class Arch> struct Kind {
  using Scalar = T;
  using Vector = simd::Vector<T, Arch>;
};
template <class K> struct Vectors : testing::Test {
  using Scalar = typename K::Scalar;
  using Vector = typename K::Vector;
  static constexpr int lanes = Vector::width;
  Random random{1};
  std::vector<Scalar> numbers(int count) {
    std::vector<Scalar> out(static_cast<std::size_t>(count));
    for (Scalar& value : out) value = static_cast<Scalar>(random.log_uniform(-20, 20));
    return out;
  }
};
using Kinds = testing::Types<Kind<float, simd::DefaultArch>, Kind<double, simd::DefaultArch>,
                             Kind<float, simd::NoSimd>, Kind<double, simd::NoSimd>,
                             Kind<float, simd::FourNumbers>, Kind<double, simd::FourNumbers>>;
TYPED_TEST_SUITE(Vectors, Kinds);

TYPED_TEST(Vectors, WidthFillsARegisterOrIsOne) {
  constexpr int width = TestFixture::lanes;
  EXPECT_GE(width, 1);
  EXPECT_EQ(16 % width, 0) << "a virtual lane must not be split";
}

TYPED_TEST(Vectors, LoadAndStoreWhole) {
  using T = typename TestFixture::Scalar;
  using V = typename TestFixture::Vector;
  constexpr int width = TestFixture::lanes;
  const std::vector<T> from = this->numbers(64);
  for (int offset = 0; offset + width <= 64; ++offset) {  // any alignment
    std::vector<T> to(64 + 2, T(7));
    T* p = to.data() + 1 + offset % 17;
    simd::store(simd::All{}, p, simd::load<V>(simd::All{}, from.data() + offset));
    for (int i = 0; i < width; ++i)
      EXPECT_EQ(bits_of(p[i]), bits_of(from[static_cast<std::size_t>(offset + i)]));
    EXPECT_EQ(p[-1], T(7));
    EXPECT_EQ(p[width], T(7));
  }
}

TYPED_TEST(Vectors, LoadAndStoreOfTheFirst) {
  using T = typename TestFixture::Scalar;
  using V = typename TestFixture::Vector;
  constexpr int width = TestFixture::lanes;
  const std::vector<T> from = this->numbers(width + 1);
  for (int count = 1; count < width; ++count) {
    std::vector<T> to(static_cast<std::size_t>(width + 1), T(7)), whole(static_cast<std::size_t>(width));
    const V loaded = simd::load<V>(simd::First{count}, from.data());
    simd::store(simd::All{}, whole.data(), loaded);
    simd::store(simd::First{count}, to.data(), loaded);
    for (int i = 0; i < width; ++i) {
      const auto at = static_cast<std::size_t>(i);
      EXPECT_EQ(bits_of(whole[at]), i < count ? bits_of(from[at]) : bits_of(T(0)))
          << "loaded, lane " << i << " of " << count;
      EXPECT_EQ(bits_of(to[at]), i < count ? bits_of(from[at]) : bits_of(T(7)))
          << "stored, lane " << i << " of " << count;
    }
  }
}

#if SIMDNORM_TEST_GUARD_PAGES
TYPED_TEST(Vectors, NothingBeyondTheFirstIsTouched) {
  using T = typename TestFixture::Scalar;
  using V = typename TestFixture::Vector;
  support::GuardedInput<T> input(64);
  support::GuardedOutput<T> output(64);
  ASSERT_TRUE(input.ok() && output.ok() && input.fill([] { return T(1); }));
  for (int count = 1; count < TestFixture::lanes; ++count) {
    const V loaded = simd::load<V>(simd::First{count}, input.place({true, 0}, count));
    T* to = output.place({true, 0}, count);
    simd::store(simd::First{count}, to, loaded);
    EXPECT_EQ(to[count - 1], T(1));
    EXPECT_TRUE(output.slack_untouched());
    output.place({false, 3}, count);
  }
}
#endif

TYPED_TEST(Vectors, KeepClearsTheOthers) {
  using T = typename TestFixture::Scalar;
  using V = typename TestFixture::Vector;
  constexpr int width = TestFixture::lanes;
  std::vector<T> values(static_cast<std::size_t>(width), std::numeric_limits<T>::quiet_NaN()), out = values;
  for (int count = 1; count <= width; ++count) {
    for (int i = 0; i < count; ++i) values[static_cast<std::size_t>(i)] = static_cast<T>(i + 1);
    simd::store(simd::All{}, out.data(),
                simd::keep(simd::First{count}, simd::load<V>(simd::All{}, values.data())));
    for (int i = 0; i < width; ++i) {
      EXPECT_EQ(bits_of(out[static_cast<std::size_t>(i)]), bits_of(i < count ? static_cast<T>(i + 1) : T(0)));
    }
  }
  simd::store(simd::All{}, out.data(), simd::keep(simd::All{}, V::broadcast(T(3))));
  for (T value : out) EXPECT_EQ(value, T(3));
}

// Those that are not among the last are NaN: they leave nothing behind.
TYPED_TEST(Vectors, LastAsFirst) {
  using T = typename TestFixture::Scalar;
  using V = typename TestFixture::Vector;
  constexpr int width = TestFixture::lanes;
  for (int count = 1; count <= width; ++count) {
    T values[static_cast<std::size_t>(width)], out[static_cast<std::size_t>(width)];
    for (int i = 0; i < width; ++i)
      values[i] = i < width - count ? std::numeric_limits<T>::quiet_NaN() : static_cast<T>(i + 1);
    simd::store(simd::All{}, out,
                simd::last_as_first(simd::First{count}, simd::load<V>(simd::All{}, values)));
    for (int i = 0; i < width; ++i)
      EXPECT_EQ(bits_of(out[i]), bits_of(i < count ? values[width - count + i] : T(0)));
  }
}

TYPED_TEST(Vectors, CanonicalMakesEveryNanTheQuietOneAndKeepsNumbers) {
  using T = typename TestFixture::Scalar;
  using V = typename TestFixture::Vector;
  const T nan = std::numeric_limits<T>::quiet_NaN(), inf = std::numeric_limits<T>::infinity();
  T out[TestFixture::lanes];
  for (const T value : {-nan, nan, std::numeric_limits<T>::signaling_NaN()}) {
    simd::store(simd::All{}, out, simd::canonical(V::broadcast(value)));
    for (const T got : out) EXPECT_EQ(bits_of(got), bits_of(nan));
  }
  for (const T value : {T(0), -T(0), inf, -inf, std::numeric_limits<T>::denorm_min(), T(-3)}) {
    simd::store(simd::All{}, out, simd::canonical(V::broadcast(value)));
    for (const T got : out) EXPECT_EQ(bits_of(got), bits_of(value));
  }
}

TYPED_TEST(Vectors, ArithmeticIsThatOfNumbers) {
  using T = typename TestFixture::Scalar;
  using V = typename TestFixture::Vector;
  constexpr int width = TestFixture::lanes;
  const auto w = static_cast<std::size_t>(width);
  for (int round = 0; round < 200; ++round) {
    const std::vector<T> a = this->numbers(width), b = this->numbers(width);
    const V x = simd::load<V>(simd::All{}, a.data()), y = simd::load<V>(simd::All{}, b.data());
    std::vector<T> sum(w), difference(w), product(w), largest(w), smallest(w), chosen(w), of_equal(w);
    simd::store(simd::All{}, sum.data(), x + y);
    simd::store(simd::All{}, difference.data(), x - y);
    simd::store(simd::All{}, product.data(), x * y);
    simd::store(simd::All{}, largest.data(), simd::max_magnitude(x, y));
    simd::store(simd::All{}, smallest.data(), simd::smaller(x, y));
    simd::store(simd::All{}, chosen.data(), simd::where_less(x, y, x + y, y));
    simd::store(simd::All{}, of_equal.data(), simd::where_less(x, x, y, x));
    for (std::size_t i = 0; i < w; ++i) {
      const volatile T s = a[i] + b[i], d = a[i] - b[i], p = a[i] * b[i];
      EXPECT_EQ(bits_of(sum[i]), bits_of(T(s)));
      EXPECT_EQ(bits_of(difference[i]), bits_of(T(d)));
      EXPECT_EQ(bits_of(product[i]), bits_of(T(p)));
      EXPECT_EQ(bits_of(largest[i]), bits_of(std::max(std::abs(a[i]), std::abs(b[i]))));
      EXPECT_EQ(smallest[i], std::min(a[i], b[i]));
      EXPECT_EQ(bits_of(chosen[i]), bits_of(a[i] < b[i] ? T(s) : b[i]));
      EXPECT_EQ(bits_of(of_equal[i]), bits_of(a[i]));
    }
  }
}

TYPED_TEST(Vectors, AddExactProductIsTheSumRoundedOnce) {
  using T = typename TestFixture::Scalar;
  using V = typename TestFixture::Vector;
  constexpr auto w = static_cast<std::size_t>(TestFixture::lanes);
  const auto short_number = [&] { return static_cast<T>(1 + this->random.below(1000)) * T(0.125); };
  for (int round = 0; round < 200; ++round) {
    std::vector<T> a(w), b(w), c = this->numbers(static_cast<int>(w)), got(w);
    std::generate(a.begin(), a.end(), short_number);
    std::generate(b.begin(), b.end(), short_number);
    simd::store(
        simd::All{}, got.data(),
        simd::add_exact_product(simd::load<V>(simd::All{}, a.data()), simd::load<V>(simd::All{}, b.data()),
                                simd::load<V>(simd::All{}, c.data())));
    for (std::size_t i = 0; i < w; ++i) EXPECT_EQ(bits_of(got[i]), bits_of(std::fma(a[i], b[i], c[i])));
  }
}

TYPED_TEST(Vectors, UpperDigitsOfADoubleAreItsFirst26) {
  using T = typename TestFixture::Scalar;
  using V = typename TestFixture::Vector;
  if constexpr (std::is_same_v<T, double>) {
    for (int round = 0; round < 200; ++round) {
      const std::vector<T> a = this->numbers(TestFixture::lanes);
      std::vector<T> got(a.size());
      simd::store(simd::All{}, got.data(), simd::upper_digits(simd::load<V>(simd::All{}, a.data())));
      for (std::size_t i = 0; i < a.size(); ++i) {
        const int exponent = std::ilogb(a[i]);
        EXPECT_EQ(got[i], std::ldexp(std::trunc(std::ldexp(a[i], 25 - exponent)), exponent - 25));
      }
    }
  }
}

// a*b + c and a*b - c with the product rounded first: fused, they would differ in most of these cases.
TYPED_TEST(Vectors, ProductsAreRoundedBeforeTheyAreAdded) {
  using T = typename TestFixture::Scalar;
  using V = typename TestFixture::Vector;
  constexpr int width = TestFixture::lanes;
  const auto w = static_cast<std::size_t>(width);
  int fused_would_differ = 0;
  for (int round = 0; round < 500; ++round) {
    const std::vector<T> a = this->numbers(width), b = this->numbers(width);
    std::vector<T> c(w), sum(w), difference(w), scalar(w);
    for (std::size_t i = 0; i < w; ++i) {
      const volatile T p = a[i] * b[i];
      c[i] = -p * static_cast<T>(1 + std::ldexp(this->random.uniform(), -10));  // nearly cancels
    }
    const V x = simd::load<V>(simd::All{}, a.data()), y = simd::load<V>(simd::All{}, b.data()),
            z = simd::load<V>(simd::All{}, c.data());
    simd::store(simd::All{}, sum.data(), x * y + z);
    simd::store(simd::All{}, difference.data(), z - x * y);
    for (std::size_t i = 0; i < w; ++i) scalar[i] = simd::product(a[i], b[i]) + c[i];
    for (std::size_t i = 0; i < w; ++i) {
      const volatile T p = a[i] * b[i];
      const volatile T s = p + c[i], d = c[i] - p;
      EXPECT_EQ(bits_of(sum[i]), bits_of(T(s)));
      EXPECT_EQ(bits_of(difference[i]), bits_of(T(d)));
      EXPECT_EQ(bits_of(scalar[i]), bits_of(T(s)));
      fused_would_differ += std::fma(a[i], b[i], c[i]) != s;
    }
  }
  EXPECT_GT(fused_would_differ, 100) << "the test's numbers do not tell";
}

TYPED_TEST(Vectors, QuotientsAndRootsAreThoseOfEachElement) {
  using T = typename TestFixture::Scalar;
  using V = typename TestFixture::Vector;
  constexpr int width = TestFixture::lanes;
  for (int round = 0; round < 200; ++round) {
    std::vector<T> a = this->numbers(width), b = this->numbers(width), quotient(a), root(a);
    for (T& value : a) value = std::abs(value);
    const V x = simd::load<V>(simd::All{}, a.data()), y = simd::load<V>(simd::All{}, b.data());
    simd::store(simd::All{}, quotient.data(), x / y);
    if constexpr (std::is_same_v<T, double>) simd::store(simd::All{}, root.data(), simd::square_root(x));
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(bits_of(quotient[i]), bits_of(T(a[i] / b[i])));
      if constexpr (std::is_same_v<T, double>) {
        EXPECT_EQ(bits_of(root[i]), bits_of(std::sqrt(a[i])));
      }
    }
  }
}

// One element that is larger, or NaN, is seen where it is meant and nowhere else.
TYPED_TEST(Vectors, AreInOrderWhereTheyAreMeant) {
  using T = typename TestFixture::Scalar;
  using V = typename TestFixture::Vector;
  constexpr int width = TestFixture::lanes;
  const T nan = std::numeric_limits<T>::quiet_NaN();
  const V two = V::broadcast(T(2));
  EXPECT_TRUE(simd::in_order(simd::All{}, two, two));
  for (int place = 0; place < width; ++place) {
    for (T value : {T(3), nan, T(1)}) {
      std::vector<T> elements(static_cast<std::size_t>(width), T(2));
      elements[static_cast<std::size_t>(place)] = value;
      const V x = simd::load<V>(simd::All{}, elements.data());
      EXPECT_EQ(simd::in_order(simd::All{}, x, two), value == T(1));
      EXPECT_EQ(simd::in_order(simd::All{}, two, x), value == T(3));
      for (int count = 1; count < width; ++count) {
        EXPECT_EQ(simd::in_order(simd::First{count}, x, two), value == T(1) || place >= count);
        EXPECT_EQ(simd::in_order(simd::First{count}, two, x), value == T(3) || place >= count);
      }
    }
  }
}

TYPED_TEST(Vectors, LanesAreAsManyAsAsked) {
  using V = typename TestFixture::Vector;
  for (int count = 1; count <= 2 * V::width; ++count) {
    int called = 0;
    simd::with_lanes<V>(count, [&](auto meant) {
      ++called;
      EXPECT_EQ(simd::count_of<V>(meant), std::min<int>(count, V::width));
      EXPECT_EQ((std::is_same_v<decltype(meant), simd::All>), count >= V::width);
    });
    EXPECT_EQ(called, 1);
  }
}

TEST(Simd, SquareRootIsCorrectlyRounded) {
  Random random(2);
  for (int i = 0; i < 10000; ++i) {
    const double x = std::abs(random.log_uniform(-1000, 1000));
    EXPECT_EQ(simd::square_root(x), std::sqrt(x));
  }
  EXPECT_EQ(simd::square_root(0.0), 0.0);
  EXPECT_EQ(simd::square_root(std::numeric_limits<double>::denorm_min()), std::ldexp(1.0, -537));
}

TEST(Simd, NoInstructionSetIsNamedSo) { EXPECT_STREQ(simd::NoSimd::name(), "none"); }

TEST(Simd, UnrollCountsUp) {
  std::vector<int> seen;
  simd::unroll<5>([&](auto i) { seen.push_back(i); });
  EXPECT_EQ(seen, (std::vector<int>{0, 1, 2, 3, 4}));
}

}  // namespace
