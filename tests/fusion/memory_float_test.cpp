// Sums with a residual in memory (fusion/memory.hpp), of floats; and the bits of several threads.
#include "fusion/memory.hpp"

namespace {

using namespace fusion;

TEST(ResidualInPlace, OfFloats) { check_in_place_everywhere<float>(); }
TEST(ResidualStreams, OfFloatsHaveTheBitsOfStores) { check_streams<float>(); }
TEST(ResidualThreads, GiveTheSameBits) {
  for (const Places& at : {contiguous(700, 96), side_by_side(2, 300, 40)}) {
    Operands<float> expected(at, 4);
    run(expected);
    for (const Executor& executor :
         {Executor(Threads{1}), Executor(Threads{3}), Executor(Threads{16}), Executor(Backwards{})}) {
      Operands<float> got(at, 4);
      run(got, executor);
      expect_same(got, expected);
    }
  }
}
#if SIMDNORM_TEST_GUARD_PAGES
TEST(ResidualMemory, OfFloatsBetweenGuardPages) { check_guarded_everywhere<float>(); }
#endif

}  // namespace
