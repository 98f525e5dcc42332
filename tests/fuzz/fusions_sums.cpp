// Sums with a residual, and branches with all their factors, forward and backward; y and dx that are added to something.
#include <simdnorm/pointers.hpp>

#include "fuzz/factors.hpp"

namespace fuzz {
namespace {

using simdnorm::added;
using simdnorm::branch;
using simdnorm::residual_gradients;
using simdnorm::residual_sum;

// residual * alpha + (x + bias) * layer_scale * mask * row_scale; y = addend + norm.
void sum_forward(Input& input) {
  Case c(input, "residual_sum");
  const Values x_rows = c.rows(), residual_rows = c.rows(), addend_rows = c.rows();
  const Rows<float> x = c.reads("x", x_rows), residual = c.reads("residual", residual_rows);
  Factors by(c);
  const double alpha = input.one_of({1.0, 0.7, -1e30});
  const Parameter gamma = c.parameter("gamma"), beta = c.parameter("beta");
  const Values sum_rows = made(c.count(), [&](std::size_t i) {
    const std::size_t column = c.column_of(i);
    const float scaled = times(plus(x_rows[i], by.bias.at(column, 0)), by.layer_scale.at(column, 1));
    return plus(times(residual_rows[i], static_cast<float>(alpha)),
                times(times(scaled, by.mask(c, i)), by.row_scale[c.row_of(i)]));
  });
  const Rows<float> sum = c.writes("sum", {x, residual});
  const bool adds_sum = input.coin();
  const Rows<float> addend = adds_sum ? sum : c.reads("addend", addend_rows);
  const Rows<float> y = c.writes("y", {x, residual, addend});
  const PlainForward plain =
      plain_forward(Norm::layer, c.shape, sum_rows, gamma.values, beta.values, c.epsilon);
  sum.expect(sum_rows);
  y.expect(made(c.count(),
                [&](std::size_t i) { return plus(adds_sum ? sum_rows[i] : addend_rows[i], plain.y[i]); }));
  RowMoments<float>* moments = c.moments(plain.moments).memory.data();

  Strided<const float> at_x = x.read(), at_residual = residual.read(), at_addend = addend.read();
  Strided<float> at_sum = sum.write(), at_y = y.write();
  const float *at_gamma = gamma.read(), *at_bias = by.bias.read();
  c.wrong_shape();
  c.wrong_epsilon();
  c.missing("x", at_x), c.missing("residual", at_residual), c.missing("addend", at_addend);
  c.missing("sum", at_sum), c.missing("y", at_y);
  c.onto("y", at_y, at_sum);
  c.array_onto("gamma", at_gamma, at_y), c.array_onto("bias", at_bias, at_sum);
  c.run([&] {
    simdnorm::layer_norm_forward(c.shape,
                                 residual_sum(branch(at_x)
                                                  .bias(at_bias)
                                                  .layer_scale(by.layer_scale.read())
                                                  .dropout(by.dropout)
                                                  .row_scale(by.rows),
                                              at_residual, at_sum)
                                     .alpha(alpha),
                                 at_gamma, beta.read(), c.epsilon, added(at_addend, at_y), moments,
                                 c.executor());
  });
}

// And back, with the gradients of bias and layer_scale.
void sum_backward(Input& input) {
  Case c(input, "residual_gradients");
  const Values dy_rows = c.rows(), sum_rows = c.rows(), dsum_rows = c.rows(), x_rows = c.rows();
  const Rows<float> dy = c.reads("dy", dy_rows), sum = c.reads("sum", sum_rows),
                    dsum = c.reads("dsum", dsum_rows), x = c.reads("x", x_rows);
  Factors by(c);
  const double alpha = input.one_of({1.0, 0.7, -1e30});
  const bool accumulate = input.coin();
  const Parameter gamma = c.parameter("gamma"), dgamma = c.gradient("dgamma"), dbeta = c.gradient("dbeta"),
                  dbias = c.gradient("dbias"), dlayer_scale = c.gradient("dlayer_scale");
  const Rows<float> dresidual = c.writes("dresidual", {dy, sum, dsum}), dx = c.writes("dx", {dy, sum, dsum});
  const RowsOfMoments moments = plain_forward(Norm::layer, c.shape, sum_rows, {}, {}, c.epsilon).moments;
  const PlainBackward plain = plain_backward(Norm::layer, c.shape, c.column, dy_rows, sum_rows, gamma.values,
                                             moments, dgamma.values, dbeta.values, accumulate);
  const Values of_sum = made(c.count(), [&](std::size_t i) { return plus(dsum_rows[i], plain.dx[i]); });
  const Values product = made(c.count(), [&](std::size_t i) {
    return times(times(of_sum[i], by.row_scale[c.row_of(i)]), by.mask(c, i));
  });
  const Values of_x =
      made(c.count(), [&](std::size_t i) { return times(product[i], by.layer_scale.at(c.column_of(i), 1)); });
  dx.expect(of_x);
  dresidual.expect(
      made(c.count(), [&](std::size_t i) { return times(of_sum[i], static_cast<float>(alpha)); }));
  dgamma.expect(plain.dgamma), dbeta.expect(plain.dbeta);
  dbias.expect(plain_sums(c, of_x, dbias.values, accumulate));
  dlayer_scale.expect(plain_sums(
      c,
      made(c.count(),
           [&](std::size_t i) { return times(product[i], plus(x_rows[i], by.bias.at(c.column_of(i), 0))); }),
      dlayer_scale.values, accumulate));

  Strided<const float> at_dy = dy.read(), at_sum = sum.read(), at_dsum = dsum.read(), at_x = x.read();
  Strided<float> at_dx = dx.write(), at_dresidual = dresidual.write();
  const RowMoments<float>* at_moments = c.array("moments", moments);
  float *at_dbias = dbias.write(), *at_dgamma = dgamma.write();
  const float* at_layer_scale = by.layer_scale.read();
  c.wrong_shape();
  c.missing("dy", at_dy), c.missing("sum", at_sum), c.missing("dsum", at_dsum), c.missing("x", at_x);
  c.missing("dx", at_dx), c.missing("dresidual", at_dresidual);
  c.fault("moments missing", [&] { at_moments = nullptr; });
  c.onto("dx", at_dx, at_dresidual), c.onto("dx", at_dx, at_x);
  c.array_onto("dbias", at_dbias, at_dx), c.array_onto("dgamma", at_dgamma, at_dresidual);
  c.array_onto("layer_scale", at_layer_scale, at_dx);
  c.run([&] {
    simdnorm::layer_norm_backward(
        c.shape, at_dy, at_sum, gamma.read(), at_moments,
        residual_gradients(
            at_dsum,
            branch(at_dx)
                .dbias(at_dbias)
                .layer_scale(at_layer_scale, branch(at_x).bias(by.bias.read()), dlayer_scale.write())
                .dropout(by.dropout)
                .row_scale(by.rows),
            at_dresidual)
            .alpha(alpha),
        at_dgamma, dbeta.write(), {accumulate, nullptr}, c.executor());
  });
}

// RMSNorm of a sum that was not kept, of bfloat16 and float, and back; dx is added to something.
void sum_made_again(Input& input) {
  Case c(input, "added, to a sum made again");
  const std::vector<BFloat16> x_rows = c.rows<BFloat16>(), dy_rows = c.rows<BFloat16>();
  const Values residual_rows = c.rows(), addend_rows = c.rows();
  const Parameter bias = c.parameter("bias"), gamma = c.parameter("gamma"), dgamma = c.gradient("dgamma");
  const bool accumulate = input.coin();
  const Rows<BFloat16> x = c.reads("x", x_rows), dy = c.reads("dy", dy_rows);
  const Rows<float> residual = c.reads("residual", residual_rows), addend = c.reads("addend", addend_rows);
  const Rows<BFloat16> dx = c.writes("dx", {dy, x});
  const Values sum_rows = made(c.count(), [&](std::size_t i) {
    return plus(residual_rows[i], plus(static_cast<float>(value_of(x_rows[i])), bias.at(c.column_of(i), 0)));
  });
  const RowsOfMoments moments = plain_forward(Norm::rms, c.shape, sum_rows, {}, {}, c.epsilon).moments;
  const PlainBackward plain = plain_backward(Norm::rms, c.shape, c.column, numbers<float>(dy_rows), sum_rows,
                                             gamma.values, moments, dgamma.values, {}, accumulate);
  dx.expect(made(c.count(), [&](std::size_t i) { return plus(addend_rows[i], plain.dx[i]); }));
  dgamma.expect(plain.dgamma);

  Strided<const BFloat16> at_x = x.read(), at_dy = dy.read();
  Strided<const float> at_residual = residual.read(), at_addend = addend.read();
  Strided<BFloat16> at_dx = dx.write();
  const float* at_bias = bias.read();
  float* at_dgamma = dgamma.write();
  const RowMoments<float>* const at_moments = c.array("moments", moments);
  c.wrong_shape();
  c.missing("x", at_x), c.missing("residual", at_residual), c.missing("dy", at_dy);
  c.missing("addend", at_addend), c.missing("dx", at_dx);
  c.array_onto("dgamma", at_dgamma, at_dx), c.array_onto("bias", at_bias, at_dx);
  c.run([&] {
    simdnorm::rms_norm_backward(c.shape, at_dy, residual_sum(at_x, at_residual, nullptr).bias(at_bias),
                                gamma.read(), at_moments, added(at_addend, at_dx), at_dgamma,
                                {accumulate, nullptr}, c.executor());
  });
}

}  // namespace

void fuzz_sums(Input& input) {
  switch (input.between(0, 2)) {
    case 0:
      return sum_forward(input);
    case 1:
      return sum_backward(input);
    default:
      return sum_made_again(input);
  }
}

}  // namespace fuzz
