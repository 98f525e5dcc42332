// adaLN of sums with a residual, added to what another path brings, as codes; and its arrays between pages that no one may
// touch.
#include "fusion/modulated.hpp"
#include "fusion/residual.hpp"
#include "support/guarded_array.hpp"

namespace {

using namespace fusion;

constexpr Index items = 3;

struct ModulatedArguments : testing::TestWithParam<Places> {
  const Places places = GetParam();
  const RowShape shape = places.shape, of_item{places.shape.rows / items, places.shape.hidden};
  const Index hidden = shape.hidden;
  const SumProblem<float, float, float> sums{shape.rows, hidden, 4};
  const ItemProblem<float, float, float> p{shape.rows, hidden, items, 4};

  std::vector<float> spread(const std::vector<float>& rows) const { return places.spread(rows); }
  const float* scale(Index item) const { return p.scale.data() + item * hidden; }
  const float* shift(Index item) const { return p.shift.data() + item * hidden; }
  // f(item, its rows of `rows`) gives an item's rows of the result; contiguous.
  template <class F> std::vector<float> each(const std::vector<float>& rows, const F& f) const {
    std::vector<float> all;
    for (Index i = 0; i < items; ++i) {
      const std::vector<float> of_this = f(i, part(rows, items, i));
      all.insert(all.end(), of_this.begin(), of_this.end());
    }
    return all;
  }
  std::vector<float> norms_of(const std::vector<float>& x, std::vector<RowMoments<float>>* moments) const {
    return each(x, [&](Index i, const std::vector<float>& rows) {
      std::vector<float> y(rows.size());
      simdnorm::layer_norm_forward<OnePlusGamma>(of_item, rows.data(), scale(i), shift(i), 0x1p-17F, y.data(),
                                                 moments->data() + i * of_item.rows);
      return y;
    });
  }
};

TEST_P(ModulatedArguments, ResidualsHaveTheBitsOfTheComposition) {
  const std::vector<float> sum_expected = composed_sum<float, float>(sums, hidden, With::both);
  std::vector<RowMoments<float>> moments_expected = no_moments<float>(shape.rows), moments = moments_expected;
  std::vector<float> y_expected = norms_of(sum_expected, &moments_expected);
  for (std::size_t i = 0; i < y_expected.size(); ++i)
    y_expected[i] = canonical(plus(sums.dsum[i], y_expected[i]));

  const std::vector<float> x = spread(p.in.x), residual = spread(sums.residual), other = spread(sums.dsum),
                           dy = spread(p.in.dy);
  std::vector<float> sum = unwritten_array<float>(places.extent()), y = sum, dx = sum, dresidual = sum;
  simdnorm::modulated_layer_norm_forward(
      shape, items,
      residual_sum(places.read(x), places.read(residual), places.write(sum))
          .bias(sums.bias.data())
          .alpha(alpha),
      p.scale.data(), p.shift.data(), 0x1p-17F, added(places.read(other), places.write(y)), moments.data());
  ASSERT_EQ(first_unlike(sum, spread(sum_expected)), -1) << "sum";
  ASSERT_EQ(first_unlike(y, spread(y_expected)), -1) << "y";
  ASSERT_EQ(first_difference(moments, moments_expected), -1) << "moments";

  std::vector<float> dx_expected = each(sum_expected, [&](Index i, const std::vector<float>& rows) {
    std::vector<float> gradient(rows.size());
    simdnorm::layer_norm_backward<OnePlusGamma>(of_item, part(p.in.dy, items, i).data(), rows.data(),
                                                scale(i), moments.data() + i * of_item.rows, gradient.data());
    return gradient;
  });
  std::vector<float> dresidual_expected = dx_expected;
  for (std::size_t i = 0; i < dx_expected.size(); ++i) {
    dx_expected[i] = canonical(plus(sums.dsum[i], dx_expected[i]));
    dresidual_expected[i] = canonical(times(dx_expected[i], static_cast<float>(alpha)));
  }
  simdnorm::modulated_layer_norm_backward(
      shape, items, places.read(dy), places.read(sum), p.scale.data(), moments.data(),
      residual_gradients(places.read(other), places.write(dx), places.write(dresidual)).alpha(alpha));
  ASSERT_EQ(first_unlike(dx, spread(dx_expected)), -1) << "dx";
  ASSERT_EQ(first_unlike(dresidual, spread(dresidual_expected)), -1) << "dresidual";
}

TEST_P(ModulatedArguments, CodesHaveTheBitsOfQuantize) {
  std::vector<RowMoments<float>> moments = no_moments<float>(shape.rows);
  const std::vector<float> y = spread(norms_of(p.in.x, &moments)), x = spread(p.in.x);
  const auto check = [&](const auto& codes_to, std::vector<std::int8_t>& codes) {
    simdnorm::quantize(shape, places.read(y), codes_to);
    const std::vector<std::int8_t> expected = codes;
    std::fill(codes.begin(), codes.end(), static_cast<std::int8_t>(unwritten));
    simdnorm::modulated_layer_norm_forward(shape, items, places.read(x), p.scale.data(), p.shift.data(),
                                           0x1p-17F, codes_to, moments.data());
    ASSERT_EQ(first_unlike(codes, expected), -1);
  };
  std::vector<std::int8_t> codes = unwritten_array<std::int8_t>(places.extent());
  check(simdnorm::per_tensor(places.write(codes), 0.25F, 3), codes);
  std::vector<float> scales(size(shape.rows), -1.0F);
  check(simdnorm::per_token(places.write(codes), scales.data()), codes);
  const std::vector<float> of_norm = scales;
  simdnorm::quantize(shape, places.read(y), simdnorm::per_token(places.write(codes), scales.data()));
  EXPECT_EQ(first_unlike(of_norm, scales), -1);
}

struct Twice {
  template <class Vector> Vector operator()(Vector x) const { return x + x; }
};
TEST(ModulatedRows, AreGatheredAndMappedOn) {
  const RowShape shape{items * 4, 37};
  const ItemProblem<float, float, float> p(shape.rows, shape.hidden, items, 5);
  std::vector<std::int64_t> chosen;
  std::vector<float> copy, y(p.in.x.size()), expected = y;
  for (Index r = shape.rows; r-- > 0;) {
    chosen.push_back(r);
    copy.insert(copy.end(), p.in.x.begin() + r * shape.hidden, p.in.x.begin() + (r + 1) * shape.hidden);
  }
  simdnorm::modulated_layer_norm_forward(shape, items, copy.data(), p.scale.data(), p.shift.data(), 1e-5F,
                                         expected.data());
  for (float& number : expected) number = canonical(plus(number, number));
  simdnorm::modulated_layer_norm_forward(
      shape, items, simdnorm::gathered(p.in.x.data(), shape.rows, chosen.data()), p.scale.data(),
      p.shift.data(), 1e-5F, simdnorm::mapped(Twice{}, y.data()));
  EXPECT_EQ(first_unlike(y, expected), -1);
}

INSTANTIATE_TEST_SUITE_P(Layouts, ModulatedArguments,
                         testing::Values(contiguous(24, 37), in_wider_rows(12, 70), side_by_side(6, 4, 19)));

#if SIMDNORM_TEST_GUARD_PAGES

TEST(ModulatedMemory, ArraysOfItemsAreReadAndWrittenToTheirEnds) {
  for (Index hidden : {1, 7, 16, 37}) {
    for (const Placement& corner : corners) {
      const RowShape shape{items * 5, hidden};
      const ItemProblem<float, float, float> p(shape.rows, hidden, items, 6);
      const Guarded<float> scale(p.scale, corner, true), shift(p.shift, corner, true),
          dscale(p.scale, corner, false), dshift(p.shift, corner, false);
      std::vector<float> y(p.in.x.size());
      std::vector<RowMoments<float>> moments(size(shape.rows));
      simdnorm::modulated_layer_norm_forward(shape, items, p.in.x.data(), scale.data(), shift.data(), 1e-5F,
                                             y.data(), moments.data());
      simdnorm::modulated_layer_norm_backward(shape, items, p.in.dy.data(), p.in.x.data(), scale.data(),
                                              moments.data(), y.data(), dscale.data(), dshift.data());
      EXPECT_TRUE(dscale.untouched_beside());
      EXPECT_TRUE(dshift.untouched_beside());
    }
  }
}

#endif

}  // namespace
