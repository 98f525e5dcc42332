// Calls whose rows are fetched ahead and written past the caches, however few they are; or never.
#pragma once

#include <simdnorm/cache.hpp>

#include <limits>

namespace support {

enum class Streaming { always, never };

// While this lives. (Rows of less than 512 bytes, and rows in place, are never streamed.)
class WithStreaming {
 public:
  explicit WithStreaming(Streaming streaming) : before_(simdnorm::streaming_threshold()) {
    simdnorm::set_streaming_threshold(
        streaming == Streaming::always ? 0 : std::numeric_limits<simdnorm::Index>::max());
  }
  ~WithStreaming() { simdnorm::set_streaming_threshold(before_); }
  WithStreaming(const WithStreaming&) = delete;
  WithStreaming& operator=(const WithStreaming&) = delete;

 private:
  simdnorm::Index before_;
};

}  // namespace support
