// What may lie on what, of every argument: the table of README.md, and nothing else. Each operand that a call writes is put on each
// of the others, with the bits of the call that has them all apart where the table says so, else refused before anything is written.
#include <simdnorm/double_backward.hpp>
#include <simdnorm/grouped_norm.hpp>
#include <simdnorm/modulated_norm.hpp>

#include <functional>
#include <map>
#include <stdexcept>
#include <string>

#include "fusion/gated.hpp"
#include "support/streaming.hpp"

namespace {

using namespace fusion;
using support::Streaming;
using support::WithStreaming;
using Names = std::vector<std::string>;
using Rows = std::map<std::string, float*>;

constexpr float epsilon = 0x1p-17F;
const float* const none = nullptr;

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

struct Case {
  const char* name;
  Names read, written;
  std::map<std::string, Names> may_be;  // of what is written
  std::function<void(const Arrays&, const Rows&)> run;
};

template <class X, class Y> void layer(const Arrays& a, const X& x, const Y& y) {
  simdnorm::layer_norm_forward(a.shape, x, a.gamma.data(), a.beta.data(), epsilon, y);
}
template <class X, class Y> void rms(const Arrays& a, const X& x, const Y& y) {
  simdnorm::rms_norm_forward(a.shape, x, a.gamma.data(), epsilon, y);
}
template <class Dy, class X, class Dx>
void rms_back(const Arrays& a, const Dy& dy, const X& x, const Dx& dx) {
  simdnorm::rms_norm_backward(a.shape, dy, x, a.gamma.data(), a.moments.data(), dx);
}
const float* reads(const Rows& rows, const char* name) { return rows.at(name); }

std::vector<Case> cases() {
  using A = const Arrays&;
  using R = const Rows&;
  const Names x_alone = {"x"}, back = {"dy", "x"}, dx_alone = {"dx"}, y_alone = {"y"};
  return {
      {"forward", x_alone, y_alone, {{"y", x_alone}}, [](A a, R r) { layer(a, reads(r, "x"), r.at("y")); }},
      {"backward",
       back,
       dx_alone,
       {{"dx", back}},
       [](A a, R r) { rms_back(a, reads(r, "dy"), reads(r, "x"), r.at("dx")); }},
      {"residual_sum",
       {"x", "residual"},
       {"sum", "y"},
       {{"sum", {"x", "residual"}}, {"y", {"x", "residual"}}},
       [](A a, R r) { layer(a, residual_sum(reads(r, "x"), reads(r, "residual"), r.at("sum")), r.at("y")); }},
      {"residual_sum without sum",
       {"x", "residual"},
       y_alone,
       {{"y", {"x", "residual"}}},
       [](A a, R r) { layer(a, residual_sum(reads(r, "x"), reads(r, "residual"), nullptr), r.at("y")); }},
      {"added, y",
       {"x", "addend"},
       y_alone,
       {{"y", {"x", "addend"}}},
       [](A a, R r) { rms(a, reads(r, "x"), added(reads(r, "addend"), r.at("y"))); }},
      {"added, dx",
       {"dy", "x", "addend"},
       dx_alone,
       {{"dx", {"dy", "x", "addend"}}},
       [](A a, R r) { rms_back(a, reads(r, "dy"), reads(r, "x"), added(reads(r, "addend"), r.at("dx"))); }},
      {"residual_gradients",
       {"dy", "x", "dsum"},
       {"dx", "dresidual"},
       {{"dx", {"dy", "x", "dsum"}}, {"dresidual", {"dy", "x", "dsum"}}},
       [](A a, R r) {
         rms_back(a, reads(r, "dy"), reads(r, "x"),
                  residual_gradients(reads(r, "dsum"), r.at("dx"), r.at("dresidual")));
       }},
      {"branch",
       {"x", "residual"},
       {"sum", "y"},
       {{"sum", {"x", "residual"}}, {"y", {"x", "residual"}}},
       [](A a, R r) {
         const auto branch = simdnorm::branch(reads(r, "x")).bias(a.beta.data()).layer_scale(a.scale.data());
         layer(a, residual_sum(branch, reads(r, "residual"), r.at("sum")), r.at("y"));
       }},
      {"branch, dx with dlayer_scale",
       {"dy", "x", "dsum", "of"},
       {"dx", "dresidual"},
       {{"dx", {"dy", "x", "dsum"}}, {"dresidual", {"dy", "x", "dsum"}}},
       [](A a, R r) {
         std::vector<float> dscale(a.scale.size());
         const auto to =
             simdnorm::branch(r.at("dx")).layer_scale(a.scale.data(), reads(r, "of"), dscale.data());
         rms_back(a, reads(r, "dy"), reads(r, "x"),
                  residual_gradients(reads(r, "dsum"), to, r.at("dresidual")));
       }},
      {"gated, y",
       {"x", "z"},
       y_alone,
       {{"y", {"x", "z"}}},
       [](A a, R r) { rms(a, reads(r, "x"), gated(r.at("y"), reads(r, "z"))); }},
      {"gated, x, kept",
       {"x", "z"},
       {"u", "y"},
       {{"u", {"x", "z"}}, {"y", {"x", "z"}}},
       [](A a, R r) { rms(a, gated(reads(r, "x"), reads(r, "z"), r.at("u")), r.at("y")); }},
      {"gated, x",
       {"x", "z"},
       y_alone,
       {{"y", {"x", "z"}}},
       [](A a, R r) { rms(a, gated(reads(r, "x"), reads(r, "z")), r.at("y")); }},
      {"gated, dy",
       {"dy", "z", "x"},
       dx_alone,
       {{"dx", {"dy", "z", "x"}}},
       [](A a, R r) { rms_back(a, gated(reads(r, "dy"), reads(r, "z")), reads(r, "x"), r.at("dx")); }},
      {"gated, dy with dz",
       {"dy", "z", "x"},
       {"dx", "dz"},
       {{"dx", {"dy", "z"}}, {"dz", {"dy", "z"}}},
       [](A a, R r) {
         rms_back(a, gated(reads(r, "dy"), reads(r, "z")).gradient(r.at("dz")), reads(r, "x"), r.at("dx"));
       }},
      {"gate_gradients",
       {"dy", "u", "x", "z"},
       {"dx", "dz"},
       {{"dx", {"dy", "u", "x", "z"}}, {"dz", {"dy", "u", "x", "z"}}},
       [](A a, R r) {
         rms_back(a, reads(r, "dy"), reads(r, "u"),
                  simdnorm::gate_gradients(reads(r, "x"), reads(r, "z"), r.at("dx"), r.at("dz")));
       }},
      {"two_norms",
       x_alone,
       {"y", "y_2"},
       {{"y", x_alone}, {"y_2", x_alone}},
       [](A a, R r) {
         layer(a, reads(r, "x"), simdnorm::two_norms(r.at("y"), a.beta.data(), a.gamma.data(), r.at("y_2")));
       }},
      {"two_gradients",
       {"dy", "dy_2", "x"},
       dx_alone,
       {{"dx", {"dy", "dy_2", "x"}}},
       [](A a, R r) {
         float* const unwanted = nullptr;
         simdnorm::layer_norm_backward(
             a.shape,
             simdnorm::two_gradients(reads(r, "dy"), a.beta.data(), reads(r, "dy_2"), unwanted, unwanted),
             reads(r, "x"), a.gamma.data(), a.moments.data(), r.at("dx"));
       }},
      {"mapped",
       x_alone,
       y_alone,
       {{"y", x_alone}},
       [](A a, R r) { rms(a, reads(r, "x"), simdnorm::mapped([](auto v) { return v * v; }, r.at("y"))); }},
      {"rotated",
       x_alone,
       y_alone,
       {{"y", x_alone}},
       [](A a, R r) { rms(a, reads(r, "x"), simdnorm::rotated(r.at("y"), a.rotary())); }},
      {"unrotated",
       back,
       dx_alone,
       {{"dx", x_alone}},
       [](A a, R r) {
         rms_back(a, simdnorm::unrotated(reads(r, "dy"), a.rotary()), reads(r, "x"), r.at("dx"));
       }},
      {"from_output",
       {"dy", "y"},
       dx_alone,
       {{"dx", {"dy", "y"}}},
       [](A a, R r) { rms_back(a, reads(r, "dy"), simdnorm::from_output(reads(r, "y"), none), r.at("dx")); }},
      {"gathered, y",
       x_alone,
       y_alone,
       {{"y", x_alone}},
       [](A a, R r) {
         const auto chosen = [&](auto* table) {
           return simdnorm::gathered(table, a.shape.rows, a.numbers.data());
         };
         layer(a, chosen(reads(r, "x")), chosen(r.at("y")));
       }},
      {"gathered, dx",
       back,
       dx_alone,
       {{"dx", back}},
       [](A a, R r) {
         const auto chosen = [&](auto* table) {
           return simdnorm::gathered(table, a.shape.rows, a.numbers.data());
         };
         rms_back(a, chosen(reads(r, "dy")), chosen(reads(r, "x")), chosen(r.at("dx")));
       }},
      {"modulated, y",
       x_alone,
       y_alone,
       {{"y", x_alone}},
       [](A a, R r) {
         simdnorm::modulated_layer_norm_forward(a.shape, 1, reads(r, "x"), a.scale.data(), a.beta.data(),
                                                epsilon, r.at("y"));
       }},
      {"modulated, dx",
       back,
       dx_alone,
       {{"dx", back}},
       [](A a, R r) {
         simdnorm::modulated_layer_norm_backward(a.shape, 1, reads(r, "dy"), reads(r, "x"), a.scale.data(),
                                                 a.moments.data(), r.at("dx"));
       }},
      {"grouped, y",
       x_alone,
       y_alone,
       {{"y", x_alone}},
       [](A a, R r) {
         simdnorm::grouped_rms_norm_forward(a.shape, 1, reads(r, "x"), a.gamma.data(), epsilon, r.at("y"));
       }},
      {"grouped, dx",
       back,
       dx_alone,
       {{"dx", back}},
       [](A a, R r) {
         simdnorm::grouped_rms_norm_backward(a.shape, 1, reads(r, "dy"), reads(r, "x"), a.gamma.data(),
                                             a.moments.data(), r.at("dx"));
       }},
      {"partial_rms_norm, y",
       x_alone,
       y_alone,
       {{"y", x_alone}},
       [](A a, R r) {
         simdnorm::partial_rms_norm_forward(a.shape, 5, reads(r, "x"), a.gamma.data(), epsilon, r.at("y"));
       }},
      {"partial_rms_norm, dx",
       back,
       dx_alone,
       {{"dx", back}},
       [](A a, R r) {
         simdnorm::partial_rms_norm_backward(a.shape, 5, reads(r, "dy"), reads(r, "x"), a.gamma.data(),
                                             a.moments.data(), r.at("dx"));
       }},
      {"scale_norm, y",
       x_alone,
       y_alone,
       {{"y", x_alone}},
       [](A a, R r) { simdnorm::scale_norm_forward(a.shape, reads(r, "x"), 3.0F, epsilon, r.at("y")); }},
      {"scale_norm, dx",
       back,
       dx_alone,
       {{"dx", back}},
       [](A a, R r) {
         simdnorm::scale_norm_backward(a.shape, reads(r, "dy"), reads(r, "x"), 3.0F, a.moments.data(),
                                       r.at("dx"));
       }},
      {"double backward",
       {"ddx", "dy", "x"},
       {"ddy", "dx"},
       {{"ddy", {"ddx", "dy", "x"}}, {"dx", {"ddx", "dy", "x"}}},
       [](A a, R r) {
         simdnorm::layer_norm_double_backward(a.shape, reads(r, "ddx"), none, none, reads(r, "dy"),
                                              reads(r, "x"), a.gamma.data(), a.moments.data(), r.at("ddy"),
                                              r.at("dx"));
       }},
  };
}

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
INSTANTIATE_TEST_SUITE_P(All, Aliasing, testing::ValuesIn(cases()), [](const auto& of) {
  std::string name = of.param.name;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
});

}  // namespace
