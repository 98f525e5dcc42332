// A storage type of the user's own: one load and one store are all that forward and backward ask for.
#include "support/streaming.hpp"
#include "support/types.hpp"

namespace own {

// Whole numbers of 1/4096 in three bytes, least first.
struct Fixed24 {
  std::uint8_t bytes[3];
};

// A float in eight bytes.
struct Wide {
  float number;
  std::uint32_t none;
};

}  // namespace own

template <> struct simdnorm::simd::Storage<own::Fixed24> {
  template <class V> static SIMDNORM_INLINE V load(const own::Fixed24* p) {
    float numbers[V::width];
    for (int i = 0; i < V::width; ++i) {
      std::uint32_t code = 0;
      for (int byte = 2; byte >= 0; --byte) code = code << 8 | p[i].bytes[byte];
      const std::int32_t whole = static_cast<std::int32_t>(code << 8) / 256;
      numbers[i] = static_cast<float>(whole) / 4096;
    }
    return simd::load<V>(simd::All{}, numbers);
  }
  template <class V> static SIMDNORM_INLINE void store(own::Fixed24* p, V a) {
    float numbers[V::width];
    simd::store(simd::All{}, numbers, a);
    for (int i = 0; i < V::width; ++i) {
      const float whole = std::nearbyint(numbers[i] * 4096);
      const auto code = whole == whole ? static_cast<std::uint32_t>(static_cast<std::int32_t>(
                                             std::max(-0x1p23F, std::min(whole, 0x1p23F - 1))))
                                       : 0x800000U;
      for (int byte = 0; byte < 3; ++byte) p[i].bytes[byte] = static_cast<std::uint8_t>(code >> 8 * byte);
    }
  }
};

template <> struct simdnorm::simd::Storage<own::Wide> {
  template <class V> static SIMDNORM_INLINE V load(const own::Wide* p) {
    float numbers[V::width];
    for (int i = 0; i < V::width; ++i) numbers[i] = p[i].number;
    return simd::load<V>(simd::All{}, numbers);
  }
  template <class V> static SIMDNORM_INLINE void store(own::Wide* p, V a) {
    float numbers[V::width];
    simd::store(simd::All{}, numbers, a);
    for (int i = 0; i < V::width; ++i) p[i] = {numbers[i], 0};
  }
};

namespace support {

template <> own::Wide number<own::Wide>(double x) { return {static_cast<float>(x), 0}; }
template <> own::Fixed24 number<own::Fixed24>(double x) {
  return simdnorm::simd::narrow_number<own::Fixed24>(simdnorm::simd::rounded_to_odd(x));
}
template <> double value_of<own::Fixed24>(const own::Fixed24& x) {
  return static_cast<double>(simdnorm::simd::float_of(x));
}

}  // namespace support

namespace {

using namespace support;
using own::Fixed24;

TEST(OwnType, KeepsItsNumbers) {
  static_assert(sizeof(Fixed24) == 3);
  for (double x : {0.0, 1.0, -1.0, 2047.0, -2048.0, 0.000244140625})
    EXPECT_EQ(value_of(number<Fixed24>(x)), x);
  EXPECT_EQ(value_of(number<Fixed24>(0.0002)), 0.000244140625);
}

template <class X, class P, class Y> void check_forward() {
  for (Index hidden : {1, 7, 33, 300}) {
    for (const Places& places : {contiguous(9, hidden), spaced(5, hidden), side_by_side(2, 9, hidden)}) {
      Problem<float> p =
          make_problem<float>(places.shape.rows, hidden, {{Family::normal, 3, 0}, {Family::uniform, 0, 5}},
                              Parameters::both, 1e-5F, 5);
      expect_forward_rounds_once<X, P, Y>(
          places, Stored<X, P>{numbers<X>(p.x), {}, numbers<P>(p.gamma), numbers<P>(p.beta)});
    }
  }
}
TEST(OwnType, Forward) {
  check_forward<Fixed24, Fixed24, Fixed24>();
  check_forward<Fixed24, float, BFloat16>();
  check_forward<BFloat16, Fixed24, float>();
  check_forward<double, Fixed24, Fixed24>();
}

template <Norm norm, class Dy, class X, class P, class Dx> void check_backward() {
  for (Index hidden : {1, 7, 33, 300}) {
    for (const Places& places : {contiguous(9, hidden), side_by_side(2, 9, hidden)}) {
      Problem<float> p =
          make_problem<float>(places.shape.rows, hidden, {{Family::normal, 3, 0}, {Family::uniform, 0, 5}},
                              Parameters::both, 1e-5F, 5);
      expect_backward_rounds_once<norm, Dy, X, P, Dx, float>(
          places, Stored<X, P, Dy>{numbers<X>(p.x), numbers<Dy>(p.dy), numbers<P>(p.gamma), {}});
    }
  }
}
TEST(OwnType, Backward) {
  check_backward<Norm::layer, Fixed24, Fixed24, Fixed24, Fixed24>();
  check_backward<Norm::rms, Float16, Fixed24, float, Fixed24>();
}

// Three bytes are no whole number of elements a cache line, eight are fewer than kernels step by: such rows are written
// through the caches, however many they are, and wherever they begin.
template <class U> void check_rows_too_large_for_the_caches() {
  const Index rows = 3, hidden = 203;
  const Problem<float> p =
      make_problem<float>(rows, hidden, {{Family::normal, 3, 0}}, Parameters::both, 1e-5F, 6);
  const std::vector<U> x = numbers<U>(p.x);
  std::vector<U> expected = unwritten_array<U>(rows * hidden), y;
  simdnorm::layer_norm_forward({rows, hidden}, x.data(), p.gamma.data(), p.beta.data(), 0x1p-17,
                               expected.data());
  const WithStreaming always(Streaming::always);
  for (Index offset = 0; offset < 64; ++offset) {
    y = unwritten_array<U>(rows * hidden + 128);
    simdnorm::layer_norm_forward({rows, hidden}, x.data(), p.gamma.data(), p.beta.data(), 0x1p-17,
                                 y.data() + offset);
    std::vector<U> wanted = unwritten_array<U>(rows * hidden + 128);
    std::copy(expected.begin(), expected.end(), wanted.begin() + offset);
    ASSERT_EQ(first_unlike(y, wanted), -1) << "offset " << offset;
  }
}
TEST(OwnType, RowsTooLargeForTheCaches) {
  check_rows_too_large_for_the_caches<Fixed24>();
  check_rows_too_large_for_the_caches<own::Wide>();
}

}  // namespace
