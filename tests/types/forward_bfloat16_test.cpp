// x of BFloat16, y of every type, gamma and beta of float and of BFloat16.
#include "types/forward.hpp"

TEST(ForwardOfBFloat16, GammaInFloat) { types::check_forward_of<simdnorm::BFloat16, float>(); }
TEST(ForwardOfBFloat16, GammaInTheSameType) {
  types::check_forward_of<simdnorm::BFloat16, simdnorm::BFloat16>();
}
