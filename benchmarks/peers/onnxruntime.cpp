// ONNX Runtime's LayerNormalization and SimplifiedLayerNormalization, which is RMSNorm, and SkipLayerNormalization and
// SkipSimplifiedLayerNormalization, which add a residual before: a session with a model of this one node, run on arrays
// of the caller by the C API. It has no backward.
#include <onnxruntime_c_api.h>

#include <array>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "peer.hpp"

namespace {

using namespace bench;

// --- the model, in the binary format of onnx.proto ---

// Fields of one message: number, kind and value.
class Message {
 public:
  Message& number(unsigned field, std::uint64_t value) {
    varint(field << 3);
    return varint(value);
  }
  Message& real(unsigned field, float value) {
    varint(field << 3 | 5);
    std::array<char, 4> bytes;
    std::memcpy(bytes.data(), &value, 4);
    bytes_.append(bytes.data(), 4);
    return *this;
  }
  Message& text(unsigned field, const std::string& value) {
    varint(field << 3 | 2).varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& message(unsigned field, const Message& value) { return text(field, value.bytes_); }
  const std::string& bytes() const { return bytes_; }

 private:
  Message& varint(std::uint64_t value) {
    for (; value >= 128; value >>= 7) bytes_ += static_cast<char>((value & 127) | 128);
    bytes_ += static_cast<char>(value);
    return *this;
  }
  std::string bytes_;
};

constexpr int type_float = 1;  // TensorProto.FLOAT and AttributeProto.FLOAT

// ValueInfoProto of a float tensor.
Message operand(const char* name, const View& v) {
  Message shape;
  for (const Index size : {v.rows, v.hidden})
    shape.message(1, Message().number(1, static_cast<std::uint64_t>(size)));
  return Message().text(1, name).message(
      2, Message().message(1, Message().number(1, type_float).message(2, shape)));
}

// TensorProto: learned parameters are part of a model.
Message parameter(const char* name, const float* values, Index hidden) {
  const auto count = static_cast<std::size_t>(hidden);
  std::string raw(count * 4, '\0');
  std::memcpy(raw.data(), values, count * 4);
  return Message().number(1, count).number(2, type_float).text(8, name).text(9, raw);
}

std::string model(const View& v, Norm norm, Pass pass) {
  const bool residual = pass == Pass::residual;
  const char* const of_microsoft = "com.microsoft";  // the domain of operators that the standard lacks
  Message node;
  node.text(1, "x");
  if (residual) node.text(1, "residual");
  node.text(1, "gamma");
  if (norm == Norm::layer) node.text(1, "beta");
  node.text(2, "y");
  if (residual) node.text(2, "").text(2, "").text(2, "sum");  // two that are not asked for
  const std::string name = norm == Norm::layer ? "LayerNormalization" : "SimplifiedLayerNormalization";
  node.text(4, residual ? "Skip" + name : name);
  node.message(5, Message().text(1, "epsilon").real(2, v.epsilon).number(20, type_float));
  if (residual) node.text(7, of_microsoft);
  Message graph;
  graph.message(1, node).text(2, "norm").message(5, parameter("gamma", v.gamma, v.hidden));
  if (norm == Norm::layer) graph.message(5, parameter("beta", v.beta, v.hidden));
  graph.message(11, operand("x", v));
  if (residual) graph.message(11, operand("residual", v));
  graph.message(12, operand("y", v));
  if (residual) graph.message(12, operand("sum", v));
  constexpr int ir_version = 8, operator_set = 17;
  return Message()
      .number(1, ir_version)
      .message(7, graph)
      .message(8, Message().text(1, "").number(2, operator_set))
      .message(8, Message().text(1, of_microsoft).number(2, 1))
      .bytes();
}

// --- the call ---

const OrtApi& api() {
  static const OrtApi* const found = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  if (!found) throw std::runtime_error("ONNX Runtime: the library is older than its header");
  return *found;
}

void check(OrtStatus* status) {
  if (!status) return;
  const std::string message = api().GetErrorMessage(status);
  api().ReleaseStatus(status);
  throw std::runtime_error("ONNX Runtime: " + message);
}

// made(api().CreateX, api().ReleaseX, arguments of CreateX but the last)
template <class Create, class Object, class... Arguments>
std::shared_ptr<Object> made(Create create, void(ORT_API_CALL* release)(Object*), Arguments... arguments) {
  Object* object = nullptr;
  check(create(arguments..., &object));
  return {object, release};
}

std::shared_ptr<OrtValue> tensor(float* values, const View& v) {
  const auto memory =
      made(api().CreateCpuMemoryInfo, api().ReleaseMemoryInfo, OrtArenaAllocator, OrtMemTypeDefault);
  const std::array<std::int64_t, 2> sizes = {v.rows, v.hidden};
  return made(api().CreateTensorWithDataAsOrtValue, api().ReleaseValue, memory.get(), values,
              static_cast<std::size_t>(v.bytes()), sizes.data(), sizes.size(),
              ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
}

Call forward(const View& v, Norm norm, Pass pass) {
  static const auto environment = made(api().CreateEnv, api().ReleaseEnv, ORT_LOGGING_LEVEL_ERROR, "peers");
  const auto options = made(api().CreateSessionOptions, api().ReleaseSessionOptions);
  check(api().SetIntraOpNumThreads(options.get(), peer_threads()));
  const std::string bytes = model(v, norm, pass);
  const auto session = made(api().CreateSessionFromArray, api().ReleaseSession, environment.get(),
                            bytes.data(), bytes.size(), options.get());
  // Its tensors have no const elements; it does not write its inputs. The outputs are given, and so written in place.
  const auto values = [&](std::initializer_list<const float*> arrays) {
    std::vector<std::shared_ptr<OrtValue>> tensors;
    for (const float* array : arrays) {
      if (array != nullptr) tensors.push_back(tensor(const_cast<float*>(array), v));
    }
    return tensors;
  };
  return call([session, inputs = values({v.x, v.residual}), outputs = values({v.y, v.sum})] {
    const std::array<const char*, 2> from = {"x", "residual"}, to = {"y", "sum"};
    std::array<const OrtValue*, 2> read = {};
    std::array<OrtValue*, 2> written = {};
    for (std::size_t i = 0; i < inputs.size(); ++i) read[i] = inputs[i].get();
    for (std::size_t i = 0; i < outputs.size(); ++i) written[i] = outputs[i].get();
    check(api().Run(session.get(), nullptr, from.data(), read.data(), inputs.size(), to.data(),
                    outputs.size(), written.data()));
  });
}

const std::string version = OrtGetApiBase()->GetVersionString();
Listed listed(Norm norm, Pass pass) {
  return Listed(
      {"ONNX Runtime", version, "", norm, pass, [=](const View& v) { return forward(v, norm, pass); }});
}
const Listed all_listed[] = {listed(Norm::layer, Pass::forward), listed(Norm::rms, Pass::forward),
                             listed(Norm::layer, Pass::residual), listed(Norm::rms, Pass::residual)};

}  // namespace
