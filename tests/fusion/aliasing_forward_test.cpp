// What may lie on what: of the arguments of forward.
#include "fusion/aliasing.hpp"

namespace {

using namespace aliasing;

template <class X, class Y> void layer(const Arrays& a, const X& x, const Y& y) {
  simdnorm::layer_norm_forward(a.shape, x, a.gamma.data(), a.beta.data(), epsilon, y);
}
template <class X, class Y> void rms(const Arrays& a, const X& x, const Y& y) {
  simdnorm::rms_norm_forward(a.shape, x, a.gamma.data(), epsilon, y);
}

std::vector<Case> cases() {
  const Names x_alone = {"x"}, y_alone = {"y"};
  return {
      {"forward", x_alone, y_alone, {{"y", x_alone}}, [](A a, R r) { layer(a, reads(r, "x"), r.at("y")); }},
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
      {"branch",
       {"x", "residual"},
       {"sum", "y"},
       {{"sum", {"x", "residual"}}, {"y", {"x", "residual"}}},
       [](A a, R r) {
         const auto branch = simdnorm::branch(reads(r, "x")).bias(a.beta.data()).layer_scale(a.scale.data());
         layer(a, residual_sum(branch, reads(r, "residual"), r.at("sum")), r.at("y"));
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
      {"two_norms",
       x_alone,
       {"y", "y_2"},
       {{"y", x_alone}, {"y_2", x_alone}},
       [](A a, R r) {
         layer(a, reads(r, "x"), simdnorm::two_norms(r.at("y"), a.beta.data(), a.gamma.data(), r.at("y_2")));
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
      {"modulated, y",
       x_alone,
       y_alone,
       {{"y", x_alone}},
       [](A a, R r) {
         simdnorm::modulated_layer_norm_forward(a.shape, 1, reads(r, "x"), a.scale.data(), a.beta.data(),
                                                epsilon, r.at("y"));
       }},
      {"grouped, y",
       x_alone,
       y_alone,
       {{"y", x_alone}},
       [](A a, R r) {
         simdnorm::grouped_rms_norm_forward(a.shape, 1, reads(r, "x"), a.gamma.data(), epsilon, r.at("y"));
       }},
      {"partial_rms_norm, y",
       x_alone,
       y_alone,
       {{"y", x_alone}},
       [](A a, R r) {
         simdnorm::partial_rms_norm_forward(a.shape, 5, reads(r, "x"), a.gamma.data(), epsilon, r.at("y"));
       }},
      {"scale_norm, y",
       x_alone,
       y_alone,
       {{"y", x_alone}},
       [](A a, R r) { simdnorm::scale_norm_forward(a.shape, reads(r, "x"), 3.0F, epsilon, r.at("y")); }},
  };
}
INSTANTIATE_TEST_SUITE_P(All, Aliasing, testing::ValuesIn(cases()), test_name);

}  // namespace
