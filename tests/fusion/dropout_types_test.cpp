// Dropout in other types than float.
#include "fusion/dropout.hpp"

namespace {

using namespace fusion;

TEST(Dropout, OfABranchInBFloat16) { check_sums<Norm::rms, BFloat16, float, float, BFloat16, BFloat16>(); }
TEST(Dropout, InDouble) { check_sums<Norm::layer, double, double, double, double, double>(); }

}  // namespace
