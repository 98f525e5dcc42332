// x of float, dy of BFloat16, dx of every type; gamma of float, BFloat16, Float16.
#include "types/backward.hpp"

TEST(BackwardOfFloatFromBFloat16, GammaInFloat) {
  types::check_backward_of<2, simdnorm::BFloat16, float, float>();
}
TEST(BackwardOfFloatFromBFloat16, GammaInBFloat16) {
  types::check_backward_of<3, simdnorm::BFloat16, float, simdnorm::BFloat16>();
}
TEST(BackwardOfFloatFromBFloat16, GammaInFloat16) {
  types::check_backward_of<0, simdnorm::BFloat16, float, simdnorm::Float16>();
}
