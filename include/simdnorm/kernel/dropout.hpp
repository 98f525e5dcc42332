// Dropout of what a norm reads or writes, by a mask that is a function of a seed and of the place alone.
#pragma once

#include "../check.hpp"
#include "../operands.hpp"
#include "../simd_random.hpp"
#include "mapped.hpp"
#include "residual_sum.hpp"

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

/// What each element of a call is multiplied with: 0, or 1 / (1 - probability) rounded to T.
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
  SIMDNORM_INLINE typename Block::Vector factor(const Block& block, At<Lanes> at) const {
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

/// As a map of results.
template <class T> struct TimesMask {
  DropoutMask<T> mask;

  template <class Block, class Lanes, class Vector>
  SIMDNORM_INLINE Vector operator()(const Block& block, At<Lanes> at, Vector values) const {
    return values * mask.factor(block, at);
  }
};

/// As a term of a sum.
template <class A, class T> struct MaskedTerm {
  A a;
  DropoutMask<T> mask;

  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector load(const Block& block, At<Lanes> at) const {
    return a.load(block, at) * mask.factor(block, at);
  }
  template <class Block, class Lanes>
  SIMDNORM_INLINE void fetch(const Block& block, At<Lanes> at, Index rows_ahead) const {
    a.fetch(block, at, rows_ahead);
  }
};

// --- as an argument ---

/// Made by dropped.
template <class X, class Bias = std::nullptr_t> struct Dropped {
  X x;
  Dropout dropout;
  Bias bias_values;

  /// (hidden), or nullptr, added to every row of x before; of what is read.
  template <class NewBias> Dropped<X, NewBias> bias(NewBias values) const { return {x, dropout, values}; }
};
template <class X, class B> Dropped(X, Dropout, B) -> Dropped<X, B>;

/// x times the mask of a Dropout: 0, or 1/(1 - probability). As x of residual_sum, or of forward itself:
///   layer_norm_forward(shape, residual_sum(dropped(x, dropout).bias(b), residual, sum), gamma, beta, epsilon, y, moments);
/// As y of a forward, y = mask * norm(x). As dx of a backward, or of residual_gradients, whose gradient is then that of what was
/// dropped:
///   layer_norm_backward(shape, dy, sum, gamma, moments, residual_gradients(dsum, dropped(dx, dropout), dresidual));
/// x: rows, a pointer or Strided, of any type of numbers. What may be what is as without it.
/// Each operation is rounded by itself, in T of the call. An element that is dropped is times 0: NaN where it is not finite.
/// Errors: those of the call; a probability that is not at least 0 and below 1: std::invalid_argument.
template <class X, class = element_t<X>> Dropped<X> dropped(X x, const Dropout& dropout) {
  static_assert(!std::is_void_v<element_t<X>>, "simdnorm: dropped: rows of numbers, not of codes");
  return {x, dropout, nullptr};
}

template <class X, class B> struct ComputedIn<Dropped<X, B>> { using type = operands_t<X, B>; };
/// Of what is normalized.
template <class X, class B> struct ElementOf<Dropped<X, B>> { using type = operands_t<X, B>; };

template <class X, class B> auto read_rows(RowShape shape, const Dropped<X, B>& a) {
  return Dropped{read_rows(shape, a.x), a.dropout, a.bias_values};
}
template <class X> auto written_rows(RowShape shape, const Dropped<X>& a) {
  return Dropped{written_rows(shape, a.x), a.dropout, nullptr};
}
template <class X, class B> auto operands_of(const Dropped<X, B>& a) { return operands_of(a.x); }
template <class X, class B, class Then>
SIMDNORM_INLINE void touch(const Check& check, const char* name, const Dropped<X, B>& a, const Then& then) {
  if (!(a.dropout.probability >= 0 && a.dropout.probability < 1))
    check.stop(check.message() << "the probability of dropout must be at least 0 and below 1 but is "
                               << a.dropout.probability);
  const element_or_t<B, float>* const bias = a.bias_values;
  touch_all(check, then, name, a.x, "bias", read_array(bias, check.shape().hidden));
}

template <class T, class X, class B> auto source_of(const Dropped<Strided<const X>, B>& a) {
  const auto branch = plus(source_of<T>(a.x), a.bias_values);
  return MadeRows<MaskedTerm<std::decay_t<decltype(branch)>, T>>{{branch, DropoutMask<T>(a.dropout)}};
}
template <int Rows, class Blocks, class Read, class U, class Run>
void with_sink(RowShape shape, const Read& read, const Dropped<Strided<U>>& a, const Run& run) {
  using T = typename Blocks::Scalar;
  with_mapped<Rows, Blocks>(shape, read, a.x, TimesMask<T>{DropoutMask<T>(a.dropout)}, run);
}
/// As one of the results of a residual_gradients.
template <class T, class U> auto sink_of(const Dropped<Strided<U>>& a) {
  return MappedSink<StoredRows<U>, TimesMask<T>>{{a.x}, {DropoutMask<T>(a.dropout)}};
}

}  // namespace simdnorm
