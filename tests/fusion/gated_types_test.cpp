// Gates of narrow types, with RMSNorm. (Of double: examples/gated_norm.cpp.)
#include "fusion/gated.hpp"

namespace {

using namespace fusion;

TEST(GatedTypes, NarrowOnes) {
  for (Index hidden : {1, 33, 130}) {
    for (const PlacesOfAll& places : layouts(hidden)) {
      const GateProblem<BFloat16, Float16, float> p(places.x.shape.rows, hidden, 3);
      check_after<Norm::rms, BFloat16, Float16, float, BFloat16>(places, p);
      check_before<Norm::rms, BFloat16, Float16, float, BFloat16, false>(places, p);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

}  // namespace
