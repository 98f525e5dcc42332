// x of BFloat16, dy of BFloat16, dx of every type; gamma of float, BFloat16.
#include "types/backward.hpp"

TEST(BackwardOfBFloat16FromBFloat16, GammaInFloat) {
  types::check_backward_of<0, simdnorm::BFloat16, simdnorm::BFloat16, float>();
}
TEST(BackwardOfBFloat16FromBFloat16, GammaInBFloat16) {
  types::check_backward_of<1, simdnorm::BFloat16, simdnorm::BFloat16, simdnorm::BFloat16>();
}
