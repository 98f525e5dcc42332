// Rows that are fetched ahead and written past the caches have the bits of rows that are not, wherever they lie.
#include <gtest/gtest.h>

#include "support/accuracy.hpp"
#include "support/streaming.hpp"

namespace {

using namespace support;
using simdnorm::Index;

template <class T> struct Outputs {
  std::vector<T> y, dx, dgamma, dbeta;
  std::vector<RowMoments<T>> moments;
};

// Both operators on rows that begin `offset` elements after a cache line and lie `gap` apart; what is between them stays
// as it was.
template <class T>
Outputs<T> run(Norm norm, const Problem<T>& p, Index offset, Index gap, Streaming streaming,
               const Executor& executor) {
  const Layout<T> layout{p.shape(), p.hidden + gap, 1};
  constexpr Index line = 64 / static_cast<Index>(sizeof(T));
  std::vector<T> memory[2];
  Strided<T> rows[2];
  for (int i = 0; i < 2; ++i) {
    memory[i].assign(size(layout.extent() + line + 16), nan_of<T>);
    const auto past_a_line =
        static_cast<Index>(reinterpret_cast<std::uintptr_t>(memory[i].data()) / sizeof(T)) % line;
    rows[i] = {memory[i].data() + (line - past_a_line) + offset, layout.outer, 1};
  }
  Outputs<T> out;
  out.dgamma.assign(size(p.hidden), nan_of<T>);
  if (norm == Norm::layer) out.dbeta = out.dgamma;
  out.moments.resize(size(p.rows));
  const WithStreaming scope(streaming);
  forward(norm, p.shape(), packed(p.shape(), p.x.data()), or_null(p.gamma),
          norm == Norm::layer ? or_null(p.beta) : nullptr, p.epsilon, rows[0], out.moments.data(), executor);
  backward(norm, p.shape(), packed(p.shape(), p.dy.data()), packed(p.shape(), p.x.data()), or_null(p.gamma),
           out.moments.data(), rows[1], out.dgamma.data(), norm == Norm::layer ? out.dbeta.data() : nullptr,
           {}, executor);
  for (int i = 0; i < 2; ++i) {
    const T* first = memory[i].data();
    const std::vector<T> before(first, static_cast<const T*>(rows[i].data));
    const std::vector<T> from(rows[i].data, rows[i].data + layout.extent());
    const std::vector<T> behind(static_cast<const T*>(rows[i].data) + layout.extent(),
                                first + memory[i].size());
    for (const std::vector<T>& around : {before, behind})
      EXPECT_EQ(first_difference(around, std::vector<T>(around.size(), nan_of<T>)), -1) << "beside the rows";
    EXPECT_TRUE(layout.gaps_untouched(from));
    (i == 0 ? out.y : out.dx) = layout.gather(from);
  }
  return out;
}

template <class T> struct Streams : testing::Test {};
using Elements = testing::Types<float, double>;
TYPED_TEST_SUITE(Streams, Elements);

TYPED_TEST(Streams, HaveTheBitsOfStores) {
  using T = TypeParam;
  const Executor backwards = Backwards{};
  for (Norm norm : oracle::norms) {
    for (Index hidden : {60, 96, 127, 128, 129, 143, 144, 192, 200, 255, 256, 768, 1000, 1027}) {
      for (Index rows : {1, 2, 7, 24}) {
        const Problem<T> p = every_path<T>(rows, hidden, 1);
        const Outputs<T> expected = run(norm, p, 0, 0, Streaming::never, serial);
        for (Index offset : {0, 1, 7, 8, 15}) {
          for (Index gap : {0, 1, 16}) {
            const Outputs<T> out =
                run(norm, p, offset, gap, Streaming::always, offset == 7 ? backwards : serial);
            SCOPED_TRACE(std::string(oracle::name(norm)) + " " + std::to_string(rows) + "x" +
                         std::to_string(hidden) + " offset " + std::to_string(offset) + " gap " +
                         std::to_string(gap));
            ASSERT_EQ(first_difference(out.y, expected.y), -1);
            ASSERT_EQ(first_difference(out.moments, expected.moments), -1);
            ASSERT_EQ(first_difference(out.dx, expected.dx), -1);
            ASSERT_EQ(first_difference(out.dgamma, expected.dgamma), -1);
            ASSERT_EQ(first_difference(out.dbeta, expected.dbeta), -1);
          }
        }
      }
    }
  }
}

// Rows that are fetched as they are measured, and a row that is measured again.
TYPED_TEST(Streams, OfLongRowsToo) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    for (Index hidden : {3072, 4099, 16385}) {
      const Problem<T> p = every_path<T>(11, hidden, 1);
      const Outputs<T> expected = run(norm, p, 0, 0, Streaming::never, serial);
      const Outputs<T> out = run(norm, p, 3, 0, Streaming::always, serial);
      SCOPED_TRACE(std::string(oracle::name(norm)) + " " + std::to_string(hidden));
      ASSERT_EQ(first_difference(out.y, expected.y), -1);
      ASSERT_EQ(first_difference(out.moments, expected.moments), -1);
      ASSERT_EQ(first_difference(out.dx, expected.dx), -1);
    }
  }
}

TYPED_TEST(Streams, InPlaceToo) {
  using T = TypeParam;
  for (Norm norm : oracle::norms) {
    const Problem<T> p = every_path<T>(24, 384, 1);
    const Forward<T> expected = run_forward(norm, p);
    const Backward<T> gradients = run_backward(norm, p, expected.moments);
    const WithStreaming scope(Streaming::always);
    std::vector<T> y = p.x, dx = p.dy;
    forward(norm, p.shape(), packed(p.shape(), y.data()), or_null(p.gamma),
            norm == Norm::layer ? or_null(p.beta) : nullptr, p.epsilon, packed(p.shape(), y.data()));
    EXPECT_EQ(first_difference(y, expected.y), -1);
    backward(norm, p.shape(), packed(p.shape(), dx.data()), packed(p.shape(), p.x.data()), or_null(p.gamma),
             expected.moments.data(), packed(p.shape(), dx.data()), nullptr, nullptr);
    EXPECT_EQ(first_difference(dx, gradients.dx), -1);
  }
}

}  // namespace
