// What every operator shares. A kernel is a class with
//   static constexpr const char* kName, static constexpr Input kInputs[], static constexpr type kOutput,
//   a constructor from Ort::ConstKernelInfo, `void compute(const Ort::KernelContext&) const`, and where the shape of
//   the result can be told before a run, `static void infer(Inference&)`.
// All of them may throw: nothing thrown gets into ONNX Runtime's C functions.
#pragma once

#include <exception>
#include <iterator>
#include <new>
#include <string>
#include <type_traits>

#include "core/threads.h"
#include "ort/inference.h"
#include "ort/library.h"

namespace dsb {
namespace ort {

struct Input {
  ONNXTensorElementDataType type;  // undefined: any; the kernel looks
  OrtCustomOpInputOutputCharacteristic presence = INPUT_OUTPUT_REQUIRED;
  int at_least = 1;  // of a variadic input
};

constexpr ONNXTensorElementDataType kFloat = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;

// The threads of the session; `context` must outlive them.
inline Threads host_threads(const Ort::KernelContext& context) {
  return Threads::of([&context](size_t parts, void (*part)(void*, size_t), void* data) {
    context.ParallelFor(part, parts, parts, data);
  });
}

// One line of plain text: ONNX Runtime's own errors may have several, and a file's words anything.
inline OrtStatusPtr failure(OrtErrorCode code, std::string what) noexcept {
  for (char& c : what)
    if (c < ' ' || c > '~') c = c >= 0 && c < ' ' ? ' ' : '?';
  return Ort::GetApi().CreateStatus(code, what.c_str());
}

template <class Body>
OrtStatusPtr guarded(Body body) noexcept {
  try {
    body();
    return nullptr;
  } catch (const std::bad_alloc&) {
    return Ort::GetApi().CreateStatus(ORT_FAIL, "dsb_fast: out of memory; a smaller batch needs less");
  } catch (const std::exception& error) {
    return failure(ORT_INVALID_ARGUMENT, error.what());
  } catch (...) {
    return Ort::GetApi().CreateStatus(ORT_FAIL, "dsb_fast: an unknown exception");
  }
}

template <class Kernel>
struct Guarded {
  explicit Guarded(const OrtKernelInfo* info) : kernel(Ort::ConstKernelInfo(info)) {}
  OrtStatusPtr ComputeV2(OrtKernelContext* raw) const noexcept {
    return guarded([&] { kernel.compute(Ort::KernelContext(raw)); });
  }
  Kernel kernel;
};

template <class Kernel, class = void>
struct Infers : std::false_type {};
template <class Kernel>
struct Infers<Kernel, std::void_t<decltype(&Kernel::infer)>> : std::true_type {};

template <class Kernel>
struct Operator : Ort::CustomOpBase<Operator<Kernel>, Guarded<Kernel>, true> {
  Operator() {
    OrtCustomOp::version = kApiVersion;
    if constexpr (Infers<Kernel>::value) {
      // ONNX Runtime 1.17 dereferences null before it calls this if an input of the node is left out.
      static_assert(all_required(), "an operator with inputs that may be left out can't infer shapes");
      OrtCustomOp::InferOutputShapeFn = [](const OrtCustomOp*, OrtShapeInferContext* raw) -> OrtStatusPtr {
        OrtStatusPtr status = guarded([&] {
          Inference inference(raw);
          Kernel::infer(inference);
        });
        if (status) Ort::GetApi().ReleaseStatus(status);  // no shape is no error: making the kernel says what is wrong
        return nullptr;
      };
    }
  }

  OrtStatusPtr CreateKernelV2(const OrtApi&, const OrtKernelInfo* info, void** kernel) const noexcept {
    return guarded([&] { *kernel = new Guarded<Kernel>(info); });
  }
  const char* GetName() const { return Kernel::kName; }
  const char* GetExecutionProviderType() const { return "CPUExecutionProvider"; }
  size_t GetInputTypeCount() const { return std::size(Kernel::kInputs); }
  ONNXTensorElementDataType GetInputType(size_t index) const { return Kernel::kInputs[index].type; }
  OrtCustomOpInputOutputCharacteristic GetInputCharacteristic(size_t index) const {
    return Kernel::kInputs[index].presence;
  }
  int GetVariadicInputMinArity() const { return std::end(Kernel::kInputs)[-1].at_least; }
  size_t GetOutputTypeCount() const { return 1; }
  ONNXTensorElementDataType GetOutputType(size_t) const { return Kernel::kOutput; }

 private:
  static constexpr bool all_required() {
    for (const Input& input : Kernel::kInputs)
      if (input.presence != INPUT_OUTPUT_REQUIRED) return false;
    return true;
  }
};

template <class Kernel>
const OrtCustomOp* operator_of() {
  static const Operator<Kernel> made;
  return &made;
}

}  // namespace ort
}  // namespace dsb
