#include "fuzz/eigen_fuzz.hpp"

template <> void fuzz::run_eigen<simdnorm::RMSNorm<double>>(Input& input) {
  EigenRun<simdnorm::RMSNorm<double>> run(input);
  run();
}
