// RMSNorm of the first columns with operands of other types and with what else it takes: the bits of the composition.
#include <simdnorm/partial_rms_norm.hpp>

#include "fusion/gated.hpp"

namespace {

using namespace fusion;
using simdnorm::Dropout;

constexpr Index rows = 23, hidden = 45, measured = 13;
constexpr RowShape shape{rows, hidden};

// By executors of one type: each call of an operator takes long to compile.
template <class X, class P, class Y>
void forward(const X& x, const std::vector<P>& gamma, const Y& y, std::vector<RowMoments<float>>& moments) {
  const Executor threads = Threads{3};
  simdnorm::partial_rms_norm_forward(shape, measured, x, gamma.data(), 0x1p-17F, y, moments.data(), threads);
}
template <class Dy, class X, class P, class Dx, class G>
void backward(const Dy& dy, const X& x, const std::vector<P>& gamma,
              const std::vector<RowMoments<float>>& moments, const Dx& dx, std::vector<G>& dgamma) {
  const Executor threads = Threads{3};
  simdnorm::partial_rms_norm_backward(shape, measured, dy, x, gamma.data(), moments.data(), dx, dgamma.data(),
                                      {}, threads);
}

// Of floats.
struct Plain {
  std::vector<float> y, dx, dgamma = std::vector<float>(size(hidden));
  std::vector<RowMoments<float>> moments = no_moments<float>(rows);
  Plain(const std::vector<float>& x, const std::vector<float>& dy, const std::vector<float>& gamma)
      : y(x.size()), dx(x.size()) {
    forward(x.data(), gamma, y.data(), moments);
    backward(dy.data(), x.data(), gamma, moments, dx.data(), dgamma);
  }
};

TEST(PartialRMSNormArguments, OfOtherTypes) {
  const Stored<BFloat16, Float16, Float16> in =
      every_path_of<BFloat16, Float16, float, Float16>(rows, hidden, 4);
  const Plain plain(numbers<float>(in.x), numbers<float>(in.dy), numbers<float>(in.gamma));
  std::vector<BFloat16> y(plain.y.size()), dx = y;
  std::vector<double> dgamma(size(hidden));
  std::vector<RowMoments<float>> moments = no_moments<float>(rows);
  forward(in.x.data(), in.gamma, y.data(), moments);
  EXPECT_EQ(first_difference(moments, plain.moments), -1);
  EXPECT_EQ(first_unlike(y, numbers<BFloat16>(plain.y)), -1);
  backward(in.dy.data(), in.x.data(), in.gamma, moments, dx.data(), dgamma);
  EXPECT_EQ(first_unlike(dx, numbers<BFloat16>(plain.dx)), -1);
  EXPECT_EQ(first_unlike(numbers<float>(dgamma), plain.dgamma), -1);
}

// x = a sum that is kept, of all columns, with a mask of dropout that belongs to its places whichever columns are measured; y in
// place; dx = addend + the gradient.
TEST(PartialRMSNormArguments, SumsThatAreKept) {
  SumProblem<float, float, float> p(rows, hidden, 6);
  p.in.x[4 * hidden + 40] = -nan_of<float>;  // in a column that is not measured, of an ordinary row
  p.in.x[9 * hidden + 39] = -std::numeric_limits<float>::infinity();
  p.residual[9 * hidden + 39] = std::numeric_limits<float>::infinity();
  const Dropout dropout{0.25, 7};
  const simdnorm::DropoutMask<float> mask(dropout);
  std::vector<float> sums(p.in.x.size());
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const Index r = static_cast<Index>(i) / hidden, c = static_cast<Index>(i) % hidden;
    const float factor = mask.load(simdnorm::RowsAlong<float, simdnorm::simd::NoSimd, 1>{r},
                                   simdnorm::At<simdnorm::simd::All>{{}, c, 0})
                             .value;
    sums[i] = canonical(plus(p.residual[i], times(plus(p.in.x[i], p.bias[size(c)]), factor)));
  }
  const Plain plain(sums, p.in.dy, p.in.gamma);
  std::vector<float> sum = p.in.x, y = p.residual, dx = p.in.dy, dgamma(size(hidden));
  std::vector<RowMoments<float>> moments = no_moments<float>(rows);
  forward(
      residual_sum(simdnorm::branch(sum.data()).bias(p.bias.data()).dropout(dropout), y.data(), sum.data()),
      p.in.gamma, y.data(), moments);
  EXPECT_EQ(first_unlike(sum, sums), -1);
  EXPECT_EQ(first_difference(moments, plain.moments), -1);
  EXPECT_EQ(first_unlike(y, plain.y), -1);
  backward(dx.data(), sum.data(), p.in.gamma, moments, added(p.dsum.data(), dx.data()), dgamma);
  for (std::size_t i = 0; i < dx.size(); ++i)
    ASSERT_EQ(bits_of(canonical(dx[i])), bits_of(canonical(plus(p.dsum[i], plain.dx[i])))) << i;
  EXPECT_EQ(first_unlike(dgamma, plain.dgamma), -1);
}

TEST(PartialRMSNormArguments, GatesAndCodes) {
  const GateProblem<float, float, float> p(rows, hidden, 5);
  const Plain plain(p.in.x, p.in.dy, p.in.gamma);
  const Gates<float> gates(p.z);
  std::vector<float> dx(p.z.size()), dz = dx, dgamma(size(hidden));
  backward(gated(p.in.dy.data(), p.z.data()).gradient(dz.data()), p.in.x.data(), p.in.gamma, plain.moments,
           dx.data(), dgamma);
  const Plain of_gated(p.in.x, products(p.in.dy, gates.gate), p.in.gamma);
  EXPECT_EQ(first_unlike(dx, of_gated.dx), -1);
  EXPECT_EQ(first_unlike(dgamma, of_gated.dgamma), -1);
  EXPECT_EQ(first_unlike(dz, products(products(p.in.dy, gates.slope), plain.y)), -1);

  std::vector<std::int8_t> codes(dx.size()), codes_expected = codes;
  std::vector<float> scales(size(rows)), scales_expected = scales;
  std::vector<RowMoments<float>> moments = no_moments<float>(rows);
  forward(p.in.x.data(), p.in.gamma, simdnorm::per_token(codes.data(), scales.data()), moments);
  simdnorm::quantize(shape, plain.y.data(),
                     simdnorm::per_token(codes_expected.data(), scales_expected.data()));
  EXPECT_EQ(codes, codes_expected);
  EXPECT_EQ(first_unlike(scales, scales_expected), -1);
}

}  // namespace
