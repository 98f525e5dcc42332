// A norm and its neighbour in one call, against the same in two: an Eigen Array expression that adds or modulates, or a loop that
// turns queries and keys by their positions, and simdnorm's norm; and against one Array expression row by row. Also pRMSNorm and
// ScaleNorm beside such an expression and RMSNorm. Float; every shape; forward and backward of both norms.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <simdnorm/simdnorm.hpp>
#include <string>
#include <vector>

#include "support/program.hpp"

namespace {

using namespace bench;
using simdnorm::added;
using simdnorm::branch;
using simdnorm::gate_gradients;
using simdnorm::gated;
using simdnorm::residual_gradients;
using simdnorm::residual_sum;
using simdnorm::RotaryPairs;
using simdnorm::rotated;
using simdnorm::two_gradients;
using simdnorm::two_norms;
using simdnorm::unrotated;

using Rows = Eigen::Array<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr Index heads = qk_128.rows_per_token;

struct Arrays {
  Rows x, residual, sum, y, between, dy;
  Eigen::VectorXf gamma, beta, dgamma, dbeta, dgamma_2, dbeta_2;
  Rows scale, shift, dscale, dshift;  // (samples, hidden)
  Rows cosines, sines;                // (tokens, hidden / 2), of rows that are heads
  simdnorm::Moments<float> moments;
  simdnorm::Workspace<float> workspace;

  Arrays(Index rows, Index hidden)
      : x(Rows::Random(rows, hidden)),
        residual(Rows::Random(rows, hidden)),
        sum(rows, hidden),
        y(rows, hidden),
        between(rows, hidden),
        dy(Rows::Random(rows, hidden)),
        gamma(Eigen::VectorXf::Random(hidden)),
        beta(Eigen::VectorXf::Random(hidden)),
        dgamma(hidden),
        dbeta(hidden),
        dgamma_2(hidden),
        dbeta_2(hidden),
        scale(Rows::Random(rows % 8 == 0 ? 8 : 1, hidden)),
        shift(Rows::Random(scale.rows(), hidden)),
        dscale(scale),
        dshift(shift),
        cosines(std::max<Index>(1, rows / heads), hidden / 2),
        sines(cosines) {
    simdnorm::rotary_tables(cosines.rows(), hidden, 1e4, cosines.data(), sines.data());
  }
  template <RotaryPairs pairs> simdnorm::Rotary<pairs> rotary() const {
    return {cosines.data(), sines.data(), cosines.rows(), x.cols(), heads, cosines.rows()};
  }
  Index rows_per_sample() const { return x.rows() / scale.rows(); }
  Index bytes() const { return 4 * x.size() * 4; }  // two operands read, two written; backward three and one
};

template <Norm norm> auto norm_of(const Arrays& a) {
  if constexpr (norm == Norm::layer) {
    return simdnorm::LayerNorm<float>(a.gamma, a.beta, 1e-5F);
  } else {
    return simdnorm::RMSNorm<float>(a.gamma, 1e-5F);
  }
}
template <Norm norm, class Dx> void backward(Arrays& a, Dx&& dx) {
  if constexpr (norm == Norm::layer) {
    norm_of<norm>(a).backward(a.x, a.residual, a.moments, dx, a.dgamma, a.dbeta, a.workspace);
  } else {
    norm_of<norm>(a).backward(a.x, a.residual, a.moments, dx, a.dgamma, a.workspace);
  }
}

/// One way to compute an operation. What it computes are sum (but for backward) and y.
struct Way {
  const char* name;
  std::function<void(Arrays&)> run;
};

/// sum = x + residual, y = norm(sum)
template <Norm norm> std::vector<Way> residual_sums() {
  return {
      {"simdnorm", [](Arrays& a) { norm_of<norm>(a).forward(residual_sum(a.x, a.residual, a.sum), a.y); }},
      {"simdnorm_in_two",
       [](Arrays& a) {
         a.sum = a.x + a.residual;
         norm_of<norm>(a).forward(a.sum, a.y);
       }},
      {"eigen_array", [](Arrays& a) {
         for (Index r = 0; r < a.x.rows(); ++r) {
           auto sum = a.sum.row(r);
           sum = a.x.row(r) + a.residual.row(r);
           const float mean = norm == Norm::layer ? sum.mean() : 0;
           const float rstd = 1 / std::sqrt((sum - mean).square().mean() + 1e-5F);
           a.y.row(r) = (sum - mean) * rstd * a.gamma.array().transpose();
           if (norm == Norm::layer) a.y.row(r) += a.beta.array().transpose();
         }
       }}};
}
/// y = norm(x * a + b), of an expression, against the norm of a tensor: in one call, in two, and of the tensor x alone, which
/// moves as many bytes and computes something else.
template <Norm norm> std::vector<Way> expressions() {
  return {{"simdnorm", [](Arrays& a) { norm_of<norm>(a).forward(a.x * 1.5F + 0.25F, a.y); }},
          {"simdnorm_in_two",
           [](Arrays& a) {
             a.y = a.x * 1.5F + 0.25F;
             norm_of<norm>(a).forward(a.y, a.y);
           }},
          {"plain_tensor", [](Arrays& a) { norm_of<norm>(a).forward(a.x, a.y); }}};
}
/// The same of an expression that costs much.
template <Norm norm> std::vector<Way> costly_expressions() {
  return {{"simdnorm", [](Arrays& a) { norm_of<norm>(a).forward(a.x.tanh(), a.y); }},
          {"simdnorm_in_two", [](Arrays& a) {
             a.y = a.x.tanh();
             norm_of<norm>(a).forward(a.y, a.y);
           }}};
}
/// y = residual + norm(x)
template <Norm norm> std::vector<Way> added_norms() {
  return {{"simdnorm", [](Arrays& a) { norm_of<norm>(a).forward(a.x, added(a.residual, a.y)); }},
          {"simdnorm_in_two", [](Arrays& a) {
             norm_of<norm>(a).forward(a.x, a.y);
             a.y += a.residual;
           }}};
}
/// y = sum + the gradient of residual, where x is dy; and dgamma, dbeta. (The names are those of the arrays.)
template <Norm norm> std::vector<Way> added_gradients() {
  return {{"simdnorm", [](Arrays& a) { backward<norm>(a, added(a.sum, a.y)); }},
          {"simdnorm_in_two", [](Arrays& a) {
             backward<norm>(a, a.y);
             a.y += a.sum;
           }}};
}

/// f(the rows of a sample of the Rows that it is given, its number)
template <class F> void each_sample(const Arrays& a, const F& f) {
  const Index count = a.rows_per_sample();
  for (Index s = 0; s < a.scale.rows(); ++s)
    f([=](auto& all) { return all.middleRows(s * count, count); }, s);
}
/// adaLN: y = layer_norm(x) * (1 + scale) + shift, with a scale and a shift for each sample
std::vector<Way> modulated_norms() {
  return {{"simdnorm",
           [](Arrays& a) { simdnorm::ModulatedLayerNorm<float>(a.scale, a.shift, 1e-5F).forward(a.x, a.y); }},
          {"simdnorm_in_two", [](Arrays& a) {
             simdnorm::LayerNorm<float>(a.x.cols(), 1e-5F).forward(a.x, a.y);
             each_sample(a, [&](const auto& of, Index s) {
               of(a.y) = (of(a.y).rowwise() * (1 + a.scale.row(s))).rowwise() + a.shift.row(s);
             });
           }}};
}
/// y = the gradient of residual, where x is dy; and dscale, dshift. In two, `between` is the norm that forward has kept.
std::vector<Way> modulated_gradients() {
  return {{"simdnorm",
           [](Arrays& a) {
             simdnorm::ModulatedLayerNorm<float>(a.scale, a.shift, 1e-5F)
                 .backward(a.x, a.residual, a.moments, a.y, a.dscale, a.dshift, a.workspace);
           }},
          {"simdnorm_in_two", [](Arrays& a) {
             each_sample(a, [&](const auto& of, Index s) {
               a.dscale.row(s) = (of(a.x) * of(a.between)).colwise().sum();
               a.dshift.row(s) = of(a.x).colwise().sum();
               of(a.y) = of(a.x).rowwise() * (1 + a.scale.row(s));
             });
             simdnorm::LayerNorm<float>(a.x.cols(), 1e-5F).backward(a.y, a.residual, a.moments, a.y);
           }}};
}

/// y and sum: two norms of x, the other with gamma and beta exchanged
std::vector<Way> pairs_of_norms() {
  return {{"simdnorm",
           [](Arrays& a) { norm_of<Norm::layer>(a).forward(a.x, two_norms(a.y, a.beta, a.gamma, a.sum)); }},
          {"simdnorm_in_two", [](Arrays& a) {
             norm_of<Norm::layer>(a).forward(a.x, a.y);
             simdnorm::LayerNorm<float>(a.beta, a.gamma, 1e-5F).forward(a.x, a.sum);
           }}};
}
/// y = the gradient of residual by both, where x and dy are those of the two; and all dgamma and dbeta.
std::vector<Way> gradients_of_pairs() {
  return {{"simdnorm",
           [](Arrays& a) {
             norm_of<Norm::layer>(a).backward(two_gradients(a.x, a.beta, a.dy, a.dgamma_2, a.dbeta_2),
                                              a.residual, a.moments, a.y, a.dgamma, a.dbeta, a.workspace);
           }},
          {"simdnorm_in_two", [](Arrays& a) {
             norm_of<Norm::layer>(a).backward(a.x, a.residual, a.moments, a.y, a.dgamma, a.dbeta,
                                              a.workspace);
             simdnorm::LayerNorm<float>(a.beta, a.gamma, 1e-5F)
                 .backward(a.dy, a.residual, a.moments, added(a.y, a.y), a.dgamma_2, a.dbeta_2, a.workspace);
           }}};
}
/// Double backward: of x, which is dy, of residual, which is x, and of ddx, which is dy, with beta and gamma as ddgamma and ddbeta:
/// sum = ddy, y = dx, and dgamma; and the same of two calls of backward, one of forward, and Array expressions a row.
template <Norm norm> std::vector<Way> double_backwards() {
  return {{"simdnorm",
           [](Arrays& a) {
             if constexpr (norm == Norm::layer) {
               norm_of<norm>(a).double_backward(a.dy, a.beta, a.gamma, a.x, a.residual, a.moments, a.sum, a.y,
                                                a.dgamma, a.workspace);
             } else {
               norm_of<norm>(a).double_backward(a.dy, a.beta, a.x, a.residual, a.moments, a.sum, a.y,
                                                a.dgamma, a.workspace);
             }
           }},
          {"simdnorm_in_parts", [](Arrays& a) {
             if constexpr (norm == Norm::layer) {
               const simdnorm::LayerNorm<float> plain(a.x.cols(), 1e-5F), of_ddgamma(a.beta, nullptr, 1e-5F);
               plain.backward(a.dy, a.residual, a.moments, a.sum);
               of_ddgamma.backward(a.x, a.residual, a.moments, a.y);
               plain.forward(a.residual, a.between);
             } else {
               const simdnorm::RMSNorm<float> plain(a.x.cols(), 1e-5F), of_ddgamma(a.beta, 1e-5F);
               plain.backward(a.dy, a.residual, a.moments, a.sum);
               of_ddgamma.backward(a.x, a.residual, a.moments, a.y);
               plain.forward(a.residual, a.between);
             }
             const auto gamma = a.gamma.array().transpose(), ddgamma = a.beta.array().transpose();
             a.dgamma.setZero();
             for (Index r = 0; r < a.x.rows(); ++r) {
               auto of_ddx = a.sum.row(r);
               const auto xhat = a.between.row(r), ddx = a.dy.row(r), dy = a.x.row(r);
               const auto g = dy * gamma;
               const float rstd = a.moments.rstd(r), mean_g = norm == Norm::layer ? g.mean() : 0,
                           g_xhat = (g * xhat).mean(), ddx_xhat = (ddx * xhat).mean();
               const float rest =
                   (ddx * g).mean() - g_xhat * ddx_xhat - (norm == Norm::layer ? ddx.mean() * mean_g : 0);
               a.y.row(r) -=
                   rstd * (g_xhat * of_ddx + rstd * (ddx_xhat * (g - mean_g - xhat * g_xhat) + rest * xhat));
               a.dgamma.array() += (dy * of_ddx).transpose();
               of_ddx = of_ddx * gamma + ddgamma * xhat;
               if (norm == Norm::layer) of_ddx += gamma;
             }
           }}};
}
/// sum = residual + x * scale, y = norm(sum): layer scale
std::vector<Way> scaled_sums() {
  return {{"simdnorm",
           [](Arrays& a) {
             norm_of<Norm::layer>(a).forward(
                 residual_sum(branch(a.x).layer_scale(a.gamma), a.residual, a.sum), a.y);
           }},
          {"simdnorm_in_two", [](Arrays& a) {
             a.sum = a.residual + a.x.rowwise() * a.gamma.transpose().array();
             norm_of<Norm::layer>(a).forward(a.sum, a.y);
           }}};
}
/// y = dx, sum = dresidual of that, where x is dy, dy what else comes to the sum, and between was the branch; and the gradients of
/// layer scale and bias.
std::vector<Way> gradients_of_scaled() {
  return {{"simdnorm",
           [](Arrays& a) {
             norm_of<Norm::layer>(a).backward(
                 a.x, a.residual, a.moments,
                 residual_gradients(
                     a.dy, branch(a.y).dbias(a.dbeta_2).layer_scale(a.gamma, a.between, a.dgamma_2), a.sum),
                 a.dgamma, a.dbeta, a.workspace);
           }},
          {"simdnorm_in_two", [](Arrays& a) {
             norm_of<Norm::layer>(a).backward(a.x, a.residual, a.moments, added(a.dy, a.sum), a.dgamma,
                                              a.dbeta, a.workspace);
             a.y = a.sum.rowwise() * a.gamma.transpose().array();
             a.dgamma_2 = (a.sum * a.between).colwise().sum().transpose().matrix();
             a.dbeta_2 = a.y.colwise().sum().transpose().matrix();
           }}};
}

/// f on vectors of some arrays of one size, of which each is given as a function that loads, and one that stores, at a place.
template <class F> void each_vector(Index count, const F& f) {
  using V = simdnorm::simd::Vector<float>;
  const auto at = [&](auto lanes, Index i) {
    f([=](const Rows& a) { return simdnorm::simd::load<V>(lanes, a.data() + i); },
      [=](Rows& a, V values) { simdnorm::simd::store(lanes, a.data() + i, values); });
  };
  Index i = 0;
  for (; i + V::width <= count; i += V::width) at(simdnorm::simd::All{}, i);
  if (i < count) at(simdnorm::simd::First{static_cast<int>(count - i)}, i);
}

/// y = rms_norm(x) * silu(residual)
std::vector<Way> gated_norms() {
  return {{"simdnorm", [](Arrays& a) { norm_of<Norm::rms>(a).forward(a.x, gated(a.y, a.residual)); }},
          {"simdnorm_in_two", [](Arrays& a) {
             norm_of<Norm::rms>(a).forward(a.x, a.y);
             each_vector(a.x.size(), [&](const auto& load, const auto& store) {
               store(a.y, load(a.y) * simdnorm::simd::silu(load(a.residual)));
             });
           }}};
}
/// sum = dz and y = dx of that, of x as z and residual as x. In two, `between` is the norm that forward has kept.
std::vector<Way> gated_gradients() {
  return {{"simdnorm",
           [](Arrays& a) {
             norm_of<Norm::rms>(a).backward(gated(a.dy, a.x).gradient(a.sum), a.residual, a.moments, a.y,
                                            a.dgamma, a.workspace);
           }},
          {"simdnorm_in_two", [](Arrays& a) {
             each_vector(a.x.size(), [&](const auto& load, const auto& store) {
               const auto z = load(a.x), dy = load(a.dy);
               store(a.y, dy * simdnorm::simd::silu(z));
               store(a.sum, dy * simdnorm::simd::silu_derivative(z) * load(a.between));
             });
             norm_of<Norm::rms>(a).backward(a.y, a.residual, a.moments, a.y, a.dgamma, a.workspace);
           }}};
}
/// y = rms_norm(x * silu(residual))
std::vector<Way> norms_of_gated() {
  return {{"simdnorm", [](Arrays& a) { norm_of<Norm::rms>(a).forward(gated(a.x, a.residual), a.y); }},
          {"simdnorm_in_two", [](Arrays& a) {
             each_vector(a.x.size(), [&](const auto& load, const auto& store) {
               store(a.y, load(a.x) * simdnorm::simd::silu(load(a.residual)));
             });
             norm_of<Norm::rms>(a).forward(a.y, a.y);
           }}};
}
/// y = dx and sum = dz of that, of between as x and dy as z; residual is what was normalized, and x the gradient of its norm.
std::vector<Way> gradients_of_gated() {
  return {{"simdnorm",
           [](Arrays& a) {
             norm_of<Norm::rms>(a).backward(a.x, a.residual, a.moments,
                                            gate_gradients(a.between, a.dy, a.y, a.sum), a.dgamma,
                                            a.workspace);
           }},
          {"simdnorm_in_two", [](Arrays& a) {
             norm_of<Norm::rms>(a).backward(a.x, a.residual, a.moments, a.y, a.dgamma, a.workspace);
             each_vector(a.x.size(), [&](const auto& load, const auto& store) {
               const auto z = load(a.dy), du = load(a.y);
               store(a.y, du * simdnorm::simd::silu(z));
               store(a.sum, du * load(a.between) * simdnorm::simd::silu_derivative(z));
             });
           }}};
}

/// Rows of `from` turned by the angles of their tokens, or turned back: loops that compilers vectorize.
template <RotaryPairs pairs, bool back> void turn(const Arrays& a, const Rows& from, Rows& to) {
  const Index hidden = from.cols(), half = hidden / 2;
  for (Index r = 0; r < from.rows(); ++r) {
    const float* const x = from.data() + r * hidden;
    const float* const cosine = a.cosines.data() + r / heads * half;
    const float* const sine = a.sines.data() + r / heads * half;
    float* const y = to.data() + r * hidden;
    constexpr Index step = pairs == RotaryPairs::halves ? 1 : 2;
    const Index distance = pairs == RotaryPairs::halves ? half : 1;
#if defined(__GNUC__) && !defined(__clang__)  // clang has no such pragma, and compares the addresses itself
#pragma GCC ivdep
#endif
    for (Index i = 0; i < half; ++i) {
      const float first = x[i * step], second = x[i * step + distance];
      const float s = back ? -sine[i] : sine[i];
      y[i * step] = first * cosine[i] - second * s;
      y[i * step + distance] = second * cosine[i] + first * s;
    }
  }
}
/// y = R(rms_norm(x)): queries and keys, whose rows are heads
template <RotaryPairs pairs> std::vector<Way> rotated_norms() {
  return {
      {"simdnorm", [](Arrays& a) { norm_of<Norm::rms>(a).forward(a.x, rotated(a.y, a.rotary<pairs>())); }},
      {"simdnorm_in_two", [](Arrays& a) {
         norm_of<Norm::rms>(a).forward(a.x, a.y);
         turn<pairs, false>(a, a.y, a.y);
       }}};
}
/// y = the gradient of residual, where x is the gradient of R(rms_norm(residual)); and dgamma.
template <RotaryPairs pairs> std::vector<Way> rotated_gradients() {
  return {{"simdnorm",
           [](Arrays& a) {
             norm_of<Norm::rms>(a).backward(unrotated(a.x, a.rotary<pairs>()), a.residual, a.moments, a.y,
                                            a.dgamma, a.workspace);
           }},
          {"simdnorm_in_two", [](Arrays& a) {
             turn<pairs, true>(a, a.x, a.between);
             norm_of<Norm::rms>(a).backward(a.between, a.residual, a.moments, a.y, a.dgamma, a.workspace);
           }}};
}

/// y = the norm of x with the mean square of a quarter of the columns; plain_tensor is RMSNorm of all.
std::vector<Way> partial_norms() {
  const auto measured = [](const Arrays& a) { return std::max<Index>(1, a.x.cols() / 4); };
  return {
      {"simdnorm",
       [=](Arrays& a) { simdnorm::PartialRMSNorm<float>(measured(a), a.gamma, 1e-5F).forward(a.x, a.y); }},
      {"eigen_array",
       [=](Arrays& a) {
         for (Index r = 0; r < a.x.rows(); ++r) {
           const auto x = a.x.row(r);
           a.y.row(r) =
               x * (1 / std::sqrt(x.head(measured(a)).square().mean() + 1e-5F)) * a.gamma.array().transpose();
         }
       }},
      {"plain_tensor", [](Arrays& a) { norm_of<Norm::rms>(a).forward(a.x, a.y); }}};
}
/// y = 3 x / |x|; plain_tensor is RMSNorm, with a gamma.
std::vector<Way> scaled_norms() {
  return {
      {"simdnorm", [](Arrays& a) { simdnorm::ScaleNorm<float>(3.0F, a.x.cols(), 1e-10F).forward(a.x, a.y); }},
      {"eigen_array",
       [](Arrays& a) {
         for (Index r = 0; r < a.x.rows(); ++r) {
           const auto x = a.x.row(r);
           a.y.row(r) = x * (3 / std::sqrt(x.square().sum() + 1e-10F));
         }
       }},
      {"plain_tensor", [](Arrays& a) { norm_of<Norm::rms>(a).forward(a.x, a.y); }}};
}

struct Operation {
  const char* name;
  bool forward;
  Norm norm;
  std::vector<Way> ways;
  bool of_heads = false;
};

/// Only the arrays of one shape exist at a time.
Arrays& arrays_of(const Shape& shape) {
  static std::unique_ptr<Arrays> arrays;
  if (arrays == nullptr || arrays->x.rows() != shape.rows() || arrays->x.cols() != shape.hidden()) {
    arrays.reset();
    arrays = std::make_unique<Arrays>(shape.rows(), shape.hidden());
  }
  return *arrays;
}

/// Whether a way computes what the first does.
bool is_right(const Operation& operation, const Way& way, Arrays& a) {
  if (operation.forward) a.sum.setZero();
  operation.ways.front().run(a);
  const Rows sum = a.sum, y = a.y, dscale = a.dscale, dshift = a.dshift;
  if (operation.forward) a.sum.setZero();
  a.y.setZero();
  way.run(a);
  const auto near = [&](const Rows& got, const Rows& expected, float units) {
    return ((got - expected).abs() <= units * (1 + expected.abs())).all();
  };
  const float of_samples = 1e-5F * static_cast<float>(a.rows_per_sample());
  return ((a.sum - sum).abs() <= 1e-5F).all() && near(a.y, y, 1e-4F) && near(a.dscale, dscale, of_samples) &&
         near(a.dshift, dshift, of_samples);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<Operation> operations = {
      {"layer_norm_of_sum", true, Norm::layer, residual_sums<Norm::layer>()},
      {"rms_norm_of_sum", true, Norm::rms, residual_sums<Norm::rms>()},
      {"layer_norm_of_expression", true, Norm::layer, expressions<Norm::layer>()},
      {"rms_norm_of_expression", true, Norm::rms, expressions<Norm::rms>()},
      {"layer_norm_of_tanh", true, Norm::layer, costly_expressions<Norm::layer>()},
      {"layer_norm_added", true, Norm::layer, added_norms<Norm::layer>()},
      {"layer_norm_backward_added", false, Norm::layer, added_gradients<Norm::layer>()},
      {"rms_norm_backward_added", false, Norm::rms, added_gradients<Norm::rms>()},
      {"layer_norm_modulated", true, Norm::layer, modulated_norms()},
      {"layer_norm_backward_modulated", false, Norm::layer, modulated_gradients()},
      {"layer_norm_two", true, Norm::layer, pairs_of_norms()},
      {"layer_norm_backward_two", false, Norm::layer, gradients_of_pairs()},
      {"layer_norm_double_backward", false, Norm::layer, double_backwards<Norm::layer>()},
      {"rms_norm_double_backward", false, Norm::rms, double_backwards<Norm::rms>()},
      {"layer_norm_of_scaled_sum", true, Norm::layer, scaled_sums()},
      {"layer_norm_backward_of_scaled_sum", false, Norm::layer, gradients_of_scaled()},
      {"partial_rms_norm", true, Norm::rms, partial_norms()},
      {"scale_norm", true, Norm::rms, scaled_norms()},
      {"rms_norm_gated", true, Norm::rms, gated_norms()},
      {"rms_norm_backward_gated", false, Norm::rms, gated_gradients()},
      {"rms_norm_of_gated", true, Norm::rms, norms_of_gated()},
      {"rms_norm_backward_of_gated", false, Norm::rms, gradients_of_gated()},
      {"rms_norm_rotated_halves", true, Norm::rms, rotated_norms<RotaryPairs::halves>(), true},
      {"rms_norm_rotated_neighbours", true, Norm::rms, rotated_norms<RotaryPairs::interleaved>(), true},
      {"rms_norm_backward_rotated_halves", false, Norm::rms, rotated_gradients<RotaryPairs::halves>(), true},
      {"rms_norm_backward_rotated_neighbours", false, Norm::rms,
       rotated_gradients<RotaryPairs::interleaved>(), true}};
  for (const Operation& operation : operations) {
    for (const Shape& shape : all_shapes()) {
      if (operation.of_heads && shape.model.rows_per_token != heads) continue;
      const std::string prefix = std::string(operation.name) + "/" + path(shape) + "/";
      const auto time = [&](const std::string& name, const std::function<void(benchmark::State&)>& loop) {
        benchmark::RegisterBenchmark((prefix + name).c_str(), loop);
      };
      time("memcpy", [shape](benchmark::State& state) {
        Arrays& a = arrays_of(shape);
        const std::size_t bytes = static_cast<std::size_t>(a.x.size()) * sizeof(float);
        for (auto iteration : state) {
          static_cast<void>(iteration);
          std::memcpy(a.sum.data(), a.x.data(), bytes);
          std::memcpy(a.y.data(), a.residual.data(), bytes);
          benchmark::ClobberMemory();
        }
        state.SetBytesProcessed(state.iterations() * a.bytes());
      });
      for (const Way& way : operation.ways) {
        time(way.name, [&operation, &way, shape](benchmark::State& state) {
          Arrays& a = arrays_of(shape);
          simdnorm::LayerNorm<float>(a.x.cols(), 1e-5F).forward(a.residual, a.between);
          norm_of<Norm::layer>(a).forward(a.residual, a.y, a.moments);
          if (operation.norm == Norm::rms) norm_of<Norm::rms>(a).forward(a.residual, a.between, a.moments);
          if (!operation.forward) a.sum = Rows::Random(a.x.rows(), a.x.cols());
          if (way.name != std::string("plain_tensor") && !is_right(operation, way, a)) {
            state.SkipWithError("computes something else");
            return;
          }
          for (auto iteration : state) {
            static_cast<void>(iteration);
            way.run(a);
            benchmark::ClobberMemory();
          }
          state.SetBytesProcessed(state.iterations() * a.bytes());
          state.SetLabel(label(shape));
        });
      }
    }
  }
  return run_registered(argc, argv);
}
