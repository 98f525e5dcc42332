// Gradients of gates, before and after the norm, of rotary embeddings and of groups, beside the 128-bit formulas.
#include <simdnorm/grouped_norm.hpp>

#include "fusion/gated.hpp"
#include "fusion/gradients.hpp"

namespace {

using namespace fusion;

// Of either sign, not near 0, where silu is: half of them between 0.5 and 1.
std::vector<float> gates_of(Operands& in) {
  std::vector<float> z = in.rows();
  for (float& value : z) value = value < 0 ? value - 0.5F : value + 0.5F;
  return z;
}
// How far silu'(z) may be off: 5 u s (1 + |z| (1 - s)).
Numbers slope_errors(const Numbers& z) {
  return oracle::each(z.size(), [&](std::size_t i) {
    const quad s = oracle::sigmoid(z[i]);
    return wide(5 * u) * s * (wide(1.0) + oracle::abs(z[i]) * (wide(1.0) - s));
  });
}
Numbers slopes(const Numbers& z) {
  return oracle::each(z.size(), [&](std::size_t i) { return oracle::silu_derivative(z[i]); });
}

// silu is within 2.5 ulp, which is 5 u, and its product with dy one rounding more; norm(x) within five units.
TEST(FusedGradients, OfGatesAfterTheNorm) {
  of_all(Norm::layer, [](Operands in) {
    const std::vector<float> x = in.rows(in.kappa), z = gates_of(in), dy = in.rows(), gamma = in.gammas(),
                             beta = in.array();
    const oracle::Problem p = in.problem();
    const oracle::GateAfter gate{wide_all(x), wide_all(z), wide_all(gamma), wide_all(beta)};
    const auto exact = gate.gradients(p, wide_all(dy));
    std::vector<float> dx(x.size()), dz = dx;
    const Sums got =
        backward_of_norm<Norm::layer>(in, gated(dy.data(), z.data()).gradient(dz.data(), beta.data()),
                                      x.data(), gamma, in.moments(x), dx.data());

    const oracle::Normalized n = normalized(p, gate.x);
    const Numbers dn =
        oracle::each(p.count(), [&](std::size_t i) { return wide(dy[i]) * oracle::silu(gate.z[i]); });
    expect_dx(p, dx, exact.x, bound_of_dx(p, scaled(p, dn, gate.gamma), n.rstd, 6));
    const Numbers errors = slope_errors(gate.z), slope = slopes(gate.z),
                  norm = affine(p, n.xhat, gate.gamma, gate.beta);
    expect_near("dz", dz, exact.z, oracle::each(p.count(), [&](std::size_t i) {
                  const quad xhat = oracle::abs(n.xhat[i]), one = wide(1.0);
                  const quad unit = oracle::abs(gate.gamma[in.column(i)]) * (xhat > one ? xhat : one) +
                                    oracle::abs(gate.beta[in.column(i)]);
                  return oracle::abs(wide(dy[i])) * (errors[i] * oracle::abs(norm[i]) +
                                                     oracle::abs(slope[i]) * unit * wide(forward_units * u)) +
                         oracle::abs(exact.z[i]) * wide(2 * u);
                }));
    expect_near("dgamma", got.dgamma, exact.gamma, bound_of_dgamma(p, dn, n.xhat, 6));
    expect_near("dbeta", got.dbeta, exact.beta, bound_of_dbeta(p, dn, 6));
  });
}

// What is normalized is u as it is computed: the norm is of that.
TEST(FusedGradients, OfGatesBeforeTheNorm) {
  of_all(Norm::rms, [](Operands in) {
    const std::vector<float> z = gates_of(in), dy = in.rows(), gamma = in.gammas();
    std::vector<float> x = in.rows(in.kappa), product(x.size()), dx(x.size()), dz = dx;
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] = x[i] / gate_of(z[i]);
      product[i] = times(x[i], gate_of(z[i]));
    }
    const oracle::Problem p = in.problem();
    const oracle::GateBefore gate{wide_all(x), wide_all(z), wide_all(gamma), {}};
    const auto exact = gate.gradients(p, wide_all(product), wide_all(dy));
    const Sums got =
        backward_of_norm<Norm::rms>(in, dy.data(), gated(x.data(), z.data()), gamma, in.moments(product),
                                    gate_gradients(x.data(), z.data(), dx.data(), dz.data()));

    const oracle::Normalized n = normalized(p, wide_all(product));
    const Numbers of_u = bound_of_dx(p, scaled(p, wide_all(dy), gate.gamma), n.rstd, 0);
    const Numbers errors = slope_errors(gate.z), slope = slopes(gate.z);
    expect_near("dx", dx, exact.x, oracle::each(p.count(), [&](std::size_t i) {
                  return of_u[i] * oracle::abs(oracle::silu(gate.z[i])) +
                         oracle::abs(exact.x[i]) * wide(6 * u);
                }));
    expect_near("dz", dz, exact.z, oracle::each(p.count(), [&](std::size_t i) {
                  return oracle::abs(gate.x[i]) * (of_u[i] * (oracle::abs(slope[i]) + errors[i]) +
                                                   oracle::abs(exact.u[i]) * errors[i]) +
                         oracle::abs(exact.z[i]) * wide(2 * u);
                }));
    expect_near("dgamma", got.dgamma, exact.gamma, bound_of_dgamma(p, wide_all(dy), n.xhat, 0));
  });
}

// Each of two products and their sum is rounded.
TEST(FusedGradients, OfRotaryEmbeddings) {
  constexpr auto pairs = simdnorm::RotaryPairs::halves;
  of_all(Norm::layer, [](Operands in) {
    const Index dim = std::min<Index>(in.shape.hidden / 2 * 2, 600), half = dim / 2;
    if (dim == 0) return;
    const std::vector<float> x = in.rows(in.kappa), dy = in.rows(), gamma = in.gammas();
    std::vector<float> cosines(size(in.shape.rows * half)), sines = cosines, dx(x.size());
    simdnorm::rotary_tables(in.shape.rows, dim, 1e4, cosines.data(), sines.data());
    const simdnorm::Rotary<pairs> rotary{cosines.data(), sines.data(), in.shape.rows, dim, 1, in.shape.rows};
    const oracle::Problem p = in.problem();
    const oracle::Rotated turned{wide_all(x),
                                 wide_all(gamma),
                                 {},
                                 wide_all(cosines),
                                 wide_all(sines),
                                 size(dim),
                                 pairs == simdnorm::RotaryPairs::halves};
    const auto exact = turned.gradients(p, wide_all(dy));
    const Sums got = backward_of_norm<Norm::layer>(in, simdnorm::unrotated(dy.data(), rotary), x.data(),
                                                   gamma, in.moments(x), dx.data());

    // The sums of magnitudes: those of magnitudes, turned by angles that add.
    oracle::Rotated magnitudes_of = turned;
    magnitudes_of.cosines = magnitudes(turned.cosines);
    Numbers dn = magnitudes(wide_all(dy));
    const Numbers before = dn;
    for (std::size_t r = 0; r < p.rows; ++r) {
      for (std::size_t i = 0; i < size(half); ++i) {
        const auto [a, b] = turned.columns_of(i);
        const quad cosine = magnitudes_of.cosines[r * size(half) + i],
                   sine = oracle::abs(turned.sines[r * size(half) + i]);
        dn[r * p.hidden + a] = before[r * p.hidden + a] * cosine + before[r * p.hidden + b] * sine;
        dn[r * p.hidden + b] = before[r * p.hidden + b] * cosine + before[r * p.hidden + a] * sine;
      }
    }
    const oracle::Normalized n = normalized(p, turned.x);
    expect_dx(p, dx, exact.x, bound_of_dx(p, scaled(p, dn, turned.gamma), n.rstd, 2));
    expect_near("dgamma", got.dgamma, exact.gamma, bound_of_dgamma(p, dn, n.xhat, 2));
    expect_near("dbeta", got.dbeta, exact.beta, bound_of_dbeta(p, dn, 2));
  });
}

// Three groups: the rows of each are rows of a problem of their own.
TEST(FusedGradients, OfGroups) {
  of_all(Norm::layer, [](Operands in) {
    constexpr Index groups = 3;
    const Index each = in.shape.hidden;
    in.shape.hidden *= groups;
    const std::vector<float> x = in.rows(in.kappa), dy = in.rows(), gamma = in.gammas();
    const oracle::Problem p = in.problem(), of_groups{p.norm, p.rows * groups, size(each), p.epsilon};
    std::vector<float> dx(x.size());
    std::vector<RowMoments<float>> moments;  // (groups, rows), of rows that are (rows, groups)
    const RowShape parts{in.shape.rows * groups, each};
    const std::vector<RowMoments<float>> of_parts = Operands{in.norm, parts, 0, in.random}.moments(x);
    for (Index group = 0; group < groups; ++group) {
      for (Index r = 0; r < in.shape.rows; ++r) moments.push_back(of_parts[size(r * groups + group)]);
    }
    Sums got(in);
    simdnorm::grouped_layer_norm_backward(in.shape, groups, dy.data(), x.data(), gamma.data(), moments.data(),
                                          dx.data(), got.dgamma.data(), got.dbeta.data());
    const oracle::Normalized n = normalized(of_groups, wide_all(x));
    const Numbers g = scaled(p, wide_all(dy), wide_all(gamma));
    expect_dx(of_groups, dx, input_gradient(of_groups, g, n), bound_of_dx(of_groups, g, n.rstd, 0));
    const Numbers of_dy = wide_all(dy);
    expect_near("dgamma", got.dgamma, column_sums(p, oracle::products(of_dy, n.xhat)),
                bound_of_dgamma(p, of_dy, n.xhat, 0));
    expect_near("dbeta", got.dbeta, column_sums(p, of_dy), bound_of_dbeta(p, of_dy, 0));
  });
}

}  // namespace
