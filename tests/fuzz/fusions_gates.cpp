// Gates, before and after the norm, forward and backward, of whole rows and of groups.
#include <simdnorm/pointers.hpp>

#include "fusion/gated.hpp"
#include "fuzz/fusions_fuzz.hpp"

namespace fuzz {
namespace {

using fusion::gate_of;
using fusion::slope_of;
using simdnorm::gate_gradients;
using simdnorm::gated;

// Parts of the hidden dimension; of 1, a call of the undivided norm or of one group.
struct Groups {
  Index count, each;
  bool is_grouped;
  explicit Groups(Case& c) : count(c.input.between(1, 6)) {
    if (c.shape.hidden % count != 0) count = 1;
    each = c.shape.hidden / count;
    is_grouped = count > 1 || c.input.coin();
    call_in_words += is_grouped ? ", groups " + std::to_string(count) : "";
    if (is_grouped) c.fault("groups", [this] { count = 0; });
  }
  // The columns of one group, and back.
  Values part(const Values& rows, Index hidden, Index group) const {
    Values out;
    for (std::size_t i = 0; i < rows.size(); ++i)
      if (static_cast<Index>(i) % hidden / each == group) out.push_back(rows[i]);
    return out;
  }
  void join(Values& rows, Index hidden, Index group, const Values& of_group) const {
    std::size_t next = 0;
    for (std::size_t i = 0; i < rows.size(); ++i)
      if (static_cast<Index>(i) % hidden / each == group) rows[i] = of_group[next++];
  }
  PlainForward forward(const Case& c, Norm norm, const Values& x, const Values& gamma,
                       const Values& beta) const {
    const Index hidden = c.shape.hidden;
    PlainForward out{Values(x.size()), {}};
    for (Index g = 0; g < count; ++g) {
      const PlainForward one = plain_forward(norm, {c.shape.rows, each, c.shape.after}, part(x, hidden, g),
                                             part(gamma, hidden, g), part(beta, hidden, g), c.epsilon);
      join(out.y, hidden, g, one.y);
      out.moments.insert(out.moments.end(), one.moments.begin(), one.moments.end());
    }
    return out;
  }
  PlainBackward backward(const Case& c, Norm norm, const Values& dy, const Values& x, const Values& gamma,
                         const RowsOfMoments& moments, const Values& dgamma, const Values& dbeta,
                         bool accumulate) const {
    const Index hidden = c.shape.hidden, rows = c.shape.rows;
    PlainBackward out{Values(x.size()), dgamma, dbeta};
    for (Index g = 0; g < count; ++g) {
      const PlainBackward one = plain_backward(
          norm, {rows, each, c.shape.after}, c.column, part(dy, hidden, g), part(x, hidden, g),
          part(gamma, hidden, g), {moments.begin() + g * rows, moments.begin() + (g + 1) * rows},
          part(dgamma, hidden, g), part(dbeta, hidden, g), accumulate);
      join(out.dx, hidden, g, one.dx);
      join(out.dgamma, hidden, g, one.dgamma);
      join(out.dbeta, hidden, g, one.dbeta);
    }
    return out;
  }
};

// y = norm(x) * silu(z)
void after_forward(Input& input) {
  Case c(input, "gated y");
  Groups groups(c);
  const Values x_rows = c.rows(), z_rows = c.rows();
  const Rows<float> x = c.reads("x", x_rows), z = c.reads("z", z_rows), y = c.writes("y", {x, z});
  const Parameter gamma = c.parameter("gamma"), beta = c.parameter("beta");
  const PlainForward plain = groups.forward(c, Norm::layer, x_rows, gamma.values, beta.values);
  y.expect(made(c.count(), [&](std::size_t i) { return times(plain.y[i], gate_of(z_rows[i])); }));
  RowMoments<float>* const moments = c.moments(plain.moments).memory.data();
  Strided<const float> at_x = x.read(), at_z = z.read();
  Strided<float> at_y = y.write();
  const float* at_gamma = gamma.read();
  c.wrong_shape(), c.wrong_epsilon();
  c.missing("x", at_x), c.missing("z", at_z), c.missing("y", at_y);
  c.array_onto("gamma", at_gamma, at_y);
  c.run([&] {
    if (groups.is_grouped) {
      simdnorm::grouped_layer_norm_forward(c.shape, groups.count, at_x, at_gamma, beta.read(), c.epsilon,
                                           gated(at_y, at_z), moments, c.executor());
    } else {
      simdnorm::layer_norm_forward(c.shape, at_x, at_gamma, beta.read(), c.epsilon, gated(at_y, at_z),
                                   moments, c.executor());
    }
  });
}
void after_backward(Input& input) {
  Case c(input, "gradient of a gated y");
  Groups groups(c);
  const Values x_rows = c.rows(), z_rows = c.rows(), dy_rows = c.rows();
  const Rows<float> x = c.reads("x", x_rows), z = c.reads("z", z_rows), dy = c.reads("dy", dy_rows),
                    dz = c.writes("dz", {dy, z}), dx = c.writes("dx", {dy, z});
  const Parameter gamma = c.parameter("gamma"), beta = c.parameter("beta"), dgamma = c.gradient("dgamma"),
                  dbeta = c.gradient("dbeta");
  const bool accumulate = input.coin();
  const PlainForward plain = groups.forward(c, Norm::layer, x_rows, gamma.values, beta.values);
  const PlainBackward back = groups.backward(
      c, Norm::layer, made(c.count(), [&](std::size_t i) { return times(dy_rows[i], gate_of(z_rows[i])); }),
      x_rows, gamma.values, plain.moments, dgamma.values, dbeta.values, accumulate);
  dx.expect(back.dx), dgamma.expect(back.dgamma), dbeta.expect(back.dbeta);
  dz.expect(made(c.count(),
                 [&](std::size_t i) { return times(times(dy_rows[i], slope_of(z_rows[i])), plain.y[i]); }));
  const RowMoments<float>* const moments = c.array("moments", plain.moments);
  Strided<const float> at_x = x.read(), at_z = z.read(), at_dy = dy.read();
  Strided<float> at_dx = dx.write(), at_dz = dz.write();
  const float* at_beta = beta.read();
  float* at_dgamma = dgamma.write();
  c.wrong_shape();
  c.missing("x", at_x), c.missing("z", at_z), c.missing("dy", at_dy), c.missing("dx", at_dx),
      c.missing("dz", at_dz);
  c.onto("dz", at_dz, at_dx), c.onto("dz", at_dz, at_x), c.onto("dx", at_dx, at_x);
  c.array_onto("beta", at_beta, at_dz), c.array_onto("dgamma", at_dgamma, at_dz);
  c.run([&] {
    const auto gated_dy = gated(at_dy, at_z).gradient(at_dz, at_beta);
    if (groups.is_grouped) {
      simdnorm::grouped_layer_norm_backward(c.shape, groups.count, gated_dy, at_x, gamma.read(), moments,
                                            at_dx, at_dgamma, dbeta.write(), {accumulate, nullptr},
                                            c.executor());
    } else {
      simdnorm::layer_norm_backward(c.shape, gated_dy, at_x, gamma.read(), moments, at_dx, at_dgamma,
                                    dbeta.write(), {accumulate, nullptr}, c.executor());
    }
  });
}

// The norm of u = x * silu(z), which is kept.
void before_forward(Input& input) {
  Case c(input, "gated x");
  Groups groups(c);
  const Values x_rows = c.rows(), z_rows = c.rows();
  const Rows<float> x = c.reads("x", x_rows), z = c.reads("z", z_rows), u = c.writes("u", {x, z}),
                    y = c.writes("y", {x, z});
  const Parameter gamma = c.parameter("gamma");
  const Values u_rows = made(c.count(), [&](std::size_t i) { return times(x_rows[i], gate_of(z_rows[i])); });
  const PlainForward plain = groups.forward(c, Norm::rms, u_rows, gamma.values, {});
  y.expect(plain.y), u.expect(u_rows);
  RowMoments<float>* const moments = c.moments(plain.moments).memory.data();
  Strided<const float> at_x = x.read(), at_z = z.read();
  Strided<float> at_u = u.write(), at_y = y.write();
  const float* at_gamma = gamma.read();
  c.wrong_shape(), c.wrong_epsilon();
  c.missing("x", at_x), c.missing("z", at_z), c.missing("u", at_u), c.missing("y", at_y);
  c.onto("u", at_u, at_y), c.array_onto("gamma", at_gamma, at_u);
  c.run([&] {
    if (groups.is_grouped) {
      simdnorm::grouped_rms_norm_forward(c.shape, groups.count, gated(at_x, at_z, at_u), at_gamma, c.epsilon,
                                         at_y, moments, c.executor());
    } else {
      simdnorm::rms_norm_forward(c.shape, gated(at_x, at_z, at_u), at_gamma, c.epsilon, at_y, moments,
                                 c.executor());
    }
  });
}
void before_backward(Input& input) {
  Case c(input, "gradient of a gated x");
  Groups groups(c);
  const Values x_rows = c.rows(), z_rows = c.rows(), dy_rows = c.rows();
  const Rows<float> x = c.reads("x", x_rows), z = c.reads("z", z_rows), dy = c.reads("dy", dy_rows),
                    dx = c.writes("dx", {dy, x, z}), dz = c.writes("dz", {dy, x, z});
  const Parameter gamma = c.parameter("gamma"), dgamma = c.gradient("dgamma");
  const bool accumulate = input.coin();
  const Values u_rows = made(c.count(), [&](std::size_t i) { return times(x_rows[i], gate_of(z_rows[i])); });
  const PlainForward plain = groups.forward(c, Norm::rms, u_rows, gamma.values, {});
  const PlainBackward back = groups.backward(c, Norm::rms, dy_rows, u_rows, gamma.values, plain.moments,
                                             dgamma.values, {}, accumulate);
  dx.expect(made(c.count(), [&](std::size_t i) { return times(back.dx[i], gate_of(z_rows[i])); }));
  dz.expect(made(c.count(),
                 [&](std::size_t i) { return times(times(back.dx[i], x_rows[i]), slope_of(z_rows[i])); }));
  dgamma.expect(back.dgamma);
  const RowMoments<float>* const moments = c.array("moments", plain.moments);
  Strided<const float> at_x = x.read(), at_z = z.read(), at_dy = dy.read();
  Strided<float> at_dx = dx.write(), at_dz = dz.write();
  float* at_dgamma = dgamma.write();
  c.wrong_shape();
  c.missing("x", at_x), c.missing("z", at_z), c.missing("dy", at_dy), c.missing("dx", at_dx),
      c.missing("dz", at_dz);
  c.onto("dz", at_dz, at_dx), c.array_onto("dgamma", at_dgamma, at_dz);
  c.run([&] {
    const auto to_both = gate_gradients(at_x, at_z, at_dx, at_dz);
    if (groups.is_grouped) {
      simdnorm::grouped_rms_norm_backward(c.shape, groups.count, at_dy, gated(at_x, at_z), gamma.read(),
                                          moments, to_both, at_dgamma, {accumulate, nullptr}, c.executor());
    } else {
      simdnorm::rms_norm_backward(c.shape, at_dy, gated(at_x, at_z), gamma.read(), moments, to_both,
                                  at_dgamma, {accumulate, nullptr}, c.executor());
    }
  });
}

}  // namespace

void fuzz_gates(Input& input) {
  switch (input.between(0, 3)) {
    case 0:
      return after_forward(input);
    case 1:
      return after_backward(input);
    case 2:
      return before_forward(input);
    default:
      return before_backward(input);
  }
}

}  // namespace fuzz
