// Operands with strides: rows of a wider matrix, and rows that lie side by side (a normalized axis that is
// not contiguous). The rows' bits are those of contiguous rows, and nothing between the rows is written.
#include <simdnorm/storage.hpp>

#include <gtest/gtest.h>

#include "support/accuracy.hpp"

namespace {

using namespace support;
using simdnorm::Index;

std::vector<RowKind> mixed_kinds() {
  return {{Family::normal, 0, 0},   {Family::uniform, 1e3, 2}, {Family::outlier_first, 10, -3},
          {Family::ramp, 1e6, 0},   {Family::constant, 0, 1},  {Family::plus_minus_c, 0, 4},
          {Family::normal, 1e7, -4}};
}

template <class T> struct StridedRows : testing::Test {};
using Elements = testing::Types<float, double>;
TYPED_TEST_SUITE(StridedRows, Elements);

template <class T> struct StridedOutputs {
  std::vector<T> y, dx, dgamma, dbeta;  // y and dx gathered into (rows, hidden)
};

// Each operand in a layout of its own.
template <class T>
StridedOutputs<T> run_strided(Norm norm, const Problem<T>& p, const Layout<T>& of_x, const Layout<T>& of_y,
                              const Layout<T>& of_dy, const Layout<T>& of_dx) {
  const RowShape shape = of_x.shape;
  const std::vector<T> x = of_x.spread(p.x), dy = of_dy.spread(p.dy);
  const std::vector<T> empty(p.x.size(), nan_of<T>);
  std::vector<T> y = of_y.spread(empty), dx = of_dx.spread(empty);
  const T nan = nan_of<T>;
  std::vector<RowMoments<T>> moments(size(p.rows), {nan, nan, nan, nan});
  forward(norm, shape, of_x.of(x), or_null(p.gamma), norm == Norm::layer ? or_null(p.beta) : nullptr,
          p.epsilon, of_y.of(y), moments.data());
  StridedOutputs<T> out{{}, {}, std::vector<T>(size(p.hidden), nan), {}};
  if (norm == Norm::layer) out.dbeta.assign(size(p.hidden), nan);
  backward(norm, shape, of_dy.of(dy), of_x.of(x), or_null(p.gamma), moments.data(), of_dx.of(dx),
           out.dgamma.data(), norm == Norm::layer ? out.dbeta.data() : nullptr);
  EXPECT_TRUE(of_y.gaps_untouched(y));
  EXPECT_TRUE(of_dx.gaps_untouched(dx));
  EXPECT_EQ(first_difference(moments, run_forward(norm, p).moments), -1) << "moments";
  out.y = of_y.gather(y);
  out.dx = of_dx.gather(dx);
  return out;
}

template <class T>
void check_strided(Norm norm, const Problem<T>& p, const Layout<T>& of_x, const Layout<T>& of_y,
                   const Layout<T>& of_dy, const Layout<T>& of_dx, const std::string& what) {
  SCOPED_TRACE(what + ", " + oracle::name(norm) + ", rows " + std::to_string(p.rows) +
               " of which side by side " + std::to_string(of_x.shape.after) + ", hidden " +
               std::to_string(p.hidden));
  const Forward<T> flat = run_forward(norm, p);
  const Backward<T> flat_gradients = run_backward(norm, p, flat.moments);
  const StridedOutputs<T> out = run_strided(norm, p, of_x, of_y, of_dy, of_dx);
  ASSERT_EQ(first_difference(out.y, flat.y), -1) << "y";
  ASSERT_EQ(first_difference(out.dx, flat_gradients.dx), -1) << "dx";
  // dgamma and dbeta may be summed in another order: each under its own bound.
  const auto exact = oracle::parameter_gradients(norm, p.dy.data(), p.x.data(), p.epsilon, p.rows, p.hidden);
  ASSERT_LE(parameter_error(Gradient::dgamma, exact, out.dgamma.data()).ratio, 1);
  if (norm == Norm::layer) {
    ASSERT_LE(parameter_error(Gradient::dbeta, exact, out.dbeta.data()).ratio, 1);
  }
}

TYPED_TEST(StridedRows, SideBySideRowsHaveTheBitsOfContiguousOnes) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    for (Index after : {2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 70, 130}) {
      for (Index before : {1, 3}) {
        for (Index hidden : {1, 2, 5, 16, 17, 63, 64, 65, 100}) {
          const Problem<T> p = make_problem<T>(before * after, hidden, mixed_kinds(), Parameters::both,
                                               T(1e-5), static_cast<std::uint64_t>(after * 1000 + hidden));
          const Layout<T> packed_layout{{before * after, hidden, after}, hidden * after, after};
          check_strided(norm, p, packed_layout, packed_layout, packed_layout, packed_layout, "packed");
          if (this->HasFatalFailure()) return;
        }
      }
    }
  }
}

TYPED_TEST(StridedRows, SideBySideRowsWithLongColumns) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    for (Index hidden : {511, 512, 513, 1000, 1100}) {
      const Index after = 19;
      const Problem<T> p = make_problem<T>(2 * after, hidden, mixed_kinds(), Parameters::both, T(0), 7);
      const Layout<T> layout{{2 * after, hidden, after}, hidden * after, after};
      check_strided(norm, p, layout, layout, layout, layout, "long");
      if (this->HasFatalFailure()) return;
    }
  }
}

TYPED_TEST(StridedRows, EveryOperandHasItsOwnStrides) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    for (Index after : {1, 2, 7, 20}) {
      for (Index hidden : {1, 3, 16, 33}) {
        const RowShape shape{4 * after, hidden, after};
        const Problem<T> p = make_problem<T>(shape.rows, hidden, mixed_kinds(), Parameters::both, T(1e-5),
                                             static_cast<std::uint64_t>(hidden));
        const Layout<T> of_x{shape, hidden * (after + 3) + 5, after + 3}, of_y{shape, hidden * after, after};
        const Layout<T> of_dy{shape, hidden * (after + 1), after + 1},
            of_dx{shape, hidden * (after + 8) + 1, after + 8};
        check_strided(norm, p, of_x, of_y, of_dy, of_dx, "gaps everywhere");
        if (this->HasFatalFailure()) return;
      }
    }
  }
}

TYPED_TEST(StridedRows, SlicesOfAWiderMatrixStayContiguous) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    for (Index rows : {1, 2, 9}) {
      for (Index hidden : {1, 5, 64, 129}) {
        const RowShape shape{rows, hidden};
        const Problem<T> p = make_problem<T>(rows, hidden, mixed_kinds(), Parameters::both, T(1e-5), 8);
        const Layout<T> wide{shape, 2 * hidden + 3, 1}, flat{shape, hidden, 1};
        check_strided(norm, p, wide, flat, wide, wide, "x, dy and dx in wider matrices");
        check_strided(norm, p, flat, wide, wide, flat, "y and dy in wider matrices");
        if (this->HasFatalFailure()) return;
      }
    }
  }
}

// Some operands side by side and others not: x of a transposed matrix to y of a plain one, for a single row of
// columns. Each of them alone, too.
TYPED_TEST(StridedRows, ColumnsAndRowsMix) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    for (Index rows : {1, 2, 9}) {
      for (Index hidden : {1, 4, 31}) {
        const RowShape shape{rows, hidden};
        const Problem<T> p = make_problem<T>(rows, hidden, mixed_kinds(), Parameters::both, T(1e-5), 9);
        for (Index column : {2, 3}) {
          const Layout<T> flat{shape, hidden, 1}, spaced{shape, column * hidden, column};
          check_strided(norm, p, spaced, flat, flat, spaced, "x and dx spaced");
          check_strided(norm, p, flat, spaced, spaced, flat, "y and dy spaced");
          check_strided(norm, p, spaced, flat, flat, flat, "x spaced");
          check_strided(norm, p, flat, spaced, flat, flat, "y spaced");
          check_strided(norm, p, flat, flat, spaced, flat, "dy spaced");
          check_strided(norm, p, flat, flat, flat, spaced, "dx spaced");
        }
        if (this->HasFatalFailure()) return;
      }
    }
  }
}

// Of one row the outer stride leads nowhere, whatever it is.
TYPED_TEST(StridedRows, OneRowOfColumns) {
  using T = TypeParam;
  const Index hidden = 31;
  for (Norm norm : oracle::norms) {
    const Problem<T> p = make_problem<T>(1, hidden, mixed_kinds(), Parameters::both, T(1e-5), 10);
    for (Index outer : {0, 1, 2, 500}) {
      const Layout<T> flat{{1, hidden}, outer, 1}, spaced{{1, hidden}, outer, 2};
      const std::string what = "outer " + std::to_string(outer);
      check_strided(norm, p, spaced, flat, spaced, flat, what + ", inputs spaced");
      check_strided(norm, p, flat, spaced, flat, spaced, what + ", outputs spaced");
    }
  }
}

// Of one column the column stride leads nowhere, whatever it is: rows side by side stay that.
TYPED_TEST(StridedRows, OneColumnOfRowsSideBySide) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    const Problem<T> p = make_problem<T>(6, 1, mixed_kinds(), Parameters::both, T(1e-5), 11);
    for (Index column : {0, 1, 500}) {
      const Layout<T> pairs{{6, 1, 2}, 5, column};
      check_strided(norm, p, pairs, pairs, pairs, pairs, "column " + std::to_string(column));
    }
  }
}

// dy and x are only read: all their rows may be one row (a broadcast, with outer 0), or overlap.
TYPED_TEST(StridedRows, InputsMayBeBroadcast) {
  using T = TypeParam;
  const Index rows = 5, hidden = 21;
  for (Norm norm : oracle::norms) {
    Problem<T> p = make_problem<T>(rows, hidden, {{Family::normal, 2, 0}}, Parameters::both, T(1e-5), 10);
    for (Index r = 1; r < rows; ++r) {
      std::copy_n(p.x.begin(), hidden, p.x.begin() + r * hidden);
      std::copy_n(p.dy.begin(), hidden, p.dy.begin() + r * hidden);
    }
    const RowShape shape{rows, hidden};
    const Layout<T> one{shape, 0, 1}, flat{shape, hidden, 1};
    const Forward<T> expected = run_forward(norm, p);
    std::vector<T> y(p.x.size(), nan_of<T>), dx(p.x.size(), nan_of<T>);
    forward(norm, shape, one.of(std::as_const(p.x)), or_null(p.gamma),
            norm == Norm::layer ? or_null(p.beta) : nullptr, p.epsilon, flat.of(y));
    EXPECT_EQ(first_difference(y, expected.y), -1);
    backward(norm, shape, one.of(std::as_const(p.dy)), one.of(std::as_const(p.x)), or_null(p.gamma),
             expected.moments.data(), flat.of(dx), nullptr, nullptr);
    EXPECT_EQ(first_difference(dx, run_backward(norm, p, expected.moments).dx), -1);
  }
}

TYPED_TEST(StridedRows, PackedFillsTheStridesOfAShape) {
  TypeParam data[24];
  const auto plain = simdnorm::packed({4, 6}, data);
  EXPECT_EQ(plain.data, data);
  EXPECT_EQ(plain.outer, 6);
  EXPECT_EQ(plain.column, 1);
  const auto beside = simdnorm::packed({4, 6, 2}, data);
  EXPECT_EQ(beside.outer, 12);
  EXPECT_EQ(beside.column, 2);
}

// Of rows of one column, the column's stride leads nowhere: 1 does not make of rows side by side rows by themselves.
TYPED_TEST(StridedRows, OfOneColumnLieSideBySideWhateverItsStride) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    const Problem<T> p = make_problem<T>(12, 1, mixed_kinds(), Parameters::both, T(0.5), 3);
    for (Index column : {1, 4, 100}) {
      const Layout<T> layout{{12, 1, 4}, 7, column};
      check_strided(norm, p, layout, layout, layout, layout, "of one column");
    }
  }
}

}  // namespace
