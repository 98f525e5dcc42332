#include "fuzz/eigen_fuzz.hpp"

template <> void fuzz::run_eigen<simdnorm::LayerNorm<double>>(Input& input) {
  EigenRun<simdnorm::LayerNorm<double>> run(input);
  run();
}
