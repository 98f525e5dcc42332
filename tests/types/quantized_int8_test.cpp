// Norms of every type to codes of int8.
#include "types/quantized.hpp"

using Codes = std::int8_t;

TEST(QuantizedNorm, OfFloat) { types::check_norms<Codes, float>(); }
TEST(QuantizedNorm, OfBFloat16) { types::check_norms<Codes, simdnorm::BFloat16>(); }
TEST(QuantizedNorm, OfFloat16) { types::check_norms<Codes, simdnorm::Float16>(); }
TEST(QuantizedNorm, OfAnotherCasting) {
  types::check_norms<Codes, simdnorm::BFloat16, simdnorm::RoundXhat>();
}
