// Every operand between guard pages, for hidden 1..300, at every offset from its page: no access outside the
// buffers, inputs on read-only pages, and results that do not depend on where an operand lies.
#include "support/guard_pages.hpp"

#include <gtest/gtest.h>

#include <memory>

#include "support/accuracy.hpp"
#include "support/streaming.hpp"

namespace {

using namespace support;
using simdnorm::Index;

#if SIMDNORM_TEST_GUARD_PAGES

constexpr Index rows = 9;  // blocks of 8, or two of 4, and a row alone; in the strided cases one run of nine
constexpr Index longest = 300;

template <class T> struct Operands {
  static constexpr std::size_t capacity = size_t{2} * rows * longest + 64;
  GuardedInput<T> x{capacity}, dy{capacity}, gamma{capacity}, beta{capacity};
  GuardedOutput<T> y{capacity}, dx{capacity}, dgamma{capacity}, dbeta{capacity};
  GuardedOutput<RowMoments<T>> moments{2 * capacity};

  // Fills the inputs: x with numbers below `level`, the others with numbers below 1.
  bool fill(T level) {
    Random random(1);
    const auto number = [&] { return static_cast<T>(random.uniform()); };
    return x.ok() && dy.ok() && gamma.ok() && beta.ok() && y.ok() && dx.ok() && dgamma.ok() && dbeta.ok() &&
           moments.ok() && x.fill([&] { return number() * level; }) && dy.fill(number) &&
           gamma.fill(number) && beta.fill(number);
  }
};

// Rows of the buffer at `data`, as they lie, in (rows, hidden).
template <class T> std::vector<T> gather(const T* data, const Layout<T>& layout) {
  std::vector<T> out(size(layout.shape.rows * layout.shape.hidden));
  for (Index r = 0; r < layout.shape.rows; ++r) {
    for (Index c = 0; c < layout.shape.hidden; ++c)
      out[size(r * layout.shape.hidden + c)] = data[layout.position(r, c)];
  }
  return out;
}

// Forward and backward of both norms, every operand placed the same way; the outputs against those of
// ordinary memory.
template <class T> void check_placement(Operands<T>& m, const Layout<T>& layout, Placement where) {
  const RowShape shape = layout.shape;
  const Index extent = layout.extent(), hidden = shape.hidden;
  const T* x = m.x.place(where, extent);
  const T* dy = m.dy.place(where, extent);
  const T* gamma = m.gamma.place(where, hidden);
  const T* beta = m.beta.place(where, hidden);
  Problem<T> p;
  p.rows = shape.rows;
  p.hidden = hidden;
  p.x = gather(x, layout);
  p.dy = gather(dy, layout);
  p.gamma.assign(gamma, gamma + hidden);
  p.beta.assign(beta, beta + hidden);
  for (Norm norm : oracle::norms) {
    const bool layer = norm == Norm::layer;
    T* y = m.y.place(where, extent);
    RowMoments<T>* moments = m.moments.place({where.at_back, 0}, shape.rows);
    forward(norm, shape, Strided<const T>{x, layout.outer, layout.column}, gamma, layer ? beta : nullptr,
            p.epsilon, Strided<T>{y, layout.outer, layout.column}, moments);
    const Forward<T> expected = run_forward(norm, p);
    ASSERT_TRUE(m.y.slack_untouched() && m.moments.slack_untouched());
    ASSERT_EQ(first_difference(gather(y, layout), expected.y), -1);
    ASSERT_EQ(first_difference(std::vector<RowMoments<T>>(moments, moments + shape.rows), expected.moments),
              -1);

    T* dx = m.dx.place(where, extent);
    T* dgamma = m.dgamma.place(where, hidden);
    T* dbeta = m.dbeta.place(where, hidden);
    backward(norm, shape, Strided<const T>{dy, layout.outer, layout.column},
             Strided<const T>{x, layout.outer, layout.column}, gamma, moments,
             Strided<T>{dx, layout.outer, layout.column}, dgamma, layer ? dbeta : nullptr);
    ASSERT_TRUE(m.dx.slack_untouched() && m.dgamma.slack_untouched() && m.dbeta.slack_untouched());
    const Backward<T> gradients = run_backward(norm, p, expected.moments);
    ASSERT_EQ(first_difference(gather(dx, layout), gradients.dx), -1);
    if (layout.column == 1) {  // other layouts may sum over the rows in another order
      ASSERT_EQ(first_difference(std::vector<T>(dgamma, dgamma + hidden), gradients.dgamma), -1);
      if (layer) {
        ASSERT_EQ(first_difference(std::vector<T>(dbeta, dbeta + hidden), gradients.dbeta), -1);
      }
    }
  }
}

template <class T> class GuardPages : public testing::Test {
 protected:
  void SetUp() override { place_numbers(T(1)); }
  void place_numbers(T level) {
    operands = std::make_unique<Operands<T>>();
    ASSERT_TRUE(operands->fill(level)) << "no guard pages could be mapped";
  }
  // At both ends, at all 16 offsets.
  void check(const Layout<T>& layout) {
    for (Index offset = 0; offset < 16; ++offset) {
      for (bool at_back : {false, true}) {
        check_placement(*operands, layout, {at_back, offset});
        ASSERT_FALSE(this->HasFatalFailure())
            << "hidden " << layout.shape.hidden << ", offset " << offset
            << (at_back ? " before the back guard" : " after the front guard");
      }
    }
  }
  std::unique_ptr<Operands<T>> operands;
};
using Elements = testing::Types<float, double>;
TYPED_TEST_SUITE(GuardPages, Elements);

TYPED_TEST(GuardPages, ContiguousRows) {
  for (Index hidden = 1; hidden <= longest; ++hidden) {
    this->check({{rows, hidden}, hidden, 1});
    if (this->HasFatalFailure()) return;
  }
}

TYPED_TEST(GuardPages, RowsOfAWiderMatrix) {
  for (Index hidden = 1; hidden <= longest; hidden += hidden < 70 ? 1 : 13) {
    this->check({{rows, hidden}, hidden + 3, 1});
    if (this->HasFatalFailure()) return;
  }
}

// What is rare has loops of its own: rows that must be scaled, and rows that are not finite.
TYPED_TEST(GuardPages, RowsOfExtremeMagnitudeAndNotFinite) {
  using T = TypeParam;
  for (const T level : {std::ldexp(T(1), std::numeric_limits<T>::max_exponent - 3),
                        std::numeric_limits<T>::min(), std::numeric_limits<T>::quiet_NaN()}) {
    this->place_numbers(level);
    for (Index hidden = 1; hidden <= longest; hidden += hidden < 20 ? 1 : 31) {
      this->check({{rows, hidden}, hidden, 1});
      this->check({{rows, hidden, rows}, rows * hidden, rows});
      if (this->HasFatalFailure()) return;
    }
  }
}

TYPED_TEST(GuardPages, RowsWrittenPastTheCaches) {
  const WithStreaming always(Streaming::always);
  for (Index hidden : {128, 129, 143, 144, 145, 255, 256, 299}) {
    this->check({{rows, hidden}, hidden, 1});
    this->check({{rows, hidden}, hidden + 16, 1});
    if (this->HasFatalFailure()) return;
  }
}

TYPED_TEST(GuardPages, RowsSideBySide) {
  for (Index hidden = 1; hidden <= longest; hidden += hidden < 70 ? 1 : 13) {
    this->check({{rows, hidden, rows}, rows * hidden, rows});
    if (this->HasFatalFailure()) return;
  }
}

TYPED_TEST(GuardPages, AnyNumberOfRowsSideBySide) {
  for (Index after = 1; after <= 140; ++after) {
    this->check({{after, 7, after}, 7 * (after + 1), after + 1});
    if (this->HasFatalFailure()) return;
  }
}

#if !defined(SIMDNORM_TEST_ASAN) && GTEST_HAS_DEATH_TEST
// The guards themselves: a read or a write one element outside, and a write to an input, end the program.
TYPED_TEST(GuardPages, AccessOutsideEndsTheProgram) {
  using T = TypeParam;
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  const volatile T* last = this->operands->x.place({true, 0}, 3) + 2;
  EXPECT_DEATH(static_cast<void>(*(last + 1)), "");
  const volatile T* first = this->operands->x.place({false, 0}, 3);
  EXPECT_DEATH(static_cast<void>(*(first - 1)), "");
  EXPECT_DEATH(*const_cast<volatile T*>(first) = T(1), "");
  volatile T* y = this->operands->y.place({true, 0}, 3);
  EXPECT_DEATH(y[3] = T(1), "");
}
#endif
TYPED_TEST(GuardPages, AStrayWriteBesideAnOperandIsSeen) {
  using T = TypeParam;
  T* y = this->operands->y.place({false, 5}, 3);
  EXPECT_TRUE(this->operands->y.slack_untouched());
  const T saved = y[3];
  y[3] = T(1);
  EXPECT_FALSE(this->operands->y.slack_untouched());
  y[3] = saved;
  y[-1] = T(1);
  EXPECT_FALSE(this->operands->y.slack_untouched());
}

#endif

}  // namespace
