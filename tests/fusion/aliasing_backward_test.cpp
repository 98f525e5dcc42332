// What may lie on what: of the arguments of backward. (Of other norms' backward: aliasing_other_norms_test.cpp.)
#include "fusion/aliasing.hpp"

namespace {

using namespace aliasing;

template <class Dy, class X, class Dx>
void rms_back(const Arrays& a, const Dy& dy, const X& x, const Dx& dx) {
  simdnorm::rms_norm_backward(a.shape, dy, x, a.gamma.data(), a.moments.data(), dx);
}

std::vector<Case> cases() {
  const Names back = {"dy", "x"}, dx_alone = {"dx"};
  return {
      {"backward",
       back,
       dx_alone,
       {{"dx", back}},
       [](A a, R r) { rms_back(a, reads(r, "dy"), reads(r, "x"), r.at("dx")); }},
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
      {"unrotated",
       back,
       dx_alone,
       {{"dx", {"x"}}},
       [](A a, R r) {
         rms_back(a, simdnorm::unrotated(reads(r, "dy"), a.rotary()), reads(r, "x"), r.at("dx"));
       }},
      {"from_output",
       {"dy", "y"},
       dx_alone,
       {{"dx", {"dy", "y"}}},
       [](A a, R r) { rms_back(a, reads(r, "dy"), simdnorm::from_output(reads(r, "y"), none), r.at("dx")); }},
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
  };
}
INSTANTIATE_TEST_SUITE_P(All, Aliasing, testing::ValuesIn(cases()), test_name);

}  // namespace
