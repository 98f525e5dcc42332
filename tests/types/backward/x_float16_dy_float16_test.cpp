// x of Float16, dy of Float16, dx of every type; gamma of float, Float16.
#include "types/backward.hpp"

TEST(BackwardOfFloat16FromFloat16, GammaInFloat) {
  types::check_backward_of<2, simdnorm::Float16, simdnorm::Float16, float>();
}
TEST(BackwardOfFloat16FromFloat16, GammaInFloat16) {
  types::check_backward_of<3, simdnorm::Float16, simdnorm::Float16, simdnorm::Float16>();
}
