// raw_pointers: the norms on plain arrays, without Eigen: forward, backward, slices, channels first.
#include <simdnorm/pointers.hpp>

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <new>
#include <random>
#include <vector>

namespace {

int failures = 0;

void check(bool holds, const char* property) {
  std::printf("%s  %s\n", holds ? "ok  " : "FAIL", property);
  if (!holds) ++failures;
}

std::vector<float> random_values(std::size_t count, float mean, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(mean, 1.f);
  std::vector<float> values(count);
  for (float& value : values) value = normal(generator);
  return values;
}

}  // namespace

int main() {
  constexpr std::size_t rows = 6, hidden = 384;
  const simdnorm::RowShape shape{rows, hidden};
  const std::vector<float> x = random_values(rows * hidden, 10.f, 1),
                           dy = random_values(rows * hidden, 0.f, 2);
  const std::vector<float> gamma = random_values(hidden, 1.f, 3), beta = random_values(hidden, 0.f, 4);
  std::vector<float> y(rows * hidden), dx(rows * hidden), dgamma(hidden), dbeta(hidden);

  // Forward, for inference: nothing is kept. gamma, beta or both may be nullptr.
  simdnorm::layer_norm_forward(shape, x.data(), gamma.data(), beta.data(), 1e-5f, y.data());

  // Forward, for training: the moments are kept, one a row. y may be x.
  std::vector<simdnorm::RowMoments<float>> moments(rows);
  std::vector<float> in_place = x;
  simdnorm::layer_norm_forward(shape, in_place.data(), gamma.data(), beta.data(), 1e-5f, in_place.data(),
                               moments.data());
  check(in_place == y, "y written over x has the same bits");

  double mean = 0;
  for (std::size_t c = 0; c < hidden; ++c) mean += double(x[c]) / hidden;
  std::printf("      row 0: mean %.6f, rstd %.6f\n", double(simdnorm::true_mean(moments[0])),
              double(simdnorm::true_rstd(moments[0])));
  check(std::abs(double(simdnorm::true_mean(moments[0])) - mean) < 1e-5,
        "the moments hold the mean of the row");

  // Backward. dgamma and dbeta are overwritten; either may be nullptr.
  simdnorm::layer_norm_backward(shape, dy.data(), x.data(), gamma.data(), moments.data(), dx.data(),
                                dgamma.data(), dbeta.data());
  double worst_row = 0, worst_column = 0;
  for (std::size_t r = 0; r < rows; ++r) {
    double sum = 0;
    for (std::size_t c = 0; c < hidden; ++c) sum += double(dx[r * hidden + c]);
    worst_row = std::fmax(worst_row, std::abs(sum));
  }
  for (std::size_t c = 0; c < hidden; ++c) {
    double sum = 0;
    for (std::size_t r = 0; r < rows; ++r) sum += double(dy[r * hidden + c]);
    worst_column = std::fmax(worst_column, std::abs(sum - double(dbeta[c])));
  }
  check(worst_row < 1e-3, "each row of dx sums to zero: a shift of the row does not change y");
  check(worst_column < 1e-5, "dbeta is the sum of dy over the rows");

  // Several small batches: the gradients add up, and scratch memory is passed in so that no call allocates.
  const std::align_val_t alignment{64};
  void* workspace = ::operator new(std::size_t(simdnorm::gradient_workspace_bytes<float>(shape)), alignment);
  simdnorm::GradientOptions options;
  options.accumulate = true;
  options.workspace = workspace;
  std::vector<float> dgamma_twice = dgamma, dbeta_twice = dbeta;
  simdnorm::layer_norm_backward(shape, dy.data(), x.data(), gamma.data(), moments.data(), dx.data(),
                                dgamma_twice.data(), dbeta_twice.data(), options);
  ::operator delete(workspace, alignment);
  double worst = 0;
  for (std::size_t c = 0; c < hidden; ++c) {
    worst = std::fmax(worst, std::abs(double(dgamma_twice[c]) - 2 * double(dgamma[c])));
    worst = std::fmax(worst, std::abs(double(dbeta_twice[c]) - 2 * double(dbeta[c])));
  }
  check(worst < 1e-4, "accumulate adds to dgamma and dbeta");

  // A slice: each row of qkv holds query, key, value side by side; the keys are normalized where they lie.
  const std::vector<float> qkv = random_values(rows * 3 * hidden, 0.f, 5);
  std::vector<float> sliced = qkv, keys(rows * hidden);
  const simdnorm::Strided<const float> key{sliced.data() + hidden, 3 * hidden, 1};
  const simdnorm::Strided<float> normalized_key{sliced.data() + hidden, 3 * hidden, 1};
  simdnorm::rms_norm_forward(shape, key, gamma.data(), 1e-6f, normalized_key);
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < hidden; ++c) keys[r * hidden + c] = qkv[(3 * r + 1) * hidden + c];
  simdnorm::rms_norm_forward(shape, keys.data(), gamma.data(), 1e-6f, keys.data());
  bool same = true, untouched = true;
  for (std::size_t i = 0; i < qkv.size(); ++i) {
    const std::size_t r = i / (3 * hidden), part = i / hidden % 3, c = i % hidden;
    if (part == 1)
      same = same && sliced[i] == keys[r * hidden + c];
    else
      untouched = untouched && sliced[i] == qkv[i];
  }
  check(same, "a slice has the same bits as the same rows packed");
  check(untouched, "what lies beside the slice is left alone");

  // Channels first: (batch, channels, pixels), normalized over the channels. A row is one pixel, and `pixels`
  // rows lie side by side in memory.
  constexpr std::size_t batch = 2, channels = 96, pixels = 35;
  const std::vector<float> image = random_values(batch * channels * pixels, 3.f, 6);
  std::vector<float> normalized(image.size()), last(image.size()), last_normalized(image.size());
  simdnorm::layer_norm_forward(simdnorm::RowShape{batch * pixels, channels, pixels}, image.data(),
                               gamma.data(), beta.data(), 1e-6f, normalized.data());
  for (std::size_t b = 0; b < batch; ++b)
    for (std::size_t c = 0; c < channels; ++c)
      for (std::size_t p = 0; p < pixels; ++p)
        last[(b * pixels + p) * channels + c] = image[(b * channels + c) * pixels + p];
  simdnorm::layer_norm_forward(simdnorm::RowShape{batch * pixels, channels}, last.data(), gamma.data(),
                               beta.data(), 1e-6f, last_normalized.data());
  same = true;
  for (std::size_t b = 0; b < batch; ++b)
    for (std::size_t c = 0; c < channels; ++c)
      for (std::size_t p = 0; p < pixels; ++p)
        same = same && normalized[(b * channels + c) * pixels + p] ==
                           last_normalized[(b * pixels + p) * channels + c];
  check(same, "channels first and channels last have the same bits");

  return failures == 0 ? 0 : 1;
}
