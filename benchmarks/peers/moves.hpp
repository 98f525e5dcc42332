// The floor of an operation beyond the caches: its rows read and its results written, in one pass by simple loops, and nothing
// computed that takes time. (In the caches loops that are tuned more, memcpy's for one, take less.)
#pragma once

#include <array>
#include <simdnorm/simdnorm.hpp>

#include "peer.hpp"

namespace bench {

/// Arrays of as many floats; or of bytes, four taken for a float.
template <std::size_t Reads, std::size_t Writes> struct Moved {
  std::array<const float*, Reads> read;
  std::array<float*, Writes> written;  // which begin at a cache line

  /// Floats [begin, end) of each, which are whole cache lines. What is written is the one array that is read, each its own, or
  /// the smaller number of two. Past the caches, what is read is fetched ahead.
  template <bool PastCaches> void lines(Index begin, Index end) const {
    using V = simdnorm::simd::Vector<float, simdnorm::simd::DefaultArch>;
    constexpr Index line = 16, ahead = 32 * 64;  // bytes ahead
    const Moved arrays = *this;
    for (Index c = begin; c < end; c += line) {
      if constexpr (PastCaches) {
        for (const float* array : arrays.read) simdnorm::simd::fetch<2>(array + c, ahead);
      }
      for (Index i = c; i < c + line; i += V::width) {
        std::array<V, Reads> values;
        for (std::size_t k = 0; k < Reads; ++k)
          values[k] = simdnorm::simd::load<V>(simdnorm::simd::All{}, arrays.read[k] + i);
        if constexpr (Reads > Writes) values[0] = simdnorm::simd::smaller(values[0], values[1]);
        for (std::size_t k = 0; k < Writes; ++k) {
          if constexpr (PastCaches) {
            simdnorm::simd::stream(arrays.written[k] + i, values[k]);
          } else {
            simdnorm::simd::store(simdnorm::simd::All{}, arrays.written[k] + i, values[k]);
          }
        }
      }
    }
    if constexpr (PastCaches) simdnorm::simd::end_of_streaming();
  }
};

/// All floats, or whole lines of them at least, by an executor of simdnorm (dispatch/call.hpp).
template <bool PastCaches, std::size_t Reads, std::size_t Writes, class Executor>
void move(const Moved<Reads, Writes>& arrays, Index floats, const Executor& executor) {
  constexpr Index of_task = 16384;
  executor((floats + of_task - 1) / of_task, of_task, [&](Index task) {
    arrays.template lines<PastCaches>(task * of_task, std::min(floats / 16 * 16, (task + 1) * of_task));
  });
}

/// The same of a view's rows, as a call.
template <bool PastCaches, class Device>
Call moves(const View& v, Pass pass, std::shared_ptr<Device> device) {
  const auto executor = simdnorm::executor_of(*device);
  const auto in = [](const void* rows) { return static_cast<const float*>(rows); };
  const auto out = [](void* rows) { return static_cast<float*>(rows); };
  const Index arrays = pass == Pass::forward ? 2 : pass == Pass::backward ? 3 : 4;
  const Index floats = v.bytes_moved / arrays / Index{sizeof(float)};
  const auto call_of = [=](const auto& moved) {
    return call([=] { static_cast<void>(device), move<PastCaches>(moved, floats, executor); });
  };
  if (pass == Pass::forward) return call_of(Moved<1, 1>{{in(v.stored.x)}, {out(v.stored.y)}});
  if (pass == Pass::backward)
    return call_of(Moved<2, 1>{{in(v.stored.dy), in(v.stored.x)}, {out(v.stored.dx)}});
  return call_of(Moved<2, 2>{{v.x, v.residual}, {v.sum, v.y}});
}

}  // namespace bench
