// Compiled with flags that let the compiler reorder sums: self_test() must tell.
#include <simdnorm/self_test.hpp>

int main() { std::puts(simdnorm::self_test() ? "self_test() is true" : "self_test() is false"); }
