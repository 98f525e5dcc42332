// A library whose errors are measured: how it is called, and the list of all that this program is built with.
//
// A library is one file, which calls it as its own users do and adds it to the list by a static `Listed`; the
// columns of the tables stand in the order in which CMakeLists.txt names the files.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "support/calls.hpp"

namespace accuracy {

using support::Norm;
using Problem = support::Problem<float>;  // of an RMSNorm, beta is nobody's

struct Gradients {
  float* dx;      // (rows, hidden)
  float* dgamma;  // (hidden)
  float* dbeta;   // (hidden), not written by an RMSNorm
};

struct Peer {
  std::string name;
  Norm norm;
  std::function<void(const Problem&, float* y)> forward;
  // With the statistics that the library's own forward hands to it.
  std::function<void(const Problem&, const Gradients&)> backward;
};

inline std::vector<Peer>& peers() {
  static std::vector<Peer> list;
  return list;
}

struct Listed {
  explicit Listed(Peer peer) { peers().push_back(std::move(peer)); }
};

}  // namespace accuracy
