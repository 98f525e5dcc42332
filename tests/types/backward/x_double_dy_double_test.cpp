// x of double, dy of double, dx of every type; gamma of float, double.
#include "types/backward.hpp"

TEST(BackwardOfDoubleFromDouble, GammaInFloat) { types::check_backward_of<2, double, double, float>(); }
TEST(BackwardOfDoubleFromDouble, GammaInDouble) { types::check_backward_of<3, double, double, double>(); }
