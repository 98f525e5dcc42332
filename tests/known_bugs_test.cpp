// Bugs that other libraries shipped, one test each, named after what went wrong; the numbers in comments are
// theirs. Each holds for both norms, float and double, where it makes sense. (Those of tensor shapes:
// eigen/known_bugs_test.cpp.)
#include <simdnorm/storage.hpp>

#include <gtest/gtest.h>

#include <cstring>

#include "support/accuracy.hpp"
#include "support/guard_pages.hpp"

namespace {

using namespace support;
using simdnorm::Index;

template <class T> struct KnownBugs : testing::Test {
  // y of rows given as numbers.
  static std::vector<T> layer_norm(const std::vector<T>& x, Index hidden, T epsilon) {
    Problem<T> p;
    p.x = x;
    p.hidden = hidden;
    p.rows = static_cast<Index>(x.size()) / hidden;
    p.epsilon = epsilon;
    return run_forward(Norm::layer, p).y;
  }
};
using Elements = testing::Types<float, double>;
TYPED_TEST_SUITE(KnownBugs, Elements);

// pytorch#51102, mlx#2238, burn#5607: variance as E[x^2] - mean^2, in burn in the SIMD path only.
TYPED_TEST(KnownBugs, VarianceAsDifferenceOfSquares) {
  using T = TypeParam;
  for (Index hidden : {5, 16, 100, 1024}) {
    for (Index after : {Index(1), Index(9)}) {
      const Problem<T> p = make_problem<T>(9, hidden, {{Family::normal, 1e4, 0}, {Family::uniform, -1e6, -3}},
                                           Parameters::both, T(1e-5), 1);
      const Layout<T> layout{{9, hidden, after}, hidden * after, after};
      const std::vector<T> x = layout.spread(p.x);
      std::vector<T> y(x.size(), nan_of<T>);
      forward(Norm::layer, layout.shape, layout.of(x), p.gamma.data(), p.beta.data(), p.epsilon,
              layout.of(y));
      check_forward_rows(Norm::layer, p, layout.gather(y), "far from zero");
    }
  }
}

// onnxruntime#21935: a constant row and epsilon 0 give NaN.
TYPED_TEST(KnownBugs, ConstantRowIsNotANumber) {
  using T = TypeParam;
  for (Index hidden : {1, 3, 7, 64, 100}) {
    for (T value :
         {T(0), T(0.1), T(-1e6), std::numeric_limits<T>::denorm_min(), std::numeric_limits<T>::max()}) {
      for (T y : this->layer_norm(std::vector<T>(size(3 * hidden), value), hidden, T(0)))
        EXPECT_EQ(y, T(0)) << value;
    }
  }
}

// onnxruntime#28463: [40000 .. 40003] gives NaN.
TYPED_TEST(KnownBugs, FourNeighboursFarFromZero) {
  using T = TypeParam;
  const std::vector<T> y = this->layer_norm({T(40000), T(40001), T(40002), T(40003)}, 4, T(0));
  const double expected[] = {-1.3416407864998738, -0.4472135954999579, 0.4472135954999579,
                             1.3416407864998738};
  for (std::size_t c = 0; c < 4; ++c)
    EXPECT_NEAR(static_cast<double>(y[c]), expected[c], 5 * 1.35 * roundoff<T>);
}

// pytorch#188372: hidden 1, x = 1e6, beta 3 gives 10.2.
TYPED_TEST(KnownBugs, HiddenOneIsNotBeta) {
  using T = TypeParam;
  for (T x : {T(1e6), T(-3), T(0.1), std::numeric_limits<T>::max()}) {
    Problem<T> p;
    p.rows = 3;
    p.hidden = 1;
    p.x = {x, -x, x / 3};
    p.gamma = {T(7)};
    p.beta = {T(3)};
    for (T epsilon : {T(0), T(1e-12), T(1e-5)}) {
      p.epsilon = epsilon;
      for (T y : run_forward(Norm::layer, p).y) EXPECT_EQ(y, T(3));
    }
  }
}

// pytorch#178123, tt-metal#55159: the squares of large rows overflow.
TYPED_TEST(KnownBugs, LargeRowsOverflow) {
  using T = TypeParam;
  const int k = sizeof(T) == 4 ? 100 : 1000;
  for (Norm norm : oracle::norms) {
    const Problem<T> p = make_problem<T>(5, 100, {{Family::normal, 0, k}, {Family::normal, 30, k}},
                                         Parameters::both, T(1e-5), 2);
    check_forward_rows(norm, p, run_forward(norm, p).y, "large");
  }
}

// candle#3477: partial mean squares of a long row merged as if they were variances.
TYPED_TEST(KnownBugs, RmsMergedLikeVariances) {
  using T = TypeParam;
  const Index hidden = 8192;
  Problem<T> p = make_problem<T>(3, hidden, {{Family::normal, 0, 0}}, Parameters::none, T(0), 3);
  for (std::size_t i = 0; i < p.x.size(); ++i)
    p.x[i] += i % size(hidden) < 4096 ? T(5) : T(-2);  // unlike means of the halves
  check_forward_rows(Norm::rms, p, run_forward(Norm::rms, p).y, "unlike halves");
}

// CNTK#3816: epsilon outside the root. With variance 1 and epsilon 3, y = x/2, and not x/4.
TYPED_TEST(KnownBugs, EpsilonOutsideTheRoot) {
  using T = TypeParam;
  const std::vector<T> y = this->layer_norm({T(1), T(-1), T(-1), T(1)}, 4, T(3));
  EXPECT_EQ(y, (std::vector<T>{T(0.5), T(-0.5), T(-0.5), T(0.5)}));
}

// attorch#18: a floor division drops the last rows.
TYPED_TEST(KnownBugs, LastRowsAreDropped) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    for (Index rows = 1; rows <= 130; ++rows) {
      const Problem<T> p = make_problem<T>(rows, 6, {{Family::normal, 1, 0}}, Parameters::gamma, T(1e-5), 4);
      const Forward<T> out = run_forward(norm, p);
      const Backward<T> gradients = run_backward(norm, p, out.moments);
      for (T value : out.y) ASSERT_FALSE(std::isnan(value)) << rows;
      for (T value : gradients.dx) ASSERT_FALSE(std::isnan(value)) << rows;
      // dgamma of all rows is that of all but the last, and the last row's.
      const auto exact = oracle::parameter_gradients(norm, p.dy.data(), p.x.data(), p.epsilon, rows, 6);
      ASSERT_LE(parameter_error(Gradient::dgamma, exact, gradients.dgamma.data()).ratio, 1) << rows;
    }
  }
}

// aiter#5044: an odd width writes into the next row.
TYPED_TEST(KnownBugs, OddWidthWritesIntoTheNextRow) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    for (Index hidden = 1; hidden <= 70; ++hidden) {
      // One row of y lies in front of numbers that belong to somebody else.
      const Problem<T> p = make_problem<T>(1, hidden, {{Family::normal, 1, 0}}, Parameters::both, T(1e-5), 5);
      std::vector<T> y(size(hidden + 80), T(42));
      forward(norm, p.shape(), packed(p.shape(), p.x.data()), p.gamma.data(),
              norm == Norm::layer ? p.beta.data() : nullptr, p.epsilon, packed(p.shape(), y.data()));
      for (std::size_t i = size(hidden); i < y.size(); ++i) ASSERT_EQ(y[i], T(42)) << "hidden " << hidden;
    }
  }
}

// triton#9838, unsloth#1867: zeros that fill up the last vector are counted as data.
TYPED_TEST(KnownBugs, PaddingCountsInTheVariance) {
  using T = TypeParam;
  for (Index hidden = 2; hidden <= 70; ++hidden) {
    Problem<T> p = make_problem<T>(3, hidden, {{Family::normal, 100, 0}}, Parameters::none, T(0), 6);
    check_forward_rows(Norm::layer, p, run_forward(Norm::layer, p).y, "padding");
    // And in the means of backward. dx is what is left of a dy 100 times its size, so its error may be 100
    // times what it is elsewhere; a zero counted as data is 10,000 times more.
    for (T& value : p.dy) value += T(100);
    const Backward<T> out = run_backward(Norm::layer, p, run_forward(Norm::layer, p).moments);
    for (Index r = 0; r < 3; ++r) {
      const T* none = nullptr;
      EXPECT_LE(
          dx_error(Norm::layer, p.dy_row(r), p.row(r), none, T(0), hidden, out.dx.data() + r * hidden).ratio,
          100);
    }
  }
}

#if SIMDNORM_TEST_GUARD_PAGES
// onnxruntime#17943: the last vector of the last row is read past the end. (All operands and sizes:
// guard_pages_test.cpp.)
TYPED_TEST(KnownBugs, LastVectorIsReadPastTheEnd) {
  using T = TypeParam;
  GuardedInput<T> pages(300);
  Random random(7);
  ASSERT_TRUE(pages.ok() && pages.fill([&] { return static_cast<T>(random.normal()); }));
  for (Index hidden = 1; hidden <= 130; ++hidden) {
    std::vector<T> y(size(hidden), nan_of<T>);
    const RowShape shape{1, hidden};
    const T* x = pages.place({true, 0}, hidden);
    forward(Norm::layer, shape, packed(shape, x), nullptr, nullptr, T(1e-5), packed(shape, y.data()));
    EXPECT_FALSE(std::isnan(y.back()));
  }
}

// pytorch#181555, vllm#42862: row times column in 32 bits. Two rows far apart in a mapping of which only
// their pages are used.
TYPED_TEST(KnownBugs, OffsetsBeyondThirtyTwoBits) {
  using T = TypeParam;
  const Index distance = (Index(1) << 32) / static_cast<Index>(sizeof(T)) * 4 + 1024, hidden = 70;
  const std::size_t bytes = size(distance + hidden) * sizeof(T);
  int flags = MAP_PRIVATE | MAP_ANONYMOUS;
#if defined(MAP_NORESERVE)
  flags |= MAP_NORESERVE;
#endif
  void* map = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (map == MAP_FAILED) GTEST_SKIP() << "no " << (bytes >> 30) << " GiB of address space";
  T* far = static_cast<T*>(map);
  const Problem<T> p = make_problem<T>(2, hidden, {{Family::normal, 1, 0}}, Parameters::gamma, T(1e-5), 8);
  for (Norm norm : oracle::norms) {
    const Forward<T> expected = run_forward(norm, p);
    const Backward<T> gradients = run_backward(norm, p, expected.moments);
    // Rows far apart, then columns far apart: (row, column) at row * distance + column, and the other way
    // round.
    for (bool columns : {false, true}) {
      Problem<T> q = p;
      if (columns) {  // two columns of 70 rows
        q.rows = hidden;
        q.hidden = 2;
        q.gamma.resize(2);
      }
      const RowShape shape = columns ? RowShape{hidden, 2, hidden} : RowShape{2, hidden};
      const Strided<T> rows =
          columns ? Strided<T>{far, 2 * distance, distance} : Strided<T>{far, distance, 1};
      const auto at = [&](Index r, Index c) { return columns ? c * distance + r : r * distance + c; };
      for (Index r = 0; r < q.rows; ++r) {
        for (Index c = 0; c < q.hidden; ++c) far[at(r, c)] = q.x[size(r * q.hidden + c)];
      }
      const Forward<T> near = run_forward(norm, q);
      forward(norm, shape, rows, q.gamma.data(), nullptr, q.epsilon, rows);
      for (Index r = 0; r < q.rows; ++r) {
        for (Index c = 0; c < q.hidden; ++c) {
          ASSERT_EQ(bits_of(far[at(r, c)]), bits_of(near.y[size(r * q.hidden + c)])) << r << ", " << c;
        }
      }
      // dx on dy there, x near.
      for (Index r = 0; r < q.rows; ++r) {
        for (Index c = 0; c < q.hidden; ++c) far[at(r, c)] = q.dy[size(r * q.hidden + c)];
      }
      const Layout<T> flat{shape, columns ? q.hidden * hidden : q.hidden, columns ? hidden : 1};
      const std::vector<T> x = flat.spread(q.x);
      backward(norm, shape, rows, flat.of(x), q.gamma.data(), near.moments.data(), rows, nullptr, nullptr);
      const Backward<T> near_gradients = run_backward(norm, q, near.moments);
      for (Index r = 0; r < q.rows; ++r) {
        for (Index c = 0; c < q.hidden; ++c) {
          ASSERT_EQ(bits_of(far[at(r, c)]), bits_of(near_gradients.dx[size(r * q.hidden + c)]))
              << r << ", " << c;
        }
      }
    }
  }
  munmap(map, bytes);
}
#endif

// flashinfer#634, pytorch#11869: pointers that are aligned to an element and no more.
TYPED_TEST(KnownBugs, MisalignedPointersCrash) {
  using T = TypeParam;
  std::vector<T> memory(size(16 + 4 * 70), T(1));
  for (Index offset = 0; offset < 16; ++offset) {
    T* x = memory.data() + offset;
    for (Index i = 0; i < 70; ++i) x[i] = static_cast<T>(i % 3);
    const RowShape shape{2, 35};
    T* y = x + 71;
    forward(Norm::layer, shape, packed(shape, x), x + 150, x + 190, T(1e-5), packed(shape, y));
    EXPECT_FALSE(std::isnan(y[0]) || std::isnan(y[69]));
  }
}

// ggml#1491: dx in place of dy or x reads what it has overwritten. (All shapes: laws_test.cpp.)
TYPED_TEST(KnownBugs, GradientInPlaceReadsItself) {
  using T = TypeParam;
  const Problem<T> p = make_problem<T>(3, 100, {{Family::normal, 1, 0}}, Parameters::gamma, T(1e-5), 9);
  for (Norm norm : oracle::norms) {
    const std::vector<RowMoments<T>> moments = run_forward(norm, p).moments;
    std::vector<T> dx = p.x, dgamma(100), dbeta(100);
    backward(norm, p.shape(), packed(p.shape(), p.dy.data()), packed(p.shape(), dx.data()), p.gamma.data(),
             moments.data(), packed(p.shape(), dx.data()), dgamma.data(),
             norm == Norm::layer ? dbeta.data() : nullptr);
    const auto exact = oracle::parameter_gradients(norm, p.dy.data(), p.x.data(), p.epsilon, 3, 100);
    EXPECT_LE(parameter_error(Gradient::dgamma, exact, dgamma.data()).ratio, 1);
    for (Index r = 0; r < 3; ++r) {
      EXPECT_LE(
          dx_error(norm, p.dy_row(r), p.row(r), p.gamma.data(), p.epsilon, Index(100), dx.data() + r * 100)
              .ratio,
          1);
    }
  }
}

// onnxruntime#20623: the input is modified. (On read-only pages: guard_pages_test.cpp.)
TYPED_TEST(KnownBugs, InputIsModified) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    const Problem<T> p = make_problem<T>(9, 77, all_kinds<T>(0), Parameters::both, T(1e-5), 10);
    Problem<T> used = p;
    const Forward<T> out = run_forward(norm, used);
    const std::vector<RowMoments<T>> moments = out.moments;
    run_backward(norm, used, out.moments);
    EXPECT_EQ(first_difference(used.x, p.x), -1);
    EXPECT_EQ(first_difference(used.dy, p.dy), -1);
    EXPECT_EQ(first_difference(used.gamma, p.gamma), -1);
    EXPECT_EQ(first_difference(used.beta, p.beta), -1);
    EXPECT_EQ(first_difference(out.moments, moments), -1);
  }
}

// unsloth#10617, quack#88: a dy with stride 0 or another stride is read as if it were contiguous.
TYPED_TEST(KnownBugs, StridedGradientIsReadAsContiguous) {
  using T = TypeParam;
  const Index rows = 4, hidden = 10;
  Problem<T> p = make_problem<T>(rows, hidden, {{Family::normal, 1, 0}}, Parameters::gamma, T(1e-5), 11);
  for (std::size_t i = size(hidden); i < p.dy.size(); ++i) p.dy[i] = p.dy[i - size(hidden)];
  for (Norm norm : oracle::norms) {
    const std::vector<RowMoments<T>> moments = run_forward(norm, p).moments;
    const Backward<T> expected = run_backward(norm, p, moments);
    for (Index outer : {Index(0), hidden + 7}) {
      const Layout<T> layout{p.shape(), outer, 1};
      const std::vector<T> dy = layout.spread(p.dy);
      std::vector<T> dx(p.x.size(), nan_of<T>), dgamma(size(hidden), nan_of<T>);
      backward(norm, p.shape(), layout.of(dy), packed(p.shape(), p.x.data()), p.gamma.data(), moments.data(),
               packed(p.shape(), dx.data()), dgamma.data(), nullptr);
      EXPECT_EQ(first_difference(dx, expected.dx), -1);
      EXPECT_EQ(first_difference(dgamma, expected.dgamma), -1);
    }
  }
}

// tensorflow#46366: an empty batch crashes, or leaves the gradients as they were.
TYPED_TEST(KnownBugs, EmptyBatch) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    Problem<T> p;
    p.hidden = 8;
    p.x.reserve(1);
    const Forward<T> out = run_forward(norm, p);
    const Backward<T> gradients = run_backward(norm, p, out.moments);
    for (T value : gradients.dgamma) EXPECT_EQ(value, T(0));
    for (T value : gradients.dbeta) EXPECT_EQ(value, T(0));
  }
}

// mlx#4312: a negative epsilon is accepted and gives NaN.
TYPED_TEST(KnownBugs, NegativeEpsilonIsAccepted) {
  using T = TypeParam;
  EXPECT_THROW(this->layer_norm({T(1), T(2)}, 2, T(-1e-5)), std::invalid_argument);
}

// trueno#178: dgamma is never written; Megatron-LM#6859: gamma is applied twice. Both are hidden where gamma
// is 1 or dgamma starts at 0.
TYPED_TEST(KnownBugs, GradientOfGammaIsNotWrittenOrGammaAppliedTwice) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    Problem<T> p = make_problem<T>(6, 12, {{Family::normal, 1, 0}}, Parameters::gamma, T(1e-5), 12);
    const std::vector<RowMoments<T>> moments = run_forward(norm, p).moments;
    const Backward<T> first = run_backward(norm, p, moments);
    for (T& value : p.gamma) value *= T(4);
    const Forward<T> four = run_forward(norm, p);
    const Backward<T> second = run_backward(norm, p, moments);
    EXPECT_EQ(first_difference(first.dgamma, second.dgamma), -1) << "dgamma does not hold gamma";
    for (T value : first.dgamma) EXPECT_TRUE(std::isfinite(value));
    for (std::size_t i = 0; i < p.x.size(); ++i)
      EXPECT_EQ(second.dx[i], 4 * first.dx[i]) << "dx holds it once";
    p.gamma.clear();
    const Forward<T> plain = run_forward(norm, p);
    EXPECT_EQ(first_difference(four.moments, plain.moments), -1) << "the moments do not hold gamma";
  }
}

// tt-mlir#8561: rows of mean 0 and variance 1 hide a norm that does nothing. ncnn#6903: an approximate
// reciprocal root, good to three digits.
TYPED_TEST(KnownBugs, HiddenByUnitVarianceOrApproximateRoot) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    Problem<T> p;
    p.rows = 1;
    p.hidden = 4;
    p.epsilon = T(0);
    p.x = {T(3), T(-3), T(3), T(-3)};
    for (T y : run_forward(norm, p).y) EXPECT_EQ(std::abs(y), T(1));  // exactly: 9 has an exact root
    p.epsilon = T(7);
    for (T y : run_forward(norm, p).y) EXPECT_EQ(std::abs(y), T(0.75));
    const Problem<T> q = make_problem<T>(40, 24, {{Family::normal, 3, 5}, {Family::normal, 0, -7}},
                                         Parameters::none, T(0), 13);
    check_forward_rows(norm, q, run_forward(norm, q).y, "not of unit variance");
  }
}

// vllm#49603: a mode that promises results independent of the batch was compared with itself. Here a batch is
// compared with a scalar model of one row, which knows nothing of batches: equal rows must be equal wherever
// they stand.
TYPED_TEST(KnownBugs, BatchInvarianceComparedWithItself) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    const Index hidden = 96;
    Problem<T> one = make_problem<T>(1, hidden, {{Family::normal, 10, 0}}, Parameters::both, T(1e-5), 14);
    const std::vector<T> alone = run_forward(norm, one).y;
    check_forward_rows(norm, one, alone, "one row");
    for (Index rows : {2, 3, 8, 255, 256, 257, 1025}) {
      Problem<T> batch = one;
      batch.rows = rows;
      batch.x.clear();
      for (Index r = 0; r < rows; ++r) batch.x.insert(batch.x.end(), one.x.begin(), one.x.end());
      const std::vector<T> y = run_forward(norm, batch).y;
      for (Index r = 0; r < rows; ++r) {
        ASSERT_EQ(first_difference(y.data() + r * hidden, alone.data(), hidden), -1)
            << "row " << r << " of " << rows;
      }
    }
  }
}

}  // namespace
