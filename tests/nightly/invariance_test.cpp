// The bits of a row do not depend on the number of rows: every number up to 1025, and those around each change
// of path in the kernels, against each row computed alone.
#include <simdnorm/cache.hpp>

#include "support/accuracy.hpp"

namespace {

using namespace support;
using simdnorm::Index;

template <class T> struct InvarianceSweep : testing::Test {};
using Elements = testing::Types<float, double>;
TYPED_TEST_SUITE(InvarianceSweep, Elements);

// The first `rows` rows of a problem give what each of them gives alone.
template <class T> class Alone {
 public:
  Alone(Norm norm, Index rows, Index hidden) : norm_(norm), p_(every_path<T>(rows, hidden, 2)) {
    moments_.resize(size(rows));
    y_.resize(p_.x.size());
    dx_.resize(p_.x.size());
    for (Index r = 0; r < rows; ++r) run({1, hidden}, r * hidden, moments_.data() + r, y_, dx_);
  }
  void check(Index rows) const {
    std::vector<T> y(size(rows * p_.hidden), nan_of<T>), dx(y.size(), nan_of<T>);
    std::vector<RowMoments<T>> moments(size(rows));
    run({rows, p_.hidden}, 0, moments.data(), y, dx);
    const auto count = static_cast<Index>(y.size());
    ASSERT_EQ(first_difference(y.data(), y_.data(), count), -1) << rows << " rows, hidden " << p_.hidden;
    ASSERT_EQ(first_difference(dx.data(), dx_.data(), count), -1) << rows << " rows, hidden " << p_.hidden;
  }

 private:
  void run(RowShape shape, Index first, RowMoments<T>* moments, std::vector<T>& y, std::vector<T>& dx) const {
    const T* beta = norm_ == Norm::layer ? p_.beta.data() : nullptr;
    forward(norm_, shape, packed(shape, p_.x.data() + first), p_.gamma.data(), beta, p_.epsilon,
            packed(shape, y.data() + first), moments);
    backward(norm_, shape, packed(shape, p_.dy.data() + first), packed(shape, p_.x.data() + first),
             p_.gamma.data(), moments, packed(shape, dx.data() + first), nullptr, nullptr);
  }

  Norm norm_;
  Problem<T> p_;
  std::vector<RowMoments<T>> moments_;
  std::vector<T> y_, dx_;
};

TYPED_TEST(InvarianceSweep, EveryNumberOfRows) {
  for (Norm norm : oracle::norms) {
    for (Index hidden : {1, 5, 16, 63, 64, 65, 128, 200}) {
      const Alone<TypeParam> alone(norm, 1025, hidden);
      for (Index rows = 1; rows <= 1025; ++rows) alone.check(rows);
    }
  }
}

// Blocks of 8, 4 or 2 rows, by the bytes of a row: changes at 1536 and 65536 bytes; chains of 512 columns.
TYPED_TEST(InvarianceSweep, HiddenSizesWherePathsChange) {
  const Index elements = static_cast<Index>(sizeof(TypeParam));
  for (Norm norm : oracle::norms) {
    for (Index hidden : {Index(511), Index(512), Index(513), 1536 / elements, 65536 / elements}) {
      for (Index near : {hidden - 1, hidden, hidden + 1}) {
        const Alone<TypeParam> alone(norm, 19, near);
        for (Index rows = 1; rows <= 19; ++rows) alone.check(rows);
      }
    }
  }
}

// Rows are written past the caches where those that are read and written take more than the threshold.
TYPED_TEST(InvarianceSweep, NumbersOfRowsWherePathsChange) {
  for (Norm norm : oracle::norms) {
    for (Index hidden : {128, 256, 1000}) {
      const Index rows = simdnorm::streaming_threshold() / 2 / static_cast<Index>(sizeof(TypeParam)) / hidden;
      const Alone<TypeParam> alone(norm, rows + 2, hidden);
      for (Index near = rows - 1; near <= rows + 2; ++near) alone.check(near);
    }
  }
}

}  // namespace
