// The calls as they are where nothing is dispatched, in a namespace that the dispatched ones do not share.
#undef SIMDNORM_DISPATCH
#define simdnorm direct
#include "calls.hpp"
#undef simdnorm

std::vector<std::pair<std::string, std::uint64_t>> bits_of_direct_calls() {
  return direct::bits_of_all_calls();
}
