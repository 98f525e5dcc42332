// Rotary embeddings in the pass of a norm: the bits of the composition; past the caches; heads of one qkv matrix in place; wrong
// arguments; guard pages.
#include "fusion/rotary.hpp"
#include "support/guarded_array.hpp"
#include "support/refused.hpp"
#include "support/streaming.hpp"

namespace {

using namespace fusion;
using simdnorm::RoundOnce;
constexpr RotaryPairs halves = RotaryPairs::halves, interleaved = RotaryPairs::interleaved;

TEST(Rotary, OfHalvesHasTheBitsOfTheComposition) {
  check_rotary<Norm::rms, halves, float, float, float, float, std::int32_t>(every_head);
}
TEST(Rotary, OfNeighboursHasTheBitsOfTheComposition) {
  check_rotary<Norm::rms, interleaved, float, float, float, float, std::int32_t>(every_head);
}
// Past the caches rows begin at any place, so that a vector may begin at any column, and not all of a row is written at once.
TEST(Rotary, PastTheCachesToo) {
  const WithStreaming streaming(Streaming::always);
  for (const HeadShape& shape : {HeadShape{333, 332}, HeadShape{512, 512}, HeadShape{1024, 1022}}) {
    const Places places = contiguous(24, shape.hidden);
    check_rotary<Norm::rms, halves, float, float, float, float, std::int32_t>(places, shape.dim, true);
    check_rotary<Norm::rms, interleaved, float, float, float, float, std::int32_t>(places, shape.dim, false);
  }
}

// q, k and v of each head beside each other, and q, k and v of all heads.
TEST(Rotary, HeadsOfOneMatrixInPlace) {
  constexpr Index tokens = 6, heads = 4, dim = 20, width = 3 * heads * dim;
  const Stored<float, float> in = every_path_of<float, float>(3 * tokens * heads, dim, 5);
  const Turns<halves, float> turns(tokens * heads, heads, dim, false), of_head(tokens, 1, dim, false);
  for (const bool heads_first : {true, false}) {
    const auto place = [&](Index t, Index h, Index part) {
      return t * width + (heads_first ? (h * 3 + part) * dim : (part * heads + h) * dim);
    };
    std::vector<float> expected = in.x, qkv = in.x;
    for (Index part : {0, 1}) {
      std::vector<float> rows, y(size(tokens * heads * dim));
      for (Index t = 0; t < tokens; ++t) {
        for (Index h = 0; h < heads; ++h) {
          for (Index c = 0; c < dim; ++c) rows.push_back(in.x[size(place(t, h, part) + c)]);
        }
      }
      simdnorm::rms_norm_forward({tokens * heads, dim}, rows.data(), in.gamma.data(), 1e-6F, y.data());
      y = turns.turned(y, dim, false);
      for (Index t = 0; t < tokens; ++t) {
        for (Index h = 0; h < heads; ++h) {
          for (Index c = 0; c < dim; ++c)
            expected[size(place(t, h, part) + c)] = y[size((t * heads + h) * dim + c)];
        }
      }
      if (heads_first) {
        const Strided<float> slice{qkv.data() + part * dim, 3 * dim, 1};
        simdnorm::rms_norm_forward({tokens * heads, dim}, slice, in.gamma.data(), 1e-6F,
                                   rotated(slice, turns.rotary));
      } else {
        for (Index h = 0; h < heads; ++h) {
          const Strided<float> slice{qkv.data() + place(0, h, part), width, 1};
          simdnorm::rms_norm_forward({tokens, dim}, slice, in.gamma.data(), 1e-6F,
                                     rotated(slice, of_head.rotary));
        }
      }
    }
    EXPECT_EQ(first_unlike(qkv, expected), -1);
  }
}

// Each item of a batch with a scale of its own: rows of the second one, too, are at their positions.
TEST(Rotary, OfModulatedNorms) {
  constexpr Index items = 3, heads = 2, tokens = 5, hidden = 24, rows = items * heads * tokens;
  const Stored<float, float> in = every_path_of<float, float>(rows, hidden, 9);
  const std::vector<float> scale = every_path_of<float, float>(items, hidden, 3).x;
  const Turns<halves, float> turns(rows, heads, hidden, true);
  std::vector<float> y(in.x.size()), expected = y, dx = y, dx_expected = y;
  std::vector<RowMoments<float>> moments = no_moments<float>(rows);
  simdnorm::modulated_rms_norm_forward<RoundOnce>({rows, hidden}, items, in.x.data(), scale.data(), 1e-6F,
                                                  expected.data());
  simdnorm::modulated_rms_norm_forward<RoundOnce>({rows, hidden}, items, in.x.data(), scale.data(), 1e-6F,
                                                  rotated(y.data(), turns.rotary), moments.data());
  EXPECT_EQ(first_unlike(y, turns.turned(expected, hidden, false)), -1);
  const std::vector<float> dn = turns.turned(in.dy, hidden, true);
  simdnorm::modulated_rms_norm_backward<RoundOnce>({rows, hidden}, items, dn.data(), in.x.data(),
                                                   scale.data(), moments.data(), dx_expected.data());
  simdnorm::modulated_rms_norm_backward<RoundOnce>({rows, hidden}, items,
                                                   unrotated(in.dy.data(), turns.rotary), in.x.data(),
                                                   scale.data(), moments.data(), dx.data());
  EXPECT_EQ(first_unlike(dx, dx_expected), -1);
}

TEST(Rotary, TablesAreThoseOfTheFormula) {
  constexpr Index length = 50, dim = 12;
  std::vector<float> cosines(length * dim / 2), sines = cosines;
  simdnorm::rotary_tables(length, dim, 500000, cosines.data(), sines.data(), 0.25);
  for (Index p = 0; p < length; ++p) {
    for (Index i = 0; i < dim / 2; ++i) {
      const double angle = static_cast<double>(p) / 4 / std::pow(500000, static_cast<double>(i) / 6);
      EXPECT_NEAR(static_cast<double>(cosines[size(p * dim / 2 + i)]), std::cos(angle), 1e-7);
      EXPECT_NEAR(static_cast<double>(sines[size(p * dim / 2 + i)]), std::sin(angle), 1e-7);
    }
  }
}

struct RotaryErrors : testing::Test {
  static constexpr Index hidden = 8;
  std::vector<float> x = std::vector<float>(6 * hidden, 1.0F), y = std::vector<float>(6 * hidden, 1.25F);
  std::vector<float> tables = std::vector<float>(2 * 3 * 4, 0.5F);  // cosines, then sines
  std::vector<RowMoments<float>> moments = std::vector<RowMoments<float>>(6);
  std::vector<std::int32_t> positions = {2, 0, 1};
  Rotary<halves> right{tables.data(), tables.data() + 12, 3, hidden, 2, 3};

  void forward(const Rotary<halves>& rotary, float* out, simdnorm::RowShape shape = {6, hidden}) {
    simdnorm::rms_norm_forward(shape, x.data(), nullptr, 1e-6F, rotated(out, rotary), moments.data());
  }
  void backward(const Rotary<halves>& rotary, float* dx, simdnorm::RowShape shape = {6, hidden}) {
    simdnorm::rms_norm_backward(shape, unrotated(y.data(), rotary), x.data(), nullptr, moments.data(), dx);
  }
};

TEST_F(RotaryErrors, ComeBeforeAnythingIsWritten) {
  const std::vector<float> unwritten_y = y;
  const auto both_refuse = [&](const std::string& words, const auto& change) {
    Rotary<halves> wrong = right;
    change(wrong);
    refused({words, "(rows 6, hidden 8)"}, [&] { forward(wrong, y.data()); });
    refused({words, "rms_norm_backward"}, [&] { backward(wrong, x.data()); });
  };
  both_refuse("dim of a rotary embedding must be even and at least 2 but is 7", [](auto& r) { r.dim = 7; });
  both_refuse("must be even and at least 2 but is 0", [](auto& r) { r.dim = 0; });
  both_refuse("must be at most hidden but is 10", [](auto& r) { r.dim = 10; });
  both_refuse("heads of a rotary embedding must be at least 1 but is 0", [](auto& r) { r.heads = 0; });
  both_refuse("multiple of a rotary embedding's heads, which are 4", [](auto& r) { r.heads = 4; });
  both_refuse("tokens of a rotary embedding must be at least 1 but is 0", [](auto& r) { r.tokens = 0; });
  both_refuse("stride of a rotary embedding must be 0, or at least dim / 2, but is 3",
              [](auto& r) { r.stride = 3; });
  both_refuse("cosines is nullptr", [](auto& r) { r.cosines = nullptr; });
  both_refuse("sines is nullptr", [](auto& r) { r.sines = nullptr; });
  both_refuse("is at position 2, but the tables hold 2", [](auto& r) { r.length = 2; });
  for (const std::int32_t wrong : {-1, 3, 2000000000}) {
    positions = {2, 0, wrong};
    both_refuse("is at position " + std::to_string(wrong) + ", but the tables hold 3",
                [&](auto& r) { r.positions = positions.data(); });
  }
  positions = {0, 7, 0};
  right.positions = positions.data();
  refused({"token 1 of y is at position 7"}, [&] { forward(right, y.data()); });
  refused({"token 1 of dy is at position 7"}, [&] { backward(right, x.data()); });
  EXPECT_EQ(y, unwritten_y);
}
TEST_F(RotaryErrors, WhatMayOverlap) {
  forward(right, y.data());
  positions = {2, 0, 1};
  Rotary<halves> with_positions = right;
  with_positions.positions = positions.data();
  forward(with_positions, y.data());
  refused({"dy", "dx", "overlap"}, [&] { backward(right, y.data()); });  // of dy, each place is read for two
  refused({"y", "x", "overlap"}, [&] { forward(right, x.data() + 1, {4, hidden}); });
  refused({"y", "cosines", "overlap"}, [&] { forward(right, tables.data() + 11, {2, hidden}); });
  refused({"y", "sines", "overlap"}, [&] { forward(right, tables.data() + 16, {2, hidden}); });
  refused({"y", "positions", "overlap"},
          [&] { forward(with_positions, reinterpret_cast<float*>(positions.data()) + 2); });
  backward(right, x.data());
  EXPECT_NO_THROW(forward({nullptr, nullptr, 0, 2}, nullptr, {0, hidden}));
}
TEST_F(RotaryErrors, BackwardHasALimit) {
  const std::vector<float> rows(1026, 1.0F), table(513, 0.5F);
  std::vector<float> dx(rows.size());
  const Rotary<halves> rotary{table.data(), table.data(), 1, 1026, 1, 1};
  simdnorm::rms_norm_forward({1, 1026}, rows.data(), nullptr, 1e-6F, rotated(dx.data(), rotary));
  refused({"rows that are turned back must have at most 1024 columns but have 1026"}, [&] {
    simdnorm::rms_norm_backward({1, 1026}, unrotated(rows.data(), rotary), rows.data(), nullptr,
                                moments.data(), dx.data());
  });
}

#if SIMDNORM_TEST_GUARD_PAGES

template <RotaryPairs pairs> void check_guarded(const HeadShape& shape) {
  constexpr Index rows = 4;
  const Stored<float, float> in = every_path_of<float, float>(rows, shape.hidden, 6);
  const std::vector<float> table(size(rows * shape.dim / 2), 0.5F);
  for (const Placement& corner : corners) {
    const Guarded<float> x(in.x, corner, true), cosines(table, corner, true), sines(table, corner, true);
    const Guarded<float> y(in.x, corner, false), dx(in.x, corner, false);
    const Rotary<pairs> rotary{cosines.data(), sines.data(), rows, shape.dim, 1, rows};
    std::vector<RowMoments<float>> moments(rows);
    simdnorm::rms_norm_forward({rows, shape.hidden}, x.data(), nullptr, 1e-6F, rotated(y.data(), rotary),
                               moments.data());
    simdnorm::rms_norm_backward({rows, shape.hidden}, unrotated(x.data(), rotary), x.data(), nullptr,
                                moments.data(), dx.data());
    EXPECT_TRUE(y.untouched_beside() && dx.untouched_beside());
  }
}
TEST(Rotary, NothingBesideTheTablesIsRead) {
  for (const HeadShape& shape : {HeadShape{2, 2}, HeadShape{9, 6}, HeadShape{37, 36}, HeadShape{64, 64}}) {
    check_guarded<halves>(shape);
    check_guarded<interleaved>(shape);
  }
}

#endif

}  // namespace
