// Norms in parts, in memory: in place, past the caches, by threads, between pages that no one may touch; and wrong arguments,
// which are refused before anything is written.
#include "split/parts.hpp"
#include "support/guarded_array.hpp"
#include "support/refused.hpp"
#include "support/streaming.hpp"

namespace {

using namespace split;
using simdnorm::Parts;

const std::vector<Index> widths = {144, 1, 159};  // two that may be streamed, and one that never is
constexpr Index hidden = 304;                     // whole cache lines, as backward needs them

struct InMemory : testing::Test {
  Index rows = 19;
  Problem<float> p = every_path<float>(rows, hidden, 1);
  Places at = contiguous(rows, hidden);

  template <class F> static void of_both_norms(const F& f) {
    f(std::integral_constant<Norm, Norm::layer>());
    f(std::integral_constant<Norm, Norm::rms>());
  }
};

TEST_F(InMemory, InPlace) {
  for (const Places& places : {contiguous(rows, hidden), spaced(rows, hidden), side_by_side(1, 19, hidden)}) {
    of_both_norms([&](auto norm) {
      SCOPED_TRACE(describe(places));
      const Outputs<float> apart = run_in_parts<norm>(p, places, widths);
      const std::vector<float> dy = places.spread(p.dy), x = places.spread(p.x);
      std::vector<float> y = x, dx = dy;
      const auto moments = forward_in_parts<norm>(places.shape, widths, places.read(y), p.gamma.data(),
                                                  p.beta.data(), p.epsilon, places.write(y));
      ASSERT_EQ(first_difference(y, apart.y), -1) << "y on x";
      std::vector<float> dgamma = unwritten_array<float>(hidden), dbeta = dgamma;
      backward_in_parts<norm>(places.shape, widths, places.read(dx), places.read(x), p.gamma.data(),
                              moments.data(), places.write(dx), dgamma.data(), dbeta.data());
      ASSERT_EQ(first_difference(dx, apart.dx), -1) << "dx on dy";
      ASSERT_EQ(first_difference(dgamma, apart.dgamma), -1);
      dx = x;
      backward_in_parts<norm>(places.shape, widths, places.read(dy), places.read(dx), p.gamma.data(),
                              moments.data(), places.write(dx), dgamma.data(), dbeta.data());
      ASSERT_EQ(first_difference(dx, apart.dx), -1) << "dx on x";
    });
  }
}

TEST_F(InMemory, PastTheCaches) {
  of_both_norms([&](auto norm) {
    const Outputs<float> expected = [&] {
      const WithStreaming never(Streaming::never);
      return run_in_parts<norm>(p, at, widths);
    }();
    const WithStreaming always(Streaming::always);
    expect_same_bits(run_in_parts<norm>(p, at, widths), expected);
  });
}

TEST_F(InMemory, ByThreads) {
  p = every_path<float>(600, hidden, 2);
  at = contiguous(600, hidden);
  of_both_norms([&](auto norm) {
    const Outputs<float> expected = run_in_parts<norm>(p, at, widths);
    for (int round = 0; round < 3; ++round)
      expect_same_bits(run_in_parts<norm>(p, at, widths, Executor(Threads{8})), expected);
  });
}

#if SIMDNORM_TEST_GUARD_PAGES
TEST_F(InMemory, NothingOutsideTheOperandsIsReadOrWritten) {
  const Index of_part[] = {5, 16, 33};  // the parts of a row of 54; the part of 33 columns is here
  for (const Placement& where : corners) {
    of_both_norms([&](auto norm) {
      using Record = Partial<norm, float>;
      using Sums = PartialGradient<norm, float>;
      p = every_path<float>(rows, 33, 3);
      const RowShape shape{rows, 33};
      const Guarded<float> x(p.x, where, true), dy(p.dy, where, true), gamma(p.gamma, where, true),
          beta(p.beta, where, true), y(p.x, where, false), dx(p.x, where, false),
          dgamma(p.gamma, where, false), dbeta(p.gamma, where, false);
      const Placement flush{where.at_back, 0};
      const Guarded<Record> mine(std::vector<Record>(size(rows)), flush, false);
      const Guarded<Sums> sums(std::vector<Sums>(size(rows)), flush, false);
      const Guarded<RowMoments<float>> moments(no_moments<float>(rows), flush, false);
      const auto all_of = [&](auto& partial) {  // as if every part had said the same
        const auto one = partial.values();
        auto all = one;
        for (int part = 1; part < 3; ++part) all.insert(all.end(), one.begin(), one.end());
        return Guarded(all, flush, true);
      };
      if constexpr (norm == Norm::layer) {
        layer_norm_partial(shape, x.data(), p.epsilon, mine.data());
        const auto records = all_of(mine);
        layer_norm_apply(shape, x.data(), gamma.data(), beta.data(), p.epsilon,
                         Parts{records.data(), of_part, 3}, y.data(), moments.data());
        layer_norm_gradient_partial(shape, dy.data(), x.data(), gamma.data(), moments.data(), sums.data());
        const auto gradients = all_of(sums);
        layer_norm_gradient_apply(shape, dy.data(), x.data(), gamma.data(), moments.data(),
                                  Parts{gradients.data(), of_part, 3}, dx.data(), dgamma.data(),
                                  dbeta.data());
      } else {
        rms_norm_partial(shape, x.data(), p.epsilon, mine.data());
        const auto records = all_of(mine);
        rms_norm_apply(shape, x.data(), gamma.data(), p.epsilon, Parts{records.data(), of_part, 3}, y.data(),
                       moments.data());
        rms_norm_gradient_partial(shape, dy.data(), x.data(), gamma.data(), moments.data(), sums.data());
        const auto gradients = all_of(sums);
        rms_norm_gradient_apply(shape, dy.data(), x.data(), gamma.data(), moments.data(),
                                Parts{gradients.data(), of_part, 3}, dx.data(), dgamma.data());
      }
      EXPECT_TRUE(y.untouched_beside() && dx.untouched_beside() && dgamma.untouched_beside() &&
                  dbeta.untouched_beside() && mine.untouched_beside() && sums.untouched_beside() &&
                  moments.untouched_beside());
    });
  }
}
#endif

// --- wrong arguments ---

struct PartErrors : testing::Test {
  static constexpr Index rows = 3, mine = 8, count = rows * mine;
  RowShape shape{rows, mine};
  std::vector<float> memory = std::vector<float>(300, 1.25F);
  float* at(int operand) { return memory.data() + operand * count; }
  float *x = at(0), *y = at(1), *dy = at(2), *dx = at(3), *gamma = at(4), *beta = gamma + mine,
        *dgamma = beta + mine, *dbeta = at(5);
  float* const none = nullptr;
  Index columns[2] = {mine, 4};
  std::vector<simdnorm::LayerNormPartial<float>> records{2 * rows, {{1, 1}}};
  std::vector<simdnorm::LayerNormGradientPartial<float>> sums{2 * rows, {{1, 1}}};
  RowMoments<float> moments[rows] = {{0, 0, 1, 1}, {0, 0, 1, 1}, {0, 0, 1, 1}};
  Parts<simdnorm::LayerNormPartial<float>> parts{records.data(), columns, 2};
  Parts<simdnorm::LayerNormGradientPartial<float>> gradients{sums.data(), columns, 2};

  template <class F> void refused(const std::vector<std::string>& words, const F& call) {
    const std::vector<float> before = memory;
    const double record = records[0].numbers[0], sum = sums[0].numbers[0];
    support::refused(words, call);
    EXPECT_EQ(first_unlike(before, memory), -1) << "written before the error";
    EXPECT_TRUE(record == records[0].numbers[0] && sum == sums[0].numbers[0]);
  }
  void partial(const float* from, float epsilon, simdnorm::LayerNormPartial<float>* to) {
    layer_norm_partial(shape, from, epsilon, to);
  }
  void apply(const float* from, float epsilon, float* to) {
    layer_norm_apply(shape, from, gamma, beta, epsilon, parts, to, moments);
  }
  void gradient_partial(const float* from, const RowMoments<float>* by,
                        simdnorm::LayerNormGradientPartial<float>* to) {
    layer_norm_gradient_partial(shape, dy, from, gamma, by, to);
  }
  void gradient_apply(const float* from, const RowMoments<float>* by, float* to) {
    layer_norm_gradient_apply(shape, dy, from, gamma, by, gradients, to, dgamma, dbeta);
  }
};

TEST_F(PartErrors, TheArgumentsAreRightOtherwise) {
  EXPECT_NO_THROW(partial(x, 0, records.data()));
  EXPECT_NO_THROW(apply(x, 0, y));
  EXPECT_NO_THROW(layer_norm_apply(shape, x, nullptr, nullptr, 0, parts, y));
  EXPECT_NO_THROW(gradient_partial(x, moments, sums.data()));
  EXPECT_NO_THROW(gradient_apply(x, moments, dx));
}

TEST_F(PartErrors, AMissingOperandIsNamed) {
  refused({"layer_norm_partial: x is nullptr"}, [&] { partial(none, 0, records.data()); });
  refused({"layer_norm_partial: partials is nullptr"}, [&] { partial(x, 0, nullptr); });
  refused({"layer_norm_apply: x is nullptr"}, [&] { apply(none, 0, y); });
  refused({"layer_norm_apply: y is nullptr"}, [&] { apply(x, 0, none); });
  refused({"layer_norm_gradient_partial: moments is nullptr"},
          [&] { gradient_partial(x, nullptr, sums.data()); });
  refused({"layer_norm_gradient_partial: partials is nullptr"},
          [&] { gradient_partial(x, moments, nullptr); });
  refused({"layer_norm_gradient_partial: x is nullptr"},
          [&] { gradient_partial(none, moments, sums.data()); });
  refused({"layer_norm_gradient_apply: moments is nullptr"}, [&] { gradient_apply(x, nullptr, dx); });
  refused({"layer_norm_gradient_apply: dx is nullptr"}, [&] { gradient_apply(x, moments, none); });
  refused({"rms_norm_partial: x is nullptr"}, [&] {
    rms_norm_partial(shape, none, 0, reinterpret_cast<simdnorm::RMSNormPartial<float>*>(records.data()));
  });
}

TEST_F(PartErrors, WrongNumbers) {
  for (const float epsilon : {-1e-5F, std::numeric_limits<float>::quiet_NaN()}) {
    refused({"layer_norm_partial: epsilon must be at least 0"}, [&] { partial(x, epsilon, records.data()); });
    refused({"layer_norm_apply: epsilon must be at least 0"}, [&] { apply(x, epsilon, y); });
  }
  shape.hidden = 0;
  refused({"layer_norm_partial: hidden must be at least 1"}, [&] { partial(x, 0, records.data()); });
  refused({"layer_norm_gradient_partial: hidden must be at least 1"},
          [&] { gradient_partial(x, moments, sums.data()); });
}

TEST_F(PartErrors, WrongParts) {
  const auto both = [&](const std::string& words, auto records_of, const Index* hidden_of, Index number) {
    parts = {records_of ? records.data() : nullptr, hidden_of, number};
    gradients = {records_of ? sums.data() : nullptr, hidden_of, number};
    refused({"layer_norm_apply: " + words}, [&] { apply(x, 0, y); });
    refused({"layer_norm_gradient_apply: " + words}, [&] { gradient_apply(x, moments, dx); });
  };
  both("parts are 0, not one or more", true, columns, 0);
  both("the records of the parts are nullptr", false, columns, 2);
  both("hidden of the parts is nullptr", true, nullptr, 2);
  const Index nothing[] = {8, 0}, others[] = {7, 9};
  both("hidden of part 1 must be at least 1 but is 0", true, nothing, 2);
  both("none of the parts has as many columns as the rows", true, others, 2);
}

TEST_F(PartErrors, WhatIsWrittenOverlapsNothing) {
  auto* const on_x = reinterpret_cast<simdnorm::LayerNormPartial<float>*>(x);
  refused({"partials", "x", "overlap (rows 3, hidden 8)"}, [&] { partial(x, 0, on_x); });
  refused({"y", "x", "overlap"}, [&] { apply(x, 0, x + 1); });
  parts.records = reinterpret_cast<simdnorm::LayerNormPartial<float>*>(y);
  refused({"y", "parts", "overlap"}, [&] { apply(x, 0, y); });
  auto* const on_dy = reinterpret_cast<simdnorm::LayerNormGradientPartial<float>*>(dy);
  refused({"partials", "dy", "overlap"}, [&] { gradient_partial(x, moments, on_dy); });
  refused({"dx", "x", "overlap"}, [&] { gradient_apply(x, moments, x + 1); });
  gradients.records = reinterpret_cast<simdnorm::LayerNormGradientPartial<float>*>(dx);
  refused({"dx", "parts", "overlap"}, [&] { gradient_apply(x, moments, dx); });
  gradients = {sums.data(), reinterpret_cast<Index*>(dx), 1};
  *reinterpret_cast<Index*>(dx) = mine;
  refused({"dx", "hidden of the parts", "overlap"}, [&] { gradient_apply(x, moments, dx); });
}

TEST_F(PartErrors, WithoutRowsNothingIsNeeded) {
  shape.rows = 0;
  parts.records = nullptr;
  gradients.records = nullptr;
  EXPECT_NO_THROW(partial(none, 0, nullptr));
  EXPECT_NO_THROW(apply(none, 0, none));
  EXPECT_NO_THROW(gradient_partial(none, nullptr, nullptr));
  EXPECT_NO_THROW(gradient_apply(none, nullptr, none));
  for (Index c = 0; c < mine; ++c) EXPECT_EQ(dgamma[c], 0);
}

}  // namespace
