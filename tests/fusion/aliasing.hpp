// What may lie on what, of every argument: the table of README.md, and nothing else. Each operand that a call writes is put on each
// of the others, with the bits of the call that has them all apart where the table says so, else refused before anything is written.
#pragma once

#include <simdnorm/grouped_norm.hpp>
#include <simdnorm/modulated_norm.hpp>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "fusion/gated.hpp"
#include "support/streaming.hpp"

namespace aliasing {

using namespace fusion;
using support::Streaming;
using support::WithStreaming;
using Names = std::vector<std::string>;
using Rows = std::map<std::string, float*>;

constexpr float epsilon = 0x1p-17F;

// What else than rows a call reads.
struct Arrays {
  RowShape shape;
  std::vector<float> gamma, beta, cosines, sines, scale;
  std::vector<std::int32_t> numbers;
  std::vector<RowMoments<float>> moments;  // of some rows

  explicit Arrays(RowShape of_call)
      : shape(of_call),
        gamma(size(shape.hidden)),
        beta(gamma),
        cosines(size(shape.hidden / 2)),
        sines(cosines),
        scale(gamma),
        numbers(size(shape.rows)),
        moments(size(shape.rows), RowMoments<float>{0.25F, 0, 1.5F, 1}) {
    for (std::size_t c = 0; c < gamma.size(); ++c) {
      gamma[c] = 1 + 0.01F * static_cast<float>(c % 31);
      beta[c] = scale[c] = 0.5F - 0.01F * static_cast<float>(c % 17);
    }
    simdnorm::rotary_tables(1, shape.hidden / 2 * 2, 1e4, cosines.data(), sines.data());
    for (std::size_t r = 0; r < numbers.size(); ++r) numbers[r] = static_cast<std::int32_t>(r);
  }
  simdnorm::Rotary<simdnorm::RotaryPairs::halves> rotary() const {
    return {cosines.data(), sines.data(), 1, shape.hidden / 2 * 2, shape.rows, 1};
  }
};

using A = const Arrays&;
using R = const Rows&;
inline const float* const none = nullptr;

struct Case {
  const char* name;
  Names read, written;
  std::map<std::string, Names> may_be;  // of what is written
  std::function<void(A, R)> run;
};

inline const float* reads(const Rows& rows, const char* name) { return rows.at(name); }

class Aliasing : public testing::TestWithParam<Case> {
 protected:
  using Values = std::map<std::string, std::vector<float>>;
  static void check(RowShape shape) {
    const Case& of = GetParam();
    const Arrays arrays(shape);
    Values before;
    for (std::size_t i = 0; i < of.read.size(); ++i) {
      before[of.read[i]] = normal_rows(shape, i);
    }
    for (const std::string& name : of.written)
      before[name] = unwritten_array<float>(shape.rows * shape.hidden);
    Values expected = before;
    of.run(arrays, rows_of(expected));
    for (const std::string& name : of.read)
      ASSERT_EQ(first_unlike(expected[name], before[name]), -1) << name << " was written";
    for (const std::string& written : of.written) {
      ASSERT_NE(first_unlike(expected[written], before[written]), -1) << written << " was not written";
      Names others = of.read;
      others.insert(others.end(), of.written.begin(), of.written.end());
      for (const std::string& other : others) {
        if (other == written) continue;
        SCOPED_TRACE(written + " on " + other + ", hidden " + std::to_string(shape.hidden));
        const Names& allowed = of.may_be.at(written);
        Values got = before;
        Rows rows = rows_of(got);
        rows[written] = rows[other];
        if (std::find(allowed.begin(), allowed.end(), other) == allowed.end()) {
          EXPECT_THROW(of.run(arrays, rows), std::invalid_argument);
          for (const auto& [name, values] : before) ASSERT_EQ(first_unlike(got[name], values), -1) << name;
          continue;
        }
        ASSERT_NO_THROW(of.run(arrays, rows));
        for (const std::string& name : of.written)
          ASSERT_EQ(first_unlike(got[name == written ? other : name], expected[name]), -1) << name;
      }
    }
  }

 private:
  static std::vector<float> normal_rows(RowShape shape, std::size_t seed) {
    return every_path_of<float, float>(shape.rows, shape.hidden, seed).x;
  }
  static Rows rows_of(Values& values) {
    Rows rows;
    for (auto& [name, numbers] : values) rows[name] = numbers.data();
    return rows;
  }
};
TEST_P(Aliasing, IsWhatTheTableSays) {
  for (const Streaming streaming : {Streaming::never, Streaming::always}) {
    const WithStreaming scope(streaming);
    for (const Index hidden : {18, 257, 304}) {
      check({7, hidden});
      if (HasFatalFailure()) return;
    }
  }
}
inline std::string test_name(const testing::TestParamInfo<Case>& of) {
  std::string name = of.param.name;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}

}  // namespace aliasing
