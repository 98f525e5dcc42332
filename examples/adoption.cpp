// adoption: what a code base has today, and the same with simdnorm beside it: plain C loops over pointers, as in llm.c; Eigen
// expressions; a functor with a device, as in TensorFlow; a module with a state dict, as in PyTorch. Expressions and
// functor keep their signature; the C functions take moments in the place of mean and rstd; the module is compared with the C
// loops. All are checked to give the same numbers up to rounding.
#define EIGEN_USE_THREADS  // declares Eigen::ThreadPoolDevice; before any include of Eigen or simdnorm
#include <simdnorm/simdnorm.hpp>

#include <cmath>
#include <cstdio>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace {

constexpr float epsilon = 1e-5f;

// --- plain C over pointers: (B, T, C), gradients added up ---

namespace pointers_before {
void layernorm_forward(float* out, float* mean, float* rstd, const float* inp, const float* weight,
                       const float* bias, int B, int T, int C) {
  for (int row = 0; row < B * T; ++row, inp += C, out += C) {
    float m = 0, v = 0;
    for (int i = 0; i < C; ++i) m += inp[i];
    m /= float(C);
    for (int i = 0; i < C; ++i) v += (inp[i] - m) * (inp[i] - m);
    const float s = 1 / std::sqrt(v / float(C) + epsilon);
    for (int i = 0; i < C; ++i) out[i] = (inp[i] - m) * s * weight[i] + bias[i];
    mean[row] = m;
    rstd[row] = s;
  }
}
void layernorm_backward(float* dinp, float* dweight, float* dbias, const float* dout, const float* inp,
                        const float* weight, const float* mean, const float* rstd, int B, int T, int C) {
  for (int row = 0; row < B * T; ++row, inp += C, dout += C, dinp += C) {
    float g = 0, g_norm = 0;
    for (int i = 0; i < C; ++i) {
      g += weight[i] * dout[i];
      g_norm += weight[i] * dout[i] * (inp[i] - mean[row]) * rstd[row];
    }
    g /= float(C);
    g_norm /= float(C);
    for (int i = 0; i < C; ++i) {
      const float norm = (inp[i] - mean[row]) * rstd[row];
      dbias[i] += dout[i];
      dweight[i] += norm * dout[i];
      dinp[i] += (weight[i] * dout[i] - g - norm * g_norm) * rstd[row];
    }
  }
}
}  // namespace pointers_before

namespace pointers_after {
// One array of moments in the place of mean and rstd: B * T of them.
using Moments = simdnorm::RowMoments<float>;

void layernorm_forward(float* out, Moments* moments, const float* inp, const float* weight, const float* bias,
                       int B, int T, int C) {
  simdnorm::layer_norm_forward({simdnorm::Index(B) * T, C}, inp, weight, bias, epsilon, out, moments);
}
void layernorm_backward(float* dinp, float* dweight, float* dbias, const float* dout, const float* inp,
                        const float* weight, const Moments* moments, int B, int T, int C) {
  simdnorm::layer_norm_backward({simdnorm::Index(B) * T, C}, dout, inp, weight, moments,
                                simdnorm::added(dinp, dinp), dweight, dbias, {/*accumulate=*/true});
}
}  // namespace pointers_after

// --- Eigen expressions: (tokens, hidden) ---

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::VectorXf;

Matrix expressions_before(const Matrix& x, const Vector& gamma, const Vector& beta) {
  const Matrix centered = x.colwise() - x.rowwise().mean();
  const Eigen::ArrayXf rstd = (centered.array().square().rowwise().mean() + epsilon).rsqrt();
  return ((centered.array().colwise() * rstd).rowwise() * gamma.transpose().array()).rowwise() +
         beta.transpose().array();
}

Matrix expressions_after(const Matrix& x, const Vector& gamma, const Vector& beta) {
  Matrix y(x.rows(), x.cols());
  simdnorm::LayerNorm<float>(gamma, beta, epsilon).forward(x, y);
  return y;
}

// --- a functor over tensors, with a device ---

template <class T> using Rows = Eigen::TensorMap<Eigen::Tensor<T, 2, Eigen::RowMajor>>;
template <class T> using Learned = Eigen::TensorMap<Eigen::Tensor<T, 1, Eigen::RowMajor>>;

template <class Device, class T> struct RmsNormBefore {
  void operator()(const Device& device, const Rows<const T>& x, const Learned<const T>& gamma,
                  Rows<T> y) const {
    const Eigen::array<Eigen::Index, 2> column{x.dimension(0), 1}, row{1, x.dimension(1)};
    const Eigen::array<int, 1> hidden{1};
    y.device(device) = x *
                       (x.square().mean(hidden) + T(epsilon)).rsqrt().eval().reshape(column).broadcast(row) *
                       gamma.reshape(row).broadcast(column);
  }
};

template <class Device, class T> struct RmsNormAfter {
  void operator()(const Device& device, const Rows<const T>& x, const Learned<const T>& gamma,
                  Rows<T> y) const {
    simdnorm::RMSNorm<T>(gamma, epsilon).forward(x, y, device);
  }
};

// --- a module as PyTorch's torch.nn.LayerNorm: eps = 1e-5, learned `weight` and `bias` ---
//   y = layer(x)             layer.forward(x, y)
//   y.backward(dy)           layer.backward(dy, x, dx); what autograd keeps are the moments
//   weight.grad, bias.grad   weight_grad, bias_grad, added up until zero_grad
//   with torch.no_grad():    layer.infer(x, y)
// torch.nn.RMSNorm's eps is by default the distance from 1 to the next number of the type: give it as epsilon.
class LayerNormModule {
 public:
  Vector weight, bias, weight_grad, bias_grad;  // (hidden)

  explicit LayerNormModule(Eigen::Index hidden)
      : weight(Vector::Ones(hidden)), bias(Vector::Zero(hidden)), weight_grad(hidden), bias_grad(hidden) {
    zero_grad();
  }
  void load_state_dict(const std::map<std::string, Vector>& state, const std::string& name) {
    weight = state.at(name + ".weight");
    bias = state.at(name + ".bias");
  }
  void zero_grad() {
    weight_grad.setZero();
    bias_grad.setZero();
  }
  void infer(const Matrix& x, Matrix& y) const { norm().forward(x, y); }
  void forward(const Matrix& x, Matrix& y) { norm().forward(x, y, moments_); }
  void backward(const Matrix& dy, const Matrix& x, Matrix& dx) {
    norm().backward(dy, x, moments_, dx, weight_grad, bias_grad, simdnorm::accumulate, workspace_);
  }

 private:
  simdnorm::LayerNorm<float> norm() const { return {weight, bias, epsilon}; }

  simdnorm::Moments<float> moments_;
  simdnorm::Workspace<float> workspace_;
};

// --- the same numbers ---

int failures = 0;

void compare(const char* what, const float* before, const float* after, Eigen::Index count) {
  float difference = 0, size = 0;
  bool finite = true;
  for (Eigen::Index i = 0; i < count; ++i) {
    difference = std::fmax(difference, std::abs(before[i] - after[i]));
    size = std::fmax(size, std::abs(before[i]));
    finite = finite && std::isfinite(after[i]);
  }
  const bool holds = finite && size > 0 && difference <= 2e-5f * size;
  std::printf("%s  %-26s before and after differ by %.1e of the largest\n", holds ? "ok  " : "FAIL", what,
              double(difference / size));
  if (!holds) ++failures;
}

}  // namespace

int main() {
  constexpr int B = 3, T = 7, C = 77;
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  const auto numbers = [&](Eigen::Index rows, Eigen::Index columns) -> Matrix {
    return Matrix::NullaryExpr(rows, columns, [&] { return normal(random); });
  };
  const Matrix x = numbers(B * T, C), dy = numbers(B * T, C), begun = numbers(B * T, C);
  const Vector gamma = numbers(C, 1), beta = numbers(C, 1);
  Matrix y = x, y_after = x;

  std::vector<float> mean(B * T), rstd(B * T);
  std::vector<pointers_after::Moments> moments(B * T);
  pointers_before::layernorm_forward(y.data(), mean.data(), rstd.data(), x.data(), gamma.data(), beta.data(),
                                     B, T, C);
  pointers_after::layernorm_forward(y_after.data(), moments.data(), x.data(), gamma.data(), beta.data(), B, T,
                                    C);
  compare("pointers, out", y.data(), y_after.data(), y.size());
  Matrix dx = begun, dx_after = begun;
  Vector dgamma = gamma, dgamma_after = gamma, dbeta = beta, dbeta_after = beta;
  pointers_before::layernorm_backward(dx.data(), dgamma.data(), dbeta.data(), dy.data(), x.data(),
                                      gamma.data(), mean.data(), rstd.data(), B, T, C);
  pointers_after::layernorm_backward(dx_after.data(), dgamma_after.data(), dbeta_after.data(), dy.data(),
                                     x.data(), gamma.data(), moments.data(), B, T, C);
  compare("pointers, dinp", dx.data(), dx_after.data(), dx.size());
  compare("pointers, dweight", dgamma.data(), dgamma_after.data(), C);
  compare("pointers, dbias", dbeta.data(), dbeta_after.data(), C);

  compare("expressions", expressions_before(x, gamma, beta).data(), expressions_after(x, gamma, beta).data(),
          x.size());

  Eigen::ThreadPool pool(2);
  const Eigen::ThreadPoolDevice device(&pool, 2);
  const Rows<const float> x_rows(x.data(), B * T, C);
  const Learned<const float> learned(gamma.data(), C);
  RmsNormBefore<Eigen::ThreadPoolDevice, float>()(device, x_rows, learned, {y.data(), B * T, C});
  RmsNormAfter<Eigen::ThreadPoolDevice, float>()(device, x_rows, learned, {y_after.data(), B * T, C});
  compare("functor with a device", y.data(), y_after.data(), y.size());

  // The module beside the loops; its gradients are added up over two batches.
  LayerNormModule layer(C);
  layer.load_state_dict({{"ln.weight", gamma}, {"ln.bias", beta}}, "ln");
  pointers_before::layernorm_forward(y.data(), mean.data(), rstd.data(), x.data(), gamma.data(), beta.data(),
                                     B, T, C);
  dgamma.setZero();
  for (int batch = 0; batch < 2; ++batch) {
    layer.forward(x, y_after);
    layer.backward(dy, x, dx_after);
    dx.setZero();
    pointers_before::layernorm_backward(dx.data(), dgamma.data(), dbeta.data(), dy.data(), x.data(),
                                        gamma.data(), mean.data(), rstd.data(), B, T, C);
  }
  compare("module, y", y.data(), y_after.data(), y.size());
  compare("module, dx", dx.data(), dx_after.data(), dx.size());
  compare("module, weight_grad", dgamma.data(), layer.weight_grad.data(), C);
  layer.infer(x, y_after);
  compare("module, without gradients", y.data(), y_after.data(), y.size());
  return failures == 0 ? 0 : 1;
}
