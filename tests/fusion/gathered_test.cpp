// Chosen rows of tables, read and written: the bits of the call on copies of the rows, and no other row touched; in place; the
// rows of a mask; wrong arguments.
#include "fusion/residual.hpp"
#include "support/executors.hpp"
#include "support/refused.hpp"

namespace {

using namespace fusion;
using simdnorm::gathered;

template <class U>
std::vector<U> rows_of(const std::vector<U>& table, const std::vector<Index>& chosen, Index hidden) {
  std::vector<U> rows;
  for (Index number : chosen) {
    const auto first = table.begin() + static_cast<std::ptrdiff_t>(number * hidden);
    rows.insert(rows.end(), first, first + hidden);
  }
  return rows;
}
// A table of which the chosen rows are others.
template <class U>
std::vector<U> with_rows(std::vector<U> table, const std::vector<Index>& chosen, const std::vector<U>& rows,
                         Index hidden) {
  for (std::size_t r = 0; r < chosen.size(); ++r)
    std::copy_n(rows.begin() + static_cast<std::ptrdiff_t>(r) * hidden, hidden,
                table.begin() + static_cast<std::ptrdiff_t>(chosen[r] * hidden));
  return table;
}

// y and dx over the rows that are read, and elsewhere. (table_rows, hidden) lie at `places`.
template <Norm norm, class X> void check_chosen(const Places& places) {
  const Index table_rows = places.shape.rows, hidden = places.shape.hidden;
  SCOPED_TRACE(std::string(oracle::name(norm)) + " of " + name_of<X>() + ", " + describe(places));
  const Stored<X, float> in = every_path_of<X, float>(table_rows, hidden, 13);
  const std::vector<X> all_dy = numbers<X>(in.dy);
  std::vector<Index> chosen;
  for (Index r = 0; r < table_rows; ++r) {
    if (r % 3 != 1) chosen.push_back(r);
  }
  const Index rows = static_cast<Index>(chosen.size());
  const RowShape shape{rows, hidden};
  const std::vector<X> x = rows_of(in.x, chosen, hidden), dy = rows_of(all_dy, chosen, hidden);
  std::vector<X> y = unwritten_array<X>(rows * hidden), dx = y;
  std::vector<float> dgamma(size(hidden)), dbeta = dgamma, dgamma_expected = dgamma, dbeta_expected = dgamma;
  std::vector<RowMoments<float>> moments = no_moments<float>(rows), expected = moments;
  forward_of(norm, shape, x.data(), in.gamma.data(), in.beta.data(), 0x1p-17, y.data(), expected.data());
  backward_of<norm>(shape, dy.data(), x.data(), in.gamma.data(), expected.data(), dx.data(),
                    dgamma_expected.data(), dbeta_expected.data());

  const auto read = [&](const std::vector<X>& table) {
    return gathered(places.read(table), table_rows, chosen.data());
  };
  const auto write = [&](std::vector<X>& table) {
    return gathered(places.write(table), table_rows, chosen.data());
  };
  const auto forward = [&](const std::vector<X>& from, std::vector<X>& to) {
    forward_of(norm, shape, read(from), in.gamma.data(), in.beta.data(), 0x1p-17, write(to), moments.data(),
               Threads{3});
  };
  const auto backward = [&](const std::vector<X>& from, const std::vector<X>& from_x, std::vector<X>& to) {
    backward_of<norm>(shape, read(from), read(from_x), in.gamma.data(), moments.data(), write(to),
                      dgamma.data(), dbeta.data(), false, Threads{3});
    if (places.column == 1) {  // of others the order of the rows' sums is another
      ASSERT_EQ(first_unlike(dgamma, dgamma_expected), -1);
      ASSERT_EQ(first_unlike(dbeta, dbeta_expected), -1);
    }
  };
  const std::vector<X> table = places.spread(in.x), dy_table = places.spread(all_dy);
  const std::vector<X> untouched = unwritten_array<X>(table_rows * hidden);
  std::vector<X> out = places.spread(untouched);
  forward(table, out);
  ASSERT_EQ(first_unlike(out, places.spread(with_rows(untouched, chosen, y, hidden))), -1) << "y";
  ASSERT_EQ(first_difference(moments, expected), -1);
  std::vector<X> in_place = table;
  forward(in_place, in_place);
  ASSERT_EQ(first_unlike(in_place, places.spread(with_rows(in.x, chosen, y, hidden))), -1) << "y on x";

  out = places.spread(untouched);
  backward(dy_table, table, out);
  ASSERT_EQ(first_unlike(out, places.spread(with_rows(untouched, chosen, dx, hidden))), -1) << "dx";
  in_place = dy_table;
  backward(in_place, table, in_place);
  ASSERT_EQ(first_unlike(in_place, places.spread(with_rows(all_dy, chosen, dx, hidden))), -1) << "dx on dy";
}
template <Norm norm, class X> void check_chosen() {
  for (Index hidden : {1, 37, 64, 200}) {
    for (const Places& places : {contiguous(23, hidden), in_wider_rows(11, hidden), spaced(50, hidden)}) {
      check_chosen<norm, X>(places);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}
TEST(ChosenRows, HaveTheBitsOfCopies) { check_chosen<Norm::layer, float>(); }
TEST(ChosenRows, OfBfloat16) { check_chosen<Norm::rms, BFloat16>(); }

TEST(ChosenRows, AreThoseOfAMask) {
  const std::vector<std::uint8_t> mask = {0, 1, 0, 255, 1, 0};
  std::vector<std::int32_t> numbers(6, -7);
  EXPECT_EQ(simdnorm::rows_of_mask(mask.data(), 6, numbers.data()), 3);
  EXPECT_EQ(numbers, (std::vector<std::int32_t>{1, 3, 4, -7, -7, -7}));
  EXPECT_EQ(simdnorm::rows_of_mask(mask.data(), 1, numbers.data()), 0);
  const bool flags[] = {true, false};
  std::int64_t one = 9;
  EXPECT_EQ(simdnorm::rows_of_mask(flags, 2, &one), 1);
  EXPECT_EQ(one, 0);
}

TEST(ChosenRows, ErrorsComeBeforeAnythingIsWritten) {
  constexpr Index hidden = 8, table_rows = 5;
  const std::vector<float> before(table_rows * hidden, 1.25F);
  std::vector<float> table = before, x(2 * hidden, 2.0F);
  std::vector<Index> chosen = {1, 3};
  const std::vector<Index> others = {1, 3};
  const auto forward = [&](const auto& in, const auto& out) {
    simdnorm::layer_norm_forward({2, hidden}, in, nullptr, nullptr, 1e-5F, out);
  };
  const auto y = gathered(table.data(), table_rows, chosen.data());
  for (const Index second : {1, 0}) {
    chosen = {1, second};
    refused(
        {"row 1 of y is to be written to row " + std::to_string(second) + " of a table, which is not after"},
        [&] { forward(x.data(), y); });
  }
  chosen = {1, 5};
  refused({"row 1 of y is to be row 5 of a table of 5"}, [&] { forward(x.data(), y); });
  chosen = {1, 3};
  refused({"y", "x", "overlap"}, [&] { forward(gathered(table.data(), table_rows, others.data()), y); });
  refused({"y", "x", "overlap"}, [&] { forward(table.data(), y); });
  refused({"y", "x", "overlap"}, [&] { forward(y, table.data()); });
  refused({"y", "x", "overlap"}, [&] { forward(gathered(table.data() + 1, 4, chosen.data()), y); });
  refused({"y is nullptr"},
          [&] { forward(x.data(), gathered(static_cast<float*>(nullptr), table_rows, chosen.data())); });
  EXPECT_EQ(table, before);
  EXPECT_NO_THROW(forward(x.data(), y));
  EXPECT_NE(table, before);
  // One row of a table of wider rows is in place only where those are as wide.
  std::vector<float> wide(64, 1.0F);
  const Index second = 1;
  refused({"overlap"}, [&] {
    simdnorm::layer_norm_forward(
        {1, hidden}, gathered(simdnorm::Strided<const float>{wide.data(), 8, 1}, 3, &second), nullptr,
        nullptr, 1e-5F, gathered(simdnorm::Strided<float>{wide.data(), 10, 1}, 3, &second));
  });
}

}  // namespace
