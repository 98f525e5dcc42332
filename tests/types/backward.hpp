// Backward of every combination of the types of dy, x, dx and gamma: the gradients of the converted operands, rounded once,
// bit for bit. The norm, and whether dgamma and dbeta are of float or double, alternate, so that each two types meet both.
#pragma once

#include "support/types.hpp"

namespace types {

using namespace support;

template <int Turn, class Dy, class X, class P, class Dx> void check_layouts() {
  constexpr Norm norm = Turn % 2 == 0 ? Norm::layer : Norm::rms;
  using G = std::conditional_t<Turn / 2 % 2 == 0, float, double>;
  for (Index hidden : {1, 16, 33, 67, 130}) {
    const auto in = [&](Index rows) {
      return every_path_of<X, P, float, Dy>(rows, hidden, static_cast<std::uint64_t>(hidden));
    };
    for (const Places& places : {contiguous(150, hidden), in_wider_rows(13, hidden), spaced(12, hidden),
                                 side_by_side(2, 11, hidden), side_by_side(1, 35, hidden)}) {
      expect_backward_rounds_once<norm, Dy, X, P, Dx, G>(places, in(places.shape.rows));
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}
// Every type of dx. P: gamma.
template <int Turn, class Dy, class X, class P> void check_backward_of() {
  check_layouts<Turn, Dy, X, P, float>();
  check_layouts<Turn + 1, Dy, X, P, double>();
  check_layouts<Turn + 2, Dy, X, P, BFloat16>();
  check_layouts<Turn + 3, Dy, X, P, Float16>();
}

}  // namespace types
