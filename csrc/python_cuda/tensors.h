// Arrays of any library in, through DLPack, and out.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <vector>

#include "cuda/view.h"
#include "python_cuda/dlpack.h"
#include "python_cuda/memory.h"

namespace dsb {
namespace python_cuda {

// Another library's array, kept alive while this lives. Needs the interpreter lock to be made and to go.
class Tensor {
 public:
  // Throws pybind11::value_error, naming `name`, for what is no array on this build's device, or not of the device
  // `like` is on; `stream` is what will read it.
  Tensor(const char* name, const pybind11::object& array, cuda::Stream stream, const Tensor* like = nullptr);

  int device() const { return tensor_->device.id; }
  dlpack::DataType type() const { return tensor_->type; }
  std::vector<int64_t> shape() const { return {tensor_->shape, tensor_->shape + tensor_->ndim}; }
  std::vector<int64_t> steps() const;
  int64_t size() const;
  bool read_only() const { return read_only_; }
  void* data() const { return static_cast<char*>(tensor_->data) + tensor_->byte_offset; }

  // float32, float16 or bfloat16. Throws pybind11::value_error.
  cuda::Type float_type() const;

  // The array with these axes, which its own fill from the front: [N, C] is [N, C, 1, 1]. Throws.
  cuda::View view() const;

  // The address of what is dense in C order and of that type. Throws for anything else.
  void* dense(dlpack::DataType needed) const;

  [[noreturn]] void refuse(const std::string& what) const;

 private:
  std::string name_;
  std::shared_ptr<void> owner_;
  const dlpack::Tensor* tensor_ = nullptr;
  bool read_only_ = false;
};

// An array of ours, which other libraries take through DLPack.
class Array {
 public:
  // Of the current device, in the stream's order.
  Array(dlpack::DataType type, std::vector<int64_t> shape, std::vector<int64_t> steps, int device, cuda::Stream stream);

  const std::vector<int64_t>& shape() const { return shape_; }
  void* data() const { return memory_.get(); }
  std::string type_name() const;
  std::pair<int32_t, int32_t> device() const { return {kDeviceType, device_}; }
  pybind11::capsule capsule(const pybind11::object& stream, const pybind11::object& max_version) const;

 private:
  std::shared_ptr<bool> elsewhere_;  // whether another stream may use the memory
  std::shared_ptr<void> memory_;
  dlpack::DataType type_;
  std::vector<int64_t> shape_, steps_;
  int device_;
  cuda::Stream stream_;
};

// A result: an array of the caller's, or a new one.
class Output {
 public:
  // Throws where `out`, if not None, is of another type or shape, or on another device than `like`. `steps`, of four
  // axes, says how a new one lies; empty: C order.
  Output(const pybind11::object& out, dlpack::DataType type, const std::vector<int64_t>& shape,
         const std::vector<int64_t>& steps, const Tensor& like, cuda::Stream stream);

  const pybind11::object& object() const { return object_; }
  const Tensor& tensor() const { return *tensor_; }

 private:
  pybind11::object object_;
  std::unique_ptr<Tensor> tensor_;
};

dlpack::DataType type_of(cuda::Type type);
constexpr dlpack::DataType kInt16 = {dlpack::kInt, 16, 1}, kUInt8 = {dlpack::kUInt, 8, 1},
                           kFloat32 = {dlpack::kFloat, 32, 1};

cuda::Stream stream_of(uint64_t stream);

// Runs what needs no interpreter without its lock.
template <typename Work>
void without_lock(const Work& work) {
  const pybind11::gil_scoped_release release;
  work();
}

void bind_array(pybind11::module_& module);
void bind_conv(pybind11::module_& module);
void bind_ops(pybind11::module_& module);
void bind_random(pybind11::module_& module);

}  // namespace python_cuda
}  // namespace dsb
