// Prints simdnorm's self-test hash.
#include <simdnorm/self_test.hpp>

#include <cinttypes>
#include <cstdio>

int main() { std::printf("%016" PRIx64 "\n", simdnorm::self_test_hash()); }
