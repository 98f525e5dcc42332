// Operands of narrow types between pages that no one may touch, at odd places, in place, and past the caches: nothing
// beside them is read or written, and the bits are the same.
#include <simdnorm/quantize.hpp>

#include "support/guarded_array.hpp"
#include "support/streaming.hpp"
#include "support/types.hpp"

namespace {

using namespace support;
using simdnorm::Float8E4M3;
using simdnorm::per_tensor;
using simdnorm::per_token;

#if SIMDNORM_TEST_GUARD_PAGES

template <class U> void check_guarded(const Places& places, Streaming streaming) {
  const RowShape shape = places.shape;
  const auto in = every_path_of<U, U, float, U>(shape.rows, shape.hidden, 1);
  const std::vector<U> x = places.spread(in.x), dy = places.spread(in.dy),
                       none = unwritten_array<U>(places.extent());
  const std::vector<std::int8_t> no_codes = unwritten_array<std::int8_t>(places.extent());
  const std::vector<float> no_gradient = unwritten_array<float>(shape.hidden),
                           no_scales = unwritten_array<float>(shape.rows);
  std::vector<U> y = none, dx = none;
  std::vector<std::int8_t> codes = no_codes;
  std::vector<float> dgamma = no_gradient, dbeta = no_gradient, scales = no_scales;
  std::vector<RowMoments<float>> moments(size(shape.rows));
  const Norm norm = Norm::layer;
  forward_of(norm, shape, places.read(x), in.gamma.data(), in.beta.data(), 0x1p-17, places.write(y),
             moments.data());
  backward_of<norm>(shape, places.read(dy), places.read(x), in.gamma.data(), moments.data(), places.write(dx),
                    dgamma.data(), dbeta.data());
  forward_of(norm, shape, places.read(x), in.gamma.data(), in.beta.data(), 0x1p-17,
             per_token(places.write(codes), scales.data()), moments.data());
  const WithStreaming scope(streaming);
  for (Placement where : corners) {
    SCOPED_TRACE(describe(places) + ", offset " + std::to_string(where.offset) +
                 (where.at_back ? " at the back" : " at the front"));
    const Guarded<U> g_x(x, where, true), g_dy(dy, where, true), gamma(in.gamma, where, true),
        beta(in.beta, where, true);
    const Guarded<U> g_y(none, where, false), g_dx(none, where, false);
    const Guarded<std::int8_t> g_codes(no_codes, where, false);
    const Guarded<float> g_dgamma(no_gradient, where, false), g_dbeta(no_gradient, where, false),
        g_scales(no_scales, where, false);
    const auto read = [&](const Guarded<U>& operand) {
      return Strided<const U>{operand.data(), places.outer, places.column};
    };
    const auto write = [&](const auto& operand) {
      return Strided<std::remove_pointer_t<decltype(operand.data())>>{operand.data(), places.outer,
                                                                      places.column};
    };
    const U* const p_gamma = gamma.data();
    const U* const p_beta = beta.data();
    forward_of(norm, shape, read(g_x), p_gamma, p_beta, 0x1p-17, write(g_y), moments.data());
    backward_of<norm>(shape, read(g_dy), read(g_x), p_gamma, moments.data(), write(g_dx), g_dgamma.data(),
                      g_dbeta.data());
    forward_of(norm, shape, read(g_x), p_gamma, p_beta, 0x1p-17, per_token(write(g_codes), g_scales.data()),
               moments.data());
    ASSERT_EQ(first_unlike(g_y.values(), y), -1) << "y";
    ASSERT_EQ(first_unlike(g_dx.values(), dx), -1) << "dx";
    ASSERT_EQ(first_unlike(g_dgamma.values(), dgamma), -1) << "dgamma";
    ASSERT_EQ(first_unlike(g_dbeta.values(), dbeta), -1) << "dbeta";
    ASSERT_EQ(first_unlike(g_codes.values(), codes), -1) << "codes";
    ASSERT_EQ(first_unlike(g_scales.values(), scales), -1) << "scales";
    ASSERT_TRUE(g_y.untouched_beside() && g_dx.untouched_beside() && g_codes.untouched_beside() &&
                g_dgamma.untouched_beside() && g_dbeta.untouched_beside() && g_scales.untouched_beside());
    // The codes with one scale, of which nothing but the place is new.
    forward_of(norm, shape, read(g_x), p_gamma, p_beta, 0x1p-17, per_tensor(write(g_codes), 0.1F),
               moments.data());
    ASSERT_TRUE(g_codes.untouched_beside());
  }
}

template <class U> struct NarrowMemory : testing::Test {};
using Narrow = testing::Types<BFloat16, Float16>;
TYPED_TEST_SUITE(NarrowMemory, Narrow);

TYPED_TEST(NarrowMemory, ContiguousRowsBetweenGuardPages) {
  for (Index hidden = 1; hidden <= 100; ++hidden) {
    check_guarded<TypeParam>(contiguous(11, hidden), Streaming::never);
    if (this->HasFatalFailure()) return;
  }
}
TYPED_TEST(NarrowMemory, RowsWithStridesAndSideBySideBetweenGuardPages) {
  for (Index hidden = 1; hidden <= 100; hidden += hidden < 20 ? 1 : 13) {
    for (const Places& places : {in_wider_rows(3, hidden), spaced(5, hidden), side_by_side(1, 11, hidden),
                                 side_by_side(2, 5, hidden), side_by_side(1, 33, hidden)}) {
      check_guarded<TypeParam>(places, Streaming::never);
      if (this->HasFatalFailure()) return;
    }
  }
}
TYPED_TEST(NarrowMemory, RowsWrittenPastTheCachesBetweenGuardPages) {
  for (Index hidden : {256, 257, 287, 288, 300, 512, 545}) {
    check_guarded<TypeParam>(contiguous(5, hidden), Streaming::always);
    if (this->HasFatalFailure()) return;
  }
}

#endif

// --- past the caches ---

// Wherever in a cache line y or dx begins, and however far rows lie apart.
template <class X, class Y> void check_streams() {
  for (Index hidden : {127, 128, 255, 256, 257, 320, 511, 1000}) {
    const auto in = every_path_of<X, float, float, X>(11, hidden, 1);
    for (Index gap : {0, 1, 32}) {
      const Places places{{11, hidden}, hidden + gap, 1};
      const std::vector<X> x = places.spread(in.x), dy = places.spread(in.dy);
      std::vector<Y> expected = unwritten_array<Y>(places.extent()), dx_expected = expected;
      std::vector<RowMoments<float>> moments(11);
      std::vector<float> dgamma(size(hidden)), dbeta(size(hidden)), dgamma_expected(size(hidden));
      const auto forward_to = [&](Strided<Y> y) {
        forward_of(Norm::layer, places.shape, places.read(x), in.gamma.data(), in.beta.data(), 0x1p-17, y,
                   moments.data());
      };
      const auto backward_to = [&](Strided<Y> dx) {
        backward_of<Norm::layer>(places.shape, places.read(dy), places.read(x), in.gamma.data(),
                                 moments.data(), dx, dgamma.data(), dbeta.data());
      };
      {
        const WithStreaming never(Streaming::never);
        forward_to(places.write(expected));
        backward_to(places.write(dx_expected));
        dgamma_expected = dgamma;
      }
      const WithStreaming always(Streaming::always);
      for (Index offset : {0, 1, 5, 16, 31}) {
        SCOPED_TRACE("hidden " + std::to_string(hidden) + ", gap " + std::to_string(gap) + ", offset " +
                     std::to_string(offset));
        std::vector<Y> memory = unwritten_array<Y>(places.extent() + 256), wanted = memory;
        const Index past_a_line =
            static_cast<Index>(reinterpret_cast<std::uintptr_t>(memory.data()) / sizeof(Y)) % 64;
        const Index first = 64 - past_a_line + offset;
        forward_to({memory.data() + first, places.outer, 1});
        std::copy(expected.begin(), expected.end(), wanted.begin() + first);
        ASSERT_EQ(first_unlike(memory, wanted), -1) << "y";
        backward_to({memory.data() + first, places.outer, 1});
        std::copy(dx_expected.begin(), dx_expected.end(), wanted.begin() + first);
        ASSERT_EQ(first_unlike(memory, wanted), -1) << "dx";
        ASSERT_EQ(first_unlike(dgamma, dgamma_expected), -1) << "dgamma";
      }
    }
  }
}
TEST(NarrowStreams, HaveTheBitsOfStores) {
  check_streams<BFloat16, BFloat16>();
  check_streams<Float16, Float16>();
  check_streams<float, BFloat16>();
  check_streams<Float16, float>();
}

// --- in place ---

template <class X, class Y> void check_in_place() {
  static_assert(sizeof(X) == sizeof(Y));
  for (Index hidden : {1, 16, 33, 100, 300}) {
    for (const Places& places : {contiguous(23, hidden), in_wider_rows(9, hidden), spaced(12, hidden),
                                 side_by_side(2, 11, hidden), side_by_side(1, 70, hidden)}) {
      for (Streaming streaming : {Streaming::never, Streaming::always}) {
        const WithStreaming scope(streaming);
        SCOPED_TRACE(std::string(name_of<X>()) + " on " + name_of<Y>() + ", " + describe(places));
        const RowShape shape = places.shape;
        const auto in = every_path_of<X, float, float, X>(shape.rows, hidden, 2);
        const std::vector<X> x = places.spread(in.x), dy = places.spread(in.dy);
        std::vector<Y> y = unwritten_array<Y>(places.extent()), dx = y;
        std::vector<RowMoments<float>> moments(size(shape.rows));
        forward_of(Norm::rms, shape, places.read(x), in.gamma.data(), in.beta.data(), 0x1p-17,
                   places.write(y), moments.data());
        float* const none = nullptr;
        backward_of<Norm::layer>(shape, places.read(dy), places.read(x), in.gamma.data(), moments.data(),
                                 places.write(dx), none, none);
        const auto in_place = [&](const std::vector<X>& from, const auto& call) {
          std::vector<X> memory = from;
          call(Strided<Y>{reinterpret_cast<Y*>(memory.data()), places.outer, places.column},
               places.read(memory));
          std::vector<Y> out = unwritten_array<Y>(places.extent());
          std::memcpy(static_cast<void*>(out.data()), memory.data(), memory.size() * sizeof(X));
          return out;
        };
        ASSERT_EQ(first_unlike(in_place(x,
                                        [&](const auto& to, const auto& from) {
                                          forward_of(Norm::rms, shape, from, in.gamma.data(), in.beta.data(),
                                                     0x1p-17, to, moments.data());
                                        }),
                               y),
                  -1)
            << "y on x";
        ASSERT_EQ(first_unlike(in_place(dy,
                                        [&](const auto& to, const auto& from) {
                                          backward_of<Norm::layer>(shape, from, places.read(x),
                                                                   in.gamma.data(), moments.data(), to, none,
                                                                   none);
                                        }),
                               dx),
                  -1)
            << "dx on dy";
        ASSERT_EQ(first_unlike(in_place(x,
                                        [&](const auto& to, const auto& from) {
                                          backward_of<Norm::layer>(shape, places.read(dy), from,
                                                                   in.gamma.data(), moments.data(), to, none,
                                                                   none);
                                        }),
                               dx),
                  -1)
            << "dx on x";
      }
    }
  }
}
TEST(InPlace, OfOneNarrowType) {
  check_in_place<BFloat16, BFloat16>();
  check_in_place<Float16, Float16>();
}
TEST(InPlace, OfTwoTypesOfOneSize) { check_in_place<BFloat16, Float16>(); }

}  // namespace
