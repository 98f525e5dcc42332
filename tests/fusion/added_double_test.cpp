#include "fusion/residual.hpp"

namespace {

using namespace fusion;

TEST(AddedResult, OfDoublesAndAFloat) { check_added<double, float, double, double>(); }

}  // namespace
