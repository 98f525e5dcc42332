// Fuzzes the functors over Eigen objects: see eigen_fuzz.hpp.
#include "fuzz/input.hpp"

namespace simdnorm {
struct RoundOnce;
template <class P, class Casting = RoundOnce> class LayerNorm;
template <class P, class Casting = RoundOnce> class RMSNorm;
}  // namespace simdnorm
namespace fuzz {
template <class Functor> void run_eigen(Input& input);
}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t count) {
  fuzz::Input input(data, count);
  switch (input.between(0, 3)) {
    case 0:
      fuzz::run_eigen<simdnorm::LayerNorm<float>>(input);
      break;
    case 1:
      fuzz::run_eigen<simdnorm::LayerNorm<double>>(input);
      break;
    case 2:
      fuzz::run_eigen<simdnorm::RMSNorm<float>>(input);
      break;
    default:
      fuzz::run_eigen<simdnorm::RMSNorm<double>>(input);
  }
  return 0;
}
