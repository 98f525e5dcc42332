#include "fusion/residual.hpp"

namespace {

using namespace fusion;

TEST(AddedResult, OfABranchInBFloat16) { check_added<BFloat16, float, float, BFloat16>(); }

}  // namespace
