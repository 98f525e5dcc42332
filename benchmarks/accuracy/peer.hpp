// Whose errors are measured: simdnorm, and the libraries of ../peers that this program is built with, each in the
// plain way in which it is called. The columns of the tables stand in the order of the list.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "../peers/peer.hpp"
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

// What a library of ../peers is handed. There mean and rstd are its own.
inline bench::View view(const Problem& p) {
  bench::View v = {};
  v.rows = p.rows, v.hidden = p.hidden, v.epsilon = p.epsilon;
  v.x = p.x.data(), v.dy = p.dy.data(), v.gamma = p.gamma.data(), v.beta = p.beta.data();
  v.stored.x = v.x, v.stored.dy = v.dy;
  return v;
}

inline void call_once(const bench::Peer& peer, const bench::View& v) {
  const bench::Call call = peer.prepare(v);
  call.repeated(1);
  call.collect();
}

// Adds each norm of a library that has both a forward and a backward.
inline void list_libraries() {
  const auto plain = [](const bench::Peer& peer, bench::Pass pass) {
    return peer.way.empty() && peer.pass == pass && peer.type == bench::Type::float32;
  };
  for (const bench::Peer& forward : bench::all_peers()) {
    if (!plain(forward, bench::Pass::forward)) continue;
    for (const bench::Peer& backward : bench::all_peers()) {
      if (!plain(backward, bench::Pass::backward) || backward.library != forward.library ||
          backward.norm != forward.norm)
        continue;
      peers().push_back({forward.library + " " + forward.version,
                         forward.norm == bench::Norm::layer ? Norm::layer : Norm::rms,
                         [forward](const Problem& p, float* y) {
                           bench::View v = view(p);
                           v.y = y, v.stored.y = y;
                           call_once(forward, v);
                         },
                         [backward](const Problem& p, const Gradients& out) {
                           bench::View v = view(p);
                           v.dx = out.dx, v.stored.dx = out.dx, v.dgamma = out.dgamma, v.dbeta = out.dbeta;
                           call_once(backward, v);
                         }});
    }
  }
}

}  // namespace accuracy
