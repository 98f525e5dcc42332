#include "fusion/residual.hpp"

namespace {

using namespace fusion;

TEST(ResidualSum, OfDoubles) { check_sums<double, double, double, double, double, With::both>(); }
TEST(ResidualSum, OfFloatsAndADoubleResidual) {
  check_sums<float, double, double, float, float, With::nothing>();
}

}  // namespace
