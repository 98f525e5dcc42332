// Must not compile: DOOR chooses a public door that is given a type simdnorm does not have.
#include <simdnorm/simdnorm.hpp>

void wrong(int* x, Eigen::Tensor<int, 2>& t, Eigen::Tensor<float, 2>& y, float* a, double* d,
           simdnorm::BFloat16* narrow, simdnorm::Float8E4M3* codes, simdnorm::RowMoments<float>* moments) {
  (void)x, (void)t, (void)y, (void)a, (void)d, (void)narrow, (void)codes, (void)moments;
#if DOOR == 1
  simdnorm::LayerNorm<int> norm(8);
#elif DOOR == 2
  simdnorm::RMSNorm<long double> norm(8);
#elif DOOR == 3
  simdnorm::layer_norm_forward({1, 8}, x, nullptr, nullptr, 1, x);
#elif DOOR == 4
  simdnorm::LayerNorm<float>(8).forward(t, y);
#elif DOOR == 5  // dgamma in a narrow type
  simdnorm::layer_norm_backward({1, 8}, a, a, nullptr, moments, a, narrow);
#elif DOOR == 6  // moments of float, dy of double
  simdnorm::rms_norm_backward({1, 8}, d, a, nullptr, moments, a);
#elif DOOR == 7  // dgamma and dbeta of two types
  simdnorm::layer_norm_backward({1, 8}, a, a, nullptr, moments, a, a, d);
#elif DOOR == 8  // y of a type that only codes have, without a scale
  simdnorm::rms_norm_forward({1, 8}, a, nullptr, 1, codes);
#elif DOOR == 9
  simdnorm::quantize({1, 8}, d, simdnorm::per_token(codes, a));
#elif DOOR == 10  // Moments of float for a call of double
  simdnorm::Moments<float> kept;
  simdnorm::LayerNorm<double>(8).forward(y, y, kept);
#elif DOOR == 11  // the gradient of a gate behind LayerNorm, without its beta
  simdnorm::layer_norm_backward({1, 8}, simdnorm::gated(a, a).gradient(a), a, nullptr, moments, a);
#elif DOOR == 12  // of a sum, a term that is to be kept
  simdnorm::layer_norm_forward({1, 8}, simdnorm::residual_sum(simdnorm::gated(a, a, a), a, a), nullptr,
                               nullptr, 1, a);
#elif DOOR == 13  // a sum over rows of what backward does not give
  struct Never {};
  const simdnorm::Strided<const float> rows{a, 8, 1};
  simdnorm::backward_summing({1, 8}, {1, 8}, simdnorm::Variance<float>{}, simdnorm::operands_of(rows),
                             simdnorm::source_of<float>(rows), simdnorm::source_of<float>(rows),
                             simdnorm::RoundOnce::gradient_scale(a), moments,
                             simdnorm::Strided<float>{a, 8, 1}, simdnorm::GradientOptions{},
                             simdnorm::Serial{}, simdnorm::ColumnSum{Never{}, a});
#endif
}
