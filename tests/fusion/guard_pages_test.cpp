// Branches with all factors, and two norms, between guard pages, of float and bfloat16.
#include "fusion/guard_pages.hpp"

#include <simdnorm/pointers.hpp>

namespace {

using namespace fusion;
using simdnorm::branch;

#if SIMDNORM_TEST_GUARD_PAGES

// As many arguments at once as there may be: kernels take long to compile.
TEST(FusedGuardPages, BranchesAndTwoNormsForward) {
  check_guarded_everywhere([](Arrays& a) {
    const RowShape shape = a.places.shape;
    const auto x = branch(a.rows<BFloat16>())
                       .bias(a.array())
                       .layer_scale(a.read<BFloat16>(shape.hidden))
                       .dropout({0.3, 5})
                       .row_scale(a.read<float>(shape.rows));
    const auto sum = residual_sum(x, a.rows<float>(), a.results<BFloat16>()).alpha(0.5);
    const auto y = simdnorm::two_norms(a.results<float>(), a.array(), a.array(), a.results<float>());
    simdnorm::layer_norm_forward(shape, sum, a.array(), a.array(), 1e-5F, y, a.write<Moments>(shape.rows));
  });
}
TEST(FusedGuardPages, BranchesAndTwoNormsBackward) {
  check_guarded_everywhere([](Arrays& a) {
    const RowShape shape = a.places.shape;
    const auto dy =
        simdnorm::two_gradients(a.rows<BFloat16>(), a.array(), a.rows<float>(), a.sums(), a.sums());
    const auto x = branch(a.rows<BFloat16>()).bias(a.read<BFloat16>(shape.hidden));
    const auto dx = branch(a.results<float>())
                        .dbias(a.sums())
                        .layer_scale(a.array(), x, a.sums())
                        .row_scale(a.read<BFloat16>(shape.rows));
    simdnorm::layer_norm_backward(shape, dy, a.rows<BFloat16>(), a.array(), a.moments(shape.rows),
                                  residual_gradients(a.rows<BFloat16>(), dx, a.results<BFloat16>()), a.sums(),
                                  a.sums());
  });
}

#endif

}  // namespace
