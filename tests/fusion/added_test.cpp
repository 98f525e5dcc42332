#include "fusion/residual.hpp"

namespace {

using namespace fusion;

TEST(AddedResult, OfFloats) { check_added<float, float, float, float>(); }

}  // namespace
