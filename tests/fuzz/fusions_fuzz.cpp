// Fuzzes the fusions of a norm with its neighbours: one of them for each input. (See fusions_fuzz.hpp.)
#include "fuzz/fusions_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t count) {
  using Program = void (*)(fuzz::Input&);
  constexpr Program programs[] = {fuzz::fuzz_sums,        fuzz::fuzz_gates,          fuzz::fuzz_two_norms,
                                  fuzz::fuzz_rotary,      fuzz::fuzz_modulated,      fuzz::fuzz_gathered,
                                  fuzz::fuzz_from_output, fuzz::fuzz_split,          fuzz::fuzz_results,
                                  fuzz::fuzz_statistics,  fuzz::fuzz_double_backward};
  fuzz::Input input(data, count);
  input.one_of(programs)(input);
  return 0;
}
