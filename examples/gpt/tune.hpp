// Fine-tuning: what a model learned stays, and small adapters on attention's matrices learn another text.
#pragma once

#include <string>
#include <vector>

#include "weights.hpp"

namespace gpt {

struct Tuning {
  std::string checkpoint;  // of the model that was trained
  std::vector<std::string> text;
  std::string save = "";  // where the adapted model goes, with norms frozen; "": nowhere
  Index rank = 4, steps = 200, sequences = 16;
  double rate = 2e-3;
  int threads = 2;
};

/// Once with frozen norms and once with norms that learn too; false where a frozen number changed, or where a gradient of a frozen
/// norm was computed.
bool tune(const Tuning& options);

}  // namespace gpt
