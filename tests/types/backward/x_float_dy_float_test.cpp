// x of float, dy of float, dx of every type; gamma of float, BFloat16, Float16.
#include "types/backward.hpp"

TEST(BackwardOfFloatFromFloat, GammaInFloat) { types::check_backward_of<0, float, float, float>(); }
TEST(BackwardOfFloatFromFloat, GammaInBFloat16) {
  types::check_backward_of<1, float, float, simdnorm::BFloat16>();
}
TEST(BackwardOfFloatFromFloat, GammaInFloat16) {
  types::check_backward_of<2, float, float, simdnorm::Float16>();
}
