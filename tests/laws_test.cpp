// Laws that hold bit for bit: in place == out of place; a row's result does not know its neighbours, its
// position, its alignment, the order of tasks or the number of threads. (pointers == functors == customOp:
// eigen/laws_test.cpp.)
#include <simdnorm/storage.hpp>

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "support/accuracy.hpp"

namespace {

using namespace support;
using simdnorm::Index;

template <class T> struct Laws : testing::Test {};
using Elements = testing::Types<float, double>;
TYPED_TEST_SUITE(Laws, Elements);

TYPED_TEST(Laws, InPlaceEqualsOutOfPlace) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    for (Index after : {1, 3, 22}) {
      for (Index hidden : {1, 2, 7, 16, 33, 64, 130, 1000}) {
        SCOPED_TRACE(std::string(oracle::name(norm)) + " after " + std::to_string(after) + " hidden " +
                     std::to_string(hidden));
        const Problem<T> p = every_path<T>(22 * after, hidden, 1);
        const RowShape shape{p.rows, hidden, after};
        const T* beta = norm == Norm::layer ? p.beta.data() : nullptr;
        std::vector<T> y(p.x.size(), nan_of<T>), dx(p.x.size(), nan_of<T>);
        std::vector<RowMoments<T>> moments(size(p.rows));
        forward(norm, shape, packed(shape, p.x.data()), p.gamma.data(), beta, p.epsilon,
                packed(shape, y.data()), moments.data());
        std::vector<T> in_place = p.x;
        forward(norm, shape, packed(shape, in_place.data()), p.gamma.data(), beta, p.epsilon,
                packed(shape, in_place.data()));
        EXPECT_EQ(first_difference(y, in_place), -1) << "y on x";

        std::vector<T> dgamma[3], dbeta[3];
        std::vector<T> on_dy = p.dy, on_x = p.x;
        const T* dys[] = {p.dy.data(), on_dy.data(), p.dy.data()};
        const T* xs[] = {p.x.data(), p.x.data(), on_x.data()};
        T* dxs[] = {dx.data(), on_dy.data(), on_x.data()};
        for (int i = 0; i < 3; ++i) {
          dgamma[i].assign(size(hidden), nan_of<T>);
          dbeta[i].assign(size(hidden), nan_of<T>);
          backward(norm, shape, packed(shape, dys[i]), packed(shape, xs[i]), p.gamma.data(), moments.data(),
                   packed(shape, dxs[i]), dgamma[i].data(), norm == Norm::layer ? dbeta[i].data() : nullptr);
        }
        EXPECT_EQ(first_difference(dx, on_dy), -1) << "dx on dy";
        EXPECT_EQ(first_difference(dx, on_x), -1) << "dx on x";
        for (int i = 1; i < 3; ++i) {
          EXPECT_EQ(first_difference(dgamma[0], dgamma[i]), -1) << "dgamma " << i;
          EXPECT_EQ(first_difference(dbeta[0], dbeta[i]), -1) << "dbeta " << i;
        }
      }
    }
  }
}

// The first `rows` rows of a larger problem, for every number of rows: each must come out as it does alone.
TYPED_TEST(Laws, ARowDoesNotKnowTheNumberOfRowsOrItsPosition) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    for (Index hidden : {1, 5, 24, 64, 65, 128, 200}) {
      const Problem<T> p = every_path<T>(70, hidden, 2);
      std::vector<T> y, dx;  // row by row
      for (Index r = 0; r < p.rows; ++r) {
        Problem<T> one = p;
        one.rows = 1;
        one.x.assign(p.row(r), p.row(r) + hidden);
        one.dy.assign(p.dy_row(r), p.dy_row(r) + hidden);
        const Forward<T> out = run_forward(norm, one);
        const Backward<T> gradients = run_backward(norm, one, out.moments);
        y.insert(y.end(), out.y.begin(), out.y.end());
        dx.insert(dx.end(), gradients.dx.begin(), gradients.dx.end());
      }
      for (Index rows = 1; rows <= p.rows; ++rows) {
        Problem<T> first = p;
        first.rows = rows;
        first.x.resize(size(rows * hidden));
        first.dy.resize(first.x.size());
        const Forward<T> out = run_forward(norm, first);
        const Backward<T> gradients = run_backward(norm, first, out.moments);
        ASSERT_EQ(first_difference(out.y.data(), y.data(), rows * hidden), -1)
            << "rows " << rows << " hidden " << hidden;
        ASSERT_EQ(first_difference(gradients.dx.data(), dx.data(), rows * hidden), -1)
            << "rows " << rows << " hidden " << hidden;
      }
    }
  }
}

TYPED_TEST(Laws, RowsPermute) {
  using T = TypeParam;
  const Index rows = 57, hidden = 77;
  for (Norm norm : oracle::norms) {
    const Problem<T> p = every_path<T>(rows, hidden, 3);
    std::vector<Index> order(size(rows));
    std::iota(order.begin(), order.end(), Index(0));
    Random random(4);
    for (Index i = rows - 1; i > 0; --i) std::swap(order[size(i)], order[size(random.below(i + 1))]);
    Problem<T> q = p;
    for (Index r = 0; r < rows; ++r) {
      std::copy_n(p.row(order[size(r)]), hidden, q.x.begin() + r * hidden);
      std::copy_n(p.dy_row(order[size(r)]), hidden, q.dy.begin() + r * hidden);
    }
    const Forward<T> a = run_forward(norm, p), b = run_forward(norm, q);
    const Backward<T> da = run_backward(norm, p, a.moments), db = run_backward(norm, q, b.moments);
    for (Index r = 0; r < rows; ++r) {
      const Index s = order[size(r)] * hidden;
      EXPECT_EQ(first_difference(b.y.data() + r * hidden, a.y.data() + s, hidden), -1) << "row " << r;
      EXPECT_EQ(first_difference(db.dx.data() + r * hidden, da.dx.data() + s, hidden), -1) << "row " << r;
    }
  }
}

// At epsilon 0 a power of two goes through: y(2^k x) == y(x), for all x and 2^k x that are normal numbers
// with normal squares or not, and rstd and dx are divided by it.
TYPED_TEST(Laws, PowersOfTwoGoThroughAtEpsilonZero) {
  using T = TypeParam;
  const int reach = sizeof(T) == 4 ? 99 : 980;
  for (Norm norm : oracle::norms) {
    for (Index hidden : {2, 17, 64, 100, 1000}) {
      Problem<T> p = make_problem<T>(
          9, hidden, {{Family::normal, 0, 0}, {Family::uniform, 100, 0}, {Family::outliers, 0, -4}},
          Parameters::both, T(0), 5);
      const std::vector<T> y = run_forward(norm, p).y, x = p.x;
      for (int k = -reach; k <= reach; k += sizeof(T) == 4 ? 11 : 98) {
        for (std::size_t i = 0; i < x.size(); ++i) {
          p.x[i] = std::ldexp(x[i], k);
          if (std::ldexp(p.x[i], -k) != x[i])
            p.x[i] = 0, ADD_FAILURE() << "the test's own scaling is not exact";
        }
        ASSERT_EQ(first_difference(run_forward(norm, p).y, y), -1)
            << oracle::name(norm) << " hidden " << hidden << " 2^" << k;
      }
    }
  }
}

// All offsets of each operand from a cache line, against one another: no result depends on alignment.
TYPED_TEST(Laws, AlignmentDoesNotMatter) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    for (Index hidden : {3, 16, 50, 131}) {
      const Problem<T> p = every_path<T>(11, hidden, 6);
      const Forward<T> expected = run_forward(norm, p);
      const Backward<T> gradients = run_backward(norm, p, expected.moments);
      for (Index offset = 0; offset < 16; ++offset) {
        // Each operand is off by another number of elements.
        const auto shifted = [&](const std::vector<T>& values, Index by) {
          std::vector<T> out(size(by), nan_of<T>);
          out.insert(out.end(), values.begin(), values.end());
          return out;
        };
        const std::vector<T> x = shifted(p.x, offset), dy = shifted(p.dy, (offset * 3) % 16);
        const std::vector<T> gamma = shifted(p.gamma, (offset * 5) % 16),
                             beta = shifted(p.beta, (offset * 7) % 16);
        std::vector<T> y(p.x.size() + 16), dx(p.x.size() + 16), dgamma(size(hidden + 16)),
            dbeta(size(hidden + 16));
        T* y_first = y.data() + (offset * 11) % 16;
        T* dx_first = dx.data() + (offset * 13) % 16;
        const Index g = (offset * 5) % 16, b = (offset * 7) % 16, d = (offset * 3) % 16;
        forward(norm, p.shape(), packed(p.shape(), x.data() + offset), gamma.data() + g,
                norm == Norm::layer ? beta.data() + b : nullptr, p.epsilon, packed(p.shape(), y_first));
        backward(norm, p.shape(), packed(p.shape(), dy.data() + d), packed(p.shape(), x.data() + offset),
                 gamma.data() + g, expected.moments.data(), packed(p.shape(), dx_first), dgamma.data() + b,
                 norm == Norm::layer ? dbeta.data() + g : nullptr);
        const Index count = p.rows * hidden;
        EXPECT_EQ(first_difference(y_first, expected.y.data(), count), -1) << "offset " << offset;
        EXPECT_EQ(first_difference(dx_first, gradients.dx.data(), count), -1) << "offset " << offset;
        EXPECT_EQ(first_difference(dgamma.data() + b, gradients.dgamma.data(), hidden), -1)
            << "offset " << offset;
        if (norm == Norm::layer) {
          EXPECT_EQ(first_difference(dbeta.data() + g, gradients.dbeta.data(), hidden), -1)
              << "offset " << offset;
        }
      }
    }
  }
}

TYPED_TEST(Laws, AnyNumberOfThreadsAndAnyOrderOfTasks) {
  using T = TypeParam;
  const Index shapes[][3] = {{1, 64, 1},   {3, 1000, 1},  {64, 768, 1},  {1000, 64, 1}, {257, 1023, 1},
                             {4000, 5, 1}, {96, 300, 32}, {256, 64, 64}, {300, 40, 300}};
  for (Norm norm : oracle::norms) {
    for (const auto& s : shapes) {
      const RowShape shape{s[0], s[1], s[2]};
      SCOPED_TRACE(std::string(oracle::name(norm)) + " rows " + std::to_string(s[0]) + " hidden " +
                   std::to_string(s[1]) + " after " + std::to_string(s[2]));
      const Problem<T> p = every_path<T>(shape.rows, shape.hidden, 7);
      struct Outputs {
        std::vector<T> y, dx, dgamma, dbeta;
        std::vector<RowMoments<T>> moments;
      };
      const auto run = [&](const Executor& executor) {
        const T nan = nan_of<T>;
        Outputs out{std::vector<T>(p.x.size(), nan), std::vector<T>(p.x.size(), nan),
                    std::vector<T>(size(shape.hidden), nan), std::vector<T>(size(shape.hidden), nan),
                    std::vector<RowMoments<T>>(size(shape.rows))};
        const bool layer = norm == Norm::layer;
        forward(norm, shape, packed(shape, p.x.data()), p.gamma.data(), layer ? p.beta.data() : nullptr,
                p.epsilon, packed(shape, out.y.data()), out.moments.data(), executor);
        backward(norm, shape, packed(shape, p.dy.data()), packed(shape, p.x.data()), p.gamma.data(),
                 out.moments.data(), packed(shape, out.dx.data()), out.dgamma.data(),
                 layer ? out.dbeta.data() : nullptr, {}, executor);
        return out;
      };
      const Outputs expected = run(serial);
      const auto same = [&](const Outputs& out, const std::string& who) {
        EXPECT_EQ(first_difference(out.y, expected.y), -1) << who << ": y";
        EXPECT_EQ(first_difference(out.moments, expected.moments), -1) << who << ": moments";
        EXPECT_EQ(first_difference(out.dx, expected.dx), -1) << who << ": dx";
        EXPECT_EQ(first_difference(out.dgamma, expected.dgamma), -1) << who << ": dgamma";
        EXPECT_EQ(first_difference(out.dbeta, expected.dbeta), -1) << who << ": dbeta";
      };
      same(run(Backwards{}), "last task first");
      for (int threads : {2, 3, 16}) same(run(Threads{threads}), std::to_string(threads) + " threads");
    }
  }
}

}  // namespace
