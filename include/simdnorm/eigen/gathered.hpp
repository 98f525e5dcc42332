// Operands as chosen rows of an Eigen table: kernel/gathered.hpp.
#pragma once

#include <vector>

#include "../kernel/gathered.hpp"
#include "view.hpp"

namespace simdnorm {

/// Rank: of the numbers.
template <class Table, class I, int Rank> struct TensorGathered {
  using Scalar = typename Table::Scalar;
  static constexpr int NumDimensions = Rank + rank_of<std::remove_const_t<Table>>() - 1;
  static constexpr int Layout =
      is_row_major<std::remove_const_t<Table>>() ? int{Eigen::RowMajor} : int{Eigen::ColMajor};

  View<Table> table;
  Operand<const I, Rank> numbers;

  /// What is normalized, [begin, end), are the table's rows, and the operand has the shape of x.
  SIMDNORM_NOINLINE void expect(const Operation& operation, const char* name, AxisRange normalized,
                                const simdnorm::Layout<NumDimensions>& x) const {
    const simdnorm::Layout<NumDimensions> shape = layout_of(*this);
    const auto message = [&]() -> Message {
      return operation.message() << name << " is rows of a table of shape " << layout_of(table.object)
                                 << " chosen by numbers of shape " << numbers.layout;
    };
    if (!numbers.layout.is_packed()) (message() << ", which must have no gaps").fail();
    if (!shape.has_sizes_of(x)) (message() << " but x has shape " << x).fail();
    if (normalized.begin != Rank || normalized.end != NumDimensions)
      (message() << ": all dimensions of the table but its "
                 << (shape.row_major ? "first" : "last, of a column-major one,")
                 << " must be normalized, and no other")
          .fail();
  }
};

/// The shape: that of the numbers in the place of the table's slowest dimension.
template <class Table, class I, int Rank> auto layout_of(const TensorGathered<Table, I, Rank>& a) {
  const auto of_table = layout_of(a.table.object);
  Layout<TensorGathered<Table, I, Rank>::NumDimensions> layout;
  layout.row_major = of_table.row_major;
  Index step = 1;
  for (std::size_t d = static_cast<std::size_t>(layout.rank); d-- > 0;) {
    constexpr std::size_t rank = static_cast<std::size_t>(Rank);
    layout.size[d] = d < rank ? a.numbers.layout.size[d] : of_table.size[d - rank + 1];
    layout.step[d] = step;
    step *= layout.size[d];
  }
  return layout;
}

/// As x or y of a forward, dy, x or dx of a backward: the rows of a table that `numbers` tell, in this order.
///   norm.forward(gathered(embeddings, tokens), y, moments);
///   norm.forward(gathered(x, chosen), gathered(x, chosen), moments);  // in place
///
/// table: a matrix or tensor that lies in memory; its rows are what is normalized. Of a row-major one they lie along the first
/// dimension, of a column-major one they are columns, along the last: the norm is made with axis(0) then. Of a tensor of more
/// dimensions all others are normalized, by last_axes(n).
/// numbers: a vector, matrix or tensor without gaps, or a std::vector, of std::int32_t or std::int64_t, each from 0 and below the
/// rows of the table; where it has several dimensions, in the table's storage order. The operand has the numbers' dimensions in
/// the place of the table's first (last): tokens of shape (batch, time) in a table (vocabulary, hidden) are (batch, time, hidden).
///
/// The bits are those of the call on a tensor that holds copies of the rows. What may be what, and which numbers may be given
/// for a table that is written: kernel/gathered.hpp.
/// Errors: as there; another shape than x has, named with those of the table and of the numbers.
template <class Table, class Numbers,
          class = std::enable_if_t<has_memory<std::decay_t<Table>>() && has_memory<Numbers>()>>
auto gathered(Table&& table, const Numbers& numbers) {
  using Object = std::remove_reference_t<Table>;
  using I = std::remove_const_t<typename Numbers::Scalar>;
  static_assert(std::is_same_v<I, std::int32_t> || std::is_same_v<I, std::int64_t>,
                "simdnorm: gathered: numbers of rows are std::int32_t or std::int64_t");
  static_assert(rank_of<std::decay_t<Table>>() >= 2,
                "simdnorm: gathered: a table is a matrix, or a tensor of rank 2 or more");
  static_assert(rank_of<Numbers>() == 1 || is_row_major<Numbers>() == is_row_major<std::decay_t<Table>>(),
                "simdnorm: gathered: numbers of several dimensions must have the storage order of the table");
  return TensorGathered<Object, I, rank_of<Numbers>()>{{table}, operand<const I>(numbers)};
}
template <class Table, class I, class = std::enable_if_t<has_memory<std::decay_t<Table>>()>>
auto gathered(Table&& table, const std::vector<I>& numbers) {
  return gathered(table, Eigen::Map<const Eigen::Matrix<I, Eigen::Dynamic, 1>>(
                             numbers.data(), static_cast<Index>(numbers.size())));
}

template <class Table, class I, int Rank>
inline constexpr bool has_shape<TensorGathered<Table, I, Rank>> = true;

template <class Call, class Table, class I, int Rank>
auto as_rows(const Call& call, const char* name, const TensorGathered<Table, I, Rank>& a) {
  call.expect_rows_of_table(name, a);
  using Number = std::conditional_t<std::is_const_v<std::remove_pointer_t<decltype(a.table.object.data())>>,
                                    const stored_t<Table>, stored_t<Table>>;
  const auto table = operand<Number>(a.table.object);
  const std::size_t fastest = static_cast<std::size_t>(table.layout.rank) - 1;
  return Gathered{Strided<Number>{table.data, table.layout.step[0], table.layout.step[fastest]},
                  table.layout.size[0], a.numbers.data};
}

}  // namespace simdnorm
