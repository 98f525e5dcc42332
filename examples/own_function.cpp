// own_function: what a norm has no name for, fused with it in ten lines: GELU on y before it is stored, and x gathered from a
// table of embeddings. Both are compiled into the norm's loops, for vectors of any width and any type of numbers.
#include <simdnorm/simdnorm.hpp>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace {

/// GELU, the form with tanh: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). Vector has + - * / and broadcast; by_batch gives it
/// as one of xsimd's batches, for all that xsimd has, or as a number where there is no xsimd.
struct Gelu {
  template <class Vector> Vector operator()(Vector x) const {
    const auto all = [](double number) {
      return Vector::broadcast(static_cast<typename Vector::Scalar>(number));
    };
    const Vector inner = all(0.7978845608028654) * (x + all(0.044715) * x * x * x);
    const auto tanh_of = [](const auto& batch) {
      using std::tanh;  // of one number; of a batch, the compiler finds xsimd's
      return tanh(batch);
    };
    return all(0.5) * x * (all(1) + simdnorm::simd::by_batch(inner, tanh_of));
  }
};

double gelu(double x) { return x / 2 * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))); }

/// The largest difference of y to GELU(rms_norm(x) gamma) in double, x being rows of a table.
double difference(const std::vector<float>& table, const std::vector<std::int32_t>& tokens,
                  const Eigen::VectorXf& gamma, const std::vector<float>& y) {
  const auto hidden = static_cast<std::size_t>(gamma.size());
  double worst = 0;
  for (std::size_t r = 0; r < tokens.size(); ++r) {
    const auto x = [&, row = static_cast<std::size_t>(tokens[r])](std::size_t c) {
      return static_cast<double>(table[row * hidden + c]);
    };
    double squares = 0;
    for (std::size_t c = 0; c < hidden; ++c) squares += x(c) * x(c);
    const double rstd = 1 / std::sqrt(squares / static_cast<double>(hidden) + 1e-6);
    for (std::size_t c = 0; c < hidden; ++c) {
      const double expected = gelu(x(c) * rstd * static_cast<double>(gamma.data()[c]));
      worst = std::fmax(worst, std::abs(static_cast<double>(y[r * hidden + c]) - expected));
    }
  }
  return worst;
}

}  // namespace

int main() {
  const simdnorm::Index vocabulary = 50, hidden = 300;
  const Eigen::VectorXf random = Eigen::VectorXf::Random(vocabulary * hidden),
                        gamma = Eigen::VectorXf::Ones(hidden);
  const std::vector<float> table(random.data(), random.data() + random.size());  // (vocabulary, hidden)
  const std::vector<std::int32_t> tokens = {7, 42, 7, 0, 49};
  const auto rows = static_cast<simdnorm::Index>(tokens.size());
  std::vector<float> y(static_cast<std::size_t>(rows * hidden));  // (rows, hidden)

  simdnorm::rms_norm_forward({rows, hidden}, simdnorm::gathered(table.data(), vocabulary, tokens.data()),
                             gamma.data(), 1e-6f, simdnorm::mapped(Gelu{}, y.data()));
  const double by_pointers = difference(table, tokens, gamma, y);

  // The same of Eigen objects.
  using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Eigen::Map<const Matrix> embeddings(table.data(), vocabulary, hidden);
  Eigen::Map<Matrix> to_y(y.data(), rows, hidden);
  to_y.setZero();
  const simdnorm::RMSNorm<float> norm(gamma, 1e-6f);
  norm.forward(simdnorm::gathered(embeddings, tokens), simdnorm::mapped(Gelu{}, to_y));
  const double by_functor = difference(table, tokens, gamma, y);

  std::printf("GELU(rms_norm(x) gamma) differs from double by %.1e, of Eigen objects by %.1e\n", by_pointers,
              by_functor);
  return by_pointers < 1e-5 && by_functor < 1e-5 ? 0 : 1;
}
