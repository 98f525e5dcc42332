#include "fusion/residual.hpp"

namespace {

using namespace fusion;

TEST(ResidualSum, OfFloat16) { check_sums<Float16, Float16, Float16, float, Float16, With::both>(); }
TEST(ResidualSum, OfFourTypes) { check_sums<Float16, double, BFloat16, float, double, With::bias>(); }

}  // namespace
