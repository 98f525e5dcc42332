// Dropout: a mask that is a function of a seed and of the place alone. (What it is multiplied with: factors.hpp.)
#pragma once

#include "../check.hpp"
#include "../simd_random.hpp"
#include "row.hpp"

namespace simdnorm {

/// Which elements are dropped: none is stored, so that backward drops the same ones again.
/// Element (r, c) of a call is kept where the upper 23 bits of word c mod 4 of Philox 4x32-10, of the counter {c / 4, r, r >> 32,
/// stream} (r + first_row for r) and the key {seed, seed >> 32}, as a fraction of 1 are at least `probability`, which is rounded to
/// a multiple of 2^-23.
struct Dropout {
  double probability;        // at least 0 and below 1
  std::uint64_t seed;        // one for each step, for example
  std::uint32_t stream = 0;  // one for each layer
  Index first_row = 0;       // of the call, among rows that share the mask
};

inline void check_mask(const Check& check, const Dropout& dropout) {
  if (!(dropout.probability >= 0 && dropout.probability < 1))
    check.stop(check.message() << "the probability of dropout must be at least 0 and below 1 but is "
                               << dropout.probability);
}

/// As a term: what each element of a call is multiplied with, 0, or 1 / (1 - probability) rounded to T.
template <class T> struct DropoutMask {
  simd::RandomPlaces random;
  Index first_row;
  float threshold;
  T scale;
  explicit DropoutMask(const Dropout& dropout)
      : random{{static_cast<std::uint32_t>(dropout.seed), static_cast<std::uint32_t>(dropout.seed >> 32)},
               dropout.stream},
        first_row(dropout.first_row),
        threshold(static_cast<float>(1 + dropout.probability)),
        scale(static_cast<T>(1 / (1 - dropout.probability))) {}

  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector load(const Block& block, At<Lanes> at) const {
    using Arch = typename Block::Architecture;
    using Vector = typename Block::Vector;
    using Floats = simd::Vector<float, Arch>;
    using Words = simd::Words<Arch>;
    const Words fractions = (words(block, at) >> 9) | Words::broadcast(0x3f800000);  // of 1, and 1
    const auto kept = [&](float value) SIMDNORM_INLINE_LAMBDA {
      return simd::where_less(simd::floats_of(fractions), Floats::broadcast(threshold), Floats::broadcast(0),
                              Floats::broadcast(value));
    };
    if constexpr (std::is_same_v<T, float>) {
      return kept(scale);
    } else {
      float numbers[static_cast<std::size_t>(Floats::width)];
      simd::store(simd::All{}, numbers, kept(1));
      return simd::load<Vector>(simd::All{}, numbers) * Vector::broadcast(scale);
    }
  }

 private:
  template <class Block, class Lanes>
  SIMDNORM_INLINE simd::Words<typename Block::Architecture> words(const Block& block, At<Lanes> at) const {
    using Arch = typename Block::Architecture;
    const Index row = first_row + block.first_row + at.row;
    if constexpr (Block::across) {
      using R = simd::WordRegister<Arch>;
      std::uint32_t of_rows[static_cast<std::size_t>(R::width)] = {};
      for (int i = 0; i < simd::count_of<typename Block::Vector>(at.lanes); ++i)
        of_rows[i] = random.word(row + i, at.column);
      return {R::load(of_rows)};
    } else {
      return random.template words<Arch>(row, at.column);
    }
  }
};

/// Which items of a batch a branch is left out for: row_scale[r] = 0, or 1/(1 - probability), for the item r / rows_per_item, i
/// for short, which is kept where element (i, 0) of `dropout` is. As row_scale of a branch (branch.hpp), the same ones in backward.
/// row_scale: (rows), float or double.
/// Errors: a probability that is not at least 0 and below 1, rows_per_item < 1: std::invalid_argument.
template <class T>
void stochastic_depth(const Dropout& dropout, Index rows, Index rows_per_item, T* row_scale) {
  const Check check("stochastic_depth", {rows, 1});
  check_mask(check, dropout);
  if (rows_per_item < 1)
    check.stop(check.message() << "rows_per_item must be at least 1 but is " << rows_per_item);
  const DropoutMask<T> mask(dropout);
  for (Index r = 0; r < rows; ++r)
    row_scale[r] = mask.load(RowsAlong<T, simd::NoSimd, 1>{r / rows_per_item}, At<simd::All>{{}, 0, 0}).value;
}

}  // namespace simdnorm
