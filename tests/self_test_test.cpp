// self_test() is true here, and false where something changes the kernels' bits. (Compiler flags that do:
// package/unsafe_math.cpp.)
#include <simdnorm/self_test.hpp>

#include <gtest/gtest.h>

#include <cfenv>

namespace {

TEST(SelfTest, IsTrueHere) {
  EXPECT_TRUE(simdnorm::self_test()) << std::hex << "got 0x" << simdnorm::self_test_hash();
}

// Twice on one thread: nothing is kept.
TEST(SelfTest, RepeatsItself) { EXPECT_EQ(simdnorm::self_test_hash(), simdnorm::self_test_hash()); }

#if defined(FE_UPWARD) && defined(FE_TOWARDZERO)
TEST(SelfTest, IsFalseInAnotherRoundingMode) {
  for (int mode : {FE_UPWARD, FE_TOWARDZERO}) {
    ASSERT_EQ(std::fesetround(mode), 0);
    const bool passes = simdnorm::self_test();
    std::fesetround(FE_TONEAREST);
    EXPECT_FALSE(passes) << "rounding mode " << mode;
  }
}
#endif

#if defined(__SSE2__) || defined(_M_X64)
TEST(SelfTest, IsFalseWhereSubnormalNumbersAreFlushed) {
  const unsigned flush_to_zero = 0x8000, denormals_are_zero = 0x0040, before = _mm_getcsr();
  for (unsigned flag : {flush_to_zero, denormals_are_zero}) {
    _mm_setcsr(before | flag);
    const bool passes = simdnorm::self_test();
    _mm_setcsr(before);
    EXPECT_FALSE(passes) << "control flag " << flag;
  }
}
#endif

TEST(SelfTest, AnyBitChangesTheHash) {
  const float numbers[] = {1, 2, 3, 0};
  simdnorm::BitHash whole;
  whole.add(numbers, 4);
  for (int i = 0; i < 4; ++i) {
    for (float other : {-numbers[i], std::nextafter(numbers[i], 9.f), numbers[i] + 1}) {
      float changed[] = {1, 2, 3, 0};
      changed[i] = other;
      simdnorm::BitHash hash;
      hash.add(changed, 4);
      EXPECT_NE(hash.word(), whole.word()) << other << " in place of " << numbers[i];
    }
  }
  simdnorm::BitHash longer = whole;
  longer.add(numbers + 3, 1);
  EXPECT_NE(longer.word(), whole.word());
}

}  // namespace
