// Gates of floats, with LayerNorm: before and after the norm, forward and backward; in place, past the caches; wrong arguments.
#include "fusion/gated.hpp"

#include "support/refused.hpp"
#include "support/streaming.hpp"

namespace {

using namespace fusion;

TEST(Gated, HasTheBitsOfTheComposition) { check_gates<Norm::layer, float, float, float, float>(); }

TEST(Gated, PastTheCachesToo) {
  const WithStreaming streaming(Streaming::always);
  for (Index hidden : {333, 512}) {
    const GateProblem<float, float, float> p(23, hidden, 5);
    const PlacesOfAll places(contiguous(23, hidden));
    check_after<Norm::layer, float, float, float, float>(places, p);
    check_before<Norm::layer, float, float, float, float>(places, p);
  }
}

// Each result over each operand that it may replace.
TEST(Gated, InPlace) {
  constexpr Index rows = 9, hidden = 45;
  const RowShape shape{rows, hidden};
  const GateProblem<float, float, float> p(rows, hidden, 5);
  const std::vector<float> unwritten(p.z.size(), 7.0F);
  std::vector<RowMoments<float>> moments(size(rows));
  // The arrays after a call: x, z, dy, and four for results.
  using Arrays = std::vector<std::vector<float>>;
  const auto after = [&](const auto& call) {
    Arrays a = {p.in.x, p.z, p.in.dy, unwritten, unwritten, unwritten, unwritten};
    call(a[0].data(), a[1].data(), a[2].data(), a);
    return a;
  };
  const auto forward_after = [&](std::size_t y) {
    return after([&](float* x, float* z, float*, Arrays& a) {
      gated_forward<Norm::layer>(shape, x, p.in.gamma.data(), p.in.beta.data(), gated(a[y].data(), z),
                                 moments.data());
    })[y];
  };
  const auto forward_before = [&](std::size_t y) {
    return after([&](float* x, float* z, float*, Arrays& a) {
      gated_forward<Norm::layer>(shape, gated(x, z), p.in.gamma.data(), p.in.beta.data(), a[y].data(),
                                 moments.data());
    })[y];
  };
  for (std::size_t y : {0U, 1U}) {
    EXPECT_EQ(first_unlike(forward_before(y), forward_before(3)), -1) << y;
    EXPECT_EQ(first_unlike(forward_after(y), forward_after(3)), -1) << y;
  }
  const auto backward_after = [&](std::size_t dx, std::size_t dz) {
    const Arrays a = after([&](float* x, float* z, float* dy, Arrays& arrays) {
      gated_backward<Norm::layer>(shape, gated(dy, z).gradient(arrays[dz].data(), p.in.beta.data()), x,
                                  p.in.gamma.data(), moments.data(), arrays[dx].data());
    });
    return std::pair{a[dx], a[dz]};
  };
  const auto same = [](const auto& a, const auto& b) {
    return first_unlike(a.first, b.first) == -1 && first_unlike(a.second, b.second) == -1;
  };
  const auto apart = backward_after(3, 4);
  for (auto [dx, dz] : {std::pair{1U, 2U}, {2U, 1U}, {3U, 1U}, {3U, 2U}, {1U, 4U}, {2U, 4U}})
    EXPECT_TRUE(same(backward_after(dx, dz), apart)) << dx << dz;
  forward_before(3);
  const auto backward_before = [&](std::size_t dx, std::size_t dz) {
    const Arrays a = after([&](float* x, float* z, float* dy, Arrays& arrays) {
      gated_backward<Norm::layer>(shape, dy, gated(x, z), p.in.gamma.data(), moments.data(),
                                  gate_gradients(x, z, arrays[dx].data(), arrays[dz].data()));
    });
    return std::pair{a[dx], a[dz]};
  };
  const auto apart_before = backward_before(3, 4);
  for (auto [dx, dz] : {std::pair{0U, 1U}, {1U, 0U}, {2U, 0U}, {0U, 2U}, {1U, 2U}, {2U, 1U}, {3U, 1U}})
    EXPECT_TRUE(same(backward_before(dx, dz), apart_before)) << dx << dz;
}

struct GateErrors : testing::Test {
  static constexpr Index rows = 3, hidden = 8, count = rows * hidden;
  RowShape shape{rows, hidden};
  std::vector<float> memory = std::vector<float>(240, 1.25F);
  float* at(Index operand) { return memory.data() + operand * count; }
  float *x = at(0), *z = at(1), *y = at(2), *dy = at(3), *dx = at(4), *dz = at(5), *u = at(6), *beta = at(7);
  float* const none = nullptr;
  RowMoments<float> moments[rows] = {{0, 0, 1, 1}, {0, 0, 1, 1}, {0, 0, 1, 1}};

  template <class F> void refuses(const std::vector<std::string>& words, const F& call) {
    const std::vector<float> before = memory;
    refused(words, call);
    EXPECT_EQ(first_unlike(before, memory), -1) << "written before the error";
  }
  template <class In, class Out> void forward_to(const In& in, const Out& out) {
    gated_forward<Norm::layer>(shape, in, none, none, out, moments);
  }
  template <class Dy, class In, class Out> void backward_to(const Dy& of_y, const In& in, const Out& out) {
    gated_backward<Norm::layer>(shape, of_y, in, none, moments, out);
  }
};

TEST_F(GateErrors, AreNamedBeforeAnythingIsWritten) {
  refuses({"layer_norm_forward: z is nullptr (rows 3, hidden 8)"}, [&] { forward_to(x, gated(y, none)); });
  refuses({"y is nullptr"}, [&] { forward_to(x, gated(none, z)); });
  refuses({"x is nullptr"}, [&] { forward_to(gated(none, z), y); });
  refuses({"u is nullptr"}, [&] { forward_to(gated(x, z, none), y); });
  refuses({"y", "z", "overlap"}, [&] { forward_to(x, gated(z + 1, z)); });
  refuses({"u", "y", "overlap"}, [&] { forward_to(gated(x, z, y), y); });
  refuses({"u", "z", "overlap"}, [&] { forward_to(gated(x, z, z + 1), y); });
  refuses({"dz is nullptr"}, [&] { backward_to(gated(dy, z).gradient(none, beta), x, dx); });
  refuses({"dz", "dx", "overlap"}, [&] { backward_to(gated(dy, z).gradient(dx, beta), x, dx); });
  refuses({"dz", "x", "overlap"}, [&] { backward_to(gated(dy, z).gradient(x, beta), x, dx); });
  refuses({"dx", "x", "overlap"}, [&] { backward_to(gated(dy, z).gradient(dz, beta), x, x); });
  refuses({"dz", "beta", "overlap"}, [&] { backward_to(gated(dy, z).gradient(dz, dz), x, dx); });
  refuses({"dz", "dx", "overlap"}, [&] { backward_to(dy, gated(x, z), gate_gradients(x, z, dx, dx)); });
  refuses({"dz is nullptr"}, [&] { backward_to(dy, gated(x, z), gate_gradients(x, z, dx, none)); });
  refuses({"the gated x is nullptr"}, [&] { backward_to(dy, gated(x, z), gate_gradients(none, z, dx, dz)); });
  refuses({"dx", "z", "overlap"}, [&] { backward_to(dy, gated(x, z), gate_gradients(x, z, z + 1, dz)); });
  EXPECT_NO_THROW(forward_to(gated(x, z, u), y));
  EXPECT_NO_THROW(backward_to(gated(dy, z).gradient(dz, beta), x, dx));
}

}  // namespace
