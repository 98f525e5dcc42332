// A norm to codes is the norm, then quantize(): bit for bit, whatever the types, the layout, the casting and the threads.
#pragma once

#include <simdnorm/quantize.hpp>

#include "support/types.hpp"

namespace types {

using namespace support;
using simdnorm::per_tensor;
using simdnorm::per_token;

template <class Q, class X, class Casting> void check_layout(const Places& places, Norm norm) {
  SCOPED_TRACE(std::string(oracle::name(norm)) + " of " + name_of<X>() + ", " + describe(places));
  const RowShape shape = places.shape;
  const auto in = every_path_of<X, float>(shape.rows, shape.hidden, 9);
  const std::vector<X> x = places.spread(in.x);
  std::vector<float> y = unwritten_array<float>(places.extent());
  const std::vector<float> no_scales = unwritten_array<float>(shape.rows);
  const std::vector<Q> no_codes = unwritten_array<Q>(places.extent());
  std::vector<RowMoments<float>> moments = no_moments<float>(shape.rows), expected_moments = moments;
  forward_of<Casting>(norm, shape, places.read(x), in.gamma.data(), in.beta.data(), 0x1p-17, places.write(y),
                      expected_moments.data());
  std::vector<Q> expected = no_codes;
  std::vector<float> expected_scales = no_scales;
  simdnorm::quantize(shape, places.read(y), per_token(places.write(expected), expected_scales.data()));
  for (int threads : {1, 4}) {
    const Executor executor = threads == 1 ? Executor(serial) : Executor(Threads{threads});
    std::vector<Q> codes = no_codes;
    std::vector<float> scales = no_scales;
    forward_of<Casting>(norm, shape, places.read(x), in.gamma.data(), in.beta.data(), 0x1p-17,
                        per_token(places.write(codes), scales.data()), moments.data(), executor);
    ASSERT_EQ(first_unlike(codes, expected), -1) << "per token";
    ASSERT_EQ(first_unlike(scales, expected_scales), -1);
    ASSERT_EQ(first_difference(moments, expected_moments), -1);
  }
  const int zero = std::is_same_v<Q, std::int8_t> ? -11 : 0;
  expected = no_codes;
  simdnorm::quantize(shape, places.read(y), per_tensor(places.write(expected), 0.037F, zero));
  std::vector<Q> codes = no_codes;
  forward_of<Casting>(norm, shape, places.read(x), in.gamma.data(), in.beta.data(), 0x1p-17,
                      per_tensor(places.write(codes), 0.037F, zero), moments.data(), Executor(Threads{4}));
  ASSERT_EQ(first_unlike(codes, expected), -1) << "per tensor";
}
template <class Q, class X, class Casting = simdnorm::RoundOnce> void check_norms() {
  for (Norm norm : oracle::norms) {
    for (Index hidden : {1, 17, 64, 131, 300}) {
      for (const Places& places : {contiguous(90, hidden), in_wider_rows(13, hidden), spaced(12, hidden),
                                   side_by_side(2, 11, hidden), side_by_side(1, 70, hidden)}) {
        check_layout<Q, X, Casting>(places, norm);
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

}  // namespace types
