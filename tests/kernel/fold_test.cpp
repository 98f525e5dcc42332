// The fold of a row against a scalar model of its tree, bit for bit, for both kinds of blocks: this tree is
// what makes results the same on every instruction set.
//   column c belongs to lane c mod 16, which adds in Extended<T>: each column, or (e0 + e1) + (e2 + e3), in T, of
//   the four columns that a whole step of 64 gives it; in one chain, or in two, of which whole steps' columns go to each
//   in turns, and which are added in the end;
//   the 16 lanes are added pairwise, 8 apart, then 4, 2, 1.
#include <simdnorm/kernel/fold.hpp>

#include <gtest/gtest.h>

#include <simdnorm/kernel/blocks.hpp>
#include <simdnorm/kernel/source.hpp>

#include <array>

#include "support/four_numbers.hpp"
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

template <class T> Extended<T> pairwise_model(std::array<Lane<T>, 16>& lanes) {
  for (std::size_t gap = 8; gap > 0; gap /= 2) {
    for (std::size_t i = 0; i < gap; ++i) lanes[i].add(lanes[i + gap]);
  }
  return lanes[0].sum();
}

// The columns of whole steps of 64 go to the chains in turns, sixteen at once; what is left to the first. The chains are
// added, then the lanes pairwise.
template <class T, class AddTo>
Extended<T> fold_model(const std::vector<T>& row, int chains, const AddTo& add_to) {
  std::vector<std::array<Lane<T>, 16>> lanes(static_cast<std::size_t>(chains));
  const std::size_t whole = row.size() / 64 * 64;
  for (std::size_t c = 0; c < row.size(); ++c)
    add_to(lanes[c < whole ? c / 16 % lanes.size() : 0][c % 16], row[c]);
  for (std::size_t chain = 1; chain < lanes.size(); ++chain) {
    for (std::size_t l = 0; l < 16; ++l) lanes[0][l].add(lanes[chain][l]);
  }
  return pairwise_model(lanes[0]);
}

// The same of T's sums of four columns.
template <class T> Extended<T> four_at_once_model(const std::vector<T>& row) {
  std::array<Lane<T>, 16> lanes;
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

template <class K> struct Fold : testing::Test {};
template <class T, class Arch> struct Kind {
  using Scalar = T;
  using Architecture = Arch;
};
using Kinds = testing::Types<Kind<float, simd::DefaultArch>, Kind<double, simd::DefaultArch>,
                             Kind<float, simd::NoSimd>, Kind<double, simd::NoSimd>,
                             Kind<float, simd::FourNumbers>, Kind<double, simd::FourNumbers>>;
TYPED_TEST_SUITE(Fold, Kinds);

// A sum's first word; of double, both added.
template <class Number> Number number_of(const Extended<float, Number>& x) { return x.value; }
template <class Number> Number number_of(const Extended<double, Number>& x) { return x.hi + x.lo; }

// Sum s of row r of a block's, which are loaded as many at once as a vector of doubles has elements, or by itself.
template <class T, int Sums, class Loaded> double sum_of(const Loaded& sums, int r, int count, int s) {
  using V = typename Loaded::Vector;
  Extended<T, V> sum[static_cast<std::size_t>(Sums)];
  double of_rows[static_cast<std::size_t>(V::width)];
  sums.load(r / V::width * V::width, count, sum);
  simd::Numbers<V>::to(of_rows, number_of(sum[s]));
  Extended<T, OneNumber> of_row[static_cast<std::size_t>(Sums)];
  sums.load_row(r, of_row);
  EXPECT_EQ(bits_of(number_of(of_row[s]).value), bits_of(of_rows[r % V::width]))
      << "row " << r << " by itself";
  return of_rows[r % V::width];
}

// The rows of a block: the sums of x and of its squares column by column, by one chain, two rows at once, and by two; and of x and
// 2x four at once.
template <class T, class Block>
void check_block(const Block& block, const Strided<const T>& rows, Index hidden,
                 const std::vector<std::vector<T>>& values) {
  SumsOf<Block, 2> one_chain, two_chains, of_four;
  const Columns all{0, hidden};
  const LoadedRows<T> source{rows};
  const auto adding = [&](const auto& folded) {
    return [&](auto at, auto* sum) {
      const auto x = source.doubles(folded, at);
      sum[0].add(x);
      sum[1].add_product(x, x);
    };
  };
  block.template folded<2>([&](const auto& folded, int first) {
    fold(folded, all, each_column<2>(adding(folded)), one_chain, first);
  });
  block.folded([&](const auto& folded, int first) {
    using V = typename std::decay_t<decltype(folded)>::Vector;
    fold(folded, all, each_column<2, 2>(adding(folded)), two_chains, first);
    fold(folded, all, four_at_once<2>([&](auto at) {
           const V x = source.load(folded, at);
           return Terms<V, 2>{{x, x + x}};
         }),
         of_four, first);
  });
  for (int r = 0; r < block.count(); ++r) {
    const std::vector<T>& row = values[static_cast<std::size_t>(r)];
    const auto expect = [&](const char* what, const auto& sums, int s, const Extended<T>& model) {
      EXPECT_EQ(bits_of((sum_of<T, 2>(sums, r, block.count(), s))), bits_of(number_of(model)))
          << what << ", row " << r << " of " << block.count() << ", hidden " << hidden;
    };
    const auto add = [](Lane<T>& lane, T x) { lane.add(x); };
    const auto add_square = [](Lane<T>& lane, T x) { lane.add_square(x); };
    expect("sum", one_chain, 0, fold_model(row, 1, add));
    expect("squares", one_chain, 1, fold_model(row, 1, add_square));
    expect("sum of two chains", two_chains, 0, fold_model(row, 2, add));
    expect("squares of two chains", two_chains, 1, fold_model(row, 2, add_square));
    expect("four at once", of_four, 0, four_at_once_model(row));
    std::vector<T> twice = row;
    for (T& x : twice) x += x;
    expect("the double, four at once", of_four, 1, four_at_once_model(twice));
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
    const auto values = random_rows<T>(8, hidden);
    std::vector<T> memory;
    for (const auto& row : values) memory.insert(memory.end(), row.begin(), row.end());
    const Strided<const T> rows{memory.data(), hidden, 1};
    for (int count : {1, 2, 3, 5, 8}) check_block<T>(BlockAlong<T, Arch>{0, count}, rows, hidden, values);
    check_block<T>(BlockAlong<T, Arch>{7, 1}, rows, hidden, {values[7]});
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

// Beyond the last row that is meant one of those stands again, and none behind it.
TYPED_TEST(Fold, LoadsNoRowsButThoseThatAreMeant) {
  using T = typename TypeParam::Scalar;
  using Arch = typename TypeParam::Architecture;
  using V = simd::Vector<double, Arch>;
  const T values[16] = {1, 2, 3, 4, 5, 6, 7, 8};  // rows of one column, and 0 where no row is
  const LoadedRows<T> source{{values, 1, 1}};
  SumsOf<BlockAlong<T, Arch>, 1> sums;
  BlockAlong<T, Arch>{0, 8}.folded([&](const auto& row, int r) {
    fold(row, Columns{0, 1}, each_column<1>([&](auto at, auto* sum) { sum[0].add(source.doubles(row, at)); }),
         sums, r);
  });
  for (int count = 1; count <= 8; ++count) {
    for (int r = 0; r < count; ++r) {
      Extended<T, V> sum;
      double rows[16];
      sums.load(r, count, &sum);
      simd::Numbers<V>::to(rows, number_of(sum));
      for (int i = 0; i < V::width; ++i) {
        if (r + i < count) {
          EXPECT_EQ(rows[i], r + i + 1);
        }
        EXPECT_GE(rows[i], 1) << r << " of " << count;
        EXPECT_LE(rows[i], count) << r << " of " << count;
      }
    }
  }
}

}  // namespace
