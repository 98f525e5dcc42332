// quantized: a norm that writes codes of 8 bits, with a scale for each token, for a matrix product in 8 bits.
//
// RMSNorm as Gemma has it, xhat * (1 + gamma), from activations in bfloat16 to int8. The product with int8 weights sums whole
// numbers and is multiplied by the scales at the end. Then the same norm to fp8 (e4m3).
#include <simdnorm/simdnorm.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace {

template <class T> using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Eigen::VectorXf;

constexpr Eigen::Index tokens = 24, hidden = 512, outputs = 96;

/// Weights as they are kept: int8, with a scale for each output.
struct Weights {
  Matrix<std::int8_t> codes;  // (outputs, hidden)
  VectorXf scales;            // (outputs)

  explicit Weights(const Matrix<float>& w)
      : codes(w.rows(), w.cols()), scales(w.cwiseAbs().rowwise().maxCoeff() / 127.f) {
    for (Eigen::Index o = 0; o < w.rows(); ++o)
      codes.row(o) = (w.row(o).array() / scales(o)).rint().cast<std::int8_t>();
  }
};

/// x w^T. |sums| < 2^31 as long as hidden < 133,000.
Matrix<float> product(const Matrix<std::int8_t>& x, const VectorXf& x_scales, const Weights& w) {
  const Matrix<std::int32_t> sums = x.cast<std::int32_t>() * w.codes.cast<std::int32_t>().transpose();
  return x_scales.asDiagonal() * sums.cast<float>() * w.scales.asDiagonal();
}

/// What a code of e4m3 stands for: a sign, 4 bits of exponent, 3 of mantissa; 0x7f is NaN.
double value_of(simdnorm::Float8E4M3 code) {
  const int exponent = code.bits >> 3 & 15, mantissa = code.bits & 7;
  const double magnitude = (code.bits & 0x7f) == 0x7f ? std::nan("")
                           : exponent == 0            ? std::ldexp(mantissa, -9)
                                                      : std::ldexp(8 + mantissa, exponent - 10);
  return code.bits & 0x80 ? -magnitude : magnitude;
}

int failures = 0;

void check(bool holds, const char* words, double found, double at_most) {
  std::printf("%s  %-62s %9.3g, at most %.3g\n", holds ? "ok  " : "FAIL", words, found, at_most);
  if (!holds) ++failures;
}

/// Each element's error as a part of what it may be. NaN where one is NaN.
double largest_part(const Matrix<double>& error, const Matrix<double>& bound) {
  double largest = 0;
  for (Eigen::Index i = 0; i < error.size(); ++i) {
    const double part = std::abs(error.data()[i]) / bound.data()[i];
    if (!(part <= largest)) largest = part;
  }
  return largest;
}

double relative(const Matrix<double>& error, const Matrix<double>& exact) {
  return error.norm() / exact.norm();
}

}  // namespace

int main() {
  std::srand(1);
  // Activations with a few large features, as language models have them; tokens of very different magnitude.
  Matrix<float> activations = Matrix<float>::Random(tokens, hidden);
  activations.col(7) *= 5.f;
  activations.col(300) *= -8.f;
  for (Eigen::Index t = 0; t < tokens; ++t) activations.row(t) *= std::exp2(static_cast<float>(t % 9 - 4));
  const Matrix<Eigen::bfloat16> x = activations.cast<Eigen::bfloat16>();
  const Eigen::Matrix<Eigen::bfloat16, Eigen::Dynamic, 1> gamma =
      (VectorXf::Random(hidden) * 0.5f).cast<Eigen::bfloat16>();
  const Matrix<float> weights = Matrix<float>::Random(outputs, hidden);
  const Weights w(weights);

  const simdnorm::RMSNorm<Eigen::bfloat16, simdnorm::OnePlusGamma> norm(gamma, 1e-6f);

  // What it is compared with: the same norm in float, and a product in double.
  Matrix<float> y(tokens, hidden);
  norm.forward(x, y);
  const Matrix<double> exact_y = y.cast<double>();
  const Matrix<double> exact = exact_y * weights.cast<double>().transpose();

  // --- int8 ---

  Matrix<std::int8_t> codes(tokens, hidden);
  VectorXf scales(tokens);
  norm.forward(x, simdnorm::per_token(codes, scales));
  const Matrix<float> out = product(codes, scales, w);

  // Each y is at most half a scale away from what its code stands for; 2^-14 is what y * (1/scale) may be rounded by.
  const double half = 0.5 + std::ldexp(1, -14);
  const Matrix<double> one = Matrix<double>::Ones(tokens, hidden),
                       one_w = Matrix<double>::Ones(outputs, hidden);
  const Matrix<double> from_codes = scales.cast<double>().asDiagonal() * codes.cast<double>();
  const Matrix<double> y_bound = half * (scales.cast<double>().asDiagonal() * one);
  const double y_part = largest_part(from_codes - exact_y, y_bound);
  check(y_part <= 1, "int8: largest error of y, as a part of half a scale", y_part, 1);

  const float scale_error = (scales - y.cwiseAbs().rowwise().maxCoeff() / 127.f).cwiseAbs().maxCoeff();
  check(scale_error == 0, "int8: scales differ from the largest |y| of the row / 127 by",
        static_cast<double>(scale_error), 0);

  // The bound of the product: both factors may be half a scale off, in all columns in the worst direction; and its three
  // float roundings.
  const Matrix<double> w_bound = half * (w.scales.cast<double>().asDiagonal() * one_w);
  const Matrix<double> out_bound = (exact_y.cwiseAbs() + y_bound) * w_bound.transpose() +
                                   y_bound * weights.cast<double>().cwiseAbs().transpose() +
                                   std::ldexp(1, -22) * exact.cwiseAbs();
  const Matrix<double> out_error = out.cast<double>() - exact;
  const double out_part = largest_part(out_error, out_bound);
  check(out_part <= 1, "int8: largest error of the product, as a part of its bound", out_part, 1);

  // What to expect: errors spread evenly over a scale, of deviation scale/sqrt(12), independent of each other.
  const double of_y = std::sqrt(scales.cast<double>().squaredNorm() * hidden / 12) / exact_y.norm();
  const double of_w =
      std::sqrt(w.scales.cast<double>().squaredNorm() * hidden / 12) / weights.cast<double>().norm();
  const double expected = std::sqrt(of_y * of_y + of_w * of_w), found = relative(out_error, exact);
  check(found <= 1.2 * expected, "int8: relative error of the product", found, 1.2 * expected);

  // --- e4m3 ---

  Matrix<simdnorm::Float8E4M3> fp8(tokens, hidden);
  VectorXf fp8_scales(tokens);
  norm.forward(x, simdnorm::per_token(fp8, fp8_scales));

  // Four digits: each y is within 2^-4 of itself, or, where its code is subnormal, within half of 2^-9 of a scale.
  Matrix<double> from_fp8(tokens, hidden), fp8_bound(tokens, hidden);
  for (Eigen::Index t = 0; t < tokens; ++t) {
    for (Eigen::Index c = 0; c < hidden; ++c) {
      const double scale = static_cast<double>(fp8_scales(t));
      from_fp8(t, c) = value_of(fp8(t, c)) * scale;
      fp8_bound(t, c) = 1.0001 * std::max(std::ldexp(std::abs(exact_y(t, c)), -4), std::ldexp(scale, -10));
    }
  }
  const double fp8_part = largest_part(from_fp8 - exact_y, fp8_bound);
  check(fp8_part <= 1, "e4m3: largest error of y, as a part of a rounding", fp8_part, 1);

  const Matrix<double> fp8_error = (from_fp8 - exact_y) * weights.cast<double>().transpose();
  const double fp8_product_part =
      largest_part(fp8_error, fp8_bound * weights.cast<double>().cwiseAbs().transpose());
  check(fp8_product_part <= 1, "e4m3: largest error of the product, as a part of its bound", fp8_product_part,
        1);
  check(relative(fp8_error, exact) <= 0.0625, "e4m3: relative error of the product",
        relative(fp8_error, exact), 0.0625);

  return failures == 0 ? 0 : 1;
}
