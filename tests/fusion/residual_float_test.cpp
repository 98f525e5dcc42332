#include "fusion/residual.hpp"

namespace {

using namespace fusion;

TEST(ResidualSum, OfFloats) { check_sums<float, float, float, float, float, With::nothing>(); }
TEST(ResidualSum, OfFloatsWithABias) { check_sums<float, float, float, float, float, With::bias>(); }
TEST(ResidualSum, OfFloatsTimesAlpha) { check_sums<float, float, float, float, float, With::alpha>(); }

}  // namespace
