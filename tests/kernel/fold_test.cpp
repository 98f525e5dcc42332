// The fold of a row against a scalar model of its tree, bit for bit, for both kinds of blocks: this tree is
// what makes results the same on every instruction set.
//   column c belongs to lane c mod 16; a step of 64 columns gives each lane (e0 + e1) + (e2 + e3);
//   a lane adds up to 8 steps in T and is then added to its total in Extended<T>;
//   the 16 totals are added pairwise, 8 apart, then 4, 2, 1.
#include <simdnorm/kernel/fold.hpp>

#include <gtest/gtest.h>

#include <simdnorm/kernel/source.hpp>

#include "support/row_families.hpp"

namespace {

using namespace simdnorm;
using support::bits_of;
using support::Random;

template <class T> Extended<T> pairwise_model(std::vector<Extended<T>> lanes) {
  for (std::size_t gap = lanes.size() / 2; gap > 0; gap /= 2) {
    for (std::size_t i = 0; i < gap; ++i) lanes[i] = lanes[i] + lanes[i + gap];
  }
  return lanes[0];
}

template <class T> Extended<T> fold_model(const std::vector<T>& terms) {
  std::vector<Extended<T>> total(16);
  for (std::size_t chain = 0; chain < terms.size(); chain += 512) {
    T lane[16] = {};
    for (std::size_t step = chain; step < std::min(chain + 512, terms.size()); step += 64) {
      for (std::size_t l = 0; l < 16; ++l) {
        T e[4] = {};
        for (std::size_t k = 0; k < 4; ++k) {
          if (step + 16 * k + l < terms.size()) e[k] = terms[step + 16 * k + l];
        }
        const T low = e[0] + e[1], high = e[2] + e[3];
        lane[l] = lane[l] + (low + high);
      }
    }
    for (std::size_t l = 0; l < 16; ++l) total[l] = total[l] + Extended<T>{static_cast<double>(lane[l])};
  }
  return pairwise_model<T>(total);
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

// The rows of a block, with x as one sum and x*x as the other.
template <class T, class Block>
void check_block(const Block& block, const Strided<const T>& rows, Index hidden,
                 const std::vector<std::vector<T>>& values) {
  using V = typename Block::Vector;
  const LoadedRows<T> source{rows};
  Extended<T> sums[static_cast<std::size_t>(Block::capacity)][2];
  fold<2>(
      block, hidden,
      [&](auto at) {
        const V x = source.load(block, at);
        return Terms<V, 2>{{x, x * x}};
      },
      sums);
  for (int r = 0; r < block.count(); ++r) {
    std::vector<T> squares = values[static_cast<std::size_t>(r)];
    for (T& value : squares) value *= value;
    EXPECT_EQ(bits_of(words_of(sums[r][0])),
              bits_of(words_of(fold_model(values[static_cast<std::size_t>(r)]))))
        << "sum, row " << r << ", hidden " << hidden;
    EXPECT_EQ(bits_of(words_of(sums[r][1])), bits_of(words_of(fold_model(squares))))
        << "squares, row " << r << ", hidden " << hidden;
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

TYPED_TEST(Fold, SampleMeanIsNearTheMeanAndExactForEqualNumbers) {
  using T = typename TypeParam::Scalar;
  using Arch = typename TypeParam::Architecture;
  for (Index hidden : hiddens) {
    Random random(1);
    std::vector<T> row(static_cast<std::size_t>(hidden));
    for (T& value : row) value = T(100) + static_cast<T>(random.uniform());
    const LoadedRows<T> source{{row.data(), hidden, 1}};
    RowMoments<T> along{}, across{};
    sample_mean(RowsAlong<T, Arch, 1>{0}, source, hidden, &along);
    EXPECT_NEAR(static_cast<double>(along.mean), 100, 1) << hidden;
    sample_mean(RowsAcross<T, Arch>{0, 0, 0, 1}, source, hidden, &across);
    EXPECT_EQ(bits_of(across.mean), bits_of(along.mean)) << hidden;
  }
}

}  // namespace
