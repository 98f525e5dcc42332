// x of float, dy of double, dx of every type; gamma of float, BFloat16, Float16.
#include "types/backward.hpp"

TEST(BackwardOfFloatFromDouble, GammaInFloat) { types::check_backward_of<1, double, float, float>(); }
TEST(BackwardOfFloatFromDouble, GammaInBFloat16) {
  types::check_backward_of<2, double, float, simdnorm::BFloat16>();
}
TEST(BackwardOfFloatFromDouble, GammaInFloat16) {
  types::check_backward_of<3, double, float, simdnorm::Float16>();
}
