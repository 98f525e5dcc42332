// Forward of every combination of types: the norm of the converted operands, rounded once, bit for bit.
#pragma once

#include "support/types.hpp"

namespace types {

using namespace support;

template <class X, class P, class Y> void check_layouts() {
  for (Index hidden : {1, 5, 16, 33, 67, 130, 301}) {
    const auto in = [&](Index rows) {
      return every_path_of<X, P>(rows, hidden, static_cast<std::uint64_t>(hidden));
    };
    for (const Places& places : {contiguous(23, hidden), in_wider_rows(13, hidden), spaced(12, hidden),
                                 side_by_side(2, 11, hidden), side_by_side(1, 35, hidden)}) {
      expect_forward_rounds_once<X, P, Y>(places, in(places.shape.rows));
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}
// Every type of y. P: gamma and beta.
template <class X, class P> void check_forward_of() {
  check_layouts<X, P, float>();
  check_layouts<X, P, double>();
  check_layouts<X, P, BFloat16>();
  check_layouts<X, P, Float16>();
}

}  // namespace types
