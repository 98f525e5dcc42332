// The fold of a row against a scalar model of its tree, bit for bit, for both kinds of blocks: this tree is
// what makes results the same on every instruction set.
//   column c belongs to lane c mod 16, which adds in Extended<T>: each column, or (e0 + e1) + (e2 + e3), in T, of
//   the four columns that a whole step of 64 gives it;
//   the 16 lanes are added pairwise, 8 apart, then 4, 2, 1.
#include <simdnorm/kernel/fold.hpp>

#include <gtest/gtest.h>

#include <simdnorm/kernel/source.hpp>

#include "support/row_families.hpp"

namespace {

using namespace simdnorm;
using support::bits_of;
using support::Random;

// The 16 lanes of a row's sum of x, and of its squares: what each adds in Extended<T>.
template <class T> struct Lane;
template <> struct Lane<float> {
  double total = 0;
  void add(float x) { total += static_cast<double>(x); }
  void add_square(float x) { total = std::fma(static_cast<double>(x), static_cast<double>(x), total); }
  void add(const Lane& other) { total += other.total; }
  Extended<float> sum() const { return total; }
};
template <> struct Lane<double> {
  double hi = 0, lo = 0;
  void add(double x) {
    const Extended<double> sum = Extended<double>::two_sum(hi, x);
    hi = sum.hi;
    lo += sum.lo;
  }
  void add_square(double x) {
    const double unit = std::ldexp(1.0, std::ilogb(x) - 25);
    const double upper = std::trunc(x / unit) * unit, lower = x - upper;
    add(upper * upper);
    const volatile double upper_part = upper * lower, lower_part = lower * x;
    lo += upper_part + lower_part;
  }
  void add(const Lane& other) {
    add(other.hi);
    lo += other.lo;
  }
  Extended<double> sum() const { return Extended<double>::two_sum(hi, lo); }
};

template <class T> Extended<T> pairwise_model(Lane<T> (&lanes)[16]) {
  for (std::size_t gap = 8; gap > 0; gap /= 2) {
    for (std::size_t i = 0; i < gap; ++i) lanes[i].add(lanes[i + gap]);
  }
  return lanes[0].sum();
}

template <class T, class AddTo> Extended<T> fold_model(const std::vector<T>& row, const AddTo& add_to) {
  Lane<T> lanes[16];
  for (std::size_t c = 0; c < row.size(); ++c) add_to(lanes[c % 16], row[c]);
  return pairwise_model(lanes);
}

// The same of T's sums of four columns.
template <class T> Extended<T> four_at_once_model(const std::vector<T>& row) {
  Lane<T> lanes[16];
  const std::size_t whole = row.size() / 64 * 64;
  for (std::size_t step = 0; step < whole; step += 64) {
    for (std::size_t l = 0; l < 16; ++l) {
      const auto e = [&](std::size_t k) { return row[step + 16 * k + l]; };
      const T low = e(0) + e(1), high = e(2) + e(3);
      lanes[l].add(low + high);
    }
  }
  for (std::size_t c = whole; c < row.size(); ++c) lanes[c % 16].add(row[c]);
  return pairwise_model(lanes);
}

double words_of(Extended<float> x) { return x.value; }
double words_of(Extended<double> x) { return x.hi + x.lo; }

template <class K> struct Fold : testing::Test {};
template <class T, class Arch> struct Kind {
  using Scalar = T;
  using Architecture = Arch;
};
using Kinds = testing::Types<Kind<float, simd::DefaultArch>, Kind<double, simd::DefaultArch>,
                             Kind<float, simd::NoSimd>, Kind<double, simd::NoSimd>>;
TYPED_TEST_SUITE(Fold, Kinds);

// The rows of a block: the sums of x and of its squares column by column, and of x and 2x four at once.
template <class T, class Block>
void check_block(const Block& block, const Strided<const T>& rows, Index hidden,
                 const std::vector<std::vector<T>>& values) {
  using V = typename Block::Vector;
  const LoadedRows<T> source{rows};
  Extended<T> sums[static_cast<std::size_t>(Block::capacity)][2],
      of_four[static_cast<std::size_t>(Block::capacity)][2];
  fold<2>(block, hidden, EachColumn{[&](auto at, auto* sum) {
            const auto x = source.doubles(block, at);
            sum[0].add(x);
            sum[1].add_product(x, x);
          }},
          sums);
  fold<2>(block, hidden, FourAtOnce{[&](auto at) {
            const V x = source.load(block, at);
            return Terms<V, 2>{{x, x + x}};
          }},
          of_four);
  for (int r = 0; r < block.count(); ++r) {
    const std::vector<T>& row = values[static_cast<std::size_t>(r)];
    const auto expect = [&](const char* what, Extended<T> got, Extended<T> model) {
      EXPECT_EQ(bits_of(words_of(got)), bits_of(words_of(model)))
          << what << ", row " << r << ", hidden " << hidden;
    };
    expect("sum", sums[r][0], fold_model(row, [](Lane<T>& lane, T x) { lane.add(x); }));
    expect("squares", sums[r][1], fold_model(row, [](Lane<T>& lane, T x) { lane.add_square(x); }));
    expect("four at once", of_four[r][0], four_at_once_model(row));
    std::vector<T> twice = row;
    for (T& x : twice) x += x;
    expect("the double, four at once", of_four[r][1], four_at_once_model(twice));
  }
}

const Index hiddens[] = {1,  2,  3,  7,  8,   9,   15,  16,  17,  31,  32,  33,  47,  48,   63,   64,   65,
                         79, 80, 81, 97, 127, 128, 129, 511, 512, 513, 575, 576, 577, 1023, 1024, 1025, 1600};

template <class T> std::vector<std::vector<T>> random_rows(Index rows, Index hidden) {
  Random random(static_cast<std::uint64_t>(hidden));
  std::vector<std::vector<T>> out(static_cast<std::size_t>(rows),
                                  std::vector<T>(static_cast<std::size_t>(hidden)));
  for (auto& row : out) {
    for (T& value : row) value = static_cast<T>(random.log_uniform(-8, 8));
  }
  return out;
}

TYPED_TEST(Fold, OfContiguousRowsIsTheTree) {
  using T = typename TypeParam::Scalar;
  using Arch = typename TypeParam::Architecture;
  for (Index hidden : hiddens) {
    const auto values = random_rows<T>(2, hidden);
    std::vector<T> memory;
    for (const auto& row : values) memory.insert(memory.end(), row.begin(), row.end());
    const Strided<const T> rows{memory.data(), hidden, 1};
    check_block<T>(RowsAlong<T, Arch, 1>{0}, rows, hidden, values);
    check_block<T>(RowsAlong<T, Arch, 1>{1}, rows, hidden, {values[1]});
  }
}

TYPED_TEST(Fold, OfRowsSideBySideIsTheSameTree) {
  using T = typename TypeParam::Scalar;
  using Arch = typename TypeParam::Architecture;
  for (Index hidden : hiddens) {
    for (Index count : {1, 2, 5, 16, 21, RowsAcross<T, Arch>::capacity}) {
      const auto values = random_rows<T>(count, hidden);
      std::vector<T> memory(static_cast<std::size_t>(count * hidden));
      for (Index r = 0; r < count; ++r) {
        for (Index c = 0; c < hidden; ++c) {
          memory[static_cast<std::size_t>(c * count + r)] =
              values[static_cast<std::size_t>(r)][static_cast<std::size_t>(c)];
        }
      }
      const Strided<const T> rows{memory.data(), 0, count};
      check_block<T>(RowsAcross<T, Arch>{0, 0, 0, static_cast<int>(count)}, rows, hidden, values);
    }
  }
}

}  // namespace
