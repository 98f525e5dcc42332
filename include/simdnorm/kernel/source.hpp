// Where a row is read.
#pragma once

#include "row.hpp"

namespace simdnorm {

/// How far on a place lies that is to be fetched, into the cache of a level: rows, and bytes.
template <int Level> struct FetchAhead {
  static constexpr int level = Level;
  Index rows;
  Index bytes;
  template <class U> SIMDNORM_INLINE Index in(const Strided<U>& operand) const {
    return rows * operand.outer * static_cast<Index>(sizeof(U)) + bytes;
  }
};

/// Rows as they lie in memory. A source has, for the places of a block that its kernels come to,
///   load(block, at)     the values, 0 beyond the lanes that are meant; any number of times until the sink has written there
///   doubles(block, at)  the same as doubles, which are cheaper to load than to make
///   last(block, at)     load, for the last time
///   first()             the source to read from before all that, each place once: rows that are made may be stored so
///   fetch(block, at, ahead)   brings the places that lie so far on nearer
///   tidy(row, hidden)   after first(), for a row that holds Inf or NaN
template <class U> struct LoadedRows {
  Strided<const U> operand;

  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector load(const Block& block, At<Lanes> at) const {
    return simd::load<typename Block::Vector>(at.lanes, block.address(operand, at));
  }
  template <class Block, class Lanes> SIMDNORM_INLINE auto doubles(const Block& block, At<Lanes> at) const {
    return simd::load_doubles<typename Block::Vector>(at.lanes, block.address(operand, at));
  }
  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector last(const Block& block, At<Lanes> at) const {
    return load(block, at);
  }
  const LoadedRows& first() const { return *this; }
  template <class Block, class Lanes, class Ahead>
  SIMDNORM_INLINE void fetch(const Block& block, At<Lanes> at, Ahead ahead) const {
    if (at.lane * static_cast<Index>(sizeof(U)) % simd::cache_line == 0)
      simd::fetch<Ahead::level>(block.address(operand, at), ahead.in(operand));
  }
  template <class Row> static void tidy(const Row& /*row*/, Index /*hidden*/) {}
};

/// Another source, of which what lies so far on is fetched as it is read.
template <class Source> struct FetchedAsRead {
  Source source;
  FetchAhead<1> ahead;

  template <class Block, class Lanes> SIMDNORM_INLINE auto load(const Block& block, At<Lanes> at) const {
    source.fetch(block, at, ahead);
    return source.load(block, at);
  }
  template <class Block, class Lanes> SIMDNORM_INLINE auto doubles(const Block& block, At<Lanes> at) const {
    source.fetch(block, at, ahead);
    return source.doubles(block, at);
  }
};
/// The same as it is read first.
template <class Source> struct FetchedFirst : Source {
  FetchAhead<1> ahead;
  auto first() const {
    return FetchedAsRead<std::decay_t<decltype(Source::first())>>{Source::first(), ahead};
  }
};
/// Sources of which that is done where rows are beyond the caches. (Of those that are made, by what makes them.)
template <class Source> inline constexpr bool is_fetched_first = false;
template <class U> inline constexpr bool is_fetched_first<LoadedRows<U>> = true;

/// The source to read from after first().
template <class Source> const Source& read_again(const Source& source) { return source; }
template <class Source> const Source& read_again(const FetchedFirst<Source>& source) { return source; }

/// The rows of another source, each times its power of two.
template <class Source, class RowValues> struct ScaledRows {
  Source source;
  RowValues scale;

  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector load(const Block& block, At<Lanes> at) const {
    return source.load(block, at) * scale(at);
  }
  template <class Block, class Lanes> SIMDNORM_INLINE auto doubles(const Block& block, At<Lanes> at) const {
    return simd::as_doubles(load(block, at));
  }
  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector last(const Block& block, At<Lanes> at) const {
    return load(block, at);
  }
};

/// The rows of another source of which, with the last look at a place, those `rows_ahead` on are fetched. (Made just before a kernel,
/// by wide stores: what the kernel reads of one that crosses a line would have to wait for it.)
template <class Source> struct alignas(simd::cache_line) FetchedRows {
  Source source;
  Index rows_ahead;

  template <class Block, class Lanes> SIMDNORM_INLINE auto load(const Block& block, At<Lanes> at) const {
    return source.load(block, at);
  }
  template <class Block, class Lanes> SIMDNORM_INLINE auto last(const Block& block, At<Lanes> at) const {
    source.fetch(block, at, FetchAhead<2>{rows_ahead, 0});
    return source.last(block, at);
  }
};

/// run(what a source, or what is written to, is for the rows of a block): where it must find out something of each row, it does
/// so once a block. (Of others than itself: rotated.hpp, unrotated.hpp.)
template <class Block, class Policy, class Run>
SIMDNORM_INLINE void with_block(const Block& /*block*/, const Policy& policy, const Run& run) {
  run(policy);
}

/// What the folds of a block's rows read of some columns, of what first() gave. (Of gates, which are made by a loop of their own
/// before: gate.hpp.)
template <class Block, class Source>
SIMDNORM_INLINE const Source& made_before(const Block& /*block*/, Columns /*columns*/, const Source& source) {
  return source;
}

/// The source for what a call reads as x. (Of sums: residual_sum.hpp.)
template <class T, class X> LoadedRows<X> source_of(const Strided<const X>& x) { return {x}; }

/// What else a backward computes at a place, from xhat(), where its dy is such a source: it is stored by a call of what this
/// returns, after dx. (Of gates: gated.hpp.)
struct NoResults {
  void operator()() const {}
};
template <class Source, class Block, class Lanes, class Xhat>
SIMDNORM_INLINE NoResults more_results(const Source&, const Block&, At<Lanes>, const Xhat&) {
  return {};
}
template <class Source, class Block, class Lanes, class Xhat>
SIMDNORM_INLINE auto more_results(const FetchedRows<Source>& dy, const Block& block, At<Lanes> at,
                                  const Xhat& xhat) {
  return more_results(dy.source, block, at, xhat);
}

/// Rows of extreme magnitude are read scaled, where the rows' type says so; else a source is not copied, so that a kernel has it in
/// registers.
template <class Block, class Source, class Record>
SIMDNORM_INLINE decltype(auto) scaled(const Block& block, Source&& source, const Record* moments) {
  if constexpr (Block::can_scale) {
    return ScaledRows<std::decay_t<Source>, typename Block::RowValues>{
        source, block.row_values(moments, &Record::scale)};
  } else {
    return Source(static_cast<Source&&>(source));
  }
}

}  // namespace simdnorm
