// x of BFloat16, dy of float, dx of every type; gamma of float, BFloat16.
#include "types/backward.hpp"

TEST(BackwardOfBFloat16FromFloat, GammaInFloat) {
  types::check_backward_of<2, float, simdnorm::BFloat16, float>();
}
TEST(BackwardOfBFloat16FromFloat, GammaInBFloat16) {
  types::check_backward_of<3, float, simdnorm::BFloat16, simdnorm::BFloat16>();
}
