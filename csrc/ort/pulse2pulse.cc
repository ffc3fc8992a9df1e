// Pulse2Pulse: the ECG network as one operator, so that a thread takes a group of samples through all of it.
//
// Inputs: noise [N, leads, T], then weight [out, in, taps] and bias [out] of twelve layers, constant. Attributes:
// strides and repetitions, twelve each; padding; slope of the leaky ReLU on the way down. Output: signal, as noise.
#include "ort/pulse2pulse.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/threads.h"
#include "ort/attributes.h"
#include "ort/operator.h"
#include "ort/tensors.h"

namespace dsb {
namespace ort {
namespace {

constexpr size_t kLayers = 12;

thread_local std::shared_ptr<const Pulse2PulseNetwork>* captured = nullptr;

class Pulse2Pulse {
 public:
  static constexpr const char* kName = "Pulse2Pulse";
  static constexpr Input kInputs[] = {{kFloat}, {kFloat, INPUT_OUTPUT_VARIADIC, 2 * static_cast<int>(kLayers)}};
  static constexpr ONNXTensorElementDataType kOutput = kFloat;

  explicit Pulse2Pulse(const Ort::ConstKernelInfo& info)
      : network_(std::make_shared<const Pulse2PulseNetwork>(layers(info))) {
    if (captured) *captured = network_;
  }

  void compute(const Ort::KernelContext& context) const {
    const Tensor noise = input(context, 0);
    const Dimensions& shape = noise.shape;
    if (shape.size() != 3 || shape[1] != network_->leads())
      throw std::invalid_argument("Pulse2Pulse: noise must be [N, " + std::to_string(network_->leads()) + ", T]");
    network_->check(shape[2]);
    auto signal = context.GetOutput(0, shape);
    network_->run(noise.data, shape[0], shape[2], host_threads(context), signal.GetTensorMutableData<float>());
  }

 private:
  // Nothing that a model file says may make the layers' buffers grow out of proportion.
  static std::vector<Conv1dLayer> layers(const Ort::ConstKernelInfo& info) {
    const Attributes attributes(info, kName);
    const Dimensions strides = attributes.integers("strides", kLayers, 1, 16, {}),
                     repetitions = attributes.integers("repetitions", kLayers, 1, 16, {});
    const int64_t padding = attributes.integer("padding", 0, 254, {});
    const float slope = attributes.number("slope", {});
    if (info.GetInputCount() != 1 + 2 * kLayers) throw std::invalid_argument("Pulse2Pulse: twelve layers are needed");
    std::vector<std::unique_ptr<Conv1dLayer>> packed(kLayers);
    parallel_for(kLayers, 0, [&](uint64_t task) {  // most of what opening a model costs
      const size_t k = kLayers - 1 - task;
      const auto weight = constant_input(info, kName, 1 + 2 * k, "weight"),
                 bias = constant_input(info, kName, 2 + 2 * k, "bias");
      if (!weight || !bias || weight->shape.size() != 3 || bias->shape != Dimensions{weight->shape[0]})
        throw std::invalid_argument("Pulse2Pulse: weight and bias do not fit");
      const Dimensions& shape = weight->shape;
      if (shape[2] > 255 || padding >= shape[2])
        throw std::invalid_argument("Pulse2Pulse: taps or padding are out of range");
      Conv1dSpec spec = {shape[1], shape[0], shape[2], padding, strides[k], repetitions[k]};
      spec.activation = k < 6 ? Activation::lrelu : k + 1 < kLayers ? Activation::relu : Activation::tanh;
      spec.slope = slope;
      spec.algorithm = Pulse2PulseNetwork::algorithm(static_cast<int>(k));
      packed[k] = std::make_unique<Conv1dLayer>(spec, weight->data, bias->data);
    });
    std::vector<Conv1dLayer> made;
    for (auto& layer : packed) made.push_back(std::move(*layer));
    return made;
  }

  std::shared_ptr<const Pulse2PulseNetwork> network_;
};

}  // namespace

NetworkCapture::NetworkCapture() { captured = &network_; }
NetworkCapture::~NetworkCapture() { captured = nullptr; }

const OrtCustomOp* pulse2pulse_op() { return operator_of<Pulse2Pulse>(); }

}  // namespace ort
}  // namespace dsb
