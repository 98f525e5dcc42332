// The four operators on rows of float, to be looked at and not run: loops.py.
#include <simdnorm/pointers.hpp>

using namespace simdnorm;

void layer_norm(RowShape shape, const float* x, const float* gamma, const float* beta, float* y) {
  layer_norm_forward(shape, x, gamma, beta, 1e-5F, y);
}
void rms_norm(RowShape shape, const float* x, const float* gamma, float* y) {
  rms_norm_forward(shape, x, gamma, 1e-5F, y);
}
void layer_norm_gradients(RowShape shape, const float* dy, const float* x, const float* gamma,
                          const RowMoments<float>* moments, float* dx, float* dgamma, float* dbeta) {
  layer_norm_backward(shape, dy, x, gamma, moments, dx, dgamma, dbeta);
}
void rms_norm_gradients(RowShape shape, const float* dy, const float* x, const float* gamma,
                        const RowMoments<float>* moments, float* dx, float* dgamma) {
  rms_norm_backward(shape, dy, x, gamma, moments, dx, dgamma);
}
