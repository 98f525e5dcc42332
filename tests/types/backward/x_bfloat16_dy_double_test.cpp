// x of BFloat16, dy of double, dx of every type; gamma of float, BFloat16.
#include "types/backward.hpp"

TEST(BackwardOfBFloat16FromDouble, GammaInFloat) {
  types::check_backward_of<3, double, simdnorm::BFloat16, float>();
}
TEST(BackwardOfBFloat16FromDouble, GammaInBFloat16) {
  types::check_backward_of<0, double, simdnorm::BFloat16, simdnorm::BFloat16>();
}
