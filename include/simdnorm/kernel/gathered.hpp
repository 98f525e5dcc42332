// x as chosen rows of a table: the embeddings of tokens, packed sequences.
#pragma once

#include "../check.hpp"
#include "../operands.hpp"
#include "source.hpp"

namespace simdnorm {

/// Rows of a table, by their numbers. For rows that do not lie side by side.
template <class U, class I> struct GatheredRows {
  Strided<const U> table;
  const I* numbers;  // (rows)

  template <class Block, class Lanes>
  SIMDNORM_INLINE const U* address(const Block& block, At<Lanes> at) const {
    return table.data + static_cast<Index>(numbers[block.first_row + at.row]) * table.outer +
           at.column * table.column;
  }
  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector load(const Block& block, At<Lanes> at) const {
    return simd::load<typename Block::Vector>(at.lanes, address(block, at));
  }
  template <class Block, class Lanes> SIMDNORM_INLINE auto doubles(const Block& block, At<Lanes> at) const {
    return simd::load_doubles<typename Block::Vector>(at.lanes, address(block, at));
  }
  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector last(const Block& block, At<Lanes> at) const {
    return load(block, at);
  }
  const GatheredRows& first() const { return *this; }
  template <class Block, class Lanes> static void fetch(const Block&, At<Lanes>, Index /*rows_ahead*/) {}
  template <class Row> static void tidy(const Row& /*row*/, Index /*hidden*/) {}
};

/// As x of a forward. Made by gathered.
template <class Table, class I> struct Gathered {
  Table table;
  Index table_rows;
  const I* numbers;
};
template <class X, class I> Gathered(X, Index, const I*) -> Gathered<X, I>;

/// As x of a forward: row r of x is row numbers[r] of a table.
///   layer_norm_forward(shape, gathered(table, table_rows, tokens), gamma, beta, epsilon, y, moments);
/// table: (table_rows, hidden), a pointer or a Strided, of any type of numbers. numbers: (rows), of std::int32_t or
/// std::int64_t, each from 0 and below table_rows; one may come several times. With shape.after == 1 alone. y overlaps neither.
/// The bits are those of the call on a copy of the rows. backward takes such a copy as its x.
/// Errors: those of the call; a number that is no row of the table, named with its place; a missing operand; after != 1:
/// std::invalid_argument, before anything is written.
template <class Table, class I, class = element_t<Table>>
Gathered<Table, I> gathered(Table table, Index table_rows, const I* numbers) {
  static_assert(std::is_same_v<I, std::int32_t> || std::is_same_v<I, std::int64_t>,
                "simdnorm: gathered: numbers of rows are std::int32_t or std::int64_t");
  return {table, table_rows, numbers};
}

template <class X, class I> struct ComputedIn<Gathered<X, I>> { using type = operands_t<X>; };
template <class X, class I> struct ElementOf<Gathered<X, I>> { using type = element_t<X>; };

template <class X, class I> auto read_rows(RowShape shape, const Gathered<X, I>& a) {
  return Gathered{read_rows({a.table_rows, shape.hidden}, a.table), a.table_rows, a.numbers};
}
template <class X, class I> auto operands_of(const Gathered<X, I>& a) { return operands_of(a.table); }
template <class T, class U, class I> GatheredRows<U, I> source_of(const Gathered<Strided<const U>, I>& a) {
  return {a.table, a.numbers};
}

template <class U, class I, class Then>
SIMDNORM_INLINE void touch(const Check& check, const char* name, const Gathered<Strided<const U>, I>& a,
                           const Then& then) {
  const RowShape shape = check.shape();
  if (shape.after != 1) check.stop(check.message() << name << " is gathered, but rows lie side by side");
  if (shape.rows > 0 && a.numbers == nullptr)
    check.stop(check.message() << "the numbers of " << name << "'s rows are nullptr");
  for (Index r = 0; r < shape.rows; ++r) {
    const Index number = static_cast<Index>(a.numbers[r]);
    if (number < 0 || number >= a.table_rows)
      check.stop(check.message() << "row " << r << " of " << name << " is to be row " << number
                                 << " of a table of " << a.table_rows);
  }
  then(Touched<Use::reads>{check.of_shape({a.table_rows, shape.hidden}).rows(name, a.table)},
       Touched<Use::reads>{Check::array("the numbers of rows", a.numbers, shape.rows)});
}

}  // namespace simdnorm
