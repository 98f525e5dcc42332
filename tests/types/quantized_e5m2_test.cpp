// Norms of every type to codes of e5m2.
#include "types/quantized.hpp"

using Codes = simdnorm::Float8E5M2;

TEST(QuantizedNorm, OfFloat) { types::check_norms<Codes, float>(); }
TEST(QuantizedNorm, OfBFloat16) { types::check_norms<Codes, simdnorm::BFloat16>(); }
TEST(QuantizedNorm, OfFloat16) { types::check_norms<Codes, simdnorm::Float16>(); }
TEST(QuantizedNorm, OfAnotherCasting) {
  types::check_norms<Codes, simdnorm::BFloat16, simdnorm::RoundXhat>();
}
