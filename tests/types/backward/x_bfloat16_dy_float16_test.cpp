// x of BFloat16, dy of Float16, dx of every type; gamma of float, BFloat16.
#include "types/backward.hpp"

TEST(BackwardOfBFloat16FromFloat16, GammaInFloat) {
  types::check_backward_of<1, simdnorm::Float16, simdnorm::BFloat16, float>();
}
TEST(BackwardOfBFloat16FromFloat16, GammaInBFloat16) {
  types::check_backward_of<2, simdnorm::Float16, simdnorm::BFloat16, simdnorm::BFloat16>();
}
