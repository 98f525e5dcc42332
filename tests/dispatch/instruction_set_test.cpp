// The choice of an instruction set by its name. (Of the processor's: dispatched.cpp, under several processors.)
#include <simdnorm/dispatch/instruction_set.hpp>

#include <gtest/gtest.h>

#include <iterator>
#include <string>

namespace {

using namespace simdnorm;

TEST(InstructionSet, IsTheBestWhereNoneIsNamed) {
  for (const InstructionSet best : dispatched_sets) {
    EXPECT_EQ(instruction_set_named(nullptr, best), best);
    EXPECT_EQ(instruction_set_named("", best), best);
  }
}

TEST(InstructionSet, IsTheOneThatIsNamed) {
  for (const InstructionSet set : dispatched_sets)
    for (const InstructionSet best : dispatched_sets)
      if (set <= best) {
        EXPECT_EQ(instruction_set_named(name_of(set), best), set) << name_of(best);
      }
}

std::string words_of(const char* name, InstructionSet best) {
  try {
    instruction_set_named(name, best);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no error";
}

TEST(InstructionSet, ThatIsNotThereIsRefused) {
  const InstructionSet baseline = InstructionSet::baseline;
  const std::string only = " but on this processor can only be baseline";
  for (const char* name : {"avx", "Baseline", "baseline2"})
    EXPECT_EQ(words_of(name, baseline), std::string("simdnorm: SIMDNORM_ISA is ") + name + only);
  for (const InstructionSet set : dispatched_sets)
    if (set != baseline) {
      EXPECT_EQ(words_of(name_of(set), baseline),
                std::string("simdnorm: SIMDNORM_ISA is ") + name_of(set) + only);
    }
#if defined(__x86_64__)
  EXPECT_EQ(words_of("avx512", InstructionSet::avx2), "simdnorm: SIMDNORM_ISA is avx512" + only + ", avx2");
  EXPECT_EQ(words_of("sve256", InstructionSet::avx512),
            "simdnorm: SIMDNORM_ISA is sve256" + only + ", avx2, avx512");
#endif
}

TEST(InstructionSet, OfThisProcessorIsFoundOnce) {
  EXPECT_LE(best_instruction_set(), *std::rbegin(dispatched_sets));
  EXPECT_EQ(instruction_set(), instruction_set_named(std::getenv("SIMDNORM_ISA"), best_instruction_set()));
#if defined(__AVX512F__)
  EXPECT_EQ(best_instruction_set(), InstructionSet::avx512);
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
  EXPECT_GE(best_instruction_set(), InstructionSet::avx2);
#endif
}

}  // namespace
