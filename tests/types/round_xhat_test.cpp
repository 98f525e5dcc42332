// Llama's xhat, rounded to x's type before gamma: by its own definition, in scalar code from the rows' moments.
#include "support/bounds.hpp"
#include "support/types.hpp"

namespace {

using namespace support;
using simdnorm::RoundOnce;
using simdnorm::RoundXhat;
using simdnorm::simd::product;

const Places layouts[] = {contiguous(23, 1), contiguous(23, 77),      in_wider_rows(9, 130),
                          spaced(12, 33),    side_by_side(2, 11, 67), side_by_side(1, 35, 16)};

// xhat of float as forward has it: each operation rounded.
float forward_xhat(Norm norm, float x, const RowMoments<float>& m) {
  if (norm == Norm::rms) return product(x * m.scale, m.rstd);
  return product(x * m.scale - m.mean, m.rstd) - product(m.mean_low, m.rstd);
}

// y = round(xhat) * gamma + beta, where xhat is rounded to x's type: each operation in float, and y rounded once.
template <class X, class P, class Y> void check_round_xhat() {
  for (const Places& places : layouts) {
    const RowShape shape = places.shape;
    const auto in = every_path_of<X, P>(shape.rows, shape.hidden, 1);
    const std::vector<X> x = places.spread(in.x);
    for (Norm norm : oracle::norms) {
      SCOPED_TRACE(std::string(oracle::name(norm)) + " of " + name_of<X>() + " to " + name_of<Y>() + ", " +
                   describe(places));
      std::vector<Y> y = unwritten_array<Y>(places.extent());
      std::vector<RowMoments<float>> moments = no_moments<float>(shape.rows);
      forward_of<RoundXhat>(norm, shape, places.read(x), in.gamma.data(), in.beta.data(), 0x1p-17,
                            places.write(y), moments.data());
      const std::vector<Y> got = places.gather(y);
      int changed = 0;
      for (Index r = 0; r < shape.rows; ++r) {
        for (Index c = 0; c < shape.hidden; ++c) {
          const float xhat = forward_xhat(
              norm, static_cast<float>(value_of(in.x[size(r * shape.hidden + c)])), moments[size(r)]);
          const float rounded = static_cast<float>(value_of(number<X>(static_cast<double>(xhat))));
          const auto gamma = static_cast<float>(value_of(in.gamma[size(c)])),
                     beta = static_cast<float>(value_of(in.beta[size(c)]));
          const float exact_of_narrow = product(rounded, gamma);
          const float expected = norm == Norm::layer ? exact_of_narrow + beta : exact_of_narrow;
          ASSERT_EQ(
              value_of(number<Y>(static_cast<double>(expected))) == value_of(got[size(r * shape.hidden + c)]),
              expected == expected)
              << expected << " row " << r << " column " << c;
          if (expected != expected) {
            ASSERT_TRUE(std::isnan(value_of(got[size(r * shape.hidden + c)]))) << "row " << r;
          }
          changed += rounded < xhat || rounded > xhat;
        }
      }
      EXPECT_TRUE(changed > 0 || shape.hidden == 1) << "nothing was rounded";
    }
  }
}
TEST(RoundXhat, ForwardRoundsToTheTypeOfXBeforeGamma) {
  check_round_xhat<BFloat16, BFloat16, BFloat16>();
  check_round_xhat<Float16, float, Float16>();
  check_round_xhat<BFloat16, float, float>();
  check_round_xhat<Float16, Float16, BFloat16>();
}

// Hugging Face's LlamaRMSNorm in bf16: weight * hidden.to(bf16), a product of two numbers of bf16, rounded to bf16 once.
TEST(RoundXhat, IsTheProductOfTwoNarrowNumbersAsInLlama) {
  const Index rows = 40, hidden = 128;
  const auto in = every_path_of<BFloat16, BFloat16>(rows, hidden, 2);
  std::vector<BFloat16> y(in.x.size());
  std::vector<RowMoments<float>> moments(size(rows));
  simdnorm::rms_norm_forward<RoundXhat>({rows, hidden}, in.x.data(), in.gamma.data(), 0x1p-20F, y.data(),
                                        moments.data());
  std::vector<BFloat16> once(in.x.size());
  simdnorm::rms_norm_forward({rows, hidden}, in.x.data(), in.gamma.data(), 0x1p-20F, once.data());
  int differ = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const RowMoments<float>& m = moments[i / size(hidden)];
    const float xhat = product(static_cast<float>(value_of(in.x[i])) * m.scale, m.rstd);
    if (xhat != xhat) continue;
    const double narrow = value_of(number<BFloat16>(static_cast<double>(xhat)));
    ASSERT_EQ(y[i].bits, number<BFloat16>(narrow * value_of(in.gamma[i % size(hidden)])).bits) << i;
    differ += y[i].bits != once[i].bits;
  }
  EXPECT_GT(differ, 100) << "RoundOnce gives the same";
}

// For x of float (or double, in a call of double) xhat already is a number of x's type.
template <class X> void check_nothing_to_round() {
  const auto in = every_path_of<X, X, X>(23, 77, 3);
  for (Norm norm : oracle::norms) {
    std::vector<X> y(in.x.size());
    std::vector<RowMoments<X>> moments(23);
    forward_of<RoundXhat>(norm, {23, 77}, in.x.data(), in.gamma.data(), in.beta.data(), 0x1p-17, y.data(),
                          moments.data());
    for (std::size_t i = 0; i < y.size(); ++i) {
      const RowMoments<X>& m = moments[i / 77];
      const X x = in.x[i] * m.scale;
      const X xhat =
          norm == Norm::rms ? product(x, m.rstd) : product(x - m.mean, m.rstd) - product(m.mean_low, m.rstd);
      const X scaled = product(xhat, in.gamma[i % 77]),
              expected = norm == Norm::rms ? scaled : scaled + in.beta[i % 77];
      ASSERT_TRUE(y[i] == expected || (y[i] != y[i] && expected != expected)) << i;
    }
  }
}
TEST(RoundXhat, OfWideTypesRoundsNothing) {
  check_nothing_to_round<float>();
  check_nothing_to_round<double>();
}

// dx as if xhat were not rounded; dgamma sums dy * round(xhat).
template <Norm norm, class X, class P> void check_round_xhat_backward() {
  for (const Places& places : layouts) {
    const RowShape shape = places.shape;
    Stored<X, P> in = every_path_of<X, P>(shape.rows, shape.hidden, 4);
    for (X& x : in.x) {
      if (!std::isfinite(value_of(x))) x = number<X>(1.5);
    }
    const std::vector<X> x = places.spread(in.x);
    const std::vector<float> dy = places.spread(in.dy);
    std::vector<RowMoments<float>> moments(size(shape.rows));
    std::vector<X> y = places.spread(in.x), dx[2] = {y, y};
    forward_of<RoundXhat>(norm, shape, places.read(x), in.gamma.data(), in.beta.data(), 0x1p-17,
                          places.write(y), moments.data());
    std::vector<float> dgamma(size(shape.hidden)), dbeta(size(shape.hidden)), plain(size(shape.hidden)),
        plain_beta(size(shape.hidden));
    backward_of<norm, RoundXhat>(shape, places.read(dy), places.read(x), in.gamma.data(), moments.data(),
                                 places.write(dx[0]), dgamma.data(), dbeta.data());
    backward_of<norm, RoundOnce>(shape, places.read(dy), places.read(x), in.gamma.data(), moments.data(),
                                 places.write(dx[1]), plain.data(), plain_beta.data());
    SCOPED_TRACE(std::string(oracle::name(norm)) + " of " + name_of<X>() + ", " + describe(places));
    ASSERT_EQ(first_unlike(dx[0], dx[1]), -1) << "dx";
    ASSERT_EQ(first_unlike(dbeta, plain_beta), -1) << "dbeta";
    bool differs = false;
    for (Index c = 0; c < shape.hidden; ++c) {
      double sum = 0, magnitude = 0;
      for (Index r = 0; r < shape.rows; ++r) {
        const std::size_t i = size(r * shape.hidden + c);
        const RowMoments<float>& m = moments[size(r)];
        const float scaled = static_cast<float>(value_of(in.x[i])) * m.scale;
        const float xhat =
            norm == Norm::rms ? product(scaled, m.rstd) : product((scaled - m.mean) - m.mean_low, m.rstd);
        const double term = static_cast<double>(in.dy[i]) * value_of(number<X>(static_cast<double>(xhat)));
        sum += term;
        magnitude +=
            std::abs(static_cast<double>(in.dy[i])) * std::max(1.0, std::abs(static_cast<double>(xhat)));
      }
      ASSERT_LE(std::abs(static_cast<double>(dgamma[size(c)]) - sum), dgamma_bound<float> * magnitude)
          << "column " << c;
      differs = differs || dgamma[size(c)] != plain[size(c)];
    }
    EXPECT_TRUE(differs || shape.hidden == 1) << "RoundOnce sums the same";
  }
}
TEST(RoundXhat, DgammaSumsTheRoundedXhat) {
  check_round_xhat_backward<Norm::rms, BFloat16, BFloat16>();
  check_round_xhat_backward<Norm::layer, BFloat16, float>();
  check_round_xhat_backward<Norm::rms, Float16, float>();
}

}  // namespace
