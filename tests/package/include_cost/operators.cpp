// Forward and backward of both norms, for float tensors whose normalized dimension is contiguous.
#include <xsimd/xsimd.hpp>

#include <simdnorm/simdnorm.hpp>

using Matrix = Eigen::Tensor<float, 2, Eigen::RowMajor>;
using Vector = Eigen::Tensor<float, 1, Eigen::RowMajor>;

void layer_norm(const Matrix& dy, const Matrix& x, const Vector& gamma, const Vector& beta, Matrix& y,
                Matrix& dx, Vector& dgamma, Vector& dbeta) {
  const simdnorm::LayerNorm<float> norm(gamma, beta, 1e-5f);
  simdnorm::Moments<float> moments;
  norm.forward(x, y, moments);
  norm.backward(dy, x, moments, dx, dgamma, dbeta);
}

void rms_norm(const Matrix& dy, const Matrix& x, const Vector& gamma, Matrix& y, Matrix& dx, Vector& dgamma) {
  const simdnorm::RMSNorm<float> norm(gamma, 1e-6f);
  simdnorm::Moments<float> moments;
  norm.forward(x, y, moments);
  norm.backward(dy, x, moments, dx, dgamma);
}
