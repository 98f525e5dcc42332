// Gates and groups between guard pages, of float and bfloat16.
#include "fusion/guard_pages.hpp"

#include <simdnorm/pointers.hpp>

namespace {

using namespace fusion;
using simdnorm::gate_gradients;
using simdnorm::gated;

#if SIMDNORM_TEST_GUARD_PAGES

// Whole rows are one group.
Index groups_of(RowShape shape) { return shape.hidden % 3 == 0 ? 3 : 1; }

TEST(FusedGuardPages, GatesForward) {
  check_guarded_everywhere([](Arrays& a) {
    const RowShape shape = a.places.shape;
    const Index groups = groups_of(shape);
    const auto x = gated(a.rows<BFloat16>(), a.rows<float>(), a.results<float>());
    const auto y = gated(a.results<float>(), a.rows<BFloat16>());
    simdnorm::grouped_rms_norm_forward(shape, groups, x, a.array(), 1e-6F, y,
                                       a.write<Moments>(groups * shape.rows));
  });
}
TEST(FusedGuardPages, GatesAfterTheNormBackward) {
  check_guarded_everywhere([](Arrays& a) {
    const RowShape shape = a.places.shape;
    const Index groups = groups_of(shape);
    const auto dy = gated(a.rows<float>(), a.rows<BFloat16>()).gradient(a.results<float>(), a.array());
    simdnorm::grouped_layer_norm_backward(shape, groups, dy, a.rows<BFloat16>(), a.array(),
                                          a.moments(groups * shape.rows), a.results<float>(), a.sums(),
                                          a.sums());
  });
}
TEST(FusedGuardPages, GatesBeforeTheNormBackward) {
  check_guarded_everywhere([](Arrays& a) {
    const RowShape shape = a.places.shape;
    const Index groups = groups_of(shape);
    const auto x = a.rows<float>();
    const auto z = a.rows<BFloat16>();
    simdnorm::grouped_rms_norm_backward(
        shape, groups, a.rows<BFloat16>(), gated(x, z), a.array(), a.moments(groups * shape.rows),
        gate_gradients(x, z, a.results<BFloat16>(), a.results<float>()), a.sums());
  });
}

#endif

}  // namespace
