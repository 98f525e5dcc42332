// Operands as chosen rows of a table: the embeddings of tokens, rows under a mask, packed sequences.
#pragma once

#include "../check.hpp"
#include "../operands.hpp"
#include "sink.hpp"
#include "source.hpp"
#include "writer.hpp"

namespace simdnorm {

/// Where row numbers[r] of a table has a column, for r at such a place. For rows that do not lie side by side.
template <class U, class I, class Block, class Lanes>
SIMDNORM_INLINE U* address_in(const Strided<U>& table, const I* numbers, const Block& block, At<Lanes> at) {
  return table.data + static_cast<Index>(numbers[block.first_row + at.row]) * table.outer +
         at.column * table.column;
}

/// Such rows as they are read.
template <class U, class I> struct GatheredRows {
  Strided<const U> table;
  const I* numbers;  // (rows)

  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector load(const Block& block, At<Lanes> at) const {
    return simd::load<typename Block::Vector>(at.lanes, address_in(table, numbers, block, at));
  }
  template <class Block, class Lanes> SIMDNORM_INLINE auto doubles(const Block& block, At<Lanes> at) const {
    return simd::load_doubles<typename Block::Vector>(at.lanes, address_in(table, numbers, block, at));
  }
  template <class Block, class Lanes>
  SIMDNORM_INLINE typename Block::Vector last(const Block& block, At<Lanes> at) const {
    return load(block, at);
  }
  const GatheredRows& first() const { return *this; }
  template <class Block, class Lanes, class Ahead> static void fetch(const Block&, At<Lanes>, Ahead) {}
  template <class Row> static void tidy(const Row& /*row*/, Index /*hidden*/) {}
};

/// Such rows as results.
template <class U, class I> struct ScatteredRows {
  Strided<U> table;
  const I* numbers;  // (rows), ascending

  template <class Block, class Lanes>
  SIMDNORM_INLINE auto store(const Block& block, At<Lanes> at, typename Block::Vector values) const {
    simd::store(at.lanes, address_in(table, numbers, block, at), values);
    return values;
  }
};

/// As an operand. Made by gathered.
template <class Table, class I> struct Gathered {
  Table table;
  Index table_rows;
  const I* numbers;
};
template <class X, class I> Gathered(X, Index, const I*) -> Gathered<X, I>;

/// As x or y of a forward, dy, x or dx of a backward: row r of the operand is row numbers[r] of a table.
///   layer_norm_forward(shape, gathered(table, table_rows, tokens), gamma, beta, epsilon, y, moments);
///   layer_norm_forward(shape, gathered(x, all, chosen), gamma, beta, epsilon, gathered(x, all, chosen), moments);  // in place
/// table: (table_rows, hidden), a pointer or a Strided, of any type of numbers. numbers: (rows), of std::int32_t or
/// std::int64_t, each from 0 and below table_rows; of what is read one may come several times, of what is written each is greater
/// than the one before. The other rows of a table that is written stay as they are. With shape.after == 1 alone.
/// What may be what: a table that is written may be one that is read with the same numbers, at the same address, where the rows
/// themselves might be in place; otherwise it overlaps nothing.
/// The bits are those of the call on copies of the rows.
/// Errors: those of the call; a number that is no row of the table, or that is not greater than the one before, named with its
/// place; a missing operand; after != 1: std::invalid_argument, before anything is written.
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
template <class X, class I> auto written_rows(RowShape shape, const Gathered<X, I>& a) {
  static_assert(!std::is_const_v<std::remove_pointer_t<decltype(written_rows(shape, a.table).data)>>,
                "simdnorm: gathered: a table that is written must be writable");
  return Gathered{written_rows({a.table_rows, shape.hidden}, a.table), a.table_rows, a.numbers};
}
template <class X, class I> auto operands_of(const Gathered<X, I>& a) { return operands_of(a.table); }
template <class T, class U, class I> GatheredRows<U, I> source_of(const Gathered<Strided<const U>, I>& a) {
  return {a.table, a.numbers};
}
template <int Rows, class Blocks, class Read, class U, class I, class Run>
void with_sink(RowShape /*shape*/, const Read& /*read*/, const Gathered<Strided<U>, I>& a, const Run& run) {
  run(ScatteredRows<U, I>{a.table, a.numbers}, DirectWriter{});
}

template <class U, class I, class Then>
SIMDNORM_INLINE void touch(const Check& check, const char* name, const Gathered<Strided<U>, I>& a,
                           const Then& then) {
  constexpr bool written = !std::is_const_v<U>;
  const RowShape shape = check.shape();
  if (shape.after != 1) check.stop(check.message() << name << " is gathered, but rows lie side by side");
  if (shape.rows > 0 && a.numbers == nullptr)
    check.stop(check.message() << "the numbers of " << name << "'s rows are nullptr");
  for (Index r = 0; r < shape.rows; ++r) {
    const Index number = static_cast<Index>(a.numbers[r]);
    if (number < 0 || number >= a.table_rows)
      check.stop(check.message() << "row " << r << " of " << name << " is to be row " << number
                                 << " of a table of " << a.table_rows);
    if (written && r > 0 && number <= static_cast<Index>(a.numbers[r - 1]))
      check.stop(check.message() << "row " << r << " of " << name << " is to be written to row " << number
                                 << " of a table, which is not after that of the row before");
  }
  const Check of_table = check.of_shape({a.table_rows, shape.hidden});
  Region region;
  if constexpr (written) {
    region = of_table.written_rows(name, a.table);
  } else {
    region = of_table.rows(name, a.table);
  }
  region.numbers = a.numbers;
  then(Touched < written ? Use::writes_rows : Use::reads_rows > {region},
       Touched<Use::reads>{Check::array("the numbers of rows", a.numbers, shape.rows)});
}

/// The numbers of the rows whose mask is not 0, ascending, of which there are at most `rows`; returns how many there are.
/// mask: (rows). numbers: (rows), or as many as there will be.
template <class M, class I> Index rows_of_mask(const M* mask, Index rows, I* numbers) {
  Index count = 0;
  for (Index r = 0; r < rows; ++r) {
    if (mask[r] != M(0)) numbers[count++] = static_cast<I>(r);
  }
  return count;
}

}  // namespace simdnorm
