// Calls whose arrays lie in ordinary memory, then each of them between pages that no one may touch, inputs on read-only ones: no
// access outside, and the same results.
#pragma once

#include <functional>
#include <memory>

#include "fusion/residual.hpp"
#include "support/guarded_array.hpp"
#include "support/streaming.hpp"

namespace fusion {

#if SIMDNORM_TEST_GUARD_PAGES

using Moments = RowMoments<float>;

// The arrays of one call, which has the same numbers each time.
class Arrays {
 public:
  Arrays(const Places& at, const Placement* where) : places(at), where_(where) {}

  // Numbers (count), read; or written.
  template <class U> const U* read(Index count) { return place(drawn<U>(count), true); }
  template <class U> U* write(Index count) { return place(unwritten_array<U>(count), false); }
  template <class U> const U* copy(const std::vector<U>& values) { return place(values, true); }
  // Rows at the places of the call.
  template <class U> Strided<const U> rows() {
    return {copy(places.spread(drawn<U>(places.shape.rows * places.shape.hidden))), places.outer,
            places.column};
  }
  template <class U> Strided<U> results() { return {write<U>(places.extent()), places.outer, places.column}; }
  const float* array() { return read<float>(places.shape.hidden); }
  float* sums() { return write<float>(places.shape.hidden); }
  // As no forward has kept them, but such as it might.
  const Moments* moments(Index count) {
    std::vector<Moments> values;
    for (Index r = 0; r < count; ++r) values.push_back({0.125F, 0, 1.5F, 1});
    return copy(values);
  }

  std::vector<std::string> written() const {
    std::vector<std::string> out;
    for (const auto& one : bytes_) out.push_back(one());
    return out;
  }
  bool untouched_beside() const {
    for (const auto& one : untouched_) {
      if (!one()) return false;
    }
    return true;
  }
  Places places;

 private:
  template <class U> std::vector<U> drawn(Index count) {
    std::vector<U> out;
    for (Index i = 0; i < count; ++i) out.push_back(number<U>(random_.normal()));
    return out;
  }
  template <class U> U* place(const std::vector<U>& values, bool reads_only) {
    U* data;
    if (where_ == nullptr) {
      auto memory = std::make_shared<std::vector<U>>(values);
      data = memory->data();
      kept_.push_back(memory);
    } else {
      auto memory = std::make_shared<Guarded<U>>(values, *where_, reads_only);
      data = memory->data();
      kept_.push_back(memory);
      untouched_.push_back([memory] { return memory->untouched_beside(); });
    }
    const std::size_t bytes = values.size() * sizeof(U);
    if (!reads_only)
      bytes_.push_back([data, bytes] { return std::string(reinterpret_cast<const char*>(data), bytes); });
    return data;
  }

  const Placement* where_;
  Random random_{9};
  std::vector<std::shared_ptr<void>> kept_;
  std::vector<std::function<bool()>> untouched_;
  std::vector<std::function<std::string()>> bytes_;
};

template <class Call> void check_guarded(const Places& at, const Call& call) {
  Arrays ordinary(at, nullptr);
  call(ordinary);
  for (const Placement where : {Placement{false, 0}, Placement{true, 0}, Placement{true, 3}}) {
    SCOPED_TRACE(describe(at) + (where.at_back ? " at the back" : " at the front"));
    Arrays guarded(at, &where);
    call(guarded);
    ASSERT_TRUE(guarded.untouched_beside());
    ASSERT_EQ(guarded.written(), ordinary.written());
  }
}
// call(arrays), of hidden 1 to a little more than two vectors, of contiguous rows and others; past the caches too.
template <class Call>
void check_guarded_everywhere(const Call& call, bool may_lie_side_by_side = true, Index least = 1) {
  constexpr Index width = simdnorm::simd::Vector<float, simdnorm::simd::DefaultArch>::width;
  for (Index hidden = least; hidden <= 2 * width + 1; ++hidden) {
    check_guarded(contiguous(11, hidden), call);
    check_guarded(in_wider_rows(3, hidden), call);
    check_guarded(spaced(6, hidden), call);
    if (may_lie_side_by_side) {
      check_guarded(side_by_side(2, 5, hidden), call);
      check_guarded(side_by_side(1, 2 * width + 1, hidden), call);
    }
    if (testing::Test::HasFatalFailure()) return;
  }
  const WithStreaming always(Streaming::always);
  for (Index hidden : {257, 288, 545}) check_guarded(contiguous(5, hidden), call);
}

#endif

}  // namespace fusion
