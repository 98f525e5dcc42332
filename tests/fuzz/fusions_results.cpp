// What becomes of y on its way to memory: a branch's factors, and a function of vectors.
#include <simdnorm/pointers.hpp>

#include "fuzz/factors.hpp"

namespace fuzz {
namespace {

using simdnorm::branch;

// y = norm(x) * layer_scale * mask * row_scale, each rounded by itself, in the order of branch().
void branch_of_y(Input& input) {
  Case c(input, "y of a branch");
  const Values x_rows = c.rows();
  const Rows<float> x = c.reads("x", x_rows), y = c.writes("y", {x});
  Factors by(c);
  const Parameter gamma = c.parameter("gamma"), beta = c.parameter("beta");
  const PlainForward plain =
      plain_forward(Norm::layer, c.shape, x_rows, gamma.values, beta.values, c.epsilon);
  y.expect(made(c.count(), [&](std::size_t i) {
    return times(times(times(plain.y[i], by.row_scale[c.row_of(i)]), by.mask(c, i)),
                 by.layer_scale.at(c.column_of(i), 1));
  }));
  RowMoments<float>* const moments = c.moments(plain.moments).memory.data();
  Strided<const float> at_x = x.read();
  Strided<float> at_y = y.write();
  const float *at_gamma = gamma.read(), *at_layer_scale = by.layer_scale.read();
  c.wrong_shape(), c.wrong_epsilon();
  c.missing("x", at_x), c.missing("y", at_y);
  c.array_onto("gamma", at_gamma, at_y), c.array_onto("layer_scale", at_layer_scale, at_y);
  c.run([&] {
    simdnorm::layer_norm_forward(
        c.shape, at_x, at_gamma, beta.read(), c.epsilon,
        branch(at_y).layer_scale(at_layer_scale).dropout(by.dropout).row_scale(by.rows), moments,
        c.executor());
  });
}

// y = norm(x)^2
void function_of_y(Input& input) {
  Case c(input, "mapped");
  const Values x_rows = c.rows();
  const Rows<float> x = c.reads("x", x_rows), y = c.writes("y", {x});
  const Parameter gamma = c.parameter("gamma");
  const PlainForward plain = plain_forward(Norm::rms, c.shape, x_rows, gamma.values, {}, c.epsilon);
  y.expect(made(c.count(), [&](std::size_t i) { return times(plain.y[i], plain.y[i]); }));
  RowMoments<float>* const moments = c.moments(plain.moments).memory.data();
  Strided<const float> at_x = x.read();
  Strided<float> at_y = y.write();
  const float* at_gamma = gamma.read();
  c.wrong_shape(), c.wrong_epsilon();
  c.missing("x", at_x), c.missing("y", at_y), c.array_onto("gamma", at_gamma, at_y);
  c.run([&] {
    simdnorm::rms_norm_forward(c.shape, at_x, at_gamma, c.epsilon,
                               simdnorm::mapped([](auto v) { return v * v; }, at_y), moments, c.executor());
  });
}

}  // namespace

void fuzz_results(Input& input) { input.coin() ? branch_of_y(input) : function_of_y(input); }

}  // namespace fuzz
