// How the bytes of a fuzzer become numbers, shared by the programs, and how a failed check ends a run: with
// the call in words.
#pragma once

#include <fuzzer/FuzzedDataProvider.h>

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "support/calls.hpp"

namespace fuzz {

using support::Index;

template <class T> using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
template <class T> T from_bits(Bits<T> bits) {
  T value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// The call that is under way, in words; each program sets it before its first check.
inline std::string call_in_words;

template <class... Words> [[noreturn]] void fail(const Words&... words) {
  std::ostringstream out;
  out.precision(17);
  (out << ... << words);
  std::fprintf(stderr, "FAILED: %s\n  call: %s\n", out.str().c_str(), call_in_words.c_str());
  std::abort();
}

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data, size) {}

  bool coin() { return data_.ConsumeBool(); }
  Index between(Index low, Index high) { return data_.ConsumeIntegralInRange<Index>(low, high); }
  template <class U, std::size_t Count> U one_of(const U (&values)[Count]) {
    return values[data_.ConsumeIntegralInRange<std::size_t>(0, Count - 1)];
  }
  // Mostly small, now and then up to the limit.
  Index size(Index low, Index limit) {
    const Index reach[] = {9, 9, 40, 40, 70, 140, 700, 5000};
    return between(low, std::max(low, std::min(limit, one_of(reach))));
  }
  // Any number at all, and often one of those that are special.
  template <class T> T number() {
    using Limits = std::numeric_limits<T>;
    const T special[] = {T(0),
                         T(-0.0),
                         T(1),
                         T(-3),
                         T(1e-5),
                         Limits::denorm_min(),
                         Limits::min(),
                         Limits::max(),
                         -Limits::max(),
                         Limits::infinity(),
                         -Limits::infinity(),
                         Limits::quiet_NaN(),
                         Limits::signaling_NaN()};
    return coin() ? one_of(special) : from_bits<T>(data_.ConsumeIntegral<Bits<T>>());
  }
  template <class T> T epsilon() {
    const T usual[] = {T(1e-5), T(0), T(1e-12), T(0.25), T(1e30)};
    return between(0, 3) != 0 ? one_of(usual) : number<T>();
  }

  // Rows of a few kinds, one after another and again from the first: families with a mean and a deviation,
  // and the bits of the input themselves.
  template <class T> std::vector<T> rows(Index rows, Index hidden) {
    std::vector<T> values(support::size(rows * hidden));
    if (values.empty()) return values;
    const Index kinds = between(1, std::min<Index>(rows, 4));
    std::vector<std::vector<T>> raw;
    std::vector<support::RowKind> named;
    for (Index k = 0; k < kinds; ++k) {
      raw.emplace_back();
      named.emplace_back();
      if (between(0, 3) == 0) {
        const std::vector<std::uint8_t> bytes = data_.ConsumeBytes<std::uint8_t>(
            support::size(between(1, std::min<Index>(hidden, 64))) * sizeof(T));
        raw.back().resize(std::max<std::size_t>(1, bytes.size() / sizeof(T)));
        if (bytes.size() >= sizeof(T))
          std::memcpy(raw.back().data(), bytes.data(), bytes.size() / sizeof(T) * sizeof(T));
      } else {
        named.back() = kind<T>();
      }
    }
    support::Random random(support::size(between(0, 255)));
    for (Index r = 0; r < rows; ++r) {
      T* row = values.data() + r * hidden;
      const std::vector<T>& bits = raw[support::size(r % kinds)];
      if (bits.empty()) {
        support::fill_row(named[support::size(r % kinds)], random, row, hidden);
      } else {
        for (Index c = 0; c < hidden; ++c) row[c] = bits[support::size(c) % bits.size()];
      }
    }
    for (Index spikes = between(0, 7) - 4; spikes > 0; --spikes)
      values[support::size(between(0, rows * hidden - 1))] = number<T>();
    return values;
  }

 private:
  template <class T> support::RowKind kind() {
    const double kappas[] = {0, 0, 1, -10, 1e3, -1e5, 1e7, sizeof(T) == 4 ? 0 : 1e13};
    const int reach = sizeof(T) == 4 ? 150 : 1070;
    support::RowKind kind;
    kind.family = static_cast<support::Family>(between(0, 10));
    kind.kappa = one_of(kappas);
    kind.log2_std = static_cast<int>(between(0, 3) != 0 ? between(-4, 4) : between(-reach, reach - 30));
    return kind;
  }

  FuzzedDataProvider data_;
};

}  // namespace fuzz
