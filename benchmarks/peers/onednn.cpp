// oneDNN's layer normalization on row-major memory, with scale and shift: forward for inference and for
// training, and backward. Version 2 has no RMSNorm, and version 3 another interface. Of bfloat16, all but the rows is float.
#include <dlfcn.h>

#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <stdexcept>
#include <unordered_map>

#include "peer.hpp"

namespace {

using namespace bench;
using dnnl::memory;
using Layout = memory::format_tag;
using Forward = dnnl::layer_normalization_forward;
using Backward = dnnl::layer_normalization_backward;

const auto flags = dnnl::normalization_flags::use_scale | dnnl::normalization_flags::use_shift;

// oneDNN takes the thread count of the OpenMP that it is linked with, which need not be this compiler's.
void set_threads() {
  void* const found = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
  if (!found) throw std::runtime_error("oneDNN: no OpenMP whose threads could be set");
  reinterpret_cast<void (*)(int)>(found)(peer_threads());
}

// Primitives and memory objects are made once. A program that uses oneDNN waits for its stream before it reads.
class LayerNorm {
 public:
  LayerNorm(const View& v, dnnl::prop_kind kind, Type type) : v_(v), kind_(kind), type_(type) {
    set_threads();
    try {
      description_ = {{kind, rows_, statistics_, v.epsilon, flags}, engine_};
    } catch (const dnnl::error& error) {
      if (error.status == dnnl_unimplemented) throw Unsupported("oneDNN has no bf16 on this processor");
      throw;
    }
  }

  Call forward(void* y) {
    std::unordered_map<int, memory> operands = {{DNNL_ARG_SRC, view(rows_, v_.stored.x)},
                                                {DNNL_ARG_SCALE, view(columns_, v_.gamma)},
                                                {DNNL_ARG_SHIFT, view(columns_, v_.beta)},
                                                {DNNL_ARG_DST, memory(rows_, engine_, y)}};
    if (kind_ == dnnl::prop_kind::forward_training) {
      operands[DNNL_ARG_MEAN] = mean_;
      operands[DNNL_ARG_VARIANCE] = variance_;
    }
    return ready(Forward(description_), operands);
  }

  // After forward for training.
  Call backward() {
    const Backward::primitive_desc description(
        {dnnl::prop_kind::backward, rows_, rows_, statistics_, v_.epsilon, flags}, engine_, description_);
    return ready(Backward(description), {{DNNL_ARG_SRC, view(rows_, v_.stored.x)},
                                         {DNNL_ARG_DIFF_DST, view(rows_, v_.stored.dy)},
                                         {DNNL_ARG_SCALE, view(columns_, v_.gamma)},
                                         {DNNL_ARG_SHIFT, view(columns_, v_.beta)},
                                         {DNNL_ARG_MEAN, mean_},
                                         {DNNL_ARG_VARIANCE, variance_},
                                         {DNNL_ARG_DIFF_SRC, memory(rows_, engine_, v_.stored.dx)},
                                         {DNNL_ARG_DIFF_SCALE, memory(columns_, engine_, v_.dgamma)},
                                         {DNNL_ARG_DIFF_SHIFT, memory(columns_, engine_, v_.dbeta)}});
  }

 private:
  // oneDNN's memory has no const elements; it writes none of its inputs.
  memory view(const memory::desc& layout, const void* values) const {
    return memory(layout, engine_, const_cast<void*>(values));
  }
  Call ready(const dnnl::primitive& primitive, const std::unordered_map<int, memory>& operands) const {
    return call([primitive, operands, stream = stream_]() mutable {
      primitive.execute(stream, operands);
      stream.wait();
    });
  }

  View v_;
  dnnl::prop_kind kind_;
  Type type_;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  memory::desc rows_{{v_.rows, v_.hidden},
                     type_ == Type::float32 ? memory::data_type::f32 : memory::data_type::bf16,
                     Layout::ab};
  memory::desc statistics_{{v_.rows}, memory::data_type::f32, Layout::a};
  memory::desc columns_{{v_.hidden}, memory::data_type::f32, Layout::a};
  memory mean_{statistics_, engine_}, variance_{statistics_, engine_};
  Forward::primitive_desc description_;
};

template <Type type> Call inference(const View& v) {
  return LayerNorm(v, dnnl::prop_kind::forward_inference, type).forward(v.stored.y);
}
template <Type type> Call training(const View& v) {
  return LayerNorm(v, dnnl::prop_kind::forward_training, type).forward(v.stored.y);
}
template <Type type> Call backward(const View& v) {
  LayerNorm norm(v, dnnl::prop_kind::forward_training, type);
  norm.forward(v.stored.dx).repeated(1);  // y is nobody's: dx is written next
  return norm.backward();
}

std::string version() {
  const dnnl::version_t& v = *dnnl_version();
  return std::to_string(v.major) + "." + std::to_string(v.minor) + "." + std::to_string(v.patch);
}
const Listed listed[] = {
    Listed({"oneDNN", version(), "", Norm::layer, Pass::forward, inference<Type::float32>}),
    Listed({"oneDNN", version(), "training", Norm::layer, Pass::forward, training<Type::float32>}),
    Listed({"oneDNN", version(), "", Norm::layer, Pass::backward, backward<Type::float32>}),
    Listed({"oneDNN", version(), "", Norm::layer, Pass::forward, inference<Type::bfloat16>, Type::bfloat16}),
    Listed({"oneDNN", version(), "training", Norm::layer, Pass::forward, training<Type::bfloat16>,
            Type::bfloat16}),
    Listed({"oneDNN", version(), "", Norm::layer, Pass::backward, backward<Type::bfloat16>, Type::bfloat16}),
};

}  // namespace
