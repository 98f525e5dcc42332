#include "fuzz/eigen_fuzz.hpp"

template <> void fuzz::run_eigen<simdnorm::RMSNorm<float>>(Input& input) {
  EigenRun<simdnorm::RMSNorm<float>> run(input);
  run();
}
