// One 64-bit hash over the bits of many numbers (FNV-1a over 64-bit words, mixed once more): equal hashes
// stand for equal bits.
#pragma once

#include <cstdint>
#include <vector>

#include "support/row_families.hpp"

namespace support {

class Hash {
 public:
  void add(std::uint64_t word) {
    state_ = (state_ ^ word) * 0x100000001b3ULL;
    state_ ^= state_ >> 29;
  }
  void add(float value) { add(bits_of(value)); }
  void add(double value) { add(bits_of(value)); }
  template <class T> void add(const std::vector<T>& values) {
    for (const T& value : values) add(value);
  }
  std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325ULL;
};

}  // namespace support
