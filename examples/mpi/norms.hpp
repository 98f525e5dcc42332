// LayerNorm and RMSNorm through one door: of whole rows, and of rows in parts.
#pragma once

#include <simdnorm/pointers.hpp>

#include <vector>

using simdnorm::RowShape;

constexpr float epsilon = 1e-5F;
struct Parameters {
  const float *gamma, *beta;
};
using Moments = std::vector<simdnorm::RowMoments<float>>;

struct LayerNorm {
  static constexpr const char* name = "LayerNorm";
  static constexpr int numbers = 2;  // least, a token, to be sent forward, and backward
  using Partial = simdnorm::LayerNormPartial<float>;
  using GradientPartial = simdnorm::LayerNormGradientPartial<float>;

  static void forward(RowShape s, const float* x, Parameters p, float* y, Moments& moments) {
    layer_norm_forward(s, x, p.gamma, p.beta, epsilon, y, moments.data());
  }
  static void backward(RowShape s, const float* dy, const float* x, Parameters p, const Moments& moments,
                       float* dx, double* dgamma, double* dbeta) {
    layer_norm_backward(s, dy, x, p.gamma, moments.data(), dx, dgamma, dbeta);
  }
  static void partial(RowShape s, const float* x, Partial* mine) { layer_norm_partial(s, x, epsilon, mine); }
  static void apply(RowShape s, const float* x, Parameters p, simdnorm::Parts<Partial> parts, float* y,
                    Moments& moments) {
    layer_norm_apply(s, x, p.gamma, p.beta, epsilon, parts, y, moments.data());
  }
  static void gradient_partial(RowShape s, const float* dy, const float* x, Parameters p,
                               const Moments& moments, GradientPartial* mine) {
    layer_norm_gradient_partial(s, dy, x, p.gamma, moments.data(), mine);
  }
  static void gradient_apply(RowShape s, const float* dy, const float* x, Parameters p,
                             const Moments& moments, simdnorm::Parts<GradientPartial> parts, float* dx,
                             double* dgamma, double* dbeta) {
    layer_norm_gradient_apply(s, dy, x, p.gamma, moments.data(), parts, dx, dgamma, dbeta);
  }
};

struct RMSNorm {
  static constexpr const char* name = "RMSNorm";
  static constexpr int numbers = 1;
  using Partial = simdnorm::RMSNormPartial<float>;
  using GradientPartial = simdnorm::RMSNormGradientPartial<float>;

  static void forward(RowShape s, const float* x, Parameters p, float* y, Moments& moments) {
    rms_norm_forward(s, x, p.gamma, epsilon, y, moments.data());
  }
  static void backward(RowShape s, const float* dy, const float* x, Parameters p, const Moments& moments,
                       float* dx, double* dgamma, double*) {
    rms_norm_backward(s, dy, x, p.gamma, moments.data(), dx, dgamma);
  }
  static void partial(RowShape s, const float* x, Partial* mine) { rms_norm_partial(s, x, epsilon, mine); }
  static void apply(RowShape s, const float* x, Parameters p, simdnorm::Parts<Partial> parts, float* y,
                    Moments& moments) {
    rms_norm_apply(s, x, p.gamma, epsilon, parts, y, moments.data());
  }
  static void gradient_partial(RowShape s, const float* dy, const float* x, Parameters p,
                               const Moments& moments, GradientPartial* mine) {
    rms_norm_gradient_partial(s, dy, x, p.gamma, moments.data(), mine);
  }
  static void gradient_apply(RowShape s, const float* dy, const float* x, Parameters p,
                             const Moments& moments, simdnorm::Parts<GradientPartial> parts, float* dx,
                             double* dgamma, double*) {
    rms_norm_gradient_apply(s, dy, x, p.gamma, moments.data(), parts, dx, dgamma);
  }
};
