// Rows of several spans (kernel/spans.hpp), which threads share where they are few: the bits are those of one thread, the same
// for contiguous rows and rows side by side, streamed or not, and as close to the formula as those of short rows.
#include <simdnorm/kernel/spans.hpp>
#include <simdnorm/storage.hpp>

#include <gtest/gtest.h>

#include "support/accuracy.hpp"
#include "support/streaming.hpp"

namespace {

using namespace support;
using simdnorm::Index;

template <class T> struct LongRows : testing::Test {};
using Elements = testing::Types<float, double>;
TYPED_TEST_SUITE(LongRows, Elements);

// Rows of numbers in [-1, 1), row r times scales[r], plus offsets[r].
template <class T>
Problem<T> long_problem(Index hidden, const std::vector<T>& scales, const std::vector<T>& offsets) {
  Problem<T> p;
  p.rows = static_cast<Index>(scales.size());
  p.hidden = hidden;
  p.epsilon = T(1e-5);
  std::uint64_t state = 1;
  const auto numbers = [&](Index count) {
    std::vector<T> out(size(count));
    for (T& number : out) {
      state = state * 6364136223846793005 + 1442695040888963407;
      number = static_cast<T>(state >> 40) * T(0x1p-23) - 1;
    }
    return out;
  };
  p.x = numbers(p.rows * hidden);
  for (std::size_t i = 0; i < p.x.size(); ++i) {
    const std::size_t r = i / size(hidden);
    p.x[i] = p.x[i] * scales[r] + offsets[r];
  }
  p.dy = numbers(p.rows * hidden);
  p.gamma = numbers(hidden);
  p.beta = numbers(hidden);
  return p;
}

template <class T> void expect_same(const Problem<T>& p, Norm norm, const Executor& executor) {
  const Forward<T> expected = run_forward(norm, p), out = run_forward(norm, p, executor);
  const Backward<T> gradients = run_backward(norm, p, expected.moments),
                    again = run_backward(norm, p, expected.moments, executor);
  ASSERT_EQ(first_difference(out.y, expected.y), -1);
  ASSERT_EQ(first_difference(out.moments, expected.moments), -1);
  ASSERT_EQ(first_difference(again.dx, gradients.dx), -1);
  ASSERT_EQ(first_difference(again.dgamma, gradients.dgamma), -1);
  ASSERT_EQ(first_difference(again.dbeta, gradients.dbeta), -1);
  // In place, where each thread reads and writes its own columns.
  std::vector<T> in_place = p.x, on_x = p.x;
  forward(norm, p.shape(), packed(p.shape(), in_place.data()), p.gamma.data(),
          norm == Norm::layer ? p.beta.data() : nullptr, p.epsilon, packed(p.shape(), in_place.data()),
          nullptr, executor);
  ASSERT_EQ(first_difference(in_place, expected.y), -1);
  std::vector<T> no_sums;
  backward(norm, p.shape(), packed(p.shape(), p.dy.data()), packed(p.shape(), on_x.data()), p.gamma.data(),
           expected.moments.data(), packed(p.shape(), on_x.data()), static_cast<T*>(nullptr),
           static_cast<T*>(nullptr), {}, executor);
  ASSERT_EQ(first_difference(on_x, gradients.dx), -1);
}

TYPED_TEST(LongRows, OfAFewSpans) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    for (Index hidden : {16384, 16385, 50007}) expect_same(every_path<T>(11, hidden, 3), norm, Threads{3});
  }
}

// Rows that threads share: ordinary ones; those that are measured about their mean, of extreme magnitude, and not finite.
TYPED_TEST(LongRows, ThreadsThatShareThemGiveTheBitsOfOne) {
  using T = TypeParam;
  const Index shared = simdnorm::shortest_shared_row;
  const T huge = std::ldexp(T(1), std::numeric_limits<T>::max_exponent - 4);
  expect_same(long_problem<T>(shared, {1, huge, 1}, {T(1e5), 0, std::numeric_limits<T>::infinity()}),
              Norm::layer, Threads{2});
  const WithStreaming with(Streaming::always);
  expect_same(long_problem<T>(shared + 77, {1}, {1}), Norm::layer, Threads{3});
  expect_same(long_problem<T>(shared, {1, 1}, {1, 0}), Norm::rms, Backwards{});
  expect_same(long_problem<T>(shared, {1, 1}, {1, 0}), Norm::layer, Threads{4});
}

TYPED_TEST(LongRows, SideBySideHaveTheBitsOfContiguousOnes) {
  using T = TypeParam;
  const Index rows = 5;
  for (Norm norm : oracle::norms) {
    for (Index hidden : {16385, 50007}) {
      const Problem<T> p = every_path<T>(rows, hidden, 4);
      const Forward<T> expected = run_forward(norm, p);
      const Backward<T> gradients = run_backward(norm, p, expected.moments);
      const Layout<T> beside{{rows, hidden, rows}, hidden * rows, rows};
      const std::vector<T> x = beside.spread(p.x), dy = beside.spread(p.dy);
      std::vector<T> y(x.size(), nan_of<T>), dx(x.size(), nan_of<T>);
      std::vector<RowMoments<T>> moments(size(rows));
      forward(norm, beside.shape, beside.of(x), p.gamma.data(), norm == Norm::layer ? p.beta.data() : nullptr,
              p.epsilon, beside.of(y), moments.data());
      backward(norm, beside.shape, beside.of(dy), beside.of(x), p.gamma.data(), moments.data(), beside.of(dx),
               static_cast<T*>(nullptr), static_cast<T*>(nullptr));
      ASSERT_EQ(first_difference(moments, expected.moments), -1);
      ASSERT_EQ(first_difference(beside.gather(y), expected.y), -1);
      ASSERT_EQ(first_difference(beside.gather(dx), gradients.dx), -1);
    }
  }
}

// All families of rows, each of a mean that costs digits, against 128-bit numbers.
TYPED_TEST(LongRows, AreAsExactAsShortOnes) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    const Problem<T> p = make_problem<T>(7, 50007,
                                         {{Family::normal, 1e4, 0},
                                          {Family::normal, 0, 0},
                                          {Family::ramp, 1e2, 0},
                                          {Family::outliers, 10, 0},
                                          {Family::uniform, 1e6, 3},
                                          {Family::log_uniform, 0, 0},
                                          {Family::plus_minus_c, 0, 0}},
                                         Parameters::both, T(1e-5), 6);
    const Forward<T> out = run_forward(norm, p, Threads{2});
    check_forward_rows(norm, p, out.y, "long");
    check_moments(norm, p, out.moments, "long");
  }
}

}  // namespace
