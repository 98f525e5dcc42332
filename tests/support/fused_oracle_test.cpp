// The oracle of fusions: its gradients against central differences of its forward, in 128 bits, for every operand.
#include "support/fused_oracle.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "support/row_families.hpp"

namespace {

using namespace oracle;

constexpr std::size_t rows = 4, hidden = 6;

struct Draw {
  support::Random random;
  Numbers numbers(std::size_t count, double shift = 0) {
    Numbers out;
    for (std::size_t i = 0; i < count; ++i) out.push_back(wide(shift + random.normal()));
    return out;
  }
  // Either sign, never near 0.
  Numbers gammas(std::size_t count = hidden) {
    Numbers out;
    for (std::size_t i = 0; i < count; ++i) out.push_back(wide(random.log_uniform(-1, 1)));
    return out;
  }
};

// d loss / d operand[i] of some i is gradient[i]; `loss` reads the operand.
template <class Loss>
void check(const char* name, Numbers& operand, const Numbers& gradient, const Loss& loss) {
  ASSERT_EQ(operand.size(), gradient.size()) << name;
  const quad step = wide(std::ldexp(1.0, -36));
  const std::size_t apart = gradient.size() > 8 ? 5U : 1U;
  for (std::size_t i = 0; i < gradient.size(); i += apart) {
    const quad before = operand[i];
    operand[i] = before + step;
    const quad above = loss();
    operand[i] = before - step;
    const quad below = loss();
    operand[i] = before;
    const double difference = narrow((above - below) / (step + step) - gradient[i]);
    EXPECT_LE(std::abs(difference), 1e-15 * (1 + std::abs(narrow(gradient[i])))) << name << " " << i;
  }
}

// f(problem, numbers, mean of the rows)
template <class F> void of_both_norms(const F& f) {
  for (Norm norm : norms) {
    for (double mean : {0.0, 1e2, 1e4}) {
      SCOPED_TRACE(std::string(name(norm)) + " mean " + std::to_string(mean));
      Draw draw{support::Random(7)};
      f(Problem{norm, rows, hidden, wide(1e-3)}, draw, mean);
    }
  }
}

TEST(FusedOracle, Exponentials) {
  for (double t : {0.0, 1e-9, 0.5, -3.0, 20.0, -80.0}) {
    EXPECT_NEAR(narrow(oracle::exp(wide(t))) / std::exp(t), 1, 1e-14) << t;
    EXPECT_LE(std::abs(narrow(oracle::exp(wide(t)) * oracle::exp(wide(-t)) - wide(1.0))), 1e-26) << t;
  }
  Draw draw{support::Random(3)};
  for (quad z : draw.numbers(20)) {
    const quad step = wide(std::ldexp(1.0, -36));
    const quad difference = (silu(z + step) - silu(z - step)) / (step + step);
    EXPECT_LE(std::abs(narrow(difference - silu_derivative(z))), 1e-17);
  }
}

TEST(FusedOracle, ResidualBlock) {
  of_both_norms([](const oracle::Problem& p, Draw& draw, double mean) {
    const std::size_t n = rows * hidden;
    ResidualBlock block{draw.numbers(n), draw.numbers(hidden), draw.gammas(),   draw.numbers(n, mean),
                        draw.gammas(),   draw.numbers(hidden), draw.numbers(n), wide(0.75)};
    const Numbers dy = draw.numbers(n), dsum = draw.numbers(n);
    const auto gradients = block.gradients(p, block.sum(p), dy, dsum);
    const auto loss = [&] { return block.loss(p, dy, dsum); };
    check("x", block.x, gradients.x, loss);
    check("bias", block.bias, gradients.bias, loss);
    check("layer_scale", block.layer_scale, gradients.layer_scale, loss);
    check("residual", block.residual, gradients.residual, loss);
    check("gamma", block.gamma, gradients.gamma, loss);
    check("beta", block.beta, gradients.beta, loss);
  });
}

TEST(FusedOracle, Modulated) {
  of_both_norms([](const oracle::Problem& p, Draw& draw, double mean) {
    Modulated norm{draw.numbers(rows * hidden, mean), draw.numbers(2 * hidden), draw.numbers(2 * hidden),
                   rows / 2};
    const Numbers dy = draw.numbers(rows * hidden);
    const auto gradients = norm.gradients(p, dy);
    const auto loss = [&] { return norm.loss(p, dy); };
    check("x", norm.x, gradients.x, loss);
    check("scale", norm.scale, gradients.scale, loss);
    check("shift", norm.shift, gradients.shift, loss);
  });
}

template <class Gate>
void check_gate(const oracle::Problem& p, Gate& gate, const typename Gate::Gradients& gradients,
                const Numbers& dy) {
  const auto loss = [&] { return gate.loss(p, dy); };
  check("x", gate.x, gradients.x, loss);
  check("z", gate.z, gradients.z, loss);
  check("gamma", gate.gamma, gradients.gamma, loss);
  check("beta", gate.beta, gradients.beta, loss);
}
TEST(FusedOracle, Gates) {
  of_both_norms([](const oracle::Problem& p, Draw& draw, double mean) {
    const std::size_t n = rows * hidden;
    GateAfter after{draw.numbers(n, mean), draw.numbers(n), draw.gammas(), draw.numbers(hidden)};
    GateBefore before{draw.numbers(n, mean), draw.numbers(n), draw.gammas(), draw.numbers(hidden)};
    const Numbers dy = draw.numbers(n);
    check_gate(p, after, after.gradients(p, dy), dy);
    check_gate(p, before, before.gradients(p, before.gated(p), dy), dy);
  });
}

TEST(FusedOracle, TwoNorms) {
  of_both_norms([](const oracle::Problem& p, Draw& draw, double mean) {
    const std::size_t n = rows * hidden;
    TwoNorms norms_of{draw.numbers(n, mean), draw.gammas(), draw.numbers(hidden), draw.gammas(),
                      draw.numbers(hidden)};
    const Numbers dy = draw.numbers(n), dy_2 = draw.numbers(n);
    const auto gradients = norms_of.gradients(p, dy, dy_2);
    const auto loss = [&] { return norms_of.loss(p, dy, dy_2); };
    check("x", norms_of.x, gradients.x, loss);
    check("gamma", norms_of.gamma, gradients.gamma, loss);
    check("beta", norms_of.beta, gradients.beta, loss);
    check("gamma_2", norms_of.gamma_2, gradients.gamma_2, loss);
    check("beta_2", norms_of.beta_2, gradients.beta_2, loss);
  });
}

TEST(FusedOracle, Rotated) {
  of_both_norms([](const oracle::Problem& p, Draw& draw, double mean) {
    for (bool halves : {false, true}) {
      Rotated norm{draw.numbers(rows * hidden, mean),
                   draw.gammas(),
                   draw.numbers(hidden),
                   draw.numbers(rows * 2),
                   draw.numbers(rows * 2),
                   4,
                   halves};
      const Numbers dy = draw.numbers(rows * hidden);
      const auto gradients = norm.gradients(p, dy);
      const auto loss = [&] { return norm.loss(p, dy); };
      check("x", norm.x, gradients.x, loss);
      check("gamma", norm.gamma, gradients.gamma, loss);
      check("beta", norm.beta, gradients.beta, loss);
    }
  });
}

// Of an exact y its gradients are those from x.
TEST(FusedOracle, FromOutput) {
  of_both_norms([](const oracle::Problem& p, Draw& draw, double mean) {
    Numbers x = draw.numbers(rows * hidden, mean), gamma = draw.gammas(), beta = draw.numbers(hidden);
    const Numbers dy = draw.numbers(rows * hidden);
    const Normalized n = normalized(p, x);
    const FromOutput from{affine(p, n.xhat, gamma, beta), gamma, beta, n.rstd};
    const auto gradients = from.gradients(p, dy);
    const auto loss = [&] { return dot(dy, affine(p, normalized(p, x).xhat, gamma, beta)); };
    check("x", x, gradients.x, loss);
    check("gamma", gamma, gradients.gamma, loss);
    check("beta", beta, gradients.beta, loss);
  });
}

}  // namespace
