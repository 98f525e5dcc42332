// gradient_penalty: the penalty of a critic D(x) = LayerNorm(x) head, as in WGAN-GP: the mean over rows of (|dD/dx| - 1)^2, and its
// gradients of head, gamma and x, by double_backward. They agree with finite differences.
#include <simdnorm/simdnorm.hpp>

#include <cmath>
#include <cstdio>

namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::VectorXd;

struct Critic {
  Matrix x;  // (rows, hidden)
  Vector gamma, head;
};

/// The penalty and, where `gradients` is not null, its gradients.
double penalty(const Critic& critic, Critic* gradients) {
  const simdnorm::LayerNorm<double> norm(critic.gamma, nullptr, 1e-5);
  const Matrix dy = critic.head.transpose().replicate(critic.x.rows(), 1);  // dD/dy, of every row
  simdnorm::Moments<double> moments;
  Matrix y(critic.x.rows(), critic.x.cols()), dx = y;
  norm.forward(critic.x, y, moments);
  norm.backward(dy, critic.x, moments, dx);  // dD/dx
  const Vector length = dx.rowwise().norm();
  const double rows = static_cast<double>(dx.rows());
  if (gradients != nullptr) {
    const Vector factor = 2 / rows * (length.array() - 1) / length.array();
    const Matrix ddx = factor.asDiagonal() * dx;  // the penalty's gradient of dx
    Matrix ddy = y;
    *gradients = critic;  // of the same sizes
    norm.double_backward(ddx, nullptr, nullptr, dy, critic.x, moments, ddy, gradients->x, gradients->gamma);
    gradients->head = ddy.colwise().sum();
  }
  return (length.array() - 1).square().mean();
}

/// The largest difference of a gradient to (f(a + h) - f(a - h)) / 2h, for every element a of what it is the gradient of.
template <class Values>
double difference(const Critic& critic, Values Critic::*which, const Values& gradient) {
  Critic moved = critic;
  double worst = 0;
  for (Eigen::Index i = 0; i < gradient.size(); ++i) {
    double& a = (moved.*which).data()[i];
    const double middle = a, h = 1e-5;
    a = middle + h;
    const double above = penalty(moved, nullptr);
    a = middle - h;
    const double below = penalty(moved, nullptr);
    a = middle;
    worst = std::fmax(worst, std::fabs((above - below) / (2 * h) - gradient.data()[i]));
  }
  return worst;
}

}  // namespace

int main() {
  const Critic critic{Matrix::Random(6, 48), Vector::Random(48), Vector::Random(48)};
  Critic gradients;
  const double value = penalty(critic, &gradients);
  const double of_head = difference(critic, &Critic::head, gradients.head),
               of_gamma = difference(critic, &Critic::gamma, gradients.gamma),
               of_x = difference(critic, &Critic::x, gradients.x);
  std::printf("penalty %.4f; finite differences differ by %.0e of head, %.0e of gamma, %.0e of x\n", value,
              of_head, of_gamma, of_x);
  return of_head < 1e-7 && of_gamma < 1e-7 && of_x < 1e-7 ? 0 : 1;
}
