// oneDNN's layer normalization on row-major memory: forward for training, with scale and shift, and backward.
// Version 2 has no RMSNorm, and version 3 another interface.
#include <dlfcn.h>

#include <oneapi/dnnl/dnnl.hpp>
#include <stdexcept>

#include "peer.hpp"

namespace {

using namespace accuracy;
using dnnl::memory;
using Layout = memory::format_tag;

const auto flags = dnnl::normalization_flags::use_scale | dnnl::normalization_flags::use_shift;

// oneDNN takes the thread count of the OpenMP that it is linked with, which need not be this compiler's.
void use_one_thread() {
  void* const found = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
  if (!found) throw std::runtime_error("oneDNN: no OpenMP whose threads could be set to one");
  reinterpret_cast<void (*)(int)>(found)(1);
}

class LayerNorm {
 public:
  explicit LayerNorm(const Problem& p) : p_(p) {
    use_one_thread();
    forward_ = {{dnnl::prop_kind::forward_training, rows_, statistics_, p.epsilon, flags}, engine_};
  }

  void forward(float* y) {
    run(dnnl::layer_normalization_forward(forward_), {{DNNL_ARG_SRC, view(rows_, p_.x)},
                                                      {DNNL_ARG_SCALE, view(columns_, p_.gamma)},
                                                      {DNNL_ARG_SHIFT, view(columns_, p_.beta)},
                                                      {DNNL_ARG_MEAN, mean_},
                                                      {DNNL_ARG_VARIANCE, variance_},
                                                      {DNNL_ARG_DST, memory(rows_, engine_, y)}});
  }

  // After forward.
  void backward(const Gradients& out) {
    const dnnl::layer_normalization_backward::primitive_desc description(
        {dnnl::prop_kind::backward, rows_, rows_, statistics_, p_.epsilon, flags}, engine_, forward_);
    run(dnnl::layer_normalization_backward(description),
        {{DNNL_ARG_SRC, view(rows_, p_.x)},
         {DNNL_ARG_DIFF_DST, view(rows_, p_.dy)},
         {DNNL_ARG_SCALE, view(columns_, p_.gamma)},
         {DNNL_ARG_SHIFT, view(columns_, p_.beta)},
         {DNNL_ARG_MEAN, mean_},
         {DNNL_ARG_VARIANCE, variance_},
         {DNNL_ARG_DIFF_SRC, memory(rows_, engine_, out.dx)},
         {DNNL_ARG_DIFF_SCALE, memory(columns_, engine_, out.dgamma)},
         {DNNL_ARG_DIFF_SHIFT, memory(columns_, engine_, out.dbeta)}});
  }

 private:
  // oneDNN's memory has no const elements; it writes none of its inputs.
  memory view(const memory::desc& layout, const std::vector<float>& values) const {
    return memory(layout, engine_, const_cast<float*>(values.data()));
  }
  void run(const dnnl::primitive& primitive, const std::unordered_map<int, memory>& operands) {
    primitive.execute(stream_, operands);
    stream_.wait();
  }

  const Problem& p_;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  memory::desc rows_{{p_.rows, p_.hidden}, memory::data_type::f32, Layout::ab};
  memory::desc statistics_{{p_.rows}, memory::data_type::f32, Layout::a};
  memory::desc columns_{{p_.hidden}, memory::data_type::f32, Layout::a};
  memory mean_{statistics_, engine_}, variance_{statistics_, engine_};
  dnnl::layer_normalization_forward::primitive_desc forward_;
};

void forward(const Problem& p, float* y) { LayerNorm(p).forward(y); }

void backward(const Problem& p, const Gradients& out) {
  LayerNorm norm(p);
  norm.forward(out.dx);  // y is nobody's: dx is written next
  norm.backward(out);
}

std::string version() {
  const dnnl::version_t& v = *dnnl_version();
  return std::to_string(v.major) + "." + std::to_string(v.minor) + "." + std::to_string(v.patch);
}
const Listed listed({"oneDNN " + version(), Norm::layer, forward, backward});

}  // namespace
