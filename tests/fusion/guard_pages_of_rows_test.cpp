// Rotary embeddings, chosen rows, modulation and backward from y between guard pages, of float and bfloat16.
#include "fusion/guard_pages.hpp"

#include <simdnorm/modulated_norm.hpp>
#include <simdnorm/pointers.hpp>

namespace {

using namespace fusion;
using simdnorm::gathered;
using simdnorm::Rotary;
using simdnorm::RotaryPairs;

#if SIMDNORM_TEST_GUARD_PAGES

// The last row of each table is chosen.
const std::int32_t* numbers_of(Arrays& a, Index table_rows) {
  std::vector<std::int32_t> numbers;
  for (Index r = 0; r < a.places.shape.rows; ++r)
    numbers.push_back(static_cast<std::int32_t>(table_rows - a.places.shape.rows + r));
  return a.copy(numbers);
}
template <class U> auto table(Arrays& a, Index table_rows) {
  Places at = a.places;
  at.shape.rows = table_rows;
  const Strided<const U> rows{a.read<U>(at.extent()), at.outer, at.column};
  return gathered(rows, table_rows, numbers_of(a, table_rows));
}
template <class U> auto written_table(Arrays& a, Index table_rows) {
  Places at = a.places;
  at.shape.rows = table_rows;
  const Strided<U> rows{a.write<U>(at.extent()), at.outer, at.column};
  return gathered(rows, table_rows, numbers_of(a, table_rows));
}
TEST(FusedGuardPages, ChosenRowsForward) {
  check_guarded_everywhere(
      [](Arrays& a) {
        const RowShape shape = a.places.shape;
        simdnorm::layer_norm_forward(shape, table<BFloat16>(a, shape.rows + 2), a.array(), a.array(), 1e-5F,
                                     written_table<float>(a, shape.rows + 1), a.write<Moments>(shape.rows));
      },
      false);
}
TEST(FusedGuardPages, ChosenRowsBackward) {
  check_guarded_everywhere(
      [](Arrays& a) {
        const RowShape shape = a.places.shape;
        simdnorm::layer_norm_backward(shape, table<float>(a, shape.rows), table<BFloat16>(a, shape.rows + 1),
                                      a.array(), a.moments(shape.rows),
                                      written_table<BFloat16>(a, shape.rows + 2), a.sums(), a.sums());
      },
      false);
}

// One item, or as many as there are runs of rows.
Index items_of(RowShape shape) { return shape.hidden % 3 == 0 ? 1 : shape.rows / shape.after; }
template <class U> Strided<U> slices(Arrays& a, U* data) { return {data, a.places.shape.hidden + 2, 1}; }
Index extent_of_slices(Arrays& a) {
  const RowShape shape = a.places.shape;
  return (items_of(shape) - 1) * (shape.hidden + 2) + shape.hidden;
}
// Tables that end with the last angle of the last position; of a row, `rest` columns or one more are not turned.
template <RotaryPairs pairs, class C> Rotary<pairs, C> rotary_of(Arrays& a, Index rest) {
  const Index half = std::max<Index>(1, (a.places.shape.hidden - rest) / 2), length = 4, stride = half + 1;
  const Index count = (length - 1) * stride + half, rows = a.places.shape.rows;
  std::vector<std::int32_t> positions;
  for (Index t = 0; t < rows; ++t) positions.push_back(static_cast<std::int32_t>((t * 3 + 3) % length));
  return {a.read<C>(count), a.read<C>(count), length, 2 * half, 1, 0, a.copy(positions), stride};
}
TEST(FusedGuardPages, ModulatedAndRotatedForward) {
  for (Index rest : {0, 3}) {
    check_guarded_everywhere(
        [&](Arrays& a) {
          const RowShape shape = a.places.shape;
          const auto rotary = rotary_of<RotaryPairs::interleaved, float>(a, rest);
          simdnorm::modulated_layer_norm_forward(
              shape, items_of(shape), a.rows<BFloat16>(), slices(a, a.read<float>(extent_of_slices(a))),
              slices(a, a.read<BFloat16>(extent_of_slices(a))), 1e-5F,
              simdnorm::rotated(a.results<float>(), rotary), a.write<Moments>(shape.rows));
        },
        true, 2);
  }
}
TEST(FusedGuardPages, ModulatedAndRotatedBackward) {
  for (Index rest : {0, 3}) {
    check_guarded_everywhere(
        [&](Arrays& a) {
          const RowShape shape = a.places.shape;
          const auto rotary = rotary_of<RotaryPairs::halves, BFloat16>(a, rest);
          simdnorm::modulated_layer_norm_backward(
              shape, items_of(shape), simdnorm::unrotated(a.rows<BFloat16>(), rotary), a.rows<float>(),
              slices(a, a.read<BFloat16>(extent_of_slices(a))), a.moments(shape.rows), a.results<BFloat16>(),
              slices(a, a.write<float>(extent_of_slices(a))), slices(a, a.write<float>(extent_of_slices(a))));
        },
        true, 2);
  }
}

TEST(FusedGuardPages, FromOutput) {
  check_guarded_everywhere([](Arrays& a) {
    const RowShape shape = a.places.shape;
    simdnorm::layer_norm_backward(
        shape, a.rows<float>(), simdnorm::from_output(a.rows<BFloat16>(), a.read<BFloat16>(shape.hidden)),
        a.array(), a.moments(shape.rows), a.results<BFloat16>(), a.sums(), a.sums());
  });
}

#endif

}  // namespace
