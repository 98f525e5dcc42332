// Calls, each inside counted(), so that a profiler can count the instructions of one after another. Prints their names in that
// order.
#include <simdnorm/pointers.hpp>
#include <simdnorm/simdnorm.hpp>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

namespace {

using simdnorm::Index;
using simdnorm::RowShape;

template <class T> simdnorm::BFloat16 upper_half(T value) {
  const float number = static_cast<float>(value);
  std::uint32_t bits;
  std::memcpy(&bits, &number, sizeof bits);
  return {static_cast<std::uint16_t>(bits >> 16)};
}

// The operands of both norms.
template <class T> struct Operands {
  RowShape shape;
  std::vector<T> x, dy, y, gamma, beta, dgamma, dbeta;
  std::vector<simdnorm::RowMoments<T>> moments;
  std::vector<simdnorm::BFloat16> narrow_x, narrow_dy, narrow_y;
  std::vector<std::int8_t> codes;
  std::vector<float> scales;
  std::vector<double> workspace;
  simdnorm::GradientOptions options;

  explicit Operands(RowShape of) : shape(of) {
    const auto size = [](Index n) { return static_cast<std::size_t>(n); };
    for (std::vector<T>* rows : {&x, &dy, &y}) rows->resize(size(shape.rows * shape.hidden));
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] = static_cast<T>(i * 37 % 101) / 64;
      dy[i] = static_cast<T>(i * 23 % 89) / 64;
    }
    for (const T value : x) narrow_x.push_back(upper_half(value));
    for (const T value : dy) narrow_dy.push_back(upper_half(value));
    narrow_y = narrow_x;
    codes.resize(x.size());
    scales.resize(size(shape.rows));
    for (std::vector<T>* columns : {&gamma, &beta, &dgamma, &dbeta})
      columns->assign(size(shape.hidden), T(1));
    moments.resize(size(shape.rows));
    workspace.resize(size(simdnorm::gradient_workspace_bytes<T>(shape)) / sizeof(double));
    options.workspace = workspace.data();
    for (simdnorm::RowMoments<T>& row : moments) row = {T(0.8), T(0), T(2), T(1)};  // near those of x
  }
};

struct LayerNormForward {
  template <class T> void operator()(Operands<T>& p) const {
    layer_norm_forward(p.shape, p.x.data(), p.gamma.data(), p.beta.data(), T(1e-5), p.y.data(),
                       p.moments.data());
  }
};
struct LayerNormBackward {
  template <class T> void operator()(Operands<T>& p) const {
    layer_norm_backward(p.shape, p.dy.data(), p.x.data(), p.gamma.data(), p.moments.data(), p.y.data(),
                        p.dgamma.data(), p.dbeta.data(), p.options);
  }
};
struct RMSNormForward {
  template <class T> void operator()(Operands<T>& p) const {
    rms_norm_forward(p.shape, p.x.data(), p.gamma.data(), T(1e-5), p.y.data(), p.moments.data());
  }
};
struct RMSNormBackward {
  template <class T> void operator()(Operands<T>& p) const {
    rms_norm_backward(p.shape, p.dy.data(), p.x.data(), p.gamma.data(), p.moments.data(), p.y.data(),
                      p.dgamma.data(), p.options);
  }
};
// Rows of bfloat16, and y in codes.
struct NarrowLayerNormForward {
  void operator()(Operands<float>& p) const {
    layer_norm_forward(p.shape, p.narrow_x.data(), p.gamma.data(), p.beta.data(), 1e-5F, p.narrow_y.data(),
                       p.moments.data());
  }
};
struct NarrowLayerNormBackward {
  void operator()(Operands<float>& p) const {
    layer_norm_backward(p.shape, p.narrow_dy.data(), p.narrow_x.data(), p.gamma.data(), p.moments.data(),
                        p.narrow_y.data(), p.dgamma.data(), p.dbeta.data(), p.options);
  }
};
struct NarrowRMSNormForward {
  void operator()(Operands<float>& p) const {
    rms_norm_forward(p.shape, p.narrow_x.data(), p.gamma.data(), 1e-5F, p.narrow_y.data(), p.moments.data());
  }
};
struct RMSNormForwardToCodes {
  void operator()(Operands<float>& p) const {
    rms_norm_forward(p.shape, p.x.data(), p.gamma.data(), 1e-5F,
                     simdnorm::per_token(p.codes.data(), p.scales.data()));
  }
};
// On Eigen's tensors: what the functors take over the calls on pointers.
template <class T> auto rows_of(RowShape shape, std::vector<T>& rows) {
  return Eigen::TensorMap<Eigen::Tensor<T, 2, Eigen::RowMajor>>(rows.data(), shape.rows, shape.hidden);
}
template <class T> auto norm_of(std::vector<T>& gamma) {
  const Eigen::TensorMap<Eigen::Tensor<T, 1>> vector(gamma.data(), static_cast<Index>(gamma.size()));
  return simdnorm::RMSNorm<T>(vector, T(1e-5));
}
struct FunctorForward {
  template <class T> void operator()(Operands<T>& p) const {
    norm_of(p.gamma).forward(rows_of(p.shape, p.x), rows_of(p.shape, p.y));
  }
};
struct FunctorForwardOfSum {
  template <class T> void operator()(Operands<T>& p) const {
    norm_of(p.gamma).forward(
        simdnorm::residual_sum(rows_of(p.shape, p.x), rows_of(p.shape, p.dy), rows_of(p.shape, p.dy)),
        rows_of(p.shape, p.y));
  }
};

}  // namespace

extern "C" {
void (*call)(void*);
__attribute__((noinline)) void counted(void* operands) { call(operands); }
}

namespace {

// The second call of two, so that what a process does once is not counted.
template <class T, class Call> void count(const char* name, RowShape shape) {
  Operands<T> p(shape);
  Call()(p);
  call = [](void* operands) { Call()(*static_cast<Operands<T>*>(operands)); };
  counted(&p);
  std::printf("%s\n", name);
}

}  // namespace

int main() {
  count<float, LayerNormForward>("layer_norm_forward_1x768", {1, 768});
  count<float, LayerNormForward>("layer_norm_forward_8x1024", {8, 1024});
  count<float, LayerNormForward>("layer_norm_forward_64x768", {64, 768});
  count<float, LayerNormForward>("layer_norm_forward_64x769", {64, 769});
  count<float, LayerNormForward>("layer_norm_forward_512x64", {512, 64});
  count<float, LayerNormForward>("layer_norm_forward_side_by_side_128x256", {128, 256, 128});
  count<double, LayerNormForward>("layer_norm_forward_double_64x768", {64, 768});
  count<float, LayerNormBackward>("layer_norm_backward_1x768", {1, 768});
  count<float, LayerNormBackward>("layer_norm_backward_64x768", {64, 768});
  count<float, RMSNormForward>("rms_norm_forward_64x768", {64, 768});
  count<float, RMSNormForward>("rms_norm_forward_512x128", {512, 128});
  count<float, RMSNormBackward>("rms_norm_backward_64x1024", {64, 1024});
  count<float, NarrowLayerNormForward>("layer_norm_forward_bfloat16_64x768", {64, 768});
  count<float, NarrowLayerNormBackward>("layer_norm_backward_bfloat16_64x768", {64, 768});
  count<float, NarrowRMSNormForward>("rms_norm_forward_bfloat16_64x768", {64, 768});
  count<float, RMSNormForwardToCodes>("rms_norm_forward_per_token_int8_64x768", {64, 768});
  count<float, FunctorForward>("functor_rms_norm_forward_1x64", {1, 64});
  count<float, FunctorForwardOfSum>("functor_rms_norm_forward_of_sum_1x64", {1, 64});
}
