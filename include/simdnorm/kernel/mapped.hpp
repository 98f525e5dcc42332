// Results that are mapped on before they are stored: by a function of the user's own, an activation for example.
#pragma once

#include "../check.hpp"
#include "../operands.hpp"
#include "writer.hpp"

namespace simdnorm {

// --- sinks ---

/// What is stored of a map's results: of others than vectors, factors.hpp.
template <class T, class Arch>
SIMDNORM_INLINE simd::Vector<T, Arch> to_store(const simd::Vector<T, Arch>& result) {
  return result;
}

/// The map for rows beyond the caches: one that reads rows fetches those so many rows on.
template <class Map> const Map& ahead(const Map& map, Index /*rows_ahead*/) { return map; }

/// map(block, at, what is stored), on the way to another sink.
template <class Sink, class Map> struct MappedSink {
  Sink sink;
  Map map;

  template <class Block, class Lanes>
  SIMDNORM_INLINE auto store(const Block& block, At<Lanes> at, typename Block::Vector values) {
    const auto result = map(block, at, values);
    sink.store(block, at, simd::canonical(to_store(result)));
    return result;
  }
  template <class How> auto written(How how) const {
    return MappedSink<Written<Sink, How>, std::decay_t<decltype(ahead(map, how.rows_ahead))>>{
        sink.written(how), ahead(map, how.rows_ahead)};
  }
};

/// with_sink for them.
template <int Rows, class Blocks, class Read, class U, class Map, class Run>
void with_mapped(RowShape shape, const Read& read, const Strided<U>& rows, const Map& map, const Run& run) {
  with_lines<Rows, Blocks>(shape, read, MappedSink<StoredRows<U>, Map>{{rows}, map}, rows, run);
}

// --- maps ---

/// values * number
template <class T> struct TimesNumber {
  T number;

  template <class Block, class Lanes, class Vector>
  SIMDNORM_INLINE Vector operator()(const Block&, At<Lanes>, Vector values) const {
    return values * Vector::broadcast(number);
  }
};

/// function(values)
template <class Function> struct OfFunction {
  Function function;

  template <class Block, class Lanes, class Vector>
  SIMDNORM_INLINE Vector operator()(const Block&, At<Lanes>, Vector values) const {
    return function(values);
  }
};

// --- as an argument ---

/// As y of a forward. Made by mapped.
template <class Function, class Y> struct Mapped {
  Function function;
  Y y;
};
template <class F, class Y> Mapped(F, Y) -> Mapped<F, Y>;

/// As y of a forward: y = function(norm(x)), in the pass of the norm.
/// function: copied; function(v) gives a v for every v of simd::Vector (simd.hpp), of T, which the call computes in, and of
/// any width, which has + - * / and broadcast, and simd::by_batch for what xsimd has. It is called from several threads at once
/// if the call is, on lanes, too, that are not stored. y: rows, a pointer or Strided, of any type of numbers, as y of the call
/// may be.
/// Computes norm(x) in T, rounded, then function, whose NaNs become the canonical one, then rounds to y's type. The bits are
/// those of every instruction set if function's are: those of +, -, * and / of vectors are.
/// Errors: those of the call.
template <class Function, class Y, class = element_t<Y>>
Mapped<Function, Y> mapped(const Function& function, Y y) {
  static_assert(!std::is_void_v<element_t<Y>>, "simdnorm: mapped: y is rows of numbers, not of codes");
  return {function, y};
}

template <class F, class Y> struct ComputedIn<Mapped<F, Y>> { using type = operands_t<Y>; };

template <class F, class Y> auto written_rows(RowShape shape, const Mapped<F, Y>& a) {
  return Mapped{a.function, written_rows(shape, a.y)};
}
template <class F, class Y> auto operands_of(const Mapped<F, Y>& a) { return operands_of(a.y); }
template <class F, class Y, class Then>
SIMDNORM_INLINE void touch(const Check& check, const char* name, const Mapped<F, Y>& a, const Then& then) {
  touch(check, name, a.y, then);
}
template <int Rows, class Blocks, class Read, class F, class U, class Run>
void with_sink(RowShape shape, const Read& read, const Mapped<F, Strided<U>>& a, const Run& run) {
  with_mapped<Rows, Blocks>(shape, read, a.y, OfFunction<F>{a.function}, run);
}

}  // namespace simdnorm
