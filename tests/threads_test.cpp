// Races: more threads than cores, round after round, on small tasks; and operators called from several
// threads at once on shared inputs. ThreadSanitizer builds of this program are what it is for; the bits are
// compared in every build.
#include <simdnorm/storage.hpp>

#include <gtest/gtest.h>

#include <thread>

#include "support/accuracy.hpp"

namespace {

using namespace support;
using simdnorm::Index;

int oversubscribed() {
  return 4 * static_cast<int>(std::max(2u, std::min(8u, std::thread::hardware_concurrency())));
}

template <class T> void check_rounds(int rounds, Norm norm, Index rows, Index hidden) {
  const Problem<T> p = make_problem<T>(rows, hidden, {{Family::normal, 10, 0}, {Family::outliers, 0, 2}},
                                       Parameters::both, T(1e-5), 1);
  const Forward<T> expected = run_forward(norm, p);
  const Backward<T> gradients = run_backward(norm, p, expected.moments);
  for (int round = 0; round < rounds; ++round) {
    const Threads threads{oversubscribed()};
    const Forward<T> out = run_forward(norm, p, threads);
    ASSERT_EQ(first_difference(out.y, expected.y), -1) << "round " << round;
    // Where nobody wants the moments, no thread may write them to a place that another uses.
    std::vector<T> y(p.x.size(), nan_of<T>);
    forward(norm, p.shape(), packed(p.shape(), p.x.data()), p.gamma.data(),
            norm == Norm::layer ? p.beta.data() : nullptr, p.epsilon, packed(p.shape(), y.data()), nullptr,
            threads);
    ASSERT_EQ(first_difference(y, expected.y), -1) << "round " << round;
    const Backward<T> again = run_backward(norm, p, out.moments, threads);
    ASSERT_EQ(first_difference(again.dx, gradients.dx), -1) << "round " << round;
    ASSERT_EQ(first_difference(again.dgamma, gradients.dgamma), -1) << "round " << round;
    ASSERT_EQ(first_difference(again.dbeta, gradients.dbeta), -1) << "round " << round;
  }
}

void check_shapes(int rounds) {
  for (Norm norm : oracle::norms) {
    check_rounds<float>(rounds, norm, 4099, 7);
    check_rounds<float>(rounds, norm, 257, 129);
    check_rounds<double>(rounds, norm, 513, 33);
  }
}

TEST(Races, ManyThreadsGiveTheBitsOfOne) { check_shapes(25); }
TEST(Races, NightlyAThousandRounds) { check_shapes(1000); }

TEST(Races, CallsOnSharedInputsDoNotDisturbEachOther) {
  constexpr int rounds = 25;
  for (Norm norm : oracle::norms) {
    const Problem<float> p =
        make_problem<float>(65, 65, {{Family::normal, 10, 0}}, Parameters::both, 1e-5f, 2);
    const Forward<float> expected = run_forward(norm, p);
    const Backward<float> gradients = run_backward(norm, p, expected.moments);
    std::vector<int> wrong(8, 0);
    std::vector<std::thread> callers;
    for (std::size_t t = 0; t < wrong.size(); ++t) {
      callers.emplace_back([&, t] {
        for (int round = 0; round < rounds; ++round) {
          const Forward<float> out = run_forward(norm, p);
          const Backward<float> again = run_backward(norm, p, out.moments);
          wrong[t] += first_difference(out.y, expected.y) != -1;
          wrong[t] += first_difference(again.dx, gradients.dx) != -1;
          wrong[t] += first_difference(again.dgamma, gradients.dgamma) != -1;
        }
      });
    }
    for (std::thread& caller : callers) caller.join();
    for (int count : wrong) EXPECT_EQ(count, 0);
  }
}

}  // namespace
