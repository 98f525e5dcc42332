// qk_norm: the queries and keys of an attention as Qwen 3 has them. A linear layer has made one matrix of all heads,
//   qkv (tokens, (query_heads + 2 * key_heads) * head_dim);
// each head of q and k is normalized by RMSNorm and turned by its position (RoPE), in place and in one pass; v stays as it is.
// Two checks: the logits of an attention depend on the distance of their positions alone; gradients are those of finite
// differences.
#include <simdnorm/pointers.hpp>

#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

namespace {

using simdnorm::Index;
using simdnorm::RotaryPairs;
using Numbers = std::vector<double>;

constexpr Index tokens = 6, query_heads = 4, key_heads = 2, head_dim = 16;
constexpr Index width = (query_heads + 2 * key_heads) * head_dim;
constexpr double epsilon = 1e-6;

struct QkNorm {
  std::vector<float> cosines, sines;
  simdnorm::Rotary<RotaryPairs::halves> rotary;
  Numbers gamma_q, gamma_k, dgamma_q, dgamma_k;  // (head_dim), shared by all heads
  std::vector<simdnorm::RowMoments<double>> moments;

  QkNorm()
      : cosines(tokens * head_dim / 2),
        sines(cosines),
        rotary{cosines.data(), sines.data(), tokens, head_dim, 1, tokens},  // of a slice, a token has one row
        gamma_q(head_dim, 1.25),
        gamma_k(head_dim, 0.75),
        dgamma_q(head_dim),
        dgamma_k(head_dim),
        moments((query_heads + key_heads) * tokens) {
    simdnorm::rotary_tables(tokens, head_dim, 1e6, cosines.data(), sines.data());
  }

  // One head's columns of all tokens.
  static simdnorm::Strided<double> head(Numbers& qkv, Index h) {
    return {qkv.data() + h * head_dim, width, 1};
  }

  void forward(Numbers& qkv) {
    for (Index h = 0; h < query_heads + key_heads; ++h) {
      const auto slice = head(qkv, h);
      const double* const gamma = h < query_heads ? gamma_q.data() : gamma_k.data();
      simdnorm::rms_norm_forward({tokens, head_dim}, slice, gamma, epsilon, simdnorm::rotated(slice, rotary),
                                 moments.data() + h * tokens);
    }
  }

  // x: qkv before forward, over which its gradient is written. dqkv: the gradient of what forward made of it.
  void backward(Numbers& dqkv, Numbers& x) {
    for (Index h = 0; h < query_heads + key_heads; ++h) {
      const bool is_query = h < query_heads;
      simdnorm::GradientOptions options;
      options.accumulate = h > 0 && h != query_heads;  // over the heads
      simdnorm::rms_norm_backward({tokens, head_dim}, simdnorm::unrotated(head(dqkv, h), rotary), head(x, h),
                                  is_query ? gamma_q.data() : gamma_k.data(), moments.data() + h * tokens,
                                  head(x, h), is_query ? dgamma_q.data() : dgamma_k.data(), options);
    }
    for (Index t = 0; t < tokens; ++t) {  // of v
      for (Index c = (query_heads + key_heads) * head_dim; c < width; ++c) {
        const auto place = static_cast<std::size_t>(t * width + c);
        x[place] = dqkv[place];
      }
    }
  }
};

double dot(const double* a, const double* b, Index count) {
  double sum = 0;
  for (Index i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

// Tokens that are all alike: logit(t, s) = logit(t - 1, s - 1).
double distance_error(QkNorm& norm, const Numbers& token) {
  Numbers qkv;
  for (Index t = 0; t < tokens; ++t) qkv.insert(qkv.end(), token.begin(), token.end());
  norm.forward(qkv);
  const auto logit = [&](Index query_head, Index t, Index s) {
    const Index key_head = query_heads + query_head / (query_heads / key_heads);
    return dot(norm.head(qkv, query_head).data + t * width, norm.head(qkv, key_head).data + s * width,
               head_dim);
  };
  double worst = 0;
  for (Index h = 0; h < query_heads; ++h) {
    for (Index t = 1; t < tokens; ++t) {
      for (Index s = 1; s < tokens; ++s)
        worst = std::fmax(worst, std::abs(logit(h, t, s) - logit(h, t - 1, s - 1)));
    }
    if (std::abs(logit(h, 3, 0) - logit(h, 0, 0)) < 1e-3) return 1;  // but not on nothing
  }
  return worst;
}

// The loss is the sum of qkv * dqkv after forward. `values` is what is varied.
double gradient_error(QkNorm& norm, const Numbers& x, Numbers& values, const Numbers& dqkv,
                      const Numbers& gradient) {
  const auto loss = [&] {
    Numbers qkv = x;
    norm.forward(qkv);
    return dot(qkv.data(), dqkv.data(), tokens * width);
  };
  double worst = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double kept = values[i], step = 1e-5;
    values[i] = kept + step;
    const double above = loss();
    values[i] = kept - step;
    const double below = loss();
    values[i] = kept;
    worst = std::fmax(worst, std::abs((above - below) / (2 * step) - gradient[i]));
  }
  return worst;
}

int failures = 0;
void expect_small(const char* what, double error, double bound) {
  std::printf("%-46s %.1e\n", what, error);
  if (!(error < bound)) ++failures;
}

}  // namespace

int main() {
  std::mt19937 random(7);
  std::normal_distribution<double> normal;
  const auto numbers = [&](Index count) {
    Numbers out(static_cast<std::size_t>(count));
    for (double& number : out) number = normal(random);
    return out;
  };
  QkNorm norm;
  expect_small("logits beyond what the distance says:", distance_error(norm, numbers(width)), 1e-5);

  Numbers x = numbers(tokens * width), dqkv = numbers(tokens * width), qkv = x, dx = x;
  norm.forward(qkv);
  norm.backward(dqkv, dx);
  expect_small("gradient of qkv, off finite differences by:", gradient_error(norm, x, x, dqkv, dx), 1e-7);
  expect_small("gradient of gamma of q:", gradient_error(norm, x, norm.gamma_q, dqkv, norm.dgamma_q), 1e-7);
  expect_small("gradient of gamma of k:", gradient_error(norm, x, norm.gamma_k, dqkv, norm.dgamma_k), 1e-7);
  return failures;
}
