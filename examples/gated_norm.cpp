// gated_norm: RMSNorm with a gate as in Mamba-2, y = rms_norm(x) gamma silu(z), and its gradients of x, z and gamma, each in one pass:
// what the gate multiplies is never stored. The gradients agree with finite differences.
#include <simdnorm/pointers.hpp>

#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

namespace {

using simdnorm::gated;
constexpr simdnorm::RowShape shape{4, 96};  // tokens, hidden
constexpr double epsilon = 1e-5;

using Rows = std::vector<double>;
struct Inputs {
  Rows x, z, gamma;
};

void forward(const Inputs& in, Rows& y, simdnorm::RowMoments<double>* moments = nullptr) {
  simdnorm::rms_norm_forward(shape, in.x.data(), in.gamma.data(), epsilon, gated(y.data(), in.z.data()),
                             moments);
}

/// dx, dz and dgamma of the sum of y * dy.
Inputs backward(const Inputs& in, const Rows& dy, const simdnorm::RowMoments<double>* moments) {
  Inputs gradients = in;  // of the same sizes
  simdnorm::rms_norm_backward(shape, gated(dy.data(), in.z.data()).gradient(gradients.z.data()), in.x.data(),
                              in.gamma.data(), moments, gradients.x.data(), gradients.gamma.data());
  return gradients;
}

/// The largest difference of a gradient to (f(a + h) - f(a - h)) / 2h, for every element a of an input.
double difference(Inputs in, const Rows& dy, Rows Inputs::*which, const Rows& gradient) {
  const auto sum = [&] {
    Rows y(dy.size());
    forward(in, y);
    double total = 0;
    for (std::size_t i = 0; i < y.size(); ++i) total += y[i] * dy[i];
    return total;
  };
  double worst = 0;
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const double a = (in.*which)[i], h = 1e-5;
    (in.*which)[i] = a + h;
    const double above = sum();
    (in.*which)[i] = a - h;
    const double below = sum();
    (in.*which)[i] = a;
    worst = std::fmax(worst, std::fabs((above - below) / (2 * h) - gradient[i]));
  }
  return worst;
}

}  // namespace

int main() {
  std::mt19937 engine(1);
  const auto random = [&](simdnorm::Index count) {
    Rows values(static_cast<std::size_t>(count));
    std::normal_distribution<double> normal;
    for (double& value : values) value = normal(engine);
    return values;
  };
  const simdnorm::Index count = shape.rows * shape.hidden;
  const Inputs in{random(count), random(count), random(shape.hidden)};
  const Rows dy = random(count);
  Rows y(dy.size());
  std::vector<simdnorm::RowMoments<double>> moments(static_cast<std::size_t>(shape.rows));
  forward(in, y, moments.data());
  const Inputs gradients = backward(in, dy, moments.data());

  const double of_x = difference(in, dy, &Inputs::x, gradients.x),
               of_z = difference(in, dy, &Inputs::z, gradients.z),
               of_gamma = difference(in, dy, &Inputs::gamma, gradients.gamma);
  std::printf("finite differences differ by %.0e from dx, %.0e from dz, %.0e from dgamma\n", of_x, of_z,
              of_gamma);
  return of_x < 1e-7 && of_z < 1e-7 && of_gamma < 1e-7 ? 0 : 1;
}
