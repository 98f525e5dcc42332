// Eigen expressions as rows that a call reads: each element is computed where a kernel comes to it, by Eigen's packets, and
// again where it comes to it again; or a block of rows is computed once, into y, if an element costs much and y has its type.
#pragma once

#include <cstring>

#include "../kernel/measure.hpp"
#include "../kernel/residual_sum.hpp"
#include "../simd_shift.hpp"
#include "expression.hpp"

namespace simdnorm {

/// Rows that are computed, as a term and an argument of a call: `places` says where they would lie without gaps, with `begin`
/// elements before. Leaves: Strided of what goes into them element by element, whose data may be nullptr.
template <class Elements, class... Leaves> struct ComputedRows {
  using Scalar = typename Elements::Scalar;
  using Stored = typename StoredAs<Scalar>::type;
  Elements elements;
  Strided<const Stored> places;  // its data is nullptr
  Index begin;
  std::tuple<Leaves...> leaves;

  template <class Block>
  SIMDNORM_INLINE typename Block::Vector load(const Block& block, At<simd::All> at) const {
    return load_whole<typename Block::Vector>(begin + block.offset(places, at));
  }
  /// Few lanes take packets too, which begin before them in the row, so that an element's bits do not depend on who asks.
  template <class Block>
  SIMDNORM_INLINE typename Block::Vector load(const Block& block, At<simd::First> at) const {
    using V = typename Block::Vector;
    const Index i = begin + block.offset(places, at), before = Block::across ? at.row : at.column;
    const int others = V::width - at.lanes.count;
    if (by_packets<V> && others <= before) return simd::last_as_first(at.lanes, load_whole<V>(i - others));
    return load_one_by_one<V>(*this, at.lanes.count, i);
  }
  template <class Block, class Lanes, class Ahead>
  SIMDNORM_INLINE void fetch(const Block& block, At<Lanes> at, Ahead ahead) const {
    // Not by std::apply: g++ takes away a call that does nothing but fetch, if it was not inlined at once.
    simd::unroll<static_cast<int>(sizeof...(Leaves))>([&](auto i) SIMDNORM_INLINE_LAMBDA {
      const auto& leaf = std::get<i>(leaves);
      if (leaf.data != nullptr) source_of<Scalar>(leaf).fetch(block, at, ahead);
    });
  }

 private:
  template <class V>
  static constexpr bool by_packets = Elements::packet_size > 1 && V::width % Elements::packet_size == 0;
  template <class V> SIMDNORM_INLINE V load_whole(Index i) const {
    alignas(64) Scalar numbers[static_cast<std::size_t>(V::width)];
    if constexpr (by_packets<V>) {
      constexpr int size = Elements::packet_size;
      simd::unroll<V::width / size>([&](auto part) SIMDNORM_INLINE_LAMBDA {
        const Index from = i + part * size;
        if (elements.is_packet(from)) {
          Eigen::internal::pstoreu(numbers + part * size, elements.packet(from));
        } else {
          for (int k = 0; k < size; ++k) numbers[part * size + k] = elements.one(from + k);
        }
      });
    } else {
      for (int k = 0; k < V::width; ++k) numbers[k] = elements.one(i + k);
    }
    return as_vector<V>(numbers);
  }
  template <class V> static SIMDNORM_NOINLINE V load_one_by_one(ComputedRows rows, int count, Index i) {
    alignas(64) Scalar numbers[static_cast<std::size_t>(V::width)] = {};
    for (int k = 0; k < count; ++k) numbers[k] = rows.elements.one(i + k);
    return as_vector<V>(numbers);
  }
  template <class V> static SIMDNORM_INLINE V as_vector(const Scalar* numbers) {
    if constexpr (std::is_same_v<Scalar, Stored>) {
      return simd::as_rounded(simd::load<V>(simd::All{}, numbers));
    } else {
      Stored stored[static_cast<std::size_t>(V::width)];
      std::memcpy(static_cast<void*>(stored), static_cast<const void*>(numbers), sizeof stored);
      return simd::load<V>(simd::All{}, static_cast<const Stored*>(stored));
    }
  }
};

template <class E, class... L> struct ElementOf<ComputedRows<E, L...>> {
  using type = typename ComputedRows<E, L...>::Stored;
};
template <class E, class... L> auto operands_of(const ComputedRows<E, L...>& rows) {
  if constexpr (sizeof...(L) == 0) {
    return operands_of(rows.places);
  } else {
    return rows.leaves;
  }
}
template <class T, class E, class... L>
MadeRows<ComputedRows<E, L...>> source_of(const ComputedRows<E, L...>& rows) {
  return {rows};
}
template <class U> Strided<U> leaf_from(RowShape shape, const Strided<U>& leaf, Index row) {
  return leaf.data == nullptr ? leaf : rows_from(shape, leaf, row);
}
template <class E, class... L>
ComputedRows<E, L...> rows_from(RowShape shape, const ComputedRows<E, L...>& rows, Index row) {
  const auto leaves_from = [&](const auto&... leaf) { return std::tuple(leaf_from(shape, leaf, row)...); };
  return {rows.elements, rows.places, rows.begin + row / shape.after * rows.places.outer,
          std::apply(leaves_from, rows.leaves)};
}
/// What else an expression reads than its leaves is not known.
template <class E, class... L, class Then>
SIMDNORM_INLINE void touch(const Check& check, const char* name, const ComputedRows<E, L...>& rows,
                           const Then& then) {
  const auto region = [&](const auto& leaf) {
    return Touched<Use::reads_rows>{leaf.data == nullptr ? Region{name} : check.rows(name, leaf)};
  };
  std::apply([&](const auto&... leaf) { then(region(leaf)...); }, rows.leaves);
}

// --- as an argument of a call ---

/// A leaf as rows, where it lies as the expression would.
template <class X, class Leaf>
Strided<const stored_t<Leaf>> rows_of_leaf(const Leaf& leaf, RowStrides strides) {
  const auto view = operand<const stored_t<Leaf>>(leaf);
  const bool alike = is_row_major<Leaf>() == is_row_major<X>() && view.layout.is_packed();
  return {alike ? view.data : nullptr, strides.outer, strides.column};
}

/// An expression, with what computes it.
template <class X> class ExpressionRows {
  using Elements = elements_t<X>;
  static auto leaves(const X& x, RowStrides strides) {
    return leaves_of(x, [&](const auto& leaf) { return rows_of_leaf<X>(leaf, strides); });
  }
  template <class... L> ComputedRows<Elements, L...> rows_with(const std::tuple<L...>& leaves) const {
    return {owner_.elements(), {nullptr, strides_.outer, strides_.column}, 0, leaves};
  }

  typename Elements::Owner owner_;
  RowStrides strides_;
  decltype(leaves(std::declval<const X&>(), {})) leaves_;

 public:
  ExpressionRows(const X& x, RowStrides strides)
      : owner_(x), strides_(strides), leaves_(leaves(x, strides)) {}
  auto rows() const { return rows_with(leaves_); }
};
template <class X> struct ElementOf<ExpressionRows<X>> { using type = stored_t<X>; };
template <class X> auto read_rows(RowShape, const ExpressionRows<X>& x) { return x.rows(); }

// --- computed once ---

/// The same, kept in the rows that the call writes.
template <class Rows, class U> struct KeptInResult {
  Rows rows;
  Strided<U> y;
};
template <class R, class U> KeptInResult(R, Strided<U>) -> KeptInResult<R, U>;
template <class R, class U> struct ElementOf<KeptInResult<R, U>> { using type = U; };
template <class X, class U> auto read_rows(RowShape, const KeptInResult<const ExpressionRows<X>&, U>& a) {
  return KeptInResult{a.rows.rows(), a.y};
}
template <class R, class U> auto operands_of(const KeptInResult<R, U>& a) {
  return std::tuple_cat(operands_of(a.rows), operands_of(a.y));
}
/// Its source: y, once the rows of a block are computed, which measure begins with.
template <class Rows, class U> struct ComputedFirst : LoadedRows<U> {
  Rows rows;
  StoredRows<U> y;
};
template <class T, class R, class U> ComputedFirst<R, U> source_of(const KeptInResult<R, U>& a) {
  return {{read_rows({}, a.y)}, a.rows, {a.y}};
}
template <class Block, class Rows, class U>
SIMDNORM_KERNEL void compute(Block block, Index hidden, const ComputedFirst<Rows, U>& source) {
  const Rows computed = source.rows;
  const StoredRows<U> y = source.y;
  block.folded([&](const auto& rows, int) SIMDNORM_BODY {
    rows.columns(0, hidden, [&](auto column) SIMDNORM_BODY {
      rows.rows(column, [&](auto at) SIMDNORM_BODY { y.store(rows, at, computed.load(rows, at)); });
    });
  });
}
template <class Statistic, class Block, class Rows, class U, class Record, class Threads>
SIMDNORM_INLINE void measure(const Block& block, const ComputedFirst<Rows, U>& source,
                             const Statistic& statistic, const Spans<Threads>& spans, Record* moments) {
  compute(block, spans.hidden, source);
  measure(block, static_cast<const LoadedRows<U>&>(source), statistic, spans, moments);
}
template <class R, class U> auto rows_from(RowShape shape, const KeptInResult<R, U>& a, Index row) {
  return KeptInResult{rows_from(shape, a.rows, row), rows_from(shape, a.y, row)};
}
template <class R, class U, class Then>
SIMDNORM_INLINE void touch(const Check& check, const char* name, const KeptInResult<R, U>& a,
                           const Then& then) {
  touch(check, name, a.rows, then);
}

/// Computed twice, an element of an expression costs less than it takes to store it where it must be read again. (Sums, products
/// and one quotient do; a root does not.)
template <class X> inline constexpr bool is_cheap = cost_of<X>() <= 7;

/// x as a call takes it that writes y: an expression that is not cheap is kept where y holds its type.
template <class X, class Y> const X& computed_once(const X& x, const Y&) { return x; }
template <class X, class U> decltype(auto) computed_once(const ExpressionRows<X>& x, const Strided<U>& y) {
  if constexpr (std::is_same_v<U, stored_t<X>> && !is_cheap<X>) {
    return KeptInResult<const ExpressionRows<X>&, U>{x, y};
  } else {
    return (x);
  }
}

}  // namespace simdnorm
