// x of double, y of every type, gamma and beta of float and of double.
#include "types/forward.hpp"

TEST(ForwardOfDouble, GammaInFloat) { types::check_forward_of<double, float>(); }
TEST(ForwardOfDouble, GammaInTheSameType) { types::check_forward_of<double, double>(); }
