// What backward sums over rows, for each column: dgamma = sum of dy * xhat, dbeta = sum of dy, and what dx adds to them.
//
// Rows are cut into segments whose number and borders depend on the shape alone. In a segment, what the rows that
// are mapped together add, a sum in T of two of them (of four, where rows lie side by side), is added to totals in
// Extended<T>; the segments' totals are added in order. So the bits do not depend on the number of threads, and
// errors do not grow with the number of rows. Of contiguous rows so few that they are mapped together once, what they add is the
// sum: it has no totals where it goes to numbers of T that are not added to (`all`), but is stored there, with the bits of totals.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <tuple>

#include "blocks.hpp"

namespace simdnorm {

/// Where backward is not asked for gradients of parameters.
struct NoParameterGradient {
  template <class Block, class At, class... Phases> static constexpr bool sums_all = true;
  template <class Blocks> static Index blocks_per_task(const Blocks& blocks) { return blocks.per_task(); }
  static NoParameterGradient begin(Index /*task*/) { return {}; }
  static void mark_begun() {}

  template <class Block> struct Column {
    template <class Lanes, class... Gradients>
    SIMDNORM_INLINE void add(const NoParameterGradient&, const Block&, At<Lanes>, const Gradients&...) {}
    template <class Lanes> SIMDNORM_INLINE void end(const NoParameterGradient&, At<Lanes>) const {}
  };
};

/// So few segments that their totals cost little, each of so many rows, which are whole blocks; and so many
/// segments that many threads find work.
inline constexpr Index segment_min_rows = 64;
inline constexpr Index segment_limit = 64;

/// Blocks in one segment.
template <class Blocks> Index blocks_per_segment(const Blocks& blocks) {
  const Index smallest = segment_min_rows / blocks.rows_per_block();
  return std::max(smallest, (blocks.count() + segment_limit - 1) / segment_limit);
}
template <class Blocks> Index segment_count(const Blocks& blocks) {
  return (blocks.count() + blocks_per_segment(blocks) - 1) / blocks_per_segment(blocks);
}

/// Arrays of one number a column are padded so that a whole vector may begin at any column: beyond its lanes it adds 0.
constexpr Index padded_hidden(Index hidden) {
  return (hidden + 2 * (fold_lanes - 1)) / fold_lanes * fold_lanes;
}

/// The totals of one segment, for `sums` gradients, in numbers of double.
template <class T> constexpr Index segment_doubles(Index hidden, Index sums) {
  return sums * padded_hidden(hidden) * Extended<T>::words;
}
/// Bytes of the workspace for `segments` of them, which begin at a cache line.
template <class T> constexpr Index workspace_bytes(Index segments, Index hidden, Index sums) {
  constexpr Index size = static_cast<Index>(sizeof(double));
  return segments * segment_doubles<T>(hidden, sums) * size + (simd::cache_line - size);
}

// --- terms: what is summed, from (block, at, dy, xhat), or from (block, at, what the sink of dx returned); 0 beyond the lanes
// that are meant ---

/// Of gamma. `Xhat` maps xhat to what gamma was multiplied with.
template <class Xhat> struct GammaTerm {
  template <class Block, class Lanes, class Vector>
  SIMDNORM_INLINE Vector operator()(const Block&, At<Lanes>, Vector dy, Vector xhat) const {
    return dy * Xhat::of(xhat);
  }
};
/// Of beta.
struct BetaTerm {
  template <class Block, class Lanes, class Vector>
  SIMDNORM_INLINE Vector operator()(const Block&, At<Lanes>, Vector dy, Vector /*xhat*/) const {
    return dy;
  }
};

/// A term that is to be called with one of `Phases`.
template <class Term, class Block, class At, class... Phases> struct IsSummed;
template <class Term, class Block, class At, class... Gradients>
struct IsSummed<Term, Block, At, std::tuple<Gradients...>>
    : std::is_invocable<const Term&, const Block&, At, const Gradients&...> {};
template <class Term, class Block, class At, class First, class Second>
struct IsSummed<Term, Block, At, First, Second>
    : std::disjunction<IsSummed<Term, Block, At, First>, IsSummed<Term, Block, At, Second>> {};

/// A term, and where its sums go: (hidden), or nullptr.
template <class Term, class G> struct ColumnSum {
  Term term;
  G* sums;
  void clear(Index hidden) const {
    if (sums != nullptr) std::fill_n(sums, hidden, G(0));
  }
  /// Where a sum in T may be stored that is all of it, or nullptr.
  template <class T> T* of_type() const {
    if constexpr (std::is_same_v<G, T>) {
      return sums;
    } else {
      return nullptr;
    }
  }
};
template <class Term, class G> ColumnSum(Term, G*) -> ColumnSum<Term, G>;

/// A term that is summed over the columns too: to one number, or nullptr.
template <class Term, class G> struct TotalSum {
  Term term;
  G* sums;
  void clear(Index /*hidden*/) const {
    if (sums != nullptr) *sums = G(0);
  }
  template <class T> static T* of_type() { return nullptr; }
};
template <class Term, class G> TotalSum(Term, G*) -> TotalSum<Term, G>;

/// The sums that dx asks for beside those of gamma and beta. (Of others than rows: branch.hpp.)
template <class T, class Dx> std::tuple<> column_sums_of(const Dx& /*dx*/) { return {}; }
/// How many they are.
template <class Dx> inline constexpr Index column_sums = 0;

// --- the sums ---

/// The sums of `Terms`, with `workspace` for all segments. All are summed where one of them is wanted: another costs two
/// additions a column, and is not worth kernels of its own.
template <class T, class Arch, class... Terms> class ParameterGradient {
 public:
  static constexpr int sums = static_cast<int>(sizeof...(Terms));

  /// all: where each sum goes if rows that are mapped at once are all that is summed, or nullptr.
  ParameterGradient(Index hidden, void* workspace, const std::array<T*, sizeof...(Terms)>& all,
                    const Terms&... terms)
      : hidden_(hidden), totals_(first_line(workspace)), all_(all), terms_(terms...) {}

  template <class Blocks> static Index blocks_per_task(const Blocks& blocks) {
    return blocks_per_segment(blocks);
  }

  /// The totals of one segment, those of one term after those of another: `count` numbers in all. They are begun by the first rows
  /// that are added, to all columns.
  struct Segment {
    Index count;
    bool begun;
    double* of_term[static_cast<std::size_t>(sums)];
    std::array<T*, sizeof...(Terms)> all;
    std::tuple<Terms...> terms;
    void mark_begun() { begun = true; }
  };
  Segment begin(Index task) const {
    const Index padded = padded_hidden(hidden_);
    double* const totals = totals_of(task);
    Segment segment{sums * padded, false, {}, all_, terms_};
    for (int i = 0; i < sums; ++i) segment.of_term[i] = totals + i * padded;
    for (Index i = 0; i < segment_doubles<T>(hidden_, sums); i += padded)
      std::fill(totals + i + hidden_, totals + i + padded, 0.0);  // beyond the columns they are read too
    return segment;
  }

  /// Each term is summed in one of the phases of a block's rows, of which each is a tuple of what it gives.
  template <class Block, class At, class... Phases>
  static constexpr bool sums_all = (IsSummed<Terms, Block, At, Phases...>::value && ...);

  /// The sums over one block's rows, at one column.
  template <class Block> struct Column {
    typename Block::RowSum of_term[static_cast<std::size_t>(sums)];
    template <class Lanes, class... Gradients>
    SIMDNORM_INLINE void add(const Segment& segment, const Block& block, At<Lanes> at,
                             const Gradients&... gradients) {
      simd::unroll<sums>([&](auto i) SIMDNORM_INLINE_LAMBDA {
        const auto& term = std::get<decltype(i)::value>(segment.terms);
        // Else its numbers come in another phase: see sums_all.
        if constexpr (std::is_invocable_v<decltype(term), const Block&, At<Lanes>, const Gradients&...>)
          of_term[i].add(at, term(block, at, gradients...));
      });
    }
    template <class Lanes> SIMDNORM_INLINE void end(const Segment& segment, At<Lanes> at) const {
      simd::unroll<sums>([&](auto i) SIMDNORM_INLINE_LAMBDA {
        of_term[i].add_to(at, {segment.of_term[i] + at.column, segment.count, segment.begun},
                          segment.all[static_cast<std::size_t>(i)]);
      });
    }
  };

  /// Writes, or adds, the sums over all segments, rounded once, each of them as `to`, the sum of its term, says.
  template <class... Sum> void finish(Index segments, bool accumulate, const Sum&... to) const {
    const Index padded = padded_hidden(hidden_), count = sums * padded;
    double* const totals = totals_of(0);
    for (Index s = 1; s < segments; ++s) add_totals<T, Arch>(totals_of(s), count, count, totals);
    const auto each = std::tie(to...);
    simd::unroll<sums>([&](auto i) {
      constexpr auto term = static_cast<std::size_t>(decltype(i)::value);
      if (all_[term] == nullptr) finish_one(totals + i * padded, count, accumulate, std::get<term>(each));
    });
  }

 private:
  template <class Term, class G>
  SIMDNORM_KERNEL void finish_one(const double* totals, Index count, bool accumulate,
                                  const ColumnSum<Term, G>& column) const {
    G* const to = column.sums;
    if (to == nullptr) return;
    RowsAlong<T, Arch, 1>{0}.columns(0, hidden_, [&](auto at) SIMDNORM_BODY {
      VectorSum<T, Arch> sum;
      sum.load(totals + at.column, count);
      if (accumulate) sum.add(simd::load_doubles<simd::Vector<T, Arch>>(at.lanes, to + at.column));
      sum.round(at.lanes, to + at.column);
    });
  }
  /// Column c belongs to lane c mod 16; the lanes are added pairwise.
  template <class Term, class G>
  void finish_one(const double* totals, Index count, bool accumulate, const TotalSum<Term, G>& total) const {
    if (total.sums == nullptr) return;
    using Number = VectorSum<T, simd::NoSimd>;
    Number lanes[fold_lanes];
    for (Index c = 0; c < hidden_; ++c) {
      Number of_column;
      of_column.load(totals + c, count);
      lanes[c % fold_lanes] = lanes[c % fold_lanes] + of_column;
    }
    Number sum = pairwise<fold_lanes>([&](int lane) { return lanes[lane]; });
    if (accumulate) sum.add(simd::load_doubles<simd::Vector<T, simd::NoSimd>>(simd::All{}, total.sums));
    sum.round(simd::All{}, total.sums);
  }
  /// Where a vector of doubles that fills a line begins in one: else each would lie in two.
  static double* first_line(void* workspace) {
    const Index past = static_cast<Index>(reinterpret_cast<std::uintptr_t>(workspace) % simd::cache_line);
    return reinterpret_cast<double*>(static_cast<char*>(workspace) +
                                     (simd::cache_line - past) % simd::cache_line);
  }
  double* totals_of(Index segment) const { return totals_ + segment * segment_doubles<T>(hidden_, sums); }

  Index hidden_;
  double* totals_;
  std::array<T*, sizeof...(Terms)> all_;
  std::tuple<Terms...> terms_;
};

}  // namespace simdnorm
