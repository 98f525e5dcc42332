// Gradients of residual blocks, modulated norms, two norms, chosen rows and from y, beside the 128-bit formulas.
#include "fusion/gradients.hpp"

#include <simdnorm/modulated_norm.hpp>

namespace {

using namespace fusion;
using simdnorm::branch;

TEST(FusedGradients, OfResidualBlocks) {
  of_all(Norm::layer, [](Operands in) {
    const std::vector<float> sum = in.rows(in.kappa), dy = in.rows(), dsum = in.rows(), x = in.rows(),
                             bias = in.array(), layer_scale = in.gammas(), gamma = in.gammas();
    std::vector<float> row_scale;
    for (Index r = 0; r < in.shape.rows; ++r)
      row_scale.push_back(r % 5 == 1 ? 0.0F : 1.1F + static_cast<float>(r));
    const float by = 0.7F;
    const oracle::Problem p = in.problem();
    oracle::ResidualBlock block{wide_all(x), wide_all(bias), wide_all(layer_scale), {}, wide_all(gamma), {},
                                {},          wide(by)};
    block.factor = oracle::each(p.count(), [&](std::size_t i) {
      return wide(row_scale[in.row(i)]) *
             wide(mask_of<float>(some, static_cast<Index>(in.row(i)), static_cast<Index>(in.column(i))));
    });
    const auto exact = block.gradients(p, wide_all(sum), wide_all(dy), wide_all(dsum));

    std::vector<float> dx(sum.size()), dresidual = dx, dbias(bias.size()), dlayer_scale = dbias;
    const Sums got = backward_of_norm<Norm::layer>(
        in, dy.data(), sum.data(), gamma, in.moments(sum),
        residual_gradients(
            dsum.data(),
            branch(dx.data())
                .dbias(dbias.data())
                .layer_scale(layer_scale.data(), branch(x.data()).bias(bias.data()), dlayer_scale.data())
                .dropout(some)
                .row_scale(row_scale.data()),
            dresidual.data())
            .alpha(static_cast<double>(by)));

    const oracle::Normalized n = normalized(p, wide_all(sum));
    const Numbers of_norm = bound_of_dx(p, scaled(p, wide_all(dy), wide_all(gamma)), n.rstd, 0);
    const auto then = [&](const Numbers& error, const Numbers& by_factor, const Numbers& result,
                          double roundings) {
      return sums(oracle::products(error, magnitudes(by_factor)),
                  times_number(magnitudes(result), roundings * u));
    };
    const Numbers ones(p.count(), wide(1.0)), alphas(p.count(), wide(by));
    const Numbers scales =
        oracle::each(p.count(), [&](std::size_t i) { return wide(layer_scale[in.column(i)]); });
    const Numbers biased =
        oracle::each(p.count(), [&](std::size_t i) { return wide(x[i]) + wide(bias[in.column(i)]); });
    const Numbers of_sum = then(of_norm, ones, exact.of_sum, 1),
                  product = then(of_sum, block.factor, exact.product, 2),
                  of_x = then(product, scales, exact.x, 1), terms = oracle::products(exact.product, biased);
    expect_near("dresidual", dresidual, exact.residual, then(of_sum, alphas, exact.residual, 1));
    expect_near("dx", dx, exact.x, of_x);
    expect_near("dbias", dbias, exact.bias, bound_of_sums(p, exact.x, of_x, 0));
    expect_near("dlayer_scale", dlayer_scale, exact.layer_scale,
                bound_of_sums(p, terms, then(product, biased, terms, 2), 0));
    expect_near("dgamma", got.dgamma, exact.gamma, bound_of_dgamma(p, wide_all(dy), n.xhat, 0));
    expect_near("dbeta", got.dbeta, exact.beta, bound_of_dbeta(p, wide_all(dy), 0));
  });
}

TEST(FusedGradients, OfModulatedNorms) {
  of_all(Norm::layer, [](Operands in) {
    constexpr Index items = 2;
    const std::vector<float> x = in.rows(in.kappa), dy = in.rows(), scale = in.array(items);
    const oracle::Problem p = in.problem();
    const oracle::Modulated norm{wide_all(x), wide_all(scale), {}, p.rows / items};
    const auto exact = norm.gradients(p, wide_all(dy));
    std::vector<float> dx(x.size()), dscale(scale.size()), dshift = dscale;
    simdnorm::modulated_layer_norm_backward(in.shape, items, dy.data(), x.data(), scale.data(),
                                            in.moments(x).data(), dx.data(), dscale.data(), dshift.data());

    const oracle::Normalized n = normalized(p, norm.x);
    const Numbers g = oracle::each(
        p.count(), [&](std::size_t i) { return wide(dy[i]) * (wide(1.0) + norm.scale[norm.at(p, i)]); });
    expect_dx(p, dx, exact.x, bound_of_dx(p, g, n.rstd, 1));
    const oracle::Problem of_item{p.norm, p.rows / items, p.hidden, p.epsilon};
    const std::size_t half = p.count() / items;
    for (std::size_t i = 0; i < items; ++i) {
      const auto part = [&](const auto& all, std::size_t each) {
        const auto first = all.begin() + static_cast<std::ptrdiff_t>(i * each);
        return std::decay_t<decltype(all)>(first, first + static_cast<std::ptrdiff_t>(each));
      };
      const Numbers dy_part = wide_all(part(dy, half));
      expect_near("dscale", part(dscale, p.hidden), part(exact.scale, p.hidden),
                  bound_of_dgamma(of_item, dy_part, part(n.xhat, half), 0));
      expect_near("dshift", part(dshift, p.hidden), part(exact.shift, p.hidden),
                  bound_of_dbeta(of_item, dy_part, 0));
    }
  });
}

TEST(FusedGradients, OfTwoNorms) {
  of_all(Norm::layer, [](Operands in) {
    const std::vector<float> x = in.rows(in.kappa), dy = in.rows(), dy_2 = in.rows(), gamma = in.gammas(),
                             gamma_2 = in.gammas();
    const oracle::Problem p = in.problem();
    const oracle::TwoNorms both{wide_all(x), wide_all(gamma), {}, wide_all(gamma_2), {}};
    const auto exact = both.gradients(p, wide_all(dy), wide_all(dy_2));
    std::vector<float> dx(x.size()), dgamma_2(gamma.size()), dbeta_2 = dgamma_2;
    const Sums got = backward_of_norm<Norm::layer>(
        in, simdnorm::two_gradients(dy.data(), gamma_2.data(), dy_2.data(), dgamma_2.data(), dbeta_2.data()),
        x.data(), gamma, in.moments(x), dx.data());

    const oracle::Normalized n = normalized(p, both.x);
    const Numbers g = sums(magnitudes(scaled(p, wide_all(dy), both.gamma)),
                           magnitudes(scaled(p, wide_all(dy_2), both.gamma_2)));
    expect_dx(p, dx, exact.x, bound_of_dx(p, g, n.rstd, 2));
    expect_near("dgamma", got.dgamma, exact.gamma, bound_of_dgamma(p, wide_all(dy), n.xhat, 0));
    expect_near("dbeta", got.dbeta, exact.beta, bound_of_dbeta(p, wide_all(dy), 0));
    expect_near("dgamma_2", dgamma_2, exact.gamma_2, bound_of_dgamma(p, wide_all(dy_2), n.xhat, 0));
    expect_near("dbeta_2", dbeta_2, exact.beta_2, bound_of_dbeta(p, wide_all(dy_2), 0));
  });
}

// Chosen rows are those of a smaller problem.
TEST(FusedGradients, OfChosenRows) {
  of_all(Norm::rms, [](Operands in) {
    const std::vector<float> x = in.rows(in.kappa), dy = in.rows(), gamma = in.gammas();
    std::vector<Index> chosen;
    for (Index r = 0; r < in.shape.rows; r += r % 3 == 0 ? 1 : 2) chosen.push_back(r);
    const Index table = in.shape.rows;
    const auto rows_of = [&](const std::vector<float>& all) {
      Numbers out;
      for (Index r : chosen) {
        for (Index c = 0; c < in.shape.hidden; ++c) out.push_back(wide(all[size(r * in.shape.hidden + c)]));
      }
      return out;
    };
    std::vector<float> all_dx(x.size(), 7.0F), dx;
    const Numbers of_x = rows_of(x), of_dy = rows_of(dy);
    std::vector<RowMoments<float>> moments, all_moments = in.moments(x);
    for (Index r : chosen) moments.push_back(all_moments[size(r)]);
    in.shape.rows = static_cast<Index>(chosen.size());
    const oracle::Problem p = in.problem();
    const auto chosen_of = [&](auto* rows) { return simdnorm::gathered(rows, table, chosen.data()); };
    const Sums got = backward_of_norm<Norm::rms>(in, chosen_of(dy.data()), chosen_of(x.data()), gamma,
                                                 moments, chosen_of(all_dx.data()));
    for (quad value : rows_of(all_dx)) dx.push_back(static_cast<float>(oracle::narrow(value)));

    const oracle::Normalized n = normalized(p, of_x);
    const Numbers g = scaled(p, of_dy, wide_all(gamma));
    expect_dx(p, dx, input_gradient(p, g, n), bound_of_dx(p, g, n.rstd, 0));
    expect_near("dgamma", got.dgamma, column_sums(p, oracle::products(of_dy, n.xhat)),
                bound_of_dgamma(p, of_dy, n.xhat, 0));
  });
}

// (y - beta) / gamma has two roundings: dx is off by them, times xhat's share in it, twice.
TEST(FusedGradients, FromOutput) {
  of_all(Norm::layer, [](Operands in) {
    const std::vector<float> x = in.rows(in.kappa), dy = in.rows(), gamma = in.gammas(), beta = in.array();
    std::vector<float> y(x.size()), dx = y;
    std::vector<RowMoments<float>> moments = in.moments(x);
    support::forward(in.norm, in.shape, packed(in.shape, x.data()), gamma.data(), beta.data(), in.epsilon,
                     packed(in.shape, y.data()), moments.data());
    const oracle::Problem p = in.problem();
    oracle::FromOutput from{wide_all(y), wide_all(gamma), wide_all(beta), {}};
    for (const RowMoments<float>& row : moments) from.rstd.push_back(wide(row.rstd) * wide(row.scale));
    const auto exact = from.gradients(p, wide_all(dy));
    const Sums got = backward_of_norm<Norm::layer>(
        in, dy.data(), simdnorm::from_output(y.data(), beta.data()), gamma, moments, dx.data());
    const oracle::Normalized n = from.recovered(p);
    expect_dx(p, dx, exact.x, bound_of_dx(p, scaled(p, wide_all(dy), from.gamma), n.rstd, 4.01));
    expect_near("dgamma", got.dgamma, exact.gamma, bound_of_dgamma(p, wide_all(dy), n.xhat, 2));
    expect_near("dbeta", got.dbeta, exact.beta, bound_of_dbeta(p, wide_all(dy), 0));
  });
}

}  // namespace
