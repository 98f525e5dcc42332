// scale_norm: a residual block y = x + norm(x) W by either kin of RMSNorm: ScaleNorm, the direction of a token times one learned
// number, and pRMSNorm, RMSNorm measured on the first quarter of the columns. The addition's gradient is added in the norm's pass. The
// gradients agree with finite differences.
#include <simdnorm/simdnorm.hpp>

#include <cmath>
#include <cstdio>
#include <type_traits>

namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;  // (tokens, hidden)
constexpr Eigen::Index tokens = 6, hidden = 32;

/// parameter: what the norm learns, g or gamma.
template <class Norm, class Parameter> struct Block {
  Parameter parameter, dparameter;
  Matrix weights, dweights, normalized;
  simdnorm::Moments<double> moments;

  Matrix forward(const Matrix& x) {
    normalized.resize(x.rows(), x.cols());
    norm().forward(x, normalized, moments);
    return x + normalized * weights;
  }
  Matrix backward(const Matrix& dy, const Matrix& x) {
    dweights = normalized.transpose() * dy;
    const Matrix dnormalized = dy * weights.transpose();
    Matrix dx(x.rows(), x.cols());
    norm().backward(dnormalized, x, moments, simdnorm::added(dy, dx), dparameter);
    return dx;
  }

  /// A view of the parameter.
  Norm norm() const {
    if constexpr (std::is_same_v<Norm, simdnorm::ScaleNorm<double>>) {
      return {parameter, hidden, 1e-10};
    } else {
      return {hidden / 4, parameter, 1e-6};
    }
  }
};

/// The largest difference of a gradient to (f(a + h) - f(a - h)) / 2h, over all elements a of `of`.
template <class F, class Of, class Gradient> double difference(const F& f, Of& of, const Gradient& gradient) {
  double worst = 0;
  for (Eigen::Index i = 0; i < of.size(); ++i) {
    const double a = of.data()[i], h = 1e-5;
    of.data()[i] = a + h;
    const double above = f();
    of.data()[i] = a - h;
    const double below = f();
    of.data()[i] = a;
    worst = std::fmax(worst, std::fabs((above - below) / (2 * h) - gradient.data()[i]));
  }
  return worst;
}

template <class Norm, class Parameter> bool is_right(const char* name, Parameter parameter) {
  Block<Norm, Parameter> block{parameter, parameter, Matrix::Random(hidden, hidden), {}, {}, {}};
  Matrix x = Matrix::Random(tokens, hidden);
  const Matrix dy = Matrix::Random(tokens, hidden);
  block.forward(x);
  const Matrix dx = block.backward(dy, x);
  auto other = block;
  const auto sum = [&] { return (other.forward(x).array() * dy.array()).sum(); };
  const double of_x = difference(sum, x, dx), of_weights = difference(sum, other.weights, block.dweights),
               of_parameter = difference(sum, other.parameter, block.dparameter);
  std::printf(
      "%s: finite differences differ by %.0e from dx, %.0e from the gradient of W, %.0e from that of %s\n",
      name, of_x, of_weights, of_parameter, parameter.size() == 1 ? "g" : "gamma");
  return of_x < 1e-7 && of_weights < 1e-7 && of_parameter < 1e-7;
}

}  // namespace

int main() {
  using One = Eigen::Matrix<double, 1, 1>;
  const bool scale =
      is_right<simdnorm::ScaleNorm<double>>("ScaleNorm", One(One::Constant(std::sqrt(hidden))));
  const bool partial = is_right<simdnorm::PartialRMSNorm<double>>(
      "pRMSNorm", Eigen::VectorXd(Eigen::VectorXd::LinSpaced(hidden, 0.5, 1.5)));
  return scale && partial ? 0 : 1;
}
