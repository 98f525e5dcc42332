// Two norms of one read have the bits of two calls; dx of both that of the sum of their gradients; wrong arguments.
#include "fusion/residual.hpp"
#include "support/executors.hpp"
#include "support/refused.hpp"
#include "support/streaming.hpp"

namespace {

using namespace fusion;
using simdnorm::two_gradients;
using simdnorm::two_norms;

// beta of LayerNorm, none of RMSNorm.
template <Norm norm, class P> auto beta_of(const std::vector<P>& beta) {
  if constexpr (norm == Norm::layer) {
    return beta.data();
  } else {
    return nullptr;
  }
}

// y of Y and y_2 of V, which lie at places of their own.
template <Norm norm, class X, class Y, class V> void check_two(const Places& places, const Places& places_2) {
  const RowShape shape = places.shape;
  const Index hidden = shape.hidden;
  SCOPED_TRACE(std::string(oracle::name(norm)) + " of " + name_of<X>() + " to " + name_of<Y>() + " and " +
               name_of<V>() + ", " + describe(places) + " and " + describe(places_2));
  const Stored<X, float> in = every_path_of<X, float>(shape.rows, hidden, 21);
  const Stored<X, float> other = every_path_of<X, float>(shape.rows, hidden, 22);  // of another seed
  const std::vector<X> x = places.spread(in.x);
  const auto forward = [&](const auto& gamma, const auto& beta, const auto& y, RowMoments<float>* moments,
                           const auto& executor) {
    if constexpr (norm == Norm::layer) {
      simdnorm::layer_norm_forward(shape, places.read(x), gamma, beta, 0x1p-17F, y, moments, executor);
    } else {
      simdnorm::rms_norm_forward(shape, places.read(x), gamma, 0x1p-17F, y, moments, executor);
    }
  };
  const simdnorm::Serial serial;
  std::vector<RowMoments<float>> moments = no_moments<float>(shape.rows), expected_moments = moments;
  std::vector<Y> y = unwritten_array<Y>(places.extent()), expected = y;
  std::vector<V> y_2 = unwritten_array<V>(places_2.extent()), expected_2 = y_2;
  forward(in.gamma.data(), in.beta.data(), places.write(expected), expected_moments.data(), serial);
  forward(other.gamma.data(), other.beta.data(), places_2.write(expected_2), moments.data(), serial);
  moments = no_moments<float>(shape.rows);
  forward(in.gamma.data(), in.beta.data(),
          two_norms(places.write(y), other.gamma.data(), beta_of<norm>(other.beta), places_2.write(y_2)),
          moments.data(), Threads{3});
  ASSERT_EQ(first_unlike(y, expected), -1) << "y";
  ASSERT_EQ(first_unlike(y_2, expected_2), -1) << "y_2";
  ASSERT_EQ(first_difference(moments, expected_moments), -1) << "moments";

  // With gamma 1, a dy of g = dy * gamma + dy_2 * gamma_2 gives the same dx.
  const std::vector<Y> dy = places.spread(numbers<Y>(in.dy));
  const std::vector<V> dy_2 = places_2.spread(numbers<V>(other.dy));
  const std::vector<float> dy_numbers = numbers<float>(numbers<Y>(in.dy)),
                           dy_2_numbers = numbers<float>(numbers<V>(other.dy));
  std::vector<float> g(dy_numbers.size());
  for (std::size_t i = 0; i < g.size(); ++i)
    g[i] = plus(times(dy_numbers[i], in.gamma[i % size(hidden)]),
                times(dy_2_numbers[i], other.gamma[i % size(hidden)]));
  g = places.spread(g);
  std::vector<X> dx = unwritten_array<X>(places.extent()), expected_dx = dx, any = dx;
  std::vector<double> sums[4], expected_sums[4];
  for (int i = 0; i < 4; ++i) sums[i] = expected_sums[i] = std::vector<double>(size(hidden), 1 + i);
  const auto backward = [&](const auto& of_y, const auto& gamma, std::vector<X>& to, double* dgamma,
                            double* dbeta, const auto& executor) {
    backward_of<norm>(shape, of_y, places.read(x), gamma, moments.data(), places.write(to), dgamma, dbeta,
                      true, executor);
  };
  double* const none = nullptr;
  const std::vector<float> ones(size(hidden), 1.0F);
  backward(places.read(g), ones.data(), expected_dx, none, none, serial);
  backward(places.read(places.spread(dy_numbers)), in.gamma.data(), any, expected_sums[0].data(),
           expected_sums[1].data(), serial);
  const std::vector<float> dy_2_at = places_2.spread(dy_2_numbers);
  backward(places_2.read(dy_2_at), other.gamma.data(), any, expected_sums[2].data(), expected_sums[3].data(),
           serial);
  const auto both = [&](double* dgamma_2, double* dbeta_2) {
    return two_gradients(places.read(dy), other.gamma.data(), places_2.read(dy_2), dgamma_2, dbeta_2);
  };
  backward(both(sums[2].data(), norm == Norm::layer ? sums[3].data() : none), in.gamma.data(), dx,
           sums[0].data(), sums[1].data(), Threads{3});
  ASSERT_EQ(first_unlike(dx, expected_dx), -1) << "dx";
  const bool same_order = (places.column == 1) == (places_2.column == 1);
  for (std::size_t i = 0; i < (same_order ? 4 : 0); ++i)
    ASSERT_EQ(first_unlike(sums[i], expected_sums[i]), -1) << i;
  dx = unwritten_array<X>(places.extent());
  backward(both(none, none), in.gamma.data(), dx, none, none, serial);
  ASSERT_EQ(first_unlike(dx, expected_dx), -1) << "dx alone";
}
template <Norm norm, class X, class Y, class V> void check_two() {
  for (Index hidden : {1, 5, 16, 67, 130}) {
    for (const Places& places : {contiguous(23, hidden), in_wider_rows(13, hidden), spaced(12, hidden),
                                 side_by_side(2, 11, hidden), side_by_side(1, 35, hidden)}) {
      check_two<norm, X, Y, V>(places, places);
      if (testing::Test::HasFatalFailure()) return;
    }
    check_two<norm, X, Y, V>(contiguous(12, hidden), in_wider_rows(12, hidden));
    check_two<norm, X, Y, V>(contiguous(12, hidden), spaced(12, hidden));
    if (testing::Test::HasFatalFailure()) return;
  }
}
TEST(TwoNorms, HaveTheBitsOfTwoCalls) { check_two<Norm::layer, float, float, float>(); }
TEST(TwoNorms, OfRowsOfTwoTypes) { check_two<Norm::rms, BFloat16, float, BFloat16>(); }

// Past the caches where the lines of both begin together, and where they do not.
TEST(TwoNorms, PastTheCachesToo) {
  const WithStreaming streaming(Streaming::always);
  for (Index hidden : {333, 512}) {
    check_two<Norm::layer, float, float, float>(contiguous(23, hidden), contiguous(23, hidden));
    check_two<Norm::layer, float, float, float>(contiguous(23, hidden), in_wider_rows(23, hidden));
  }
}

TEST(TwoNorms, OneMayBeInPlace) {
  constexpr Index rows = 5, hidden = 37;
  const Stored<float, float> in = every_path_of<float, float>(rows, hidden, 4);
  std::vector<float> y(in.x.size()), y_2 = y, other = y;
  const auto forward = [&](const float* x, float* to, float* to_2) {
    simdnorm::layer_norm_forward({rows, hidden}, x, in.gamma.data(), in.beta.data(), 1e-5F,
                                 two_norms(to, in.beta.data(), in.gamma.data(), to_2));
  };
  forward(in.x.data(), y.data(), y_2.data());
  std::vector<float> x = in.x;
  forward(x.data(), x.data(), other.data());
  EXPECT_EQ(first_unlike(x, y), -1);
  EXPECT_EQ(first_unlike(other, y_2), -1);
  x = in.x;
  forward(x.data(), other.data(), x.data());
  EXPECT_EQ(first_unlike(other, y), -1);
  EXPECT_EQ(first_unlike(x, y_2), -1);
}

TEST(TwoNorms, AreRefusedWhereTheyAreWrong) {
  constexpr Index hidden = 8;
  const RowShape shape{2, hidden};
  std::vector<float> memory(200, 1.5F);
  const std::vector<float> before = memory;
  float *x = memory.data(), *y = x + 16, *y_2 = y + 16, *dx = y_2 + 16, *a = dx + 16, *b = a + 8,
        *none = nullptr;
  double doubles[2 * hidden] = {};
  const RowMoments<float> moments[2] = {{0, 0, 1, 1}, {0, 0, 1, 1}};
  const auto forward = [&](float* to, float* gamma, float* beta, float* to_2) {
    simdnorm::layer_norm_forward(shape, x, a, b, 1e-5F, two_norms(to, gamma, beta, to_2));
  };
  refused({"y_2 is nullptr (rows 2, hidden 8)"}, [&] { forward(y, a, b, none); });
  refused({"y", "y_2", "overlap"}, [&] { forward(y, a, b, y); });
  refused({"y_2", "x", "overlap"}, [&] { forward(y, a, b, x + 1); });
  refused({"y_2", "gamma_2", "overlap"}, [&] { forward(y, y_2 + 15, b, y_2); });
  refused({"y", "beta_2", "overlap"}, [&] { forward(y, a, y + 15, y_2); });
  const auto backward = [&](float* of_2, float* gamma, double* dgamma, double* dbeta) {
    backward_of<Norm::layer>(shape, two_gradients(y, gamma, of_2, dgamma, dbeta), x, a, moments, dx, doubles,
                             doubles + 8);
  };
  refused({"layer_norm_backward: dy_2 is nullptr"}, [&] { backward(none, a, nullptr, nullptr); });
  refused({"dx", "gamma_2", "overlap"}, [&] { backward(y_2, dx + 1, nullptr, nullptr); });
  refused({"dgamma", "dgamma_2", "overlap"}, [&] { backward(y_2, a, doubles + 1, nullptr); });
  refused({"dbeta", "dbeta_2", "overlap"}, [&] { backward(y_2, a, nullptr, doubles + 8); });
  EXPECT_EQ(memory, before);
  EXPECT_NO_THROW(forward(y, a, b, y_2));
  EXPECT_NO_THROW(forward(y, none, none, y_2));
  EXPECT_NO_THROW(backward(y_2, a, nullptr, nullptr));
}

}  // namespace
