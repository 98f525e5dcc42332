// Sums with a residual, and results that are added, in memory: one operand on another, past the caches, by threads, and
// between pages that no one may touch. The bits stay the same, and nothing beside the operands is read or written.
#pragma once

#include "fusion/residual.hpp"
#include "support/guarded_array.hpp"
#include "support/streaming.hpp"

namespace fusion {

// All operands of one forward and one backward, of U; between the places, nobody has written.
template <class U> struct Operands {
  Places places;
  std::vector<U> x, residual, sum, y;      // forward
  std::vector<U> dy, dsum, dx, dresidual;  // backward
  std::vector<U> gamma, beta, bias;        // (hidden)
  std::vector<RowMoments<float>> moments;  // (rows)
  std::vector<float> dgamma, dbeta;        // (hidden)

  Operands(const Places& where, std::uint64_t seed) : places(where) {
    const Index rows = where.shape.rows, hidden = where.shape.hidden;
    const SumProblem<U, U, U> p(rows, hidden, seed);
    x = where.spread(p.in.x), residual = where.spread(p.residual), dsum = where.spread(p.dsum);
    dy = where.spread(numbers<U>(p.in.dy));
    gamma = p.in.gamma, beta = p.in.beta, bias = p.bias;
    sum = y = dx = dresidual = unwritten_array<U>(where.extent());
    moments = no_moments<float>(rows);
    dgamma = dbeta = unwritten_array<float>(hidden);
  }
};

// One forward and one backward, with every operand that there may be.
template <class U>
void forward_with(const Operands<U>& in, Strided<const U> x, Strided<const U> residual, Strided<U> sum,
                  Strided<U> y, RowMoments<float>* moments, const Executor& executor = serial) {
  forward_of(Norm::layer, in.places.shape, residual_sum(x, residual, sum).alpha(alpha).bias(in.bias.data()),
             in.gamma.data(), in.beta.data(), 0x1p-17, y, moments, executor);
}
template <class U>
void backward_with(const Operands<U>& in, Strided<const U> dy, Strided<const U> sum, Strided<const U> dsum,
                   Strided<U> dx, Strided<U> dresidual, float* dgamma, float* dbeta,
                   const Executor& executor = serial) {
  backward_of<Norm::layer>(in.places.shape, dy, sum, in.gamma.data(), in.moments.data(),
                           residual_gradients(dsum, dx, dresidual).alpha(alpha), dgamma, dbeta, false,
                           executor);
}
template <class U> void run(Operands<U>& all, const Executor& executor = serial) {
  const Places& at = all.places;
  forward_with(all, at.read(all.x), at.read(all.residual), at.write(all.sum), at.write(all.y),
               all.moments.data(), executor);
  backward_with(all, at.read(all.dy), at.read(all.sum), at.read(all.dsum), at.write(all.dx),
                at.write(all.dresidual), all.dgamma.data(), all.dbeta.data(), executor);
}
template <class U> void expect_same(const Operands<U>& got, const Operands<U>& expected) {
  ASSERT_EQ(first_unlike(got.sum, expected.sum), -1) << "sum";
  ASSERT_EQ(first_unlike(got.y, expected.y), -1) << "y";
  ASSERT_EQ(first_difference(got.moments, expected.moments), -1) << "moments";
  ASSERT_EQ(first_unlike(got.dx, expected.dx), -1) << "dx";
  ASSERT_EQ(first_unlike(got.dresidual, expected.dresidual), -1) << "dresidual";
  ASSERT_EQ(first_unlike(got.dgamma, expected.dgamma), -1) << "dgamma";
  ASSERT_EQ(first_unlike(got.dbeta, expected.dbeta), -1) << "dbeta";
}

inline std::vector<Places> all_layouts(Index hidden) {
  return {contiguous(23, hidden), in_wider_rows(9, hidden), spaced(12, hidden), side_by_side(2, 11, hidden),
          side_by_side(1, 70, hidden)};
}

// --- one operand on another ---

template <class U> void check_in_place(const Places& at) {
  SCOPED_TRACE(std::string(name_of<U>()) + ", " + describe(at));
  Operands<U> apart(at, 2);
  run(apart);
  std::vector<RowMoments<float>> moments(size(at.shape.rows));
  const auto forward = [&](const std::vector<U>& x, const std::vector<U>& residual, std::vector<U>& sum,
                           std::vector<U>& y, const char* what) {
    forward_with(apart, at.read(x), at.read(residual), at.write(sum), at.write(y), moments.data());
    ASSERT_EQ(first_unlike(sum, apart.sum), -1) << what << ": sum";
    ASSERT_EQ(first_unlike(y, apart.y), -1) << what << ": y";
  };
  std::vector<U> x = apart.x, residual = apart.residual, other = unwritten_array<U>(at.extent());
  forward(x, residual, residual, other, "sum on residual");
  x = apart.x, residual = apart.residual;
  forward(x, residual, x, other, "sum on x");
  x = apart.x, residual = apart.residual;
  forward(x, residual, other, x, "y on x");
  x = apart.x, residual = apart.residual;
  forward(x, residual, other, residual, "y on residual");
  x = apart.x, residual = apart.residual;
  forward(x, residual, residual, x, "sum on residual, y on x");
  x = apart.x, residual = apart.residual;
  forward(x, residual, x, residual, "sum on x, y on residual");
  // Without a sum, y on what is read twice.
  for (bool on_x : {true, false}) {
    x = apart.x, residual = apart.residual;
    forward_of(Norm::layer, at.shape,
               residual_sum(at.read(x), at.read(residual), nullptr).alpha(alpha).bias(apart.bias.data()),
               apart.gamma.data(), apart.beta.data(), 0x1p-17, at.write(on_x ? x : residual), moments.data());
    if (std::is_same_v<U, float>) {  // a narrow sum would have been rounded
      ASSERT_EQ(first_unlike(on_x ? x : residual, apart.y), -1) << (on_x ? "y on x" : "y on residual");
    }
  }

  const auto backward = [&](const std::vector<U>& dy, const std::vector<U>& sum, const std::vector<U>& dsum,
                            std::vector<U>& dx, std::vector<U>& dresidual, const char* what) {
    float* const none = nullptr;
    backward_with(apart, at.read(dy), at.read(sum), at.read(dsum), at.write(dx), at.write(dresidual), none,
                  none);
    ASSERT_EQ(first_unlike(dx, apart.dx), -1) << what << ": dx";
    ASSERT_EQ(first_unlike(dresidual, apart.dresidual), -1) << what << ": dresidual";
  };
  std::vector<U> dy = apart.dy, sum = apart.sum, dsum = apart.dsum;
  backward(dy, sum, dsum, dsum, other, "dx on dsum");
  dsum = apart.dsum;
  backward(dy, sum, dsum, other, dsum, "dresidual on dsum");
  dsum = apart.dsum;
  backward(dy, sum, dsum, dy, sum, "dx on dy, dresidual on sum");
  dy = apart.dy, sum = apart.sum;
  backward(dy, sum, dsum, sum, dy, "dx on sum, dresidual on dy");

  // added: y on the addend, and on x; dx on the addend.
  x = apart.x, residual = apart.residual;
  std::vector<U> y = other;
  const auto add = [&](std::vector<U>& to) {
    forward_of(Norm::rms, at.shape, at.read(x), apart.gamma.data(), apart.beta.data(), 0x1p-17,
               added(at.read(residual), at.write(to)), moments.data());
  };
  add(y);
  add(residual);
  ASSERT_EQ(first_unlike(residual, y), -1) << "added, on the addend";
  residual = apart.residual;
  add(x);
  ASSERT_EQ(first_unlike(x, y), -1) << "added, on x";
  x = apart.x;
  const auto add_back = [&](const std::vector<U>& gradient, const std::vector<U>& of,
                            const std::vector<U>& addend, std::vector<U>& to) {
    float* const none = nullptr;
    backward_of<Norm::rms>(at.shape, at.read(gradient), at.read(of), apart.gamma.data(), moments.data(),
                           added(at.read(addend), at.write(to)), none, none);
  };
  std::vector<U> dx = other;
  add_back(dy, x, dsum, dx);
  for (std::vector<U>* to : {&dy, &x, &dsum}) {
    const std::vector<U> before = *to;
    add_back(dy, x, dsum, *to);
    ASSERT_EQ(first_unlike(*to, dx), -1) << "dx added, on "
                                         << (to == &dy  ? "dy"
                                             : to == &x ? "x"
                                                        : "the addend");
    *to = before;
  }
  // The addend may be the sum that the same call keeps.
  forward_of(Norm::rms, at.shape, residual_sum(at.read(x), at.read(residual), at.write(sum)),
             apart.gamma.data(), apart.beta.data(), 0x1p-17, added(at.read(sum), at.write(y)),
             moments.data());
  std::vector<U> sum_again = other, y_again = other;
  forward_of(Norm::rms, at.shape, residual_sum(at.read(x), at.read(residual), at.write(sum_again)),
             apart.gamma.data(), apart.beta.data(), 0x1p-17, at.write(y_again), moments.data());
  forward_of(Norm::rms, at.shape, at.read(sum_again), apart.gamma.data(), apart.beta.data(), 0x1p-17,
             added(at.read(sum_again), at.write(y_again)), moments.data());
  ASSERT_EQ(first_unlike(sum, sum_again), -1) << "sum, which is also the addend";
  ASSERT_EQ(first_unlike(y, y_again), -1) << "y, with the sum added";
}
template <class U> void check_in_place_everywhere() {
  for (Index hidden : {1, 16, 33, 100, 300}) {
    for (const Places& at : all_layouts(hidden)) {
      for (Streaming streaming : {Streaming::never, Streaming::always}) {
        const WithStreaming scope(streaming);
        check_in_place<U>(at);
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

// --- past the caches ---

template <class U> void check_streams() {
  for (Index hidden : {256, 257, 288, 300, 545}) {
    for (const Places& at : {contiguous(9, hidden), in_wider_rows(9, hidden)}) {
      for (Index offset : {0, 1, 5, 16}) {
        SCOPED_TRACE(std::string(name_of<U>()) + ", " + describe(at) + ", offset " + std::to_string(offset));
        Operands<U> direct(at, 3), streamed(at, 3);
        const auto run_at_offset = [&](Operands<U>& all, Streaming streaming) {
          const WithStreaming scope(streaming);
          run(all);
          // What is added may be written past the caches too.
          std::vector<U> memory = unwritten_array<U>(at.extent() + 128);
          const Strided<U> to{memory.data() + offset, at.outer, at.column};
          forward_of(Norm::layer, at.shape, at.read(all.x), all.gamma.data(), all.beta.data(), 0x1p-17,
                     added(at.read(all.residual), to), all.moments.data());
          const std::vector<U> y = memory;
          float* const none = nullptr;
          backward_of<Norm::layer>(at.shape, at.read(all.dy), at.read(all.x), all.gamma.data(),
                                   all.moments.data(), added(at.read(all.dsum), to), none, none);
          return std::pair{y, memory};
        };
        const auto expected = run_at_offset(direct, Streaming::never);
        const auto got = run_at_offset(streamed, Streaming::always);
        expect_same(streamed, direct);
        ASSERT_EQ(first_unlike(got.first, expected.first), -1) << "y = addend + ...";
        ASSERT_EQ(first_unlike(got.second, expected.second), -1) << "dx = addend + ...";
      }
    }
  }
}

// --- between guard pages ---

#if SIMDNORM_TEST_GUARD_PAGES
template <class U> void check_guarded(const Places& at, Streaming streaming) {
  Operands<U> expected(at, 5);
  run(expected);
  const std::vector<U> none = unwritten_array<U>(at.extent());
  const WithStreaming scope(streaming);
  for (Placement where : corners) {
    SCOPED_TRACE(describe(at) + ", offset " + std::to_string(where.offset) +
                 (where.at_back ? " at the back" : " at the front"));
    const Guarded<U> x(expected.x, where, true), residual(expected.residual, where, true),
        dy(expected.dy, where, true), dsum(expected.dsum, where, true), gamma(expected.gamma, where, true),
        beta(expected.beta, where, true), bias(expected.bias, where, true);
    const Guarded<U> sum(none, where, false), y(none, where, false), dx(none, where, false),
        dresidual(none, where, false);
    const auto read = [&](const Guarded<U>& a) { return Strided<const U>{a.data(), at.outer, at.column}; };
    const auto write = [&](const Guarded<U>& a) { return Strided<U>{a.data(), at.outer, at.column}; };
    const U *const p_gamma = gamma.data(), *const p_beta = beta.data(), *const p_bias = bias.data();
    std::vector<RowMoments<float>> moments(expected.moments.size());
    forward_of(Norm::layer, at.shape,
               residual_sum(read(x), read(residual), write(sum)).alpha(alpha).bias(p_bias), p_gamma, p_beta,
               0x1p-17, write(y), moments.data());
    float* const no_gradient = nullptr;
    backward_of<Norm::layer>(at.shape, read(dy), read(sum), p_gamma, moments.data(),
                             residual_gradients(read(dsum), write(dx), write(dresidual)).alpha(alpha),
                             no_gradient, no_gradient);
    ASSERT_EQ(first_unlike(sum.values(), expected.sum), -1) << "sum";
    ASSERT_EQ(first_unlike(y.values(), expected.y), -1) << "y";
    ASSERT_EQ(first_unlike(dx.values(), expected.dx), -1) << "dx";
    ASSERT_EQ(first_unlike(dresidual.values(), expected.dresidual), -1) << "dresidual";
    forward_of(Norm::rms, at.shape, residual_sum(read(x), read(residual), nullptr).bias(p_bias), p_gamma,
               p_beta, 0x1p-17, added(read(dsum), write(y)), moments.data());
    ASSERT_TRUE(sum.untouched_beside() && y.untouched_beside() && dx.untouched_beside() &&
                dresidual.untouched_beside());
  }
}
template <class U> void check_guarded_everywhere() {
  for (Index hidden = 1; hidden <= 100; hidden += hidden < 40 ? 1 : 7) {
    check_guarded<U>(contiguous(11, hidden), Streaming::never);
    if (testing::Test::HasFatalFailure()) return;
  }
  for (Index hidden : {1, 7, 16, 17, 50}) {
    for (const Places& at : {in_wider_rows(3, hidden), spaced(5, hidden), side_by_side(1, 11, hidden),
                             side_by_side(2, 5, hidden), side_by_side(1, 33, hidden)}) {
      check_guarded<U>(at, Streaming::never);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
  for (Index hidden : {256, 257, 287, 300, 545}) {
    check_guarded<U>(contiguous(5, hidden), Streaming::always);
    if (testing::Test::HasFatalFailure()) return;
  }
}
#endif

}  // namespace fusion
