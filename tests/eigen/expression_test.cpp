// Norms of expressions that lie nowhere in memory: the bits of the expression evaluated by Eigen and normalized then; kept in y
// or not; threads; gradients; errors. (Other kinds, layouts and types: expression_kinds_test.cpp.)
#define EIGEN_USE_THREADS
#include <limits>

#include "support/expressions.hpp"
#include "support/refused.hpp"
#include "support/streaming.hpp"

namespace {

using namespace support;

// A sum, and a last product that is not exact, which is not to be fused with what the norm makes of it.
auto sum_of(const Rows& x, const Rows& a, const Rows& b) { return (x * a + b) * 1.1F; }

TEST_F(Expressions, OfSumsAndProducts) {
  for (const auto streaming : {support::Streaming::always, support::Streaming::never}) {
    const support::WithStreaming with(streaming);
    for (Index hidden : all_hidden) {
      SCOPED_TRACE(hidden);
      const auto x = filled<Rows>(1, rows, hidden), a = filled<Rows>(2, rows, hidden),
                 b = filled<Rows>(3, rows, hidden);
      check<Rows>(layer(hidden), sum_of(x, a, b));
      check<Rows>(layer(rows, simdnorm::axis(0)), sum_of(x, a, b));
    }
  }
  const auto x = filled<Rows>(1, 1024, 200), a = filled<Rows>(2, 1024, 200), b = filled<Rows>(3, 1024, 200);
  check<Rows>(layer(200), sum_of(x, a, b));  // on threads
}

TEST_F(Expressions, RowsThatNeedCare) {
  auto x = filled<Rows>(1, 9, 37), a = filled<Rows>(2, 9, 37), b = filled<Rows>(3, 9, 37);
  x(2, 5) = std::numeric_limits<float>::infinity();
  x(4, 36) = std::numeric_limits<float>::quiet_NaN();
  for (Index c = 0; c < 37; ++c) {
    x(5, c) = a(5, c) = 0x1p60F * static_cast<float>(1 + c % 5);  // their products are squared out of range
    x(6, c) = 2;
    a(6, c) = b(6, c) = 1;  // constant
    b(7, c) = 0;
    x(7, c) = 0x1p-64F;  // products near the smallest number
  }
  check<Rows>(layer(37), sum_of(x, a, b));
}

TEST_F(Expressions, ThatCostMuchAreComputedOnceAndKeptInY) {
  for (Index hidden : all_hidden) {
    SCOPED_TRACE(hidden);
    auto x = filled<Rows>(1, rows, hidden), a = filled<Rows>(2, rows, hidden), expected = a;
    for (Index i = 0; i < a.size(); ++i) a.data()[i] = a.data()[i] == 0 ? 1.0F : a.data()[i];
    const auto costly = (x / a) / (a * a / (x * x + 1.0F));
    static_assert(!simdnorm::is_cheap<std::decay_t<decltype(costly)>>);
    static_assert(simdnorm::is_cheap<decltype(sum_of(x, x, x))>);
    check<Rows>(layer(hidden), costly);
    expected = costly;
    layer(hidden).forward(expected, expected, pool);
    layer(hidden).forward(costly, x, pool);  // x is in it
    EXPECT_TRUE(same(x, expected));
  }
}

TEST_F(Expressions, InBackward) {
  constexpr Index hidden = 37, all = 18;
  const auto a = filled<Rows>(1, all, hidden), b = filled<Rows>(2, all, hidden),
             c = filled<Rows>(3, all, hidden);
  const Rows x = sum_of(a, b, c), dy = sum_of(b, a, c);
  Rows y(all, hidden), expected = y;
  Moments<float> moments;
  layer(hidden).forward(x, expected, moments, pool);
  layer(hidden).backward(dy, x, moments, expected, pool);
  layer(hidden).backward(sum_of(b, a, c), sum_of(a, b, c), moments, y, pool);
  EXPECT_TRUE(same(y, expected));
}

TEST_F(Expressions, ErrorsComeBeforeAnythingIsWritten) {
  const auto x = filled<Rows>(1, 3, 16);
  const auto expression = sum_of(x, x, x);
  Rows y(3, 15), z(3, 16);
  y.setConstant(7);
  z.setConstant(7);
  refused({"LayerNorm.forward", "y has shape (3, 15) but x has shape (3, 16)"},
          [&] { layer(16).forward(expression, y, pool); });
  refused({"shape (15)", "x of shape (3, 16)"}, [&] { layer(15).forward(expression, z, pool); });
  Moments<float> moments;
  refused({"moments hold 0 rows but x of shape (3, 16)"},
          [&] { layer(16).backward(expression, expression, moments, z, pool); });
  for (Index i = 0; i < y.size(); ++i) ASSERT_EQ(y.data()[i], 7);
  for (Index i = 0; i < z.size(); ++i) ASSERT_EQ(z.data()[i], 7);
  Rows x_itself = x;
  Eigen::TensorMap<Rows> partly(x_itself.data() + 4, 3, 16);  // up to beyond its end: refused, never touched
  refused({"y (192 bytes) and x (192 bytes) overlap"},
          [&] { layer(16).forward(sum_of(x, x, x_itself), partly, pool); });
  EXPECT_TRUE(same(x_itself, x));
  const Rows none(0, 16);
  Rows of_none(0, 16);
  EXPECT_NO_THROW(layer(16).forward(sum_of(none, none, none), of_none, pool));
}

}  // namespace
