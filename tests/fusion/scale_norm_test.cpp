// ScaleNorm, and RMSNorm of the first columns, with what RMSNorm takes: the bits of a sum, a copy of rows, or a quantization, and
// a call of their own.
#include <simdnorm/partial_rms_norm.hpp>
#include <simdnorm/scale_norm.hpp>

#include "fusion/residual.hpp"

namespace {

using namespace fusion;

constexpr Index rows = 23, hidden = 45, measured = 13;
constexpr RowShape shape{rows, hidden};
const float g = 1.75F;

struct Neighbours : testing::Test {
  const SumProblem<float, float, float> p{rows, hidden, 6};
  std::vector<float> y = unwritten_array<float>(rows * hidden), dx = y, expected = y;
  std::vector<RowMoments<float>> moments = no_moments<float>(rows), expected_moments = moments;
  const std::vector<float>&x = p.in.x, &other = p.residual, &dy = p.in.dy;

  std::vector<float> sums(const std::vector<float>& a, const std::vector<float>& b) const {
    std::vector<float> out;
    for (std::size_t i = 0; i < a.size(); ++i) out.push_back(canonical(plus(a[i], b[i])));
    return out;
  }
  template <class X, class Y>
  void scale_norm(RowShape of, const X& from, const Y& to, std::vector<RowMoments<float>>& kept) {
    simdnorm::scale_norm_forward(of, from, g, 1e-10F, to, kept.data());
  }
};

TEST_F(Neighbours, ScaleNormOfASumAndAddedToIt) {
  const std::vector<float> sum_expected = sums(other, x);
  scale_norm(shape, sum_expected.data(), expected.data(), expected_moments);
  expected = sums(other, expected);
  std::vector<float> sum = unwritten_array<float>(rows * hidden);
  scale_norm(shape, residual_sum(x.data(), other.data(), sum.data()), simdnorm::added(other.data(), y.data()),
             moments);
  EXPECT_EQ(first_unlike(sum, sum_expected), -1);
  EXPECT_EQ(first_unlike(y, expected), -1);
  EXPECT_EQ(first_difference(moments, expected_moments), -1);

  float dg = -1, dg_expected = -2;
  simdnorm::scale_norm_backward(shape, dy.data(), sum.data(), g, moments.data(), expected.data(),
                                &dg_expected);
  expected = sums(other, expected);
  simdnorm::scale_norm_backward(shape, dy.data(), sum.data(), g, moments.data(),
                                simdnorm::added(other.data(), dx.data()), &dg);
  EXPECT_EQ(first_unlike(dx, expected), -1);
  EXPECT_EQ(bits_of(dg), bits_of(dg_expected));
}

TEST_F(Neighbours, ScaleNormOfChosenRowsInCodes) {
  const std::vector<Index> chosen = {20, 3, 3, 7, 0};
  const RowShape few{static_cast<Index>(chosen.size()), hidden};
  std::vector<float> copies;
  for (Index r : chosen) copies.insert(copies.end(), x.begin() + r * hidden, x.begin() + (r + 1) * hidden);
  std::vector<std::int8_t> codes(copies.size(), 3), codes_expected(copies.size(), 4);
  std::vector<float> scales(chosen.size(), -1), scales_expected(chosen.size(), -2);
  scale_norm(few, copies.data(), expected.data(), expected_moments);
  simdnorm::quantize(few, expected.data(),
                     simdnorm::per_token(codes_expected.data(), scales_expected.data()));
  scale_norm(few, simdnorm::gathered(x.data(), rows, chosen.data()),
             simdnorm::per_token(codes.data(), scales.data()), moments);
  EXPECT_EQ(codes, codes_expected);
  EXPECT_EQ(first_unlike(scales, scales_expected), -1);
}

struct Half {
  template <class Vector> Vector operator()(Vector a) const { return a * Vector::broadcast(0.5F); }
};
TEST_F(Neighbours, FirstColumnsOfChosenRowsThroughAFunction) {
  const std::vector<Index> chosen = {20, 3, 3, 7, 0};
  const RowShape few{static_cast<Index>(chosen.size()), hidden};
  std::vector<float> copies;
  for (Index r : chosen) copies.insert(copies.end(), x.begin() + r * hidden, x.begin() + (r + 1) * hidden);
  const float* const gamma = p.in.gamma.data();
  simdnorm::partial_rms_norm_forward(few, measured, copies.data(), gamma, 1e-6F, expected.data(),
                                     expected_moments.data());
  for (Index i = 0; i < few.rows * hidden; ++i) expected[size(i)] = canonical(times(expected[size(i)], 0.5F));
  simdnorm::partial_rms_norm_forward(few, measured, simdnorm::gathered(x.data(), rows, chosen.data()), gamma,
                                     1e-6F, simdnorm::mapped(Half{}, y.data()), moments.data());
  EXPECT_EQ(first_unlike(y, expected), -1);
  EXPECT_EQ(first_difference(moments, expected_moments), -1);
}

}  // namespace
