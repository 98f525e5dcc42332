// dispatched [SET]: whether calls that are dispatched have the bits of those that are not, and run on the kernels of SET (the
// best one of the processor, where none is named). Prints the set. Ends with 1 where they do not, with 77 where SIMDNORM_ISA
// is refused, as on a processor that has not what it names.
#include "calls.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

std::vector<std::pair<std::string, std::uint64_t>> bits_of_direct_calls();

// Each set's kernels have a setting of their own, which a call brings up to date: so it shows which kernels a call ran on.
#define SIMDNORM_SETTING_OF(set)                         \
  namespace simdnorm::set {                              \
  extern std::atomic<Index> streaming_threshold_setting; \
  }
SIMDNORM_SETTING_OF(baseline)
#if defined(__aarch64__)
SIMDNORM_SETTING_OF(sve256)
#else
SIMDNORM_SETTING_OF(avx2)
SIMDNORM_SETTING_OF(avx512)
#endif

namespace {

using namespace simdnorm;

int faults = 0;
void expect(bool is_true, const std::string& what) {
  if (is_true) return;
  ++faults;
  std::printf("not true: %s\n", what.c_str());
}

bool runs_on(InstructionSet set) {
  const Index threshold = streaming_threshold(), mark = 123456789;
  set_streaming_threshold(mark);
  BFloat16 x[4] = {
      {0x3f80}, {0x3f80}, {0x3f80}, {0x4040}};  // 1, 1, 1, 3; the root of their mean square is 1.7
  rms_norm_forward({1, 4}, +x, nullptr, 0, +x);
  expect(x[0].bits == 0x3f14 && x[3].bits == 0x3fde, "the calling thread runs what no executor is given");
  set_streaming_threshold(threshold);
#if defined(__aarch64__)
  const Index settings[] = {baseline::streaming_threshold_setting, sve256::streaming_threshold_setting};
#else
  const Index settings[] = {baseline::streaming_threshold_setting, avx2::streaming_threshold_setting,
                            avx512::streaming_threshold_setting};
#endif
  bool it_alone = true;
  for (std::size_t i = 0; i < std::size(settings); ++i)
    it_alone &= (settings[i] == mark) == (dispatched_sets[i] == set);
  return it_alone;
}

}  // namespace

int main(int count, char** words) {
  try {
    instruction_set();
  } catch (const std::invalid_argument& error) {
    std::printf("%s\n", error.what());
    return std::getenv("SIMDNORM_ISA") != nullptr ? 77 : 1;
  }
  const InstructionSet set = instruction_set();
  std::printf("%s\n", name_of(set));
  expect(count < 2 || name_of(set) == std::string(words[1]), "it is the set that is asked for");
  expect(runs_on(set), "calls run on the kernels of that set alone");
  expect(passes_exceptions_on(), "an exception comes out of the call");

  const Bits dispatched = bits_of_all_calls(), direct = bits_of_direct_calls();
  expect(dispatched.size() == direct.size() && direct.size() > 900, "both make the same calls");
  for (std::size_t i = 0; i < std::min(dispatched.size(), direct.size()); ++i)
    expect(dispatched[i] == direct[i], dispatched[i].first + " has the same bits");
  return faults == 0 ? 0 : 1;
}
