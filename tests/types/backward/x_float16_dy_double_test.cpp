// x of Float16, dy of double, dx of every type; gamma of float, Float16.
#include "types/backward.hpp"

TEST(BackwardOfFloat16FromDouble, GammaInFloat) {
  types::check_backward_of<0, double, simdnorm::Float16, float>();
}
TEST(BackwardOfFloat16FromDouble, GammaInFloat16) {
  types::check_backward_of<1, double, simdnorm::Float16, simdnorm::Float16>();
}
