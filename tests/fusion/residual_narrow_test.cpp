#include "fusion/residual.hpp"

namespace {

using namespace fusion;

// The stream of a model in float, its branches in bfloat16.
TEST(ResidualSum, OfABranchInBFloat16) { check_sums<BFloat16, float, float, float, BFloat16, With::both>(); }
TEST(ResidualSum, OfBFloat16) {
  check_sums<BFloat16, BFloat16, BFloat16, BFloat16, BFloat16, With::nothing>();
}

}  // namespace
