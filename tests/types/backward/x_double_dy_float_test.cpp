// x of double, dy of float, dx of every type; gamma of float, double.
#include "types/backward.hpp"

TEST(BackwardOfDoubleFromFloat, GammaInFloat) { types::check_backward_of<1, float, double, float>(); }
TEST(BackwardOfDoubleFromFloat, GammaInDouble) { types::check_backward_of<2, float, double, double>(); }
