// Dropout: the mask is that of its definition, in whatever it is fused with; how often it drops; wrong arguments.
#include "fusion/dropout.hpp"
#include "fusion/modulated.hpp"
#include "support/refused.hpp"
#include "support/streaming.hpp"

namespace {

using namespace fusion;

TEST(Dropout, HasTheBitsOfTheComposition) { check_sums<Norm::layer, float, float, float, float, float>(); }

// Past the caches rows begin at any place, so that a vector may begin at any column.
TEST(Dropout, PastTheCachesToo) {
  const WithStreaming streaming(Streaming::always);
  for (Index hidden : {333, 512}) {
    const SumProblem<float, float, float> p(23, hidden, 5);
    check_sum<Norm::layer, float, float, float, float, float>(PlacesOfAll(contiguous(23, hidden)), p);
  }
}

TEST(Dropout, OfTheSumThatIsNotKept) {
  constexpr Index rows = 7, hidden = 45;
  const SumProblem<float, float, float> p(rows, hidden, 5);
  std::vector<float> sum(size(rows * hidden)), y = sum, expected = sum;
  const auto forward = [&](float* kept, std::vector<float>& out) {
    const auto x = dropped(p.in.x.data(), some);
    if (kept != nullptr) {
      simdnorm::layer_norm_forward({rows, hidden}, residual_sum(x, p.residual.data(), kept), nullptr, nullptr,
                                   1e-5F, out.data());
    } else {
      simdnorm::layer_norm_forward({rows, hidden}, residual_sum(x, p.residual.data(), nullptr), nullptr,
                                   nullptr, 1e-5F, out.data());
    }
  };
  forward(sum.data(), expected);
  forward(nullptr, y);
  EXPECT_EQ(first_unlike(y, expected), -1);
  std::vector<float> masked = p.in.x;
  mask(some, hidden, masked);
  simdnorm::rms_norm_forward({rows, hidden}, masked.data(), nullptr, 1e-5F, expected.data());
  simdnorm::rms_norm_forward({rows, hidden}, dropped(p.in.x.data(), some), nullptr, 1e-5F, y.data());
  EXPECT_EQ(first_unlike(y, expected), -1);
}

// The sum over the branch that is dropped, y over the residual; dx over dy, dresidual over dsum.
TEST(Dropout, InPlace) {
  constexpr Index rows = 7, hidden = 45;
  const RowShape shape{rows, hidden};
  const SumProblem<float, float, float> p(rows, hidden, 5);
  std::vector<float> sum(size(rows * hidden)), y = sum, dx = sum, dresidual = sum, x = p.in.x,
                                               residual = p.residual, dy = p.in.dy, dsum = p.dsum;
  std::vector<RowMoments<float>> moments(size(rows));
  const auto run = [&](float* to_sum, float* to_y, float* to_dx, float* to_dresidual) {
    simdnorm::layer_norm_forward(shape, residual_sum(dropped(x.data(), some), residual.data(), to_sum),
                                 nullptr, nullptr, 1e-5F, dropped(to_y, some), moments.data());
    simdnorm::layer_norm_backward(shape, dy.data(), to_sum, nullptr, moments.data(),
                                  residual_gradients(dsum.data(), dropped(to_dx, some), to_dresidual));
  };
  run(sum.data(), y.data(), dx.data(), dresidual.data());
  run(x.data(), residual.data(), dy.data(), dsum.data());
  EXPECT_EQ(first_unlike(x, sum), -1);
  EXPECT_EQ(first_unlike(residual, y), -1);
  EXPECT_EQ(first_unlike(dy, dx), -1);
  EXPECT_EQ(first_unlike(dsum, dresidual), -1);
}

// Each item of a batch has rows of its own in the mask.
TEST(Dropout, OfModulatedRows) {
  constexpr Index items = 3, rows = 12, hidden = 37;
  const ItemProblem<float, float, float> p(rows, hidden, items, 8);
  std::vector<float> masked = p.in.x, y(masked.size()), expected = y;
  mask(some, hidden, masked);
  const auto forward = [&](const auto& x, std::vector<float>& out) {
    simdnorm::modulated_layer_norm_forward({rows, hidden}, items, x, p.scale.data(), p.shift.data(), 1e-5F,
                                           out.data());
  };
  forward(masked.data(), expected);
  forward(dropped(p.in.x.data(), some), y);
  EXPECT_EQ(first_unlike(y, expected), -1);
}

// y of rows of zeros is beta, here 1: the mask is seen.
std::vector<float> mask_seen(const Dropout& dropout, Index rows, Index hidden) {
  const std::vector<float> zeros(size(rows * hidden)), ones(size(hidden), 1.0F);
  std::vector<float> y(zeros.size());
  simdnorm::layer_norm_forward({rows, hidden}, zeros.data(), nullptr, ones.data(), 1e-5F,
                               dropped(y.data(), dropout));
  return y;
}
TEST(Dropout, DropsAsOftenAsItSaysAndOtherElementsForOtherSeeds) {
  constexpr Index rows = 1000, hidden = 1000;
  for (double probability : {0.0, 0.1, 0.5, 0.9}) {
    const std::vector<float> y = mask_seen({probability, 11}, rows, hidden);
    const auto kept =
        static_cast<double>(std::count(y.begin(), y.end(), static_cast<float>(1 / (1 - probability))));
    const auto zero = static_cast<double>(std::count(y.begin(), y.end(), 0.0F));
    EXPECT_EQ(kept + zero, 1e6);
    EXPECT_NEAR(zero, 1e6 * probability,
                5 * std::sqrt(1e6 * probability * (1 - probability)));  // five deviations
  }
  const std::vector<float> y = mask_seen(some, 9, 64);
  const auto differs = [&](Dropout other) { EXPECT_NE(first_unlike(y, mask_seen(other, 9, 64)), -1); };
  differs({some.probability, some.seed + 1, some.stream});
  differs({some.probability, some.seed + (std::uint64_t{1} << 32), some.stream});
  differs({some.probability, some.seed, some.stream + 1});
  differs({some.probability, some.seed, some.stream, Index{1} << 32});
  const std::vector<float> later = mask_seen({some.probability, some.seed, some.stream, 4}, 5, 64);
  EXPECT_EQ(first_unlike(later, {y.begin() + 4 * 64, y.end()}), -1);
}

TEST(Dropout, RefusesWhatIsNoProbability) {
  std::vector<float> x(16, 1.0F), y(16, 5.0F);
  const std::string words = "the probability of dropout must be at least 0 and below 1 but is";
  for (double wrong : {-0.1, 1.0, 1.5, std::numeric_limits<double>::quiet_NaN()}) {
    refused({words}, [&] {
      simdnorm::rms_norm_forward({2, 8}, dropped(x.data(), {wrong, 1}), nullptr, 1e-5F, y.data());
    });
    refused({words}, [&] {
      simdnorm::rms_norm_forward({2, 8}, x.data(), nullptr, 1e-5F, dropped(y.data(), {wrong, 1}));
    });
  }
  EXPECT_EQ(y, std::vector<float>(16, 5.0F));
  EXPECT_EQ(Dropout{}.stream, 0u);
  std::vector<float> shared(24, 1.0F);
  refused({"y", "bias", "overlap"}, [&] {  // by the last of the bias
    simdnorm::rms_norm_forward({2, 8}, dropped(x.data(), some).bias(shared.data()), nullptr, 1e-5F,
                               shared.data() + 7);
  });
  refused({"y", "bias", "overlap"}, [&] {
    simdnorm::rms_norm_forward({2, 8}, dropped(x.data(), some).bias(y.data() + 8), nullptr, 1e-5F, y.data());
  });
}

}  // namespace
