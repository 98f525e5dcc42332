// x of double, dy of BFloat16, dx of every type; gamma of float, double.
#include "types/backward.hpp"

TEST(BackwardOfDoubleFromBFloat16, GammaInFloat) {
  types::check_backward_of<3, simdnorm::BFloat16, double, float>();
}
TEST(BackwardOfDoubleFromBFloat16, GammaInDouble) {
  types::check_backward_of<0, simdnorm::BFloat16, double, double>();
}
