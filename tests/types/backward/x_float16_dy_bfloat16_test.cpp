// x of Float16, dy of BFloat16, dx of every type; gamma of float, Float16.
#include "types/backward.hpp"

TEST(BackwardOfFloat16FromBFloat16, GammaInFloat) {
  types::check_backward_of<1, simdnorm::BFloat16, simdnorm::Float16, float>();
}
TEST(BackwardOfFloat16FromBFloat16, GammaInFloat16) {
  types::check_backward_of<2, simdnorm::BFloat16, simdnorm::Float16, simdnorm::Float16>();
}
