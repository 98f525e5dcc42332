// Prints simdnorm's self-test hash; ends with 1 where it is not the golden one.
#include <simdnorm/self_test.hpp>

#include <cinttypes>
#include <cstdio>

int main() {
  const std::uint64_t hash = simdnorm::self_test_hash();
  std::printf("%016" PRIx64 "\n", hash);
  return hash == simdnorm::self_test_golden ? 0 : 1;
}
