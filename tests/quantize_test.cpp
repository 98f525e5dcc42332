// quantize(): codes and scales of rows that lie in memory, against their definition, one number at a time.
#include <simdnorm/quantize.hpp>

#include "support/types.hpp"

namespace {

using namespace support;
using simdnorm::Float8E4M3;
using simdnorm::Float8E5M2;
using simdnorm::per_tensor;
using simdnorm::per_token;

constexpr float nan = std::numeric_limits<float>::quiet_NaN(),
                infinity = std::numeric_limits<float>::infinity();

template <class Q> std::uint8_t byte_of(Q code) {
  std::uint8_t byte;
  std::memcpy(&byte, &code, 1);
  return byte;
}
template <class Q> constexpr float largest_number = static_cast<float>(127);
template <> constexpr float largest_number<Float8E4M3> = 448;
template <> constexpr float largest_number<Float8E5M2> = 57344;

// The nearest of all numbers of Q, found among them; of two the one with an even code.
template <class Q> std::uint8_t nearest(float x) {
  if constexpr (std::is_same_v<Q, std::int8_t>) {
    return byte_of(static_cast<std::int8_t>(std::nearbyint(std::max(-127.0F, std::min(127.0F, x)))));
  } else {
    const Format& format = FormatOf<Q>::format;
    const double magnitude =
        std::min(std::abs(static_cast<double>(x)), static_cast<double>(largest_number<Q>));
    std::uint32_t best = 0;
    for (std::uint32_t code = 1; code <= format.largest; ++code) {
      const double before = std::abs(decoded(format, best) - magnitude),
                   now = std::abs(decoded(format, code) - magnitude);
      if (now < before || (now == before && code % 2 == 0)) best = code;
    }
    return static_cast<std::uint8_t>(best | (std::signbit(x) ? 0x80U : 0U));
  }
}

// Of a vector of codes the first ones are stored, and nothing beyond them is touched: `count` is less than there are.
template <class Q> void expect_first_codes() {
  using V = simdnorm::simd::Vector<float>;
  float numbers[V::width];
  for (int i = 0; i < V::width; ++i) numbers[i] = static_cast<float>(i - 2);
  const auto codes =
      simdnorm::Codes<Q>::of(simdnorm::simd::load<V>(simdnorm::simd::All{}, static_cast<float*>(numbers)));
  for (int count = 0; count < V::width; ++count) {
    std::vector<std::uint8_t> stored(V::width + 1, 0x55);
    simdnorm::store_codes(simdnorm::simd::First{count}, reinterpret_cast<Q*>(stored.data()), codes);
    for (int i = 0; i <= V::width; ++i)
      EXPECT_EQ(stored[size(i)], i < count ? nearest<Q>(numbers[i]) : 0x55) << i << " of " << count;
  }
}
TEST(Codes, TheFirstOfThemAreStored) {
  expect_first_codes<std::int8_t>();
  expect_first_codes<Float8E4M3>();
  expect_first_codes<Float8E5M2>();
}

template <class Q> struct Quantized {
  std::vector<std::uint8_t> codes;
  std::vector<float> scales;
};
template <class Q> Quantized<Q> by_definition(const std::vector<float>& y, Index rows, Index hidden) {
  Quantized<Q> out{std::vector<std::uint8_t>(y.size()), std::vector<float>(size(rows))};
  for (Index r = 0; r < rows; ++r) {
    float largest = 0;
    bool finite = true;
    for (Index c = 0; c < hidden; ++c) {
      const float magnitude = std::abs(y[size(r * hidden + c)]);
      finite = finite && magnitude <= std::numeric_limits<float>::max();
      largest = std::max(largest, magnitude);
    }
    const float scale = std::max(largest / largest_number<Q>, 0x1p-126F), inverse = 1 / scale;
    out.scales[size(r)] = finite ? scale : nan;
    for (Index c = 0; c < hidden; ++c) {
      const std::size_t i = size(r * hidden + c);
      out.codes[i] = finite ? nearest<Q>(y[i] * inverse) : std::uint8_t{0};
    }
  }
  return out;
}
template <class Q> std::vector<std::uint8_t> bytes(const std::vector<Q>& codes) {
  std::vector<std::uint8_t> out;
  for (Q code : codes) out.push_back(byte_of(code));
  return out;
}

template <class Q> struct Quantize : testing::Test {
  // Rows of ordinary and extreme magnitudes, with zeros, NaN and infinity, and rows that cross a row of tiny ones.
  static std::vector<float> rows_of_every_kind(Index rows, Index hidden) {
    Random random(static_cast<std::uint64_t>(hidden));
    std::vector<float> y(size(rows * hidden));
    for (Index r = 0; r < rows; ++r) {
      const int kind = static_cast<int>(r % 9);
      float* const row = y.data() + r * hidden;
      for (Index c = 0; c < hidden; ++c) {
        row[c] = static_cast<float>(random.normal());
        if (kind == 1) row[c] = 0;
        if (kind == 3) row[c] = std::ldexp(row[c], 124);
        if (kind == 4) row[c] = std::ldexp(row[c], -122);
        if (kind == 5) row[c] = std::ldexp(row[c], -140);
        if (kind == 6) row[c] = static_cast<float>(random.log_uniform(-20, 3));
      }
      if (kind == 2) row[random.below(hidden)] = nan;
      if (kind == 7) row[random.below(hidden)] = random.coin() ? infinity : -infinity;
      if (kind == 8) row[random.below(hidden)] = -std::numeric_limits<float>::max();
    }
    return y;
  }

  // per_token of y as it lies in memory as Y.
  template <class Y> static void check_rows(const Places& places) {
    SCOPED_TRACE(std::string(name_of<Q>()) + " of " + name_of<Y>() + ", " + describe(places));
    const Index rows = places.shape.rows, hidden = places.shape.hidden;
    const std::vector<Y> stored = numbers<Y>(rows_of_every_kind(rows, hidden));
    const Quantized<Q> expected = by_definition<Q>(numbers<float>(stored), rows, hidden);
    const std::vector<Y> y = places.spread(stored);
    std::vector<Q> codes = unwritten_array<Q>(places.extent());
    std::vector<float> scales = unwritten_array<float>(rows + 1);
    simdnorm::quantize(places.shape, places.read(y), per_token(places.write(codes), scales.data()));
    std::vector<Q> wanted(expected.codes.size());
    std::memcpy(static_cast<void*>(wanted.data()), expected.codes.data(), wanted.size());
    ASSERT_EQ(first_unlike(codes, places.spread(wanted)), -1) << "codes";
    ASSERT_EQ(first_unlike({scales.begin(), scales.end() - 1}, expected.scales), -1) << "scales";
    ASSERT_EQ(bits_of(scales.back()), 0xa5a5a5a5U) << "beyond the scales";
  }
  template <class Y> static void check_all_layouts() {
    for (Index hidden : {1, 2, 15, 16, 17, 64, 100, 257}) {
      for (const Places& places : {contiguous(19, hidden), in_wider_rows(9, hidden), spaced(10, hidden),
                                   side_by_side(2, 11, hidden), side_by_side(1, 70, hidden)}) {
        check_rows<Y>(places);
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }

  static std::vector<std::uint8_t> of_tensor(const std::vector<float>& y, float scale, int zero_point = 0) {
    std::vector<Q> codes(y.size());
    simdnorm::quantize({1, static_cast<Index>(y.size())}, y.data(),
                       per_tensor(codes.data(), scale, zero_point));
    return bytes(codes);
  }
};
using AllCodes = testing::Types<std::int8_t, Float8E4M3, Float8E5M2>;
TYPED_TEST_SUITE(Quantize, AllCodes);

TYPED_TEST(Quantize, RowsOfFloat) { this->template check_all_layouts<float>(); }
TYPED_TEST(Quantize, RowsOfBFloat16) { this->template check_all_layouts<BFloat16>(); }
TYPED_TEST(Quantize, RowsOfFloat16) { this->template check_all_layouts<Float16>(); }

// Every number of Q, half-way between each two of them, a float to either side, and beyond the largest.
TYPED_TEST(Quantize, OneScaleRoundsToTheNearestNumber) {
  std::vector<float> y = {0.0F,  -0.0F, 1e30F, -1e30F, infinity, -infinity, std::numeric_limits<float>::max(),
                          1e-40F};
  std::vector<float> numbers_of_q;
  for (int code = 0; code < 128; ++code) {
    if constexpr (std::is_same_v<TypeParam, std::int8_t>) {
      numbers_of_q.push_back(static_cast<float>(code));
    } else if (static_cast<std::uint32_t>(code) <= FormatOf<TypeParam>::format.largest) {
      numbers_of_q.push_back(
          static_cast<float>(decoded(FormatOf<TypeParam>::format, static_cast<std::uint32_t>(code))));
    }
  }
  EXPECT_EQ(numbers_of_q.back(), largest_number<TypeParam>);
  for (std::size_t i = 0; i < numbers_of_q.size(); ++i) {
    const float low = numbers_of_q[i], high = i + 1 < numbers_of_q.size() ? numbers_of_q[i + 1] : low * 1.25F;
    for (float x : {low, (low + high) / 2}) {
      for (float near : {x, std::nextafter(x, 0.0F), std::nextafter(x, infinity)}) {
        y.push_back(near);
        y.push_back(-near);
      }
    }
  }
  const std::vector<std::uint8_t> codes = this->of_tensor(y, 1);
  for (std::size_t i = 0; i < y.size(); ++i) {
    int expected = nearest<TypeParam>(y[i]);
    if (std::is_same_v<TypeParam, std::int8_t> && y[i] < -127.5F)
      expected = 0x80;  // one more than above zero
    ASSERT_EQ(codes[i], expected) << y[i];
  }
}

TYPED_TEST(Quantize, OneScaleMultipliesByItsReciprocal) {
  Random random(2);
  std::vector<float> y(5000);
  for (float& value : y) value = static_cast<float>(random.normal());
  for (float scale : {0.013F, 1.0F / 3, 1e-5F, 0x1p-126F, 7.0F, 0x1p126F}) {
    const float inverse = 1 / scale;
    const std::vector<std::uint8_t> codes = this->of_tensor(y, scale);
    for (std::size_t i = 0; i < y.size(); ++i) {
      int expected = nearest<TypeParam>(y[i] * inverse);
      if (std::is_same_v<TypeParam, std::int8_t> && y[i] * inverse < -127.5F) expected = 0x80;
      ASSERT_EQ(codes[i], expected) << y[i] << " scale " << scale;
    }
  }
}

TEST(QuantizeInt8, ZeroPointIsAddedAndTheSumSaturates) {
  std::vector<float> y;
  for (int i = -2400; i <= 2400; ++i) y.push_back(static_cast<float>(i) / 8);
  for (float far :
       {1e9F, -1e9F, 1e38F, infinity, -infinity, 8388607.5F, -8388608.5F, 4194304.5F, 12582912.0F})
    y.push_back(far);
  for (int zero : {-128, -127, -5, 0, 1, 100, 127}) {
    const std::vector<std::uint8_t> codes = Quantize<std::int8_t>::of_tensor(y, 1, zero);
    for (std::size_t i = 0; i < y.size(); ++i) {
      const double code = std::nearbyint(static_cast<double>(y[i])) + zero;
      const auto expected = static_cast<std::int8_t>(std::max(-128.0, std::min(127.0, code)));
      ASSERT_EQ(codes[i], byte_of(expected)) << y[i] << " zero point " << zero;
    }
  }
}

TYPED_TEST(Quantize, NanOfOneScaleTouchesNothingElse) {
  for (Index at = 0; at < 40; ++at) {
    std::vector<float> y(40, 1);
    y[size(at)] = at % 2 == 0 ? nan : -nan;
    const bool whole = std::is_same_v<TypeParam, std::int8_t>;
    const std::vector<std::uint8_t> codes = this->of_tensor(y, 1, whole ? 7 : 0);
    for (Index i = 0; i < 40; ++i) {
      const std::uint8_t code = codes[size(i)];
      if (whole) {
        ASSERT_EQ(code, i == at ? byte_of(std::int8_t(-128)) : 8);
      } else if constexpr (!std::is_same_v<TypeParam, std::int8_t>) {
        const double number = decoded(FormatOf<TypeParam>::format, code);
        ASSERT_TRUE(i == at ? number != number : number == 1) << i;
      }
    }
  }
}

TYPED_TEST(Quantize, AnyThreadAndOrderGivesTheSame) {
  const Index rows = 300, hidden = 70;
  const std::vector<float> y = this->rows_of_every_kind(rows, hidden);
  for (Index after : {1, 100}) {
    std::vector<TypeParam> codes(y.size()), again = codes;
    std::vector<float> scales(size(rows)), scales_again = scales;
    const RowShape shape{rows, hidden, after};
    simdnorm::quantize(shape, y.data(), per_token(codes.data(), scales.data()));
    for (int count : {1, 3, 16}) {
      simdnorm::quantize(shape, y.data(), per_token(again.data(), scales_again.data()), Threads{count});
      ASSERT_EQ(first_unlike(codes, again), -1);
      ASSERT_EQ(first_unlike(scales, scales_again), -1);
    }
    simdnorm::quantize(shape, y.data(), per_token(again.data(), scales_again.data()), Backwards{});
    ASSERT_EQ(first_unlike(codes, again), -1);
  }
}

// The executor is told how many tasks there are and how large each is; a task writes its own rows and no others.
TYPED_TEST(Quantize, TasksAreRunsOfWholeBlocks) {
  const RowShape shape{5000, 64};
  const std::vector<float> y(size(shape.rows * shape.hidden), 1);
  for (Index only : {0, 1, 19}) {
    std::vector<TypeParam> codes(y.size());
    std::vector<float> scales(size(shape.rows), -1);
    Index tasks = 0, elements = 0;
    simdnorm::quantize(shape, y.data(), per_token(codes.data(), scales.data()),
                       [&](Index count, Index elements_per_task, const auto& run) {
                         tasks = count, elements = elements_per_task;
                         run(only);
                       });
    EXPECT_EQ(elements, 16384);
    EXPECT_EQ(tasks, 20);
    for (Index r = 0; r < shape.rows; ++r) ASSERT_EQ(scales[size(r)] != -1, r / 256 == only) << r;
  }
}

TYPED_TEST(Quantize, NoRows) {
  TypeParam code{};
  const float* const none = nullptr;
  float* const no_scales = nullptr;
  EXPECT_NO_THROW(simdnorm::quantize({0, 5}, none, per_token(&code, no_scales)));
  EXPECT_NO_THROW(simdnorm::quantize({0, 5}, none, per_tensor(&code, 1.0F)));
}

// --- wrong arguments: refused before anything is written ---

TYPED_TEST(Quantize, WrongArgumentsThrow) {
  std::vector<float> memory(60, 1.5F);
  float* const y = memory.data();  // (3, 5), then scales
  float* const scales = y + 20;
  auto* const codes = reinterpret_cast<TypeParam*>(y + 30);
  const RowShape shape{3, 5};
  const auto refused = [&](const std::string& word, const auto& output, RowShape of = {3, 5}) {
    const std::vector<float> before = memory;
    try {
      simdnorm::quantize(of, y, output);
      ADD_FAILURE() << "not refused: " << word;
    } catch (const std::invalid_argument& error) {
      EXPECT_NE(std::string(error.what()).find("simdnorm: quantize: "), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
    }
    EXPECT_EQ(first_unlike(before, memory), -1) << "written before the error: " << word;
  };
  float* const no_scales = nullptr;
  TypeParam* const no_codes = nullptr;
  refused("scales is nullptr", per_token(codes, no_scales));
  refused("scales is nullptr", per_token(codes, no_scales), {1, 5});
  refused("y is nullptr", per_token(no_codes, scales));
  refused("y is nullptr", per_tensor(no_codes, 1.0F));
  refused("hidden must be at least 1", per_token(codes, scales), {3, 0});
  refused("overlap", per_token(codes, y + 14));
  refused("overlap", per_token(codes, reinterpret_cast<float*>(codes + 12)));
  refused("overlap", per_token(reinterpret_cast<TypeParam*>(y) + 59, scales));
  refused("overlap", per_tensor(reinterpret_cast<TypeParam*>(y), 1.0F));  // codes are smaller: not in place
  refused("share a place", per_token(Strided<TypeParam>{codes, 4, 1}, scales));
  for (float scale : {0.0F, -1.0F, nan, infinity, 0x1p127F, 0x1p-127F, 1e-45F})
    refused("scale must be between", per_tensor(codes, scale));
  for (int zero : {-129, 128, 1000000}) refused("zero_point must be", per_tensor(codes, 1.0F, zero));
  if (!std::is_same_v<TypeParam, std::int8_t>) refused("zero_point must be 0", per_tensor(codes, 1.0F, 1));
  EXPECT_NO_THROW(simdnorm::quantize(shape, y, per_token(reinterpret_cast<TypeParam*>(y + 15), scales)))
      << "beside y";
  EXPECT_NO_THROW(simdnorm::quantize(shape, y, per_tensor(codes, 0x1p126F)));
  EXPECT_NO_THROW(simdnorm::quantize(shape, y, per_tensor(codes, 0x1p-126F)));
}

}  // namespace
