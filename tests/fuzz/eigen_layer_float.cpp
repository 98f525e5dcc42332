#include "fuzz/eigen_fuzz.hpp"

template <> void fuzz::run_eigen<simdnorm::LayerNorm<float>>(Input& input) {
  EigenRun<simdnorm::LayerNorm<float>> run(input);
  run();
}
