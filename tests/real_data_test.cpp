// A layer norm of a real sentence encoder (data/README.md): forward against the oracle, and against the
// framework's output.
#include <simdnorm/storage.hpp>

#include <gtest/gtest.h>

#include <cstdio>

#include "support/accuracy.hpp"

namespace {

using namespace support;
using simdnorm::Index;

struct RealData {
  Problem<float> p;
  std::vector<float> y;  // of TensorFlow.js
  bool whole = false;

  explicit RealData(const std::string& path) {
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (file == nullptr) return;
    const auto byte = [&] { return static_cast<std::uint32_t>(std::fgetc(file)); };
    const auto word = [&] {  // little-endian, on any machine
      const std::uint32_t a = byte(), b = byte(), c = byte(), d = byte();
      return a | b << 8 | c << 16 | d << 24;
    };
    const auto numbers = [&](Index count) {
      std::vector<float> out(size(count));
      for (float& value : out) {
        const std::uint32_t bits = word();
        std::memcpy(&value, &bits, sizeof value);
      }
      return out;
    };
    p.rows = static_cast<Index>(word());
    p.hidden = static_cast<Index>(word());
    p.epsilon = 1e-6f;
    p.x = numbers(p.rows * p.hidden);
    p.gamma = numbers(p.hidden);
    p.beta = numbers(p.hidden);
    y = numbers(p.rows * p.hidden);
    whole = !std::feof(file) && !std::ferror(file) && std::fgetc(file) == EOF;
    std::fclose(file);
  }
};

struct SentenceEncoder : testing::Test {
  const RealData data{std::string(SIMDNORM_TEST_DATA) + "/ln0.bin"};
  void SetUp() override { ASSERT_TRUE(data.whole) << "tests/data/ln0.bin is missing or damaged"; }
};

TEST_F(SentenceEncoder, IsTheLayerThatItsReadmeDescribes) {
  EXPECT_EQ(data.p.hidden, 256);
  EXPECT_GT(data.p.rows, 100);
  float largest = 0;
  for (float value : data.p.x) largest = std::max(largest, std::abs(value));
  EXPECT_GT(largest, 1.f);
  EXPECT_LT(largest, 100.f);
}

TEST_F(SentenceEncoder, ForwardIsWithinFiveUnitsOfTheOracle) {
  check_forward_rows(Norm::layer, data.p, run_forward(Norm::layer, data.p).y, "sentence encoder");
}

// The framework's own error on these rows is measured against the oracle first; ours and its output may then
// differ by no more than the two errors together.
TEST_F(SentenceEncoder, ForwardAgreesWithTheFramework) {
  const std::vector<float> y = run_forward(Norm::layer, data.p).y;
  double framework = 0, ours = 0, difference = 0;
  for (Index r = 0; r < data.p.rows; ++r) {
    const auto exact = oracle::forward(Norm::layer, data.p.row(r), data.p.gamma.data(), data.p.beta.data(),
                                       data.p.epsilon, data.p.hidden);
    for (Index c = 0; c < data.p.hidden; ++c) {
      const std::size_t i = size(r * data.p.hidden + c);
      const double value = oracle::narrow(exact[size(c)]);
      framework = std::max(framework, std::abs(static_cast<double>(data.y[i]) - value));
      ours = std::max(ours, std::abs(static_cast<double>(y[i]) - value));
      difference = std::max(difference, std::abs(static_cast<double>(y[i]) - static_cast<double>(data.y[i])));
    }
  }
  EXPECT_LE(difference, 3e-6);
  EXPECT_LE(framework, 2e-6) << "the file is not what its README says";
  EXPECT_LE(ours, framework) << "the framework is nearer to the exact value";
  RecordProperty("framework_error", std::to_string(framework));
  RecordProperty("our_error", std::to_string(ours));
}

TEST_F(SentenceEncoder, GradientsAreWithinTheirBounds) {
  Problem<float> p = data.p;
  Random random(1);
  p.dy.resize(p.x.size());
  fill_normal(random, p.dy.data(), p.rows * p.hidden);
  const Backward<float> out = run_backward(Norm::layer, p, run_forward(Norm::layer, p).moments);
  for (Index r = 0; r < p.rows; ++r) {
    EXPECT_LE(dx_error(Norm::layer, p.dy_row(r), p.row(r), p.gamma.data(), p.epsilon, p.hidden,
                       out.dx.data() + r * p.hidden)
                  .ratio,
              1);
  }
  const auto exact =
      oracle::parameter_gradients(Norm::layer, p.dy.data(), p.x.data(), p.epsilon, p.rows, p.hidden);
  EXPECT_LE(parameter_error(Gradient::dgamma, exact, out.dgamma.data()).ratio, 1);
  EXPECT_LE(parameter_error(Gradient::dbeta, exact, out.dbeta.data()).ratio, 1);
}

}  // namespace
