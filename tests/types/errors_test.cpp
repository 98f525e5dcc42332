// Wrong arguments of calls whose operands hold several types, or whose results are codes: std::invalid_argument, and not one
// byte written.
#include <simdnorm/quantize.hpp>

#include "support/types.hpp"

namespace {

using namespace support;
using simdnorm::per_tensor;
using simdnorm::per_token;

struct MixedErrors : testing::Test {
  static constexpr Index rows = 3, hidden = 8;
  RowShape shape{rows, hidden};
  std::vector<float> memory = std::vector<float>(400, 1.25F);
  float* const x = memory.data();  // (rows, hidden) of float: 24
  BFloat16* const narrow =
      reinterpret_cast<BFloat16*>(memory.data() + 40);  // (rows, hidden) of bf16: 12 floats
  float* const gamma = memory.data() + 200;
  float* const scales = memory.data() + 220;
  std::int8_t* const codes = reinterpret_cast<std::int8_t*>(memory.data() + 240);  // 6 floats
  float* const y = memory.data() + 260;
  RowMoments<float> moments[rows] = {};

  template <class F> void refused(const std::vector<std::string>& words, const F& call) {
    const std::vector<float> before = memory;
    try {
      call();
      ADD_FAILURE() << "not refused: " << words.back();
    } catch (const std::invalid_argument& error) {
      const std::string message = error.what();
      EXPECT_EQ(message.rfind("simdnorm: ", 0), 0u) << message;
      for (const std::string& word : words) EXPECT_NE(message.find(word), std::string::npos) << message;
    }
    EXPECT_EQ(first_unlike(before, memory), -1) << "written before the error";
  }
  template <class To> void forward_to(const float* from, const To& to) {
    simdnorm::layer_norm_forward(shape, from, gamma, nullptr, 0x1p-17, to);
  }
  template <class To> void forward_to(const BFloat16* from, const To& to) {
    simdnorm::layer_norm_forward(shape, from, gamma, nullptr, 0x1p-17, to);
  }
  template <class Dy, class X, class Dx> void backward_to(const Dy* dy, const X* of, Dx* dx, float* dgamma) {
    for (auto& m : moments) m = {0, 0, 1, 1};
    simdnorm::layer_norm_backward(shape, dy, of, gamma, moments, dx, dgamma);
  }
};

TEST_F(MixedErrors, TheArgumentsAreRightOtherwise) {
  EXPECT_NO_THROW(forward_to(x, narrow));
  EXPECT_NO_THROW(forward_to(narrow, y));
  EXPECT_NO_THROW(forward_to(x, per_token(codes, scales)));
  EXPECT_NO_THROW(forward_to(x, per_tensor(codes, 0.1F, 3)));
  EXPECT_NO_THROW(backward_to(x, narrow, y, scales));
}

// In place only where elements have one size; a smaller y from x's first byte on would overwrite what is still to be read.
TEST_F(MixedErrors, InPlaceNeedsElementsOfOneSize) {
  refused({"layer_norm_forward", "x", "y", "overlap"},
          [&] { forward_to(x, reinterpret_cast<BFloat16*>(x)); });
  refused({"x", "y", "overlap"}, [&] { forward_to(narrow, reinterpret_cast<float*>(narrow)); });
  refused({"x", "y", "overlap"}, [&] { forward_to(x, per_tensor(reinterpret_cast<std::int8_t*>(x), 1.0F)); });
  refused({"x", "y", "overlap"},
          [&] { forward_to(x, per_token(reinterpret_cast<std::int8_t*>(x), scales)); });
  refused({"layer_norm_backward", "dx", "dy", "overlap"},
          [&] { backward_to(x, narrow, reinterpret_cast<Float16*>(x), scales); });
  refused({"dx", "x", "overlap"}, [&] { backward_to(x, narrow, reinterpret_cast<float*>(narrow), scales); });
}

// What an operand covers is counted in its own bytes: what lies right behind it does not touch it.
TEST_F(MixedErrors, OperandsEndWhereTheirOwnElementsEnd) {
  BFloat16* const behind = reinterpret_cast<BFloat16*>(x + rows * hidden);
  EXPECT_NO_THROW(forward_to(x, behind));
  refused({"x", "y", "overlap"}, [&] { forward_to(x, behind - 1); });
  EXPECT_NO_THROW(forward_to(narrow, reinterpret_cast<float*>(narrow + rows * hidden)));
  refused({"x", "y", "overlap"},
          [&] { forward_to(narrow, reinterpret_cast<float*>(narrow + rows * hidden - 2)); });
  EXPECT_NO_THROW(forward_to(x, per_tensor(reinterpret_cast<std::int8_t*>(x) + 4 * rows * hidden, 1.0F)));
  refused({"x", "y", "overlap"}, [&] {
    forward_to(x, per_tensor(reinterpret_cast<std::int8_t*>(x) + 4 * rows * hidden - 1, 1.0F));
  });
  EXPECT_NO_THROW(backward_to(x, narrow, y, reinterpret_cast<float*>(narrow + rows * hidden)));
  refused({"dgamma", "x", "overlap"},
          [&] { backward_to(x, narrow, y, reinterpret_cast<float*>(narrow + rows * hidden - 2)); });
}

TEST_F(MixedErrors, ScalesMayTouchNothing) {
  refused({"layer_norm_forward", "scales is nullptr"},
          [&] { forward_to(x, per_token(codes, static_cast<float*>(nullptr))); });
  refused({"scales", "x", "overlap"}, [&] { forward_to(x, per_token(codes, x + 23)); });
  refused({"scales", "x", "overlap"},
          [&] { forward_to(narrow, per_token(codes, reinterpret_cast<float*>(narrow) + 11)); });
  refused({"scales", "gamma", "overlap"}, [&] { forward_to(x, per_token(codes, gamma + 7)); });
  refused({"scales", "y", "overlap"},
          [&] { forward_to(x, per_token(codes, reinterpret_cast<float*>(codes) + 5)); });
  refused({"scales", "moments", "overlap"}, [&] {
    simdnorm::rms_norm_forward(shape, x, gamma, 0x1p-17, per_token(codes, &moments[1].rstd), moments);
  });
  refused({"gamma", "y", "overlap"},
          [&] { forward_to(x, per_tensor(reinterpret_cast<std::int8_t*>(gamma) + 31, 1.0F)); });
}

TEST_F(MixedErrors, ScaleAndZeroPointHaveTheirRanges) {
  const float infinity = std::numeric_limits<float>::infinity(),
              nan = std::numeric_limits<float>::quiet_NaN();
  for (float scale : {0.0F, -1.0F, infinity, nan, 0x1p-127F, 0x1p127F})
    refused({"layer_norm_forward", "scale must be between"},
            [&] { forward_to(x, per_tensor(codes, scale)); });
  for (int zero : {-129, 128})
    refused({"zero_point must be from -128 to 127"}, [&] { forward_to(x, per_tensor(codes, 1.0F, zero)); });
  auto* const fp8 = reinterpret_cast<simdnorm::Float8E5M2*>(codes);
  refused({"zero_point must be 0"}, [&] { forward_to(x, per_tensor(fp8, 1.0F, 1)); });
}

TEST_F(MixedErrors, EpsilonIsCheckedAsTheCallsType) {
  for (float wrong : {-1e-5F, std::numeric_limits<float>::quiet_NaN()}) {
    refused({"epsilon must be at least 0"},
            [&] { simdnorm::layer_norm_forward(shape, narrow, gamma, nullptr, wrong, y); });
    refused({"epsilon must be at least 0"},
            [&] { simdnorm::rms_norm_forward(shape, x, gamma, wrong, per_token(codes, scales)); });
  }
}

}  // namespace
