// x of Float16, dy of float, dx of every type; gamma of float, Float16.
#include "types/backward.hpp"

TEST(BackwardOfFloat16FromFloat, GammaInFloat) {
  types::check_backward_of<3, float, simdnorm::Float16, float>();
}
TEST(BackwardOfFloat16FromFloat, GammaInFloat16) {
  types::check_backward_of<0, float, simdnorm::Float16, simdnorm::Float16>();
}
