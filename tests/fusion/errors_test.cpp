// Wrong arguments of calls with residuals: std::invalid_argument that names what overlaps, and not one byte written.
#include "fusion/residual.hpp"
#include "support/refused.hpp"

namespace {

using namespace fusion;

struct ResidualErrors : testing::Test {
  static constexpr Index rows = 3, hidden = 8, count = rows * hidden;
  RowShape shape{rows, hidden};
  std::vector<float> memory = std::vector<float>(400, 1.25F);
  float* at(int operand) { return memory.data() + operand * count; }
  float *x = at(0), *residual = at(1), *sum = at(2), *y = at(3), *dy = at(4), *dsum = at(5), *dx = at(6),
        *dresidual = at(7), *gamma = at(8), *beta = gamma + hidden, *bias = beta + hidden, *dgamma = at(9),
        *dbeta = dgamma + hidden;
  RowMoments<float> moments[rows] = {{0, 0, 1, 1}, {0, 0, 1, 1}, {0, 0, 1, 1}};
  float* const none = nullptr;

  template <class F> void refused(const std::vector<std::string>& words, const F& call) {
    const std::vector<float> before = memory;
    support::refused(words, call);
    EXPECT_EQ(first_unlike(before, memory), -1) << "written before the error";
  }
  template <class In, class Out> void forward_to(const In& in, const Out& out) {
    simdnorm::layer_norm_forward(shape, in, gamma, beta, 0x1p-17F, out, moments);
  }
  template <class Out> void backward_to(const Out& out) {
    simdnorm::layer_norm_backward(shape, dy, sum, gamma, moments, out, dgamma, dbeta);
  }
};

TEST_F(ResidualErrors, TheArgumentsAreRightOtherwise) {
  EXPECT_NO_THROW(forward_to(residual_sum(x, residual, sum).bias(bias).alpha(2), added(dy, y)));
  EXPECT_NO_THROW(backward_to(residual_gradients(dsum, dx, dresidual).alpha(2)));
  EXPECT_NO_THROW(backward_to(added(dsum, dx)));
}

TEST_F(ResidualErrors, AMissingOperandIsNamed) {
  refused({"layer_norm_forward: x is nullptr"}, [&] { forward_to(residual_sum(none, residual, sum), y); });
  refused({"residual is nullptr"}, [&] { forward_to(residual_sum(x, none, sum), y); });
  refused({"sum is nullptr"}, [&] { forward_to(residual_sum(x, residual, none), y); });
  refused({"addend is nullptr"}, [&] { forward_to(x, added(none, y)); });
  refused({"y is nullptr"}, [&] { forward_to(x, added(residual, none)); });
  refused({"layer_norm_backward: dsum is nullptr"},
          [&] { backward_to(residual_gradients(none, dx, dresidual)); });
  refused({"dx is nullptr"}, [&] { backward_to(residual_gradients(dsum, none, dresidual)); });
  refused({"dresidual is nullptr"}, [&] { backward_to(residual_gradients(dsum, dx, none)); });
}

TEST_F(ResidualErrors, WhatIsWrittenOverlapsNothing) {
  const auto plain = [&](float* a, float* b, float* c) { return residual_sum(a, b, c); };
  refused({"y", "sum", "overlap (rows 3, hidden 8)"}, [&] { forward_to(plain(x, residual, sum), sum); });
  refused({"sum", "x", "overlap"}, [&] { forward_to(plain(x, residual, x + 1), y); });
  refused({"sum", "residual", "overlap"}, [&] { forward_to(plain(x, residual, residual + hidden), y); });
  refused({"y", "residual", "overlap"}, [&] { forward_to(plain(x, residual, sum), residual + 1); });
  refused({"sum", "gamma", "overlap"}, [&] { forward_to(plain(x, residual, gamma), y); });
  refused({"sum", "beta", "overlap"}, [&] { forward_to(plain(x, residual, beta), y); });
  refused({"sum", "bias", "overlap"}, [&] { forward_to(plain(x, residual, bias).bias(bias), y); });
  refused({"y", "residual", "overlap"},
          [&] { forward_to(residual_sum(x, residual, nullptr), residual + 1); });
  refused({"dx", "x", "overlap"}, [&] { backward_to(residual_gradients(nullptr, sum + 1, dresidual)); });
  refused({"y", "bias", "overlap"}, [&] { forward_to(plain(x, residual, sum).bias(y + 2), y); });
  refused({"y", "addend", "overlap"}, [&] { forward_to(x, added(y + 1, y)); });
  refused({"sum", "addend", "overlap"}, [&] { forward_to(plain(x, residual, sum), added(sum + 1, y)); });
  EXPECT_NO_THROW(forward_to(plain(x, residual, sum), added(sum, y))) << "the sum, as it is kept";
  refused({"sum", "moments", "overlap"},
          [&] { forward_to(plain(x, residual, reinterpret_cast<float*>(moments)), y); });
  refused({"sum", "scales", "overlap"}, [&] {
    forward_to(plain(x, residual, sum), simdnorm::per_token(reinterpret_cast<std::int8_t*>(y), sum + 3));
  });
  refused({"dresidual", "dx", "overlap"}, [&] { backward_to(residual_gradients(dsum, dx, dx)); });
  refused({"dresidual", "dx", "overlap"}, [&] { backward_to(residual_gradients(dsum, dx, dx + count - 1)); });
  refused({"dx", "dsum", "overlap"}, [&] { backward_to(residual_gradients(dsum, dsum + 1, dresidual)); });
  refused({"dresidual", "dsum", "overlap"}, [&] { backward_to(residual_gradients(dsum, dy, dsum + 1)); });
  refused({"dresidual", "gamma", "overlap"}, [&] { backward_to(residual_gradients(dsum, dx, gamma)); });
  refused({"dgamma", "dsum", "overlap"}, [&] { backward_to(residual_gradients(dgamma, dx, dresidual)); });
  refused({"dbeta", "dresidual", "overlap"}, [&] { backward_to(residual_gradients(dsum, dx, dbeta)); });
  refused({"dx", "addend", "overlap"}, [&] { backward_to(added(dx + 1, dx)); });
}

// A sum on x where elements have two sizes would overwrite what is still to be read.
TEST_F(ResidualErrors, InPlaceNeedsElementsOfOneSize) {
  refused({"sum", "x", "overlap"},
          [&] { forward_to(residual_sum(x, residual, reinterpret_cast<BFloat16*>(x)), y); });
  refused({"y", "residual", "overlap"},
          [&] { forward_to(residual_sum(x, residual, sum), reinterpret_cast<BFloat16*>(residual)); });
}

TEST_F(ResidualErrors, WithoutRowsNothingIsNeeded) {
  shape.rows = 0;
  const std::vector<float> before = memory;
  EXPECT_NO_THROW(forward_to(residual_sum(none, none, none).bias(bias).alpha(2), added(none, none)));
  EXPECT_EQ(first_unlike(before, memory), -1);
  EXPECT_NO_THROW(backward_to(residual_gradients(none, none, none)));
}

}  // namespace
