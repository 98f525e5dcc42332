// x of double, dy of Float16, dx of every type; gamma of float, double.
#include "types/backward.hpp"

TEST(BackwardOfDoubleFromFloat16, GammaInFloat) {
  types::check_backward_of<0, simdnorm::Float16, double, float>();
}
TEST(BackwardOfDoubleFromFloat16, GammaInDouble) {
  types::check_backward_of<1, simdnorm::Float16, double, double>();
}
