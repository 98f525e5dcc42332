// Another library's norm: how its own users call it, and the list of all that a program is built with.
//
// A library is one file, which adds the ways in which it is called by static `Listed`s, and one line in
// libraries.cmake. peers.cpp times them; ../accuracy measures the errors of the plain way of each.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../support/view.hpp"

namespace bench {

/// A call with its arguments, to be made again and again.
struct Call {
  std::function<void(Index calls)> repeated;  // this is timed
  std::function<void()> collect;              // copies the results to the view, if they are elsewhere
};

/// The loop is instantiated for each call, so that nothing but the call is timed.
template <class Once>
Call call(
    Once once, std::function<void()> collect = [] {}) {
  return {[once = std::move(once)](Index calls) mutable {
            for (; calls > 0; --calls) once();
          },
          std::move(collect)};
}

/// What prepare throws where a library cannot do it on this processor: it is left out, with these words.
struct Unsupported : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Peer {
  std::string library, version;
  std::string
      way;  // in which it is called, where there are several; empty: the plain way, measured by accuracy
  Norm norm;
  Pass pass;
  /// Does what a user of the library does once. Backward gets its statistics from the library's own forward.
  std::function<Call(const View&)> prepare;
  Type type = Type::float32;
  bool rounds_everywhere = false;  // to the type, and not only at the end: see Operands::check

  std::string name() const { return way.empty() ? library : library + " (" + way + ")"; }
};

/// In the order in which libraries.cmake names the files.
inline std::vector<Peer>& all_peers() {
  static std::vector<Peer> list;
  return list;
}

struct Listed {
  explicit Listed(Peer peer) { all_peers().push_back(std::move(peer)); }
};

/// How many threads a library may use, from its next preparation on.
inline int& peer_threads() {
  static int count = 1;
  return count;
}

}  // namespace bench
