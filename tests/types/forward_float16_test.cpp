// x of Float16, y of every type, gamma and beta of float and of Float16.
#include "types/forward.hpp"

TEST(ForwardOfFloat16, GammaInFloat) { types::check_forward_of<simdnorm::Float16, float>(); }
TEST(ForwardOfFloat16, GammaInTheSameType) {
  types::check_forward_of<simdnorm::Float16, simdnorm::Float16>();
}
