// Norms by other statistics, pRMSNorm and ScaleNorm, forward and backward, and double backward. What is expected is the same call on
// copies of its operands, contiguous where the columns are, in arrays of their own, and one task after the other.
#include <simdnorm/double_backward.hpp>
#include <simdnorm/pointers.hpp>

#include "fuzz/fusions_fuzz.hpp"

namespace fuzz {
namespace {

// Copies of the rows of a case, as close together as its distance of columns lets them be.
struct Copies {
  Places at;
  explicit Copies(const Case& c) : at{c.shape, (c.shape.hidden - 1) * c.column + c.shape.after, c.column} {}
  Values of(const Values& rows) const { return at.spread(rows); }
  Values empty() const { return Values(size(at.extent())); }
};

struct Statistic {
  bool is_partial;  // or ScaleNorm
  Index measured;
  explicit Statistic(Case& c) : is_partial(c.input.coin()), measured(c.input.between(1, c.shape.hidden)) {
    call_in_words += is_partial ? ", measured " + std::to_string(measured) : ", ScaleNorm";
    if (is_partial) c.fault("measured", [this, &c] { measured = c.input.coin() ? 0 : c.shape.hidden + 1; });
  }
  template <class Executor>
  void forward(const Case& c, const Strided<const float>& x, const float* gamma, const Strided<float>& y,
               RowMoments<float>* moments, const Executor& executor) const {
    if (is_partial) {
      simdnorm::partial_rms_norm_forward(c.shape, measured, x, gamma, c.epsilon, y, moments, executor);
    } else {
      simdnorm::scale_norm_forward(c.shape, x, gamma, c.epsilon, y, moments, executor);
    }
  }
  template <class Executor>
  void backward(const Case& c, const Strided<const float>& dy, const Strided<const float>& x,
                const float* gamma, const RowMoments<float>* moments, const Strided<float>& dx, float* dgamma,
                bool accumulate, const Executor& executor) const {
    const simdnorm::GradientOptions options{accumulate, nullptr};
    if (is_partial) {
      simdnorm::partial_rms_norm_backward(c.shape, measured, dy, x, gamma, moments, dx, dgamma, options,
                                          executor);
    } else {
      simdnorm::scale_norm_backward(c.shape, dy, x, gamma, moments, dx, dgamma, options, executor);
    }
  }
};

void statistic_forward(Input& input) {
  Case c(input, "forward");
  Statistic statistic(c);
  const Values x_rows = c.rows();
  const Rows<float> x = c.reads("x", x_rows), y = c.writes("y", {x});
  const Parameter gamma = c.parameter("gamma");
  const Copies copies(c);
  const Values x_copy = copies.of(x_rows);
  Values y_copy = copies.empty();
  RowsOfMoments expected = support::no_moments<float>(c.shape.rows);
  statistic.forward(c, copies.at.read(x_copy), support::or_null(gamma.values), copies.at.write(y_copy),
                    expected.data(), simdnorm::Serial{});
  y.expect(copies.at.gather(y_copy));
  RowMoments<float>* const moments = c.moments(expected).memory.data();
  Strided<const float> at_x = x.read();
  Strided<float> at_y = y.write();
  const float* at_gamma = gamma.read();
  c.wrong_shape(), c.wrong_epsilon();
  c.missing("x", at_x), c.missing("y", at_y), c.array_onto("gamma", at_gamma, at_y);
  c.run([&] { statistic.forward(c, at_x, at_gamma, at_y, moments, c.executor()); });
}

void statistic_backward(Input& input) {
  Case c(input, "backward");
  Statistic statistic(c);
  const Values x_rows = c.rows(), dy_rows = c.rows();
  const Rows<float> x = c.reads("x", x_rows), dy = c.reads("dy", dy_rows), dx = c.writes("dx", {x, dy});
  const Parameter gamma = c.parameter("gamma"), dgamma = c.gradient("dgamma");
  const bool accumulate = input.coin();
  const Copies copies(c);
  const Values x_copy = copies.of(x_rows), dy_copy = copies.of(dy_rows);
  Values dx_copy = copies.empty(), y_copy = copies.empty(), sums = dgamma.values;
  RowsOfMoments moments = support::no_moments<float>(c.shape.rows);
  statistic.forward(c, copies.at.read(x_copy), nullptr, copies.at.write(y_copy), moments.data(),
                    simdnorm::Serial{});
  statistic.backward(c, copies.at.read(dy_copy), copies.at.read(x_copy), support::or_null(gamma.values),
                     moments.data(), copies.at.write(dx_copy), sums.empty() ? nullptr : sums.data(),
                     accumulate, simdnorm::Serial{});
  dx.expect(copies.at.gather(dx_copy));
  dgamma.expect(sums);
  const RowMoments<float>* const at_moments = c.array("moments", moments);
  Strided<const float> at_x = x.read(), at_dy = dy.read();
  Strided<float> at_dx = dx.write();
  const float* at_gamma = gamma.read();
  float* at_dgamma = dgamma.write();
  c.wrong_shape();
  c.missing("x", at_x), c.missing("dy", at_dy), c.missing("dx", at_dx);
  c.array_onto("gamma", at_gamma, at_dx), c.array_onto("dgamma", at_dgamma, at_dx);
  c.run([&] {
    statistic.backward(c, at_dy, at_x, at_gamma, at_moments, at_dx, at_dgamma, accumulate, c.executor());
  });
}

void double_backward(Input& input) {
  Case c(input, "double_backward");
  const Values x_rows = c.rows(), dy_rows = c.rows(), ddx_rows = c.rows();
  const Rows<float> x = c.reads("x", x_rows), dy = c.reads("dy", dy_rows), ddx = c.reads("ddx", ddx_rows),
                    ddy = c.writes("ddy", {x, dy, ddx}), dx = c.writes("dx", {x, dy, ddx});
  const Parameter gamma = c.parameter("gamma"), ddgamma = c.parameter("ddgamma"),
                  ddbeta = c.parameter("ddbeta"), dgamma = c.gradient("dgamma");
  const bool accumulate = input.coin();
  const RowsOfMoments moments = plain_forward(Norm::layer, c.shape, x_rows, {}, {}, c.epsilon).moments;
  const auto call = [&](const Strided<const float>& of_ddx, const float* of_ddgamma, const float* of_ddbeta,
                        const Strided<const float>& of_dy, const Strided<const float>& of_x,
                        const float* of_gamma, const RowMoments<float>* of_moments,
                        const Strided<float>& to_ddy, const Strided<float>& to_dx, float* to_dgamma,
                        const auto& executor) {
    simdnorm::layer_norm_double_backward(c.shape, of_ddx, of_ddgamma, of_ddbeta, of_dy, of_x, of_gamma,
                                         of_moments, to_ddy, to_dx, to_dgamma,
                                         simdnorm::GradientOptions{accumulate, nullptr}, executor);
  };
  const Copies copies(c);
  const Values x_copy = copies.of(x_rows), dy_copy = copies.of(dy_rows), ddx_copy = copies.of(ddx_rows);
  Values ddy_copy = copies.empty(), dx_copy = ddy_copy, sums = dgamma.values;
  const auto read = [&](const Values& rows) { return copies.at.read(rows); };
  call(read(ddx_copy), support::or_null(ddgamma.values), support::or_null(ddbeta.values), read(dy_copy),
       read(x_copy), support::or_null(gamma.values), moments.data(), copies.at.write(ddy_copy),
       copies.at.write(dx_copy), sums.empty() ? nullptr : sums.data(), simdnorm::Serial{});
  ddy.expect(copies.at.gather(ddy_copy)), dx.expect(copies.at.gather(dx_copy));
  dgamma.expect(sums);
  const RowMoments<float>* const at_moments = c.array("moments", moments);
  Strided<const float> at_x = x.read(), at_dy = dy.read(), at_ddx = ddx.read();
  Strided<float> at_ddy = ddy.write(), at_dx = dx.write();
  const float* at_ddgamma = ddgamma.read();
  float* at_dgamma = dgamma.write();
  c.wrong_shape();
  c.missing("x", at_x), c.missing("dy", at_dy), c.missing("dx", at_dx);
  c.onto("dx", at_dx, at_ddy), c.array_onto("ddgamma", at_ddgamma, at_dx);
  c.array_onto("dgamma", at_dgamma, at_ddy);
  c.run([&] {
    call(at_ddx, at_ddgamma, ddbeta.read(), at_dy, at_x, gamma.read(), at_moments, at_ddy, at_dx, at_dgamma,
         c.executor());
  });
}

}  // namespace

void fuzz_statistics(Input& input) { input.coin() ? statistic_forward(input) : statistic_backward(input); }
void fuzz_double_backward(Input& input) { double_backward(input); }

}  // namespace fuzz
