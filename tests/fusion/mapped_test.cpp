// Results that a function maps on before they are stored, and rows that are gathered from a table: the bits of the
// composition, for every type, layout and width; wrong arguments; guard pages.
#include "support/guarded_array.hpp"
#include "support/refused.hpp"
#include "support/streaming.hpp"
#include "support/types.hpp"

namespace {

using namespace support;
using simdnorm::gathered;
using simdnorm::mapped;

// A function of a user's own: x^2 (x - 1/2) / (1 + x^2), which has NaN from infinity.
struct Bend {
  template <class Vector> Vector operator()(Vector x) const {
    const Vector square = x * x;
    const Vector more =
        simdnorm::simd::by_batch(square, [](auto batch) { return batch + decltype(batch)(1); });
    return square * (x - Vector::broadcast(typename Vector::Scalar(0.5))) / more;
  }
};
template <class T> T bend(T x) {
  T y = T(0);
  using Number = simdnorm::simd::Vector<T, simdnorm::simd::NoSimd>;
  y = Bend{}(Number{x}).value;
  return y == y ? y : nan_of<T>;
}

template <Norm norm, class X, class P, class Y> void check_mapped(const Places& places) {
  using T = simdnorm::compute_t<X, P, Y>;
  const RowShape shape = places.shape;
  Stored<X, P> in = every_path_of<X, P>(shape.rows, shape.hidden, 12);
  in.gamma[size(shape.hidden / 3)] = number<P>(1e30);  // whose squares are infinite
  SCOPED_TRACE(std::string(oracle::name(norm)) + " of " + name_of<X>() + " to " + name_of<Y>() + ", " +
               describe(places));
  const std::vector<X> x = places.spread(in.x);
  std::vector<T> expected = unwritten_array<T>(places.extent());
  std::vector<Y> y = unwritten_array<Y>(places.extent());
  std::vector<RowMoments<T>> moments = no_moments<T>(shape.rows), moments_expected = moments;
  forward_of(norm, shape, places.read(x), in.gamma.data(), in.beta.data(), 0x1p-17, places.write(expected),
             moments_expected.data());
  std::vector<T> bent = places.gather(expected);
  for (T& number : bent) number = bend(number);
  forward_of(norm, shape, places.read(x), in.gamma.data(), in.beta.data(), 0x1p-17,
             mapped(Bend{}, places.write(y)), moments.data());
  ASSERT_EQ(first_unlike(y, places.spread(numbers<Y>(bent))), -1);
  ASSERT_EQ(first_difference(moments, moments_expected), -1);
}
template <Norm norm, class X, class P, class Y> void check_mapped() {
  for (Index hidden : {1, 37, 64, 200}) {
    for (const Places& places : {contiguous(23, hidden), in_wider_rows(13, hidden), spaced(12, hidden),
                                 side_by_side(2, 11, hidden), side_by_side(1, 35, hidden)})
      check_mapped<norm, X, P, Y>(places);
  }
}
TEST(Mapped, HasTheBitsOfTheFunctionAfterTheNorm) {
  check_mapped<Norm::layer, float, float, float>();
  check_mapped<Norm::rms, BFloat16, float, Float16>();
  check_mapped<Norm::layer, double, BFloat16, double>();
}
TEST(Mapped, PastTheCachesToo) {
  const WithStreaming streaming(Streaming::always);
  check_mapped<Norm::layer, float, float, float>(contiguous(23, 333));
  check_mapped<Norm::layer, float, float, float>(contiguous(16, 512));
}

// --- gathered rows ---

template <Norm norm, class X, class I> void check_gathered(const Places& table_places, Index hidden) {
  const Index table_rows = table_places.shape.rows, rows = 29;
  const Stored<X, float> in = every_path_of<X, float>(table_rows, hidden, 13);
  SCOPED_TRACE(std::string(oracle::name(norm)) + " of " + name_of<X>() + ", " + describe(table_places));
  std::vector<I> chosen;
  std::vector<X> copy;
  for (Index r = 0; r < rows; ++r) {
    chosen.push_back(static_cast<I>((r * 7 + 3) % table_rows));
    const auto first = in.x.begin() + static_cast<std::ptrdiff_t>(chosen.back()) * hidden;
    copy.insert(copy.end(), first, first + hidden);
  }
  const std::vector<X> table = table_places.spread(in.x);
  std::vector<float> y = unwritten_array<float>(rows * hidden), expected = y;
  std::vector<RowMoments<float>> moments = no_moments<float>(rows), moments_expected = moments;
  forward_of(norm, {rows, hidden}, copy.data(), in.gamma.data(), in.beta.data(), 0x1p-17, expected.data(),
             moments_expected.data());
  forward_of(norm, {rows, hidden}, gathered(table_places.read(table), table_rows, chosen.data()),
             in.gamma.data(), in.beta.data(), 0x1p-17, y.data(), moments.data());
  ASSERT_EQ(first_unlike(y, expected), -1);
  ASSERT_EQ(first_difference(moments, moments_expected), -1);
}
template <Norm norm, class X, class I> void check_gathered() {
  for (Index hidden : {1, 37, 64, 200}) {
    check_gathered<norm, X, I>(contiguous(23, hidden), hidden);
    check_gathered<norm, X, I>(in_wider_rows(11, hidden), hidden);
    check_gathered<norm, X, I>(spaced(50, hidden), hidden);
  }
}
TEST(Gathered, HasTheBitsOfACopyOfTheRows) {
  check_gathered<Norm::layer, float, std::int64_t>();
  check_gathered<Norm::rms, BFloat16, std::int32_t>();
}
TEST(Gathered, PastTheCachesToo) {
  const WithStreaming streaming(Streaming::always);
  check_gathered<Norm::layer, float, std::int64_t>(contiguous(23, 333), 333);
  check_gathered<Norm::layer, float, std::int64_t>(contiguous(16, 512), 512);
}

TEST(Gathered, ErrorsComeBeforeAnythingIsWritten) {
  constexpr Index hidden = 8, table_rows = 5;
  const std::vector<float> unwritten(2 * hidden, 1.25F);
  std::vector<float> table(table_rows * hidden, 1.0F), y = unwritten;
  std::vector<std::int32_t> chosen = {4, 0};
  const auto forward = [&](const auto& x, const auto& out, RowShape shape = {2, 8}) {
    simdnorm::layer_norm_forward(shape, x, nullptr, nullptr, 1e-5F, out);
  };
  const auto rows = gathered(table.data(), table_rows, chosen.data());
  EXPECT_NO_THROW(forward(rows, y.data()));
  y = unwritten;
  const std::int32_t* const none = nullptr;
  for (Index count : {1, 2}) {
    refused({"layer_norm_forward: the numbers of x's rows are nullptr"}, [&] {
      forward(gathered(table.data(), table_rows, none), y.data(), {count, hidden});
    });
  }
  refused({"x is nullptr"},
          [&] { forward(gathered(static_cast<float*>(nullptr), table_rows, chosen.data()), y.data()); });
  refused({"x is gathered, but rows lie side by side (rows 2, hidden 8, after 2)"}, [&] {
    forward(rows, y.data(), {2, hidden, 2});
  });
  refused({"overlap"}, [&] { forward(rows, table.data()); });
  refused({"y is nullptr"}, [&] { forward(rows, static_cast<float*>(nullptr)); });
  for (const std::size_t r : {0U, 1U}) {
    for (std::int32_t wrong : {-1, 5, 2000000000}) {
      chosen = {4, 0};
      chosen[r] = wrong;
      refused({"row " + std::to_string(r) + " of x is to be row " + std::to_string(wrong) +
               " of a table of 5 (rows 2, hidden 8)"},
              [&] { forward(rows, y.data()); });
    }
  }
  refused({"x", "y", "overlap"}, [&] { forward(table.data(), mapped(Bend{}, table.data() + 1)); });
  std::vector<std::int32_t> shared(8, 0);
  refused({"y", "the numbers of rows", "overlap"}, [&] {  // by the last of the numbers
    forward(gathered(table.data(), table_rows, shared.data()), reinterpret_cast<float*>(shared.data() + 2),
            {3, 1});
  });
  EXPECT_EQ(y, unwritten);
  EXPECT_NO_THROW(forward(gathered(table.data(), 0, none), y.data(), {0, hidden}));
}

#if SIMDNORM_TEST_GUARD_PAGES

TEST(Gathered, NothingBesideTheTableIsRead) {
  for (Index hidden : {1, 7, 16, 37}) {
    for (const Placement& corner : corners) {
      const std::vector<std::int64_t> chosen = {4, 0, 4};
      const Stored<float, float> in = every_path_of<float, float>(5, hidden, 6);
      const Guarded<float> table(in.x, corner, true);
      const Guarded<std::int64_t> numbers(chosen, corner, true);
      std::vector<float> y(size(3 * hidden));
      simdnorm::layer_norm_forward({3, hidden}, gathered(table.data(), 5, numbers.data()), nullptr, nullptr,
                                   1e-5F, mapped(Bend{}, y.data()));
    }
  }
}

#endif

}  // namespace
