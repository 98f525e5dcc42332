// x of float, dy of Float16, dx of every type; gamma of float, BFloat16, Float16.
#include "types/backward.hpp"

TEST(BackwardOfFloatFromFloat16, GammaInFloat) {
  types::check_backward_of<3, simdnorm::Float16, float, float>();
}
TEST(BackwardOfFloatFromFloat16, GammaInBFloat16) {
  types::check_backward_of<0, simdnorm::Float16, float, simdnorm::BFloat16>();
}
TEST(BackwardOfFloatFromFloat16, GammaInFloat16) {
  types::check_backward_of<1, simdnorm::Float16, float, simdnorm::Float16>();
}
