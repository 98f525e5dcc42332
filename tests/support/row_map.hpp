// Which row and which column of (rows, hidden) an element of a tensor or matrix belongs to, worked out from its
// coordinates.
#pragma once

#include "support/calls.hpp"

namespace support {

// A tensor's or matrix's elements as rows, for the normalized dimensions [first, first + count).
struct RowMap {
  std::vector<Index> sizes;  // in the order the user counts dimensions
  bool row_major;
  int first, count;

  int rank() const { return static_cast<int>(sizes.size()); }
  Index product(bool normalized) const {
    Index result = 1;
    for (int d = 0; d < rank(); ++d) {
      if ((d >= first && d < first + count) == normalized) result *= sizes[size(d)];
    }
    return result;
  }
  Index rows() const { return product(false); }
  Index hidden() const { return product(true); }

  // Position among all elements with (normalized, or not) dimensions only, in storage order: row-major counts
  // the last dimension fastest, column-major the first.
  Index rank_of(const std::vector<Index>& at, bool normalized) const {
    Index position = 0;
    for (int i = 0; i < rank(); ++i) {
      const int d = row_major ? i : rank() - 1 - i;
      if ((d >= first && d < first + count) == normalized) position = position * sizes[size(d)] + at[size(d)];
    }
    return position;
  }
  // f(coordinates, position in (rows, hidden)) for every element.
  template <class F> void each(F&& f) const {
    Index all = 1;
    for (Index n : sizes) all *= n;
    std::vector<Index> at(sizes.size(), 0);
    for (Index i = 0; i < all; ++i) {
      f(at, size(rank_of(at, false) * hidden() + rank_of(at, true)));
      for (std::size_t d = sizes.size(); d-- > 0;) {
        if (++at[d] < sizes[d]) break;
        at[d] = 0;
      }
    }
  }
};

}  // namespace support
