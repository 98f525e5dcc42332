// Sums with a residual in memory (fusion/memory.hpp), of bfloat16.
#include "fusion/memory.hpp"

namespace {

using namespace fusion;

TEST(ResidualInPlace, OfBFloat16) { check_in_place_everywhere<BFloat16>(); }
TEST(ResidualStreams, OfBFloat16HaveTheBitsOfStores) { check_streams<BFloat16>(); }
#if SIMDNORM_TEST_GUARD_PAGES
TEST(ResidualMemory, OfBFloat16BetweenGuardPages) { check_guarded_everywhere<BFloat16>(); }
#endif

}  // namespace
