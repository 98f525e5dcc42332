// The caches' size, the threshold above which calls write past them, and what does.
#include <simdnorm/cache.hpp>

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace simdnorm;

TEST(Cache, TheLastIsOfAPlausibleSize) {
  const Index bytes = last_cache_bytes();
  EXPECT_GE(bytes, Index(64) << 10);
  EXPECT_LE(bytes, Index(4) << 30);
}

#if defined(__linux__) && defined(__x86_64__)
TEST(Cache, TheLastIsThatOfLinux) {
  Index largest = 0;
  for (int i = 0; i < 8; ++i) {
    std::ifstream file("/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(i) + "/size");
    Index number = 0;
    char unit = ' ';
    if (file >> number >> unit)
      largest = std::max(largest, number << (unit == 'M' ? 20 : unit == 'K' ? 10 : 0));
  }
  if (largest == 0) GTEST_SKIP() << "this system tells of no caches";
  EXPECT_EQ(last_cache_bytes(), largest);
}
#endif

TEST(Cache, TheThresholdIsThreeEighthsOfItUnlessSet) {
  EXPECT_EQ(streaming_threshold(), last_cache_bytes() / 8 * 3);
  set_streaming_threshold(12345);
  EXPECT_EQ(streaming_threshold(), 12345);
  set_streaming_threshold(0);
  EXPECT_EQ(streaming_threshold(), 0);
  set_streaming_threshold(-7);
  EXPECT_EQ(streaming_threshold(), 0) << "not: ask the machine again";
  set_streaming_threshold(last_cache_bytes() / 8 * 3);
}

TEST(Cache, AnyAddressMayBeFetched) {
  const double number = 1;
  for (const Index bytes :
       {Index(0), Index(64), Index(-4096), Index(1) << 46, std::numeric_limits<Index>::min()}) {
    simd::fetch<1>(&number, bytes);
    simd::fetch<2>(&number, bytes);
  }
  simd::fetch<1>(nullptr, 0);
}

template <class K> struct Stream : testing::Test {};
template <class T, class Arch> struct Kind {
  using Vector = simd::Vector<T, Arch>;
  using Scalar = T;
};
using Kinds = testing::Types<Kind<float, simd::DefaultArch>, Kind<double, simd::DefaultArch>,
                             Kind<float, simd::NoSimd>, Kind<double, simd::NoSimd>>;
TYPED_TEST_SUITE(Stream, Kinds);

TYPED_TEST(Stream, WritesAWholeVectorThatOtherThreadsSee) {
  using T = typename TypeParam::Scalar;
  using V = typename TypeParam::Vector;
  constexpr int width = V::width;
  alignas(64) T memory[48];
  std::fill(memory, memory + 48, T(-1));
  T values[16];
  for (int i = 0; i < width; ++i) values[i] = T(i + 1);
  simd::stream(memory + 16, simd::load<V>(simd::All{}, values));
  simd::end_of_streaming();
  std::thread([&] {
    for (int i = 0; i < 48; ++i) EXPECT_EQ(memory[i], i >= 16 && i < 16 + width ? T(i - 15) : T(-1)) << i;
  }).join();
}

TEST(Streaming, OfNumbersThatLieInMemoryAsAnotherType) {
  using V = simd::Vector<float>;
  constexpr std::size_t width = V::width;
  float values[width];
  for (std::size_t i = 0; i < width; ++i) values[i] = static_cast<float>(i + 1);
  alignas(64) BFloat16 memory[3 * 64] = {};
  simd::stream(memory + 64, simd::load<V>(simd::All{}, values));
  simd::end_of_streaming();
  for (std::size_t i = 0; i < 3 * 64; ++i) {
    const bool inside = i >= 64 && i < 64 + width;
    EXPECT_EQ(simd::float_of(memory[i]), inside ? values[i - 64] : 0.0F) << i;
  }
}

template <class U> float number_at(const U* place) {
  return simd::load<simd::Vector<float, simd::NoSimd>>(simd::All{}, place).value;
}
TEST(Streaming, OfTwoVectors) {
  using V = simd::Vector<float>;
  constexpr std::size_t width = V::width;
  float values[2 * width];
  for (std::size_t i = 0; i < 2 * width; ++i) values[i] = static_cast<float>(i + 1);
  const V first = simd::load<V>(simd::All{}, static_cast<const float*>(values)),
          second = simd::load<V>(simd::All{}, values + width);
  const auto check = [&](auto number) {
    using U = decltype(number);
    alignas(64) U memory[3 * 64] = {};
    simd::stream_two(memory + 64, first, second);
    simd::end_of_streaming();
    for (std::size_t i = 0; i < 3 * 64; ++i) {
      const bool inside = i >= 64 && i < 64 + 2 * width;
      EXPECT_EQ(number_at(memory + i), inside ? values[i - 64] : 0.0F) << i;
    }
  };
  check(float{});
  check(BFloat16{});
  check(Float16{});
}

template <std::size_t Count> void check_stream_bytes() {
  alignas(64) unsigned char memory[192], from[64];
  std::fill(memory, memory + 192, static_cast<unsigned char>(0));
  for (std::size_t i = 0; i < 64; ++i) from[i] = static_cast<unsigned char>(i + 1);
  simd::stream_bytes<Count>(memory + 64, from);
  simd::end_of_streaming();
  for (std::size_t i = 0; i < 192; ++i) EXPECT_EQ(memory[i], i >= 64 && i < 64 + Count ? i - 63 : 0) << i;
}
TEST(StreamBytes, WritesSoManyBytes) {
  check_stream_bytes<2>();
  check_stream_bytes<4>();
  check_stream_bytes<8>();
  check_stream_bytes<16>();
  check_stream_bytes<32>();
  check_stream_bytes<64>();
}

}  // namespace
