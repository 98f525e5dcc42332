// What is allocated: nothing in forward, nor in backward for dx; nothing for dgamma and dbeta with a
// Workspace that has grown; no tensor-sized temporary in an expression.
#define EIGEN_USE_THREADS
#include <simdnorm/simdnorm.hpp>

#include <gtest/gtest.h>

#include "support/allocations.hpp"

namespace {

using simdnorm::Index;
using support::Allocations;
using support::count_allocations;
using Rows = Eigen::Tensor<float, 2, Eigen::RowMajor>;
using Columns = Eigen::Tensor<float, 2, Eigen::ColMajor>;

constexpr Index rows = 3000, hidden = 100;
constexpr std::size_t tensor_bytes = rows * hidden * sizeof(float);

class AllocationsOfCalls : public testing::Test {
 protected:
  void SetUp() override {
#if defined(SIMDNORM_TEST_SANITIZER)
    GTEST_SKIP() << "a sanitizer's allocator is not counted";
#endif
    // The counter sees what Eigen allocates: a tensor is seen.
    const Allocations seen = count_allocations([] { Rows tensor(rows, hidden); });
    ASSERT_GE(seen.calls, 1);
    ASSERT_GE(seen.largest, tensor_bytes);
  }
};

template <class Tensor> struct Operands {
  Tensor x{rows, hidden}, y{rows, hidden}, dy{rows, hidden}, dx{rows, hidden}, residual{rows, hidden};
  Eigen::Tensor<float, 1> gamma{hidden}, beta{hidden}, dgamma{hidden}, dbeta{hidden};
  simdnorm::Moments<float> moments;
  simdnorm::Workspace<float> workspace;
  Operands() {
    x.setRandom();
    dy.setRandom();
    residual.setRandom();
    gamma.setRandom();
    beta.setRandom();
  }
};

template <class Tensor, class Device>
void expect_none(const Device& device, long calls_allowed, std::size_t largest_allowed) {
  Operands<Tensor> o;
  const simdnorm::LayerNorm<float> layer(o.gamma, o.beta, 1e-5f);
  const simdnorm::RMSNorm<float> rms(o.gamma, 1e-6f);
  layer.forward(o.x, o.y, o.moments);                                          // sizes the moments
  layer.backward(o.dy, o.x, o.moments, o.dx, o.dgamma, o.dbeta, o.workspace);  // and the workspace
  const auto check = [&](const char* what, auto&& call) {
    const Allocations seen = count_allocations(call);
    EXPECT_LE(seen.calls, calls_allowed) << what;
    EXPECT_LE(seen.largest, largest_allowed) << what;
  };
  check("LayerNorm forward", [&] { layer.forward(o.x, o.y, device); });
  check("LayerNorm forward, moments", [&] { layer.forward(o.x, o.y, o.moments, device); });
  check("LayerNorm backward", [&] { layer.backward(o.dy, o.x, o.moments, o.dx, device); });
  check("LayerNorm backward, parameters",
        [&] { layer.backward(o.dy, o.x, o.moments, o.dx, o.dgamma, o.dbeta, o.workspace, device); });
  check("RMSNorm forward", [&] { rms.forward(o.x, o.y, o.moments, device); });
  check("RMSNorm backward", [&] { rms.backward(o.dy, o.x, o.moments, o.dx, device); });
  check("RMSNorm backward, parameters",
        [&] { rms.backward(o.dy, o.x, o.moments, o.dx, o.dgamma, o.workspace, device); });
}

TEST_F(AllocationsOfCalls, NoneInContiguousRows) { expect_none<Rows>(Eigen::DefaultDevice(), 0, 0); }
TEST_F(AllocationsOfCalls, NoneInColumns) { expect_none<Columns>(Eigen::DefaultDevice(), 0, 0); }

TEST_F(AllocationsOfCalls, NoneForResiduals) {
  Operands<Rows> o;
  const simdnorm::LayerNorm<float> norm(o.gamma, o.beta, 1e-5f);
  norm.forward(o.x, o.y, o.moments);
  const Allocations seen = count_allocations([&] {
    norm.forward(simdnorm::residual_sum(o.x, o.residual, o.residual).bias(o.beta).alpha(2), o.y, o.moments);
    norm.backward(o.dy, o.residual, o.moments, simdnorm::residual_gradients(o.y, o.dx, o.x).alpha(2));
    norm.forward(o.residual, simdnorm::added(o.x, o.y));
  });
  EXPECT_EQ(seen.calls, 0);
}

TEST_F(AllocationsOfCalls, NoneForExpressions) {
  Operands<Rows> o;
  const simdnorm::LayerNorm<float> norm(o.gamma, o.beta, 1e-5f);
  const Allocations seen = count_allocations([&] {
    norm.forward(o.x * 2.0F + o.residual, o.y);
    norm.forward(o.x / o.residual / o.dy, o.y);  // kept in y
  });
  EXPECT_EQ(seen.calls, 0);
}

// What the threads share and what the pool makes of it: nothing that grows with the tensor.
TEST_F(AllocationsOfCalls, OnlyTasksOnAPool) {
  Eigen::ThreadPool threads(2);
  const Eigen::ThreadPoolDevice pool(&threads, 2);
  expect_none<Rows>(pool, 4, 256);
  expect_none<Columns>(pool, 4, 256);
}

TEST_F(AllocationsOfCalls, NoTemporaryInAnExpression) {
  Operands<Rows> o;
  const simdnorm::LayerNorm<float> norm(o.gamma, o.beta, 1e-5f);
  Eigen::ThreadPool threads(2);
  const Eigen::ThreadPoolDevice pool(&threads, 2);
  const Eigen::DefaultDevice serial;
  const auto check = [&](const char* what, auto&& call) {
    const Allocations seen = count_allocations(call);
    EXPECT_LE(seen.largest, tensor_bytes / 16) << what;
    EXPECT_LE(seen.bytes, tensor_bytes / 4) << what;
  };
  check("y = x.customOp(norm)", [&] { o.y = o.x.customOp(norm); });
  check("y = norm(x)", [&] { o.y = norm(o.x); });
  check("y.device(serial) = norm(x)", [&] { o.y.device(serial) = norm(o.x); });
  check("y.device(pool) = norm(x)", [&] { o.y.device(pool) = norm(o.x); });
  check("y = (x + residual).customOp(norm)", [&] { o.y = (o.x + o.residual).customOp(norm); });
  check("y.device(pool) = norm(x + residual)", [&] { o.y.device(pool) = norm(o.x + o.residual); });
  check("x = x.customOp(norm)", [&] { o.x = o.x.customOp(norm); });
}

// Without a workspace the parameter gradients take what gradient_workspace_bytes says, once.
TEST_F(AllocationsOfCalls, BackwardWithoutAWorkspaceAllocatesItOnce) {
  Operands<Rows> o;
  const simdnorm::LayerNorm<float> norm(o.gamma, o.beta, 1e-5f);
  norm.forward(o.x, o.y, o.moments);
  const Allocations seen =
      count_allocations([&] { norm.backward(o.dy, o.x, o.moments, o.dx, o.dgamma, o.dbeta); });
  EXPECT_EQ(seen.calls, 1);
  EXPECT_LE(seen.largest,
            static_cast<std::size_t>(simdnorm::gradient_workspace_bytes<float>({rows, hidden})));
}

}  // namespace
