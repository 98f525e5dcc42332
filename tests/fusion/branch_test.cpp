// A branch with bias, layer scale, dropout and row scale has the bits of the composition; stochastic depth; wrong arguments.
#include "fusion/branch.hpp"
#include "fusion/modulated.hpp"
#include "support/refused.hpp"
#include "support/streaming.hpp"

namespace {

using namespace fusion;
TEST(Branch, HasTheBitsOfTheComposition) { check_branches<Norm::layer, float, float, float, float>(); }

// Many rows: several segments of sums, and of threads.
TEST(Branch, SumsManyRows) {
  check_branch<Norm::layer, float, float, float, float>(contiguous(700, 70),
                                                        SumProblem<float, float, float>(700, 70, 3));
}

// As x, as y and as dx by itself, past the caches too.
TEST(Branch, ByItself) {
  for (const Streaming how : {Streaming::never, Streaming::always}) {
    const WithStreaming streaming(how);
    for (Index hidden : {5, 333, 512}) {
      const Index rows = 12;
      const RowShape shape{rows, hidden};
      const SumProblem<float, float, float> p(rows, hidden, 5);
      const std::vector<float> scale = layer_scale_of<float>(hidden), row_scale = row_scale_of(rows);
      const auto scaled = [&](std::vector<float> values) {
        for (std::size_t i = 0; i < values.size(); ++i)
          values[i] =
              canonical(times(times(values[i], row_scale[i / size(hidden)]), scale[i % size(hidden)]));
        return values;
      };
      std::vector<float> y(p.in.x.size()), expected = y, dx = y, dbias(size(hidden)), none;
      std::vector<RowMoments<float>> moments(size(rows));
      simdnorm::layer_norm_forward(shape, p.in.x.data(), nullptr, nullptr, 1e-5F, expected.data(),
                                   moments.data());
      simdnorm::layer_norm_forward(shape, p.in.x.data(), nullptr, nullptr, 1e-5F,
                                   branch(y.data()).layer_scale(scale.data()).row_scale(row_scale.data()));
      ASSERT_EQ(first_unlike(y, scaled(expected)), -1) << "y";
      simdnorm::layer_norm_backward(shape, p.in.dy.data(), p.in.x.data(), nullptr, moments.data(),
                                    expected.data());
      simdnorm::layer_norm_backward(
          shape, p.in.dy.data(), p.in.x.data(), nullptr, moments.data(),
          branch(dx.data()).dbias(dbias.data()).layer_scale(scale.data()).row_scale(row_scale.data()));
      ASSERT_EQ(first_unlike(dx, scaled(expected)), -1) << "dx";
      EXPECT_EQ(first_unlike(dbias, summed(contiguous(rows, hidden), scaled(expected), p.in.x, moments,
                                           std::vector<float>(size(hidden)), false)),
                -1);
      std::vector<float> multiplied = p.in.x;
      for (std::size_t i = 0; i < multiplied.size(); ++i)
        multiplied[i] = times(times(multiplied[i], scale[i % size(hidden)]), row_scale[i / size(hidden)]);
      simdnorm::layer_norm_forward(shape, multiplied.data(), nullptr, nullptr, 1e-5F, expected.data());
      simdnorm::layer_norm_forward(
          shape, branch(p.in.x.data()).layer_scale(scale.data()).row_scale(row_scale.data()), nullptr,
          nullptr, 1e-5F, y.data());
      ASSERT_EQ(first_unlike(y, expected), -1) << "x";
    }
  }
}

// Each item of a batch has rows of its own in row_scale.
TEST(Branch, OfModulatedRows) {
  constexpr Index items = 3, rows = 12, hidden = 37;
  const ItemProblem<float, float, float> p(rows, hidden, items, 8);
  const std::vector<float> scale = layer_scale_of<float>(hidden), row_scale = row_scale_of(rows);
  std::vector<float> scaled = p.in.x, y(scaled.size()), expected = y;
  for (std::size_t i = 0; i < scaled.size(); ++i)
    scaled[i] = times(times(scaled[i], scale[i % size(hidden)]), row_scale[i / size(hidden)]);
  const auto forward = [&](const auto& x, std::vector<float>& out) {
    simdnorm::modulated_layer_norm_forward<simdnorm::RoundOnce>({rows, hidden}, items, x, p.scale.data(),
                                                                p.shift.data(), 1e-5F, out.data());
  };
  forward(scaled.data(), expected);
  forward(branch(p.in.x.data()).layer_scale(scale.data()).row_scale(row_scale.data()), y);
  EXPECT_EQ(first_unlike(y, expected), -1);
}

// --- stochastic depth ---

TEST(StochasticDepth, LeavesOutTheItemsThatDropoutDoes) {
  constexpr Index items = 40, per_item = 7;
  for (double probability : {0.0, 0.3, 0.9}) {
    const Dropout dropout{probability, 77, 5, 3};
    std::vector<float> scales(size(items * per_item));
    std::vector<double> doubles(scales.size());
    simdnorm::stochastic_depth(dropout, items * per_item, per_item, scales.data());
    simdnorm::stochastic_depth(dropout, items * per_item, per_item, doubles.data());
    for (std::size_t r = 0; r < scales.size(); ++r) {
      ASSERT_EQ(scales[r], mask_of<float>(dropout, static_cast<Index>(r) / per_item, 0)) << r;
      ASSERT_EQ(doubles[r], mask_of<double>(dropout, static_cast<Index>(r) / per_item, 0)) << r;
    }
  }
}

// --- no rows, and wrong arguments ---

// Calls of x, layer_scale and row_scale, and of dx, dbias, layer_scale, what that multiplied, dlayer_scale and row_scale.
struct BranchCalls : testing::Test {
  static constexpr Index hidden = 8;
  Index rows = 2;
  std::vector<float> memory = std::vector<float>(200, 1.5F);
  float *x = memory.data(), *y = x + 16, *dy = y + 16, *dx = dy + 16, *a = dx + 16, *b = a + 8, *c = b + 8;
  const RowMoments<float> moments[2] = {{0, 0, 1, 1}, {0, 0, 1, 1}};
  float* const missing = nullptr;

  void forward(float* layer_scale, float* row_scale) {
    simdnorm::layer_norm_forward({rows, hidden}, branch(x).layer_scale(layer_scale).row_scale(row_scale),
                                 nullptr, nullptr, 1e-5F, y);
  }
  void backward(float* to, float* dbias, float* of, float* dlayer_scale, bool accumulate = false) {
    float* const none = nullptr;
    simdnorm::layer_norm_backward({rows, hidden}, dy, x, nullptr, moments,
                                  branch(to).dbias(dbias).layer_scale(c, of, dlayer_scale), none, none,
                                  {accumulate});
  }
};
TEST_F(BranchCalls, AreRefusedWhereTheyAreWrong) {
  const std::vector<float> before = memory;
  refused({"layer_norm_forward: row_scale of x is nullptr (rows 2, hidden 8)"}, [&] { forward(a, missing); });
  refused({"y", "row_scale", "overlap"}, [&] { forward(a, y - 1); });
  refused({"y", "layer_scale", "overlap"}, [&] { forward(y - 1, a); });
  refused({"dx", "dbias", "overlap"}, [&] { backward(dx, dx + 15, x, a); });
  refused({"dbias", "dlayer_scale", "overlap"}, [&] { backward(dx, a, x, a + 7); });
  refused({"dx", "the branch of layer_scale", "overlap"}, [&] { backward(x, a, x, b); });
  refused({"the branch of layer_scale is nullptr"}, [&] { backward(dx, a, missing, b); });
  refused({"stochastic_depth: rows_per_item must be at least 1 but is 0"}, [&] {
    simdnorm::stochastic_depth({0.5, 1}, 4, 0, x);
  });
  refused({"stochastic_depth: the probability of dropout must be"}, [&] {
    simdnorm::stochastic_depth({1.5, 1}, 4, 2, x);
  });
  EXPECT_EQ(memory, before);
  EXPECT_NO_THROW(backward(dx, a, x, b));
  EXPECT_NO_THROW(backward(dx, missing, x, missing));
}
TEST_F(BranchCalls, WithoutRowsMakeGradientsZeroOrLeaveThem) {
  rows = 0;
  backward(dx, a, x, b, true);
  EXPECT_EQ(memory, std::vector<float>(200, 1.5F));
  backward(dx, a, x, b, false);
  std::vector<float> expected(200, 1.5F);
  std::fill_n(expected.begin() + (a - x), 16, 0.0F);
  EXPECT_EQ(memory, expected);
}

}  // namespace
