// What may lie on what: of the backward of other norms than LayerNorm and RMSNorm, and of double backward.
#include "fusion/aliasing.hpp"

#include <simdnorm/double_backward.hpp>

namespace {

using namespace aliasing;

std::vector<Case> cases() {
  const Names back = {"dy", "x"}, dx_alone = {"dx"};
  return {
      {"modulated, dx",
       back,
       dx_alone,
       {{"dx", back}},
       [](A a, R r) {
         simdnorm::modulated_layer_norm_backward(a.shape, 1, reads(r, "dy"), reads(r, "x"), a.scale.data(),
                                                 a.moments.data(), r.at("dx"));
       }},
      {"grouped, dx",
       back,
       dx_alone,
       {{"dx", back}},
       [](A a, R r) {
         simdnorm::grouped_rms_norm_backward(a.shape, 1, reads(r, "dy"), reads(r, "x"), a.gamma.data(),
                                             a.moments.data(), r.at("dx"));
       }},
      {"partial_rms_norm, dx",
       back,
       dx_alone,
       {{"dx", back}},
       [](A a, R r) {
         simdnorm::partial_rms_norm_backward(a.shape, 5, reads(r, "dy"), reads(r, "x"), a.gamma.data(),
                                             a.moments.data(), r.at("dx"));
       }},
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
INSTANTIATE_TEST_SUITE_P(All, Aliasing, testing::ValuesIn(cases()), test_name);

}  // namespace
