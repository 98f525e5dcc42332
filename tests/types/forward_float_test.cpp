// x of float, y of every type, gamma and beta of float and of narrow types.
#include "types/forward.hpp"

TEST(ForwardOfFloat, GammaInFloat) { types::check_forward_of<float, float>(); }
TEST(ForwardOfFloat, GammaInBFloat16) { types::check_forward_of<float, simdnorm::BFloat16>(); }
TEST(ForwardOfFloat, GammaInFloat16) { types::check_forward_of<float, simdnorm::Float16>(); }
