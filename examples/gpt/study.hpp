// Placements and kinds of norms beside each other, at depth.
#pragma once

#include <string>
#include <vector>

#include "weights.hpp"

namespace gpt {

struct Study {
  std::vector<std::string> text;
  std::string folder;  // where the tables go
  std::vector<Index> depths = {4, 24};
  Index steps = 500;
  double rate = 2e-3;
  int threads = 2;
};

/// Trains one small model after another, all from the same seed and on the same batches; writes losses.csv and gradients.csv.
int study(const Study& options);

/// What other sequences in a batch do to a sequence, for LayerNorm and for BatchNorm; false where it is not what is said of them.
bool check_batches();

}  // namespace gpt
