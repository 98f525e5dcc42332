// Gradients that one call writes to several arrays, beyond the caches: past them where the lines of all begin together, else
// through them; with the bits of plain stores, and nothing written beside the rows.
#include <array>
#include <cstring>

#include "fusion/gated.hpp"
#include "support/streaming.hpp"

namespace {

using namespace fusion;
using support::Streaming;
using support::WithStreaming;

// Room for some rows of U, of which the first begins so many numbers after a cache line does.
template <class U> class FromLine {
 public:
  FromLine(Index count, Index offset)
      : lines_(size((count + offset) * static_cast<Index>(sizeof(U)) / 64 + 2)), offset_(offset) {
    std::memset(static_cast<void*>(lines_.data()), 0x5a, 64 * lines_.size());
  }
  U* rows() { return reinterpret_cast<U*>(lines_.data()) + offset_; }
  bool operator==(const FromLine& other) const {
    return std::memcmp(lines_.data(), other.lines_.data(), 64 * lines_.size()) == 0;
  }

 private:
  struct alignas(64) Line {
    unsigned char bytes[64];
  };
  std::vector<Line> lines_;
  Index offset_;
};

enum class Written { by_gate, by_sum, by_both };

template <class U> void check(Index rows, Index hidden, const std::array<Index, 3>& offsets) {
  SCOPED_TRACE(std::string(name_of<U>()) + ", hidden " + std::to_string(hidden) + ", offsets " +
               std::to_string(offsets[0]) + " " + std::to_string(offsets[1]) + " " +
               std::to_string(offsets[2]));
  const RowShape shape{rows, hidden};
  const GateProblem<U, U, U> p(rows, hidden, 6);
  const std::vector<U> dy = numbers<U>(p.in.dy), dsum(p.in.x.rbegin(), p.in.x.rend());
  std::vector<RowMoments<float>> moments = no_moments<float>(rows);
  std::vector<U> y(dy.size());
  gated_forward<Norm::rms>(shape, p.in.x.data(), p.in.gamma.data(), p.in.beta.data(), y.data(),
                           moments.data());
  // dx, dz, dresidual; the last two may lie on what is read
  using Outputs = std::array<FromLine<U>, 3>;
  const auto run = [&](Streaming streaming, Written written, const U* z, const U* of_sum, U* dx, U* dz,
                       U* dresidual) {
    const WithStreaming scope(streaming);
    const auto backward = [&](const auto& to) {
      gated_backward<Norm::rms>(shape, dy.data(), p.in.x.data(), p.in.gamma.data(), moments.data(), to);
    };
    const auto gates = simdnorm::gate_gradients(p.in.x.data(), z, dx, dz);
    if (written == Written::by_gate) backward(gates);
    if (written == Written::by_sum) backward(residual_gradients(of_sum, dx, dresidual));
    if (written == Written::by_both) backward(residual_gradients(of_sum, gates, dresidual));
  };
  for (const Written written : {Written::by_gate, Written::by_sum, Written::by_both}) {
    const auto outputs = [&] {
      const auto room = [&](std::size_t i) { return FromLine<U>(rows * hidden, offsets[i]); };
      return Outputs{room(0), room(1), room(2)};
    };
    Outputs expected = outputs(), got = expected, in_place = expected;
    run(Streaming::never, written, p.z.data(), dsum.data(), expected[0].rows(), expected[1].rows(),
        expected[2].rows());
    run(Streaming::always, written, p.z.data(), dsum.data(), got[0].rows(), got[1].rows(), got[2].rows());
    std::copy(p.z.begin(), p.z.end(), in_place[1].rows());
    std::copy(dsum.begin(), dsum.end(), in_place[2].rows());
    run(Streaming::always, written, in_place[1].rows(), in_place[2].rows(), in_place[0].rows(),
        in_place[1].rows(), in_place[2].rows());
    for (std::size_t i = 0; i < 3; ++i) {
      const bool is_written =
          i == 0 || written == Written::by_both || written == (i == 1 ? Written::by_gate : Written::by_sum);
      ASSERT_TRUE(got[i] == expected[i]) << "output " << i << " of " << static_cast<int>(written);
      if (is_written) {
        ASSERT_TRUE(in_place[i] == expected[i])
            << "output " << i << " of " << static_cast<int>(written) << ", in place";
      }
    }
  }
}

template <class U> void check_all() {
  const Index line = 64 / static_cast<Index>(sizeof(U));
  for (Index hidden : {16 * line, 17 * line, 16 * line + 5}) {
    for (const std::array<Index, 3>& offsets :
         {std::array<Index, 3>{0, 0, 0}, {3, 3, 3}, {0, line, 0}, {0, 1, 0}, {0, 0, 2}, {5, 0, 0}}) {
      check<U>(9, hidden, offsets);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}
TEST(SeveralOutputs, OfFloats) { check_all<float>(); }
TEST(SeveralOutputs, OfBFloat16) { check_all<BFloat16>(); }

}  // namespace
