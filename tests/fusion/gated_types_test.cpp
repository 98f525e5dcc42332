// Gates of other types than float, with RMSNorm.
#include "fusion/gated.hpp"

namespace {

using namespace fusion;

TEST(GatedTypes, NarrowOnes) { check_gates<Norm::rms, BFloat16, Float16, float, BFloat16>(); }
TEST(GatedTypes, Doubles) {
  for (Index hidden : {1, 33, 130}) {
    for (const PlacesOfAll& places : layouts(hidden)) {
      const GateProblem<double, float, BFloat16> p(places.x.shape.rows, hidden, 3);
      check_after<Norm::rms, double, float, BFloat16, double, false>(places, p);
    }
  }
}

}  // namespace
