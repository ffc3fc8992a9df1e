// Pulse2Pulse: the ECG network as one operator, so that a thread takes a group of samples through all of it.
//
// Inputs: noise [N, leads, T], then weight [out, in, taps] and bias [out] of twelve layers, constant. Attributes:
// strides and repetitions, twelve each; padding; slope of the leaky ReLU on the way down. Output: signal, as noise.
#include "ops/pulse2pulse.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/threads.h"
#include "ort/library.h"

namespace dsb {
namespace ort {
namespace {

constexpr size_t kLayers = 12;

// Nothing that a model file says may make the layers' buffers grow out of proportion.
void check_layer(const std::vector<int64_t>& shape, int64_t bias, int64_t stride, int64_t repetition, int64_t padding) {
  if (shape.size() != 3 || bias != shape[0]) throw std::invalid_argument("Pulse2Pulse: weight and bias do not fit");
  if (shape[2] < 1 || shape[2] > 255 || padding < 0 || padding >= shape[2] || stride < 1 || stride > 16 ||
      repetition < 1 || repetition > 16)
    throw std::invalid_argument("Pulse2Pulse: taps, padding, strides or repetitions are out of range");
}

class Kernel {
 public:
  explicit Kernel(const OrtKernelInfo* raw) : network_(layers(Ort::ConstKernelInfo(raw))) {}

  OrtStatusPtr ComputeV2(OrtKernelContext* raw) noexcept {
    try {
      compute(raw);
      return nullptr;
    } catch (const std::exception& error) {
      return Ort::GetApi().CreateStatus(ORT_INVALID_ARGUMENT, error.what());
    }
  }

 private:
  static std::vector<Conv1dLayer> layers(const Ort::ConstKernelInfo& info) {
    const auto strides = info.GetAttributes<int64_t>("strides"),
               repetitions = info.GetAttributes<int64_t>("repetitions");
    const int64_t padding = info.GetAttribute<int64_t>("padding");
    const float slope = info.GetAttribute<float>("slope");
    if (info.GetInputCount() != 1 + 2 * kLayers || strides.size() != kLayers || repetitions.size() != kLayers)
      throw std::invalid_argument("Pulse2Pulse: twelve layers are needed");
    std::vector<std::unique_ptr<Conv1dLayer>> packed(kLayers);
    parallel_for(kLayers, 0, [&](uint64_t task) {  // most of what opening a model costs
      const size_t k = kLayers - 1 - task;
      int constant = 0, also = 0;
      const auto weight = info.GetTensorConstantInput(1 + 2 * k, &constant);
      const auto bias = info.GetTensorConstantInput(2 + 2 * k, &also);
      if (!constant || !also) throw std::invalid_argument("Pulse2Pulse: weights must be constant");
      const auto shape = weight.GetTensorTypeAndShapeInfo().GetShape();
      check_layer(shape, static_cast<int64_t>(bias.GetTensorTypeAndShapeInfo().GetElementCount()), strides[k],
                  repetitions[k], padding);
      Conv1dSpec spec = {shape[1], shape[0], shape[2], padding, strides[k], repetitions[k]};
      spec.activation = k < 6 ? Activation::lrelu : k + 1 < kLayers ? Activation::relu : Activation::tanh;
      spec.slope = slope;
      spec.algorithm = Pulse2PulseNetwork::algorithm(static_cast<int>(k));
      packed[k] = std::make_unique<Conv1dLayer>(spec, weight.GetTensorData<float>(), bias.GetTensorData<float>());
    });
    std::vector<Conv1dLayer> made;
    for (auto& layer : packed) made.push_back(std::move(*layer));
    return made;
  }

  struct Job {
    const Pulse2PulseNetwork* network;
    const float* noise;
    int64_t count, length, workers;
    float* signal;
    std::mutex mutex;
    std::exception_ptr error;  // of a part; an exception must not cross ONNX Runtime's C functions
  };

  void compute(OrtKernelContext* raw) const {
    const Ort::KernelContext context(raw);
    const auto noise = context.GetInput(0);
    const std::vector<int64_t> shape = noise.GetTensorTypeAndShapeInfo().GetShape();
    if (shape.size() != 3 || shape[1] != network_.leads())
      throw std::invalid_argument("Pulse2Pulse: noise must be [N, " + std::to_string(network_.leads()) + ", T]");
    network_.check(shape[2]);
    auto signal = context.GetOutput(0, shape);
    const int64_t workers = std::min<int64_t>(hardware_threads(), network_.groups(shape[0]));
    if (workers == 0) return;
    Job job;
    job.network = &network_;
    job.noise = noise.GetTensorData<float>();
    job.count = shape[0], job.length = shape[2], job.workers = workers;
    job.signal = signal.GetTensorMutableData<float>();
    // ONNX Runtime's own threads, as many as the session was given; with one it calls the parts one after the other.
    context.ParallelFor(
        [](void* data, size_t worker) {
          Job& j = *static_cast<Job*>(data);
          try {
            j.network->run_part(j.noise, j.count, j.length, static_cast<int64_t>(worker), j.workers, j.signal);
          } catch (...) {
            const std::lock_guard<std::mutex> lock(j.mutex);
            j.error = std::current_exception();
          }
        },
        static_cast<size_t>(workers), static_cast<size_t>(workers), &job);
    if (job.error) std::rethrow_exception(job.error);
  }

  Pulse2PulseNetwork network_;
};

struct Op : Ort::CustomOpBase<Op, Kernel, true> {
  Op() { OrtCustomOp::version = kApiVersion; }

  OrtStatusPtr CreateKernelV2(const OrtApi& api, const OrtKernelInfo* info, void** kernel) const noexcept {
    try {
      *kernel = new Kernel(info);
      return nullptr;
    } catch (const std::exception& error) {
      return api.CreateStatus(ORT_INVALID_ARGUMENT, error.what());
    }
  }
  const char* GetName() const { return "Pulse2Pulse"; }
  const char* GetExecutionProviderType() const { return "CPUExecutionProvider"; }
  size_t GetInputTypeCount() const { return 2; }
  ONNXTensorElementDataType GetInputType(size_t) const { return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT; }
  OrtCustomOpInputOutputCharacteristic GetInputCharacteristic(size_t index) const {
    return index == 0 ? INPUT_OUTPUT_REQUIRED : INPUT_OUTPUT_VARIADIC;
  }
  int GetVariadicInputMinArity() const { return 2 * static_cast<int>(kLayers); }
  size_t GetOutputTypeCount() const { return 1; }
  ONNXTensorElementDataType GetOutputType(size_t) const { return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT; }
  static Ort::Status InferOutputShape(Ort::ShapeInferContext& context) {
    return context.SetOutputShape(0, context.GetInputShape(0));
  }
};

}  // namespace

const OrtCustomOp* pulse2pulse_op() {
  static const Op op;
  return &op;
}

}  // namespace ort
}  // namespace dsb
