#include "python_cuda/tensors.h"

#include <functional>
#include <numeric>
#include <stdexcept>

namespace py = pybind11;

namespace dsb {
namespace python_cuda {
namespace {

// __dlpack__ of libraries that know DLPack 1 and of those that don't.
py::object capsule_of(const char* name, const py::object& array, cuda::Stream stream) {
  if (!py::hasattr(array, "__dlpack__"))
    throw py::value_error(std::string(name) + " is " + std::string(py::str(py::type::of(array).attr("__name__"))) +
                          ", which has no __dlpack__; it needs an array on " + kDeviceName);
  const auto number = reinterpret_cast<uintptr_t>(stream);
  // 1 is the legacy default stream. Host arrays have none.
  const py::object consumer = kDeviceType == dlpack::kCuda ? py::object(py::int_(number ? number : 1)) : py::none();
  const py::object produce = array.attr("__dlpack__");
  try {
    return produce(py::arg("stream") = consumer,
                   py::arg("max_version") = py::make_tuple(dlpack::kMajor, dlpack::kMinor));
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_TypeError)) throw;
  }
  return produce(py::arg("stream") = consumer);
}

// Whoever renames a capsule owns what is in it.
template <typename M>
std::shared_ptr<void> take_over(const py::object& capsule, const char* name, M* managed) {
  PyCapsule_SetName(capsule.ptr(), name);
  return {managed, [](void* taken) {
            auto* m = static_cast<M*>(taken);
            if (m->deleter) m->deleter(m);
          }};
}

std::string text(const std::vector<int64_t>& shape) {
  std::string out = "[";
  for (const int64_t size : shape) out += (out.size() > 1 ? ", " : "") + std::to_string(size);
  return out + "]";
}

std::string name_of(dlpack::DataType type) {
  const char* kinds[] = {"int", "uint", "float", "opaque", "bfloat", "complex", "bool"};
  const std::string kind = type.code < 7 ? kinds[type.code] : "type " + std::to_string(type.code) + " of bits ";
  return kind + std::to_string(type.bits) + (type.lanes == 1 ? "" : " in lanes");
}

std::vector<int64_t> c_order(const std::vector<int64_t>& shape) {
  std::vector<int64_t> steps(shape.size());
  int64_t step = 1;
  for (size_t axis = shape.size(); axis-- > 0; step *= shape[axis]) steps[axis] = step;
  return steps;
}

}  // namespace

Tensor::Tensor(const char* name, const py::object& array, cuda::Stream stream, const Tensor* like) : name_(name) {
  const py::object capsule = capsule_of(name, array, stream);
  if (PyCapsule_IsValid(capsule.ptr(), "dltensor_versioned")) {
    auto* taken = static_cast<dlpack::ManagedVersioned*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor_versioned"));
    if (taken->major != dlpack::kMajor) refuse("comes in DLPack " + std::to_string(taken->major) + ", needs 1");
    tensor_ = &taken->tensor, read_only_ = (taken->flags & dlpack::kReadOnly) != 0;
    owner_ = take_over(capsule, "used_dltensor_versioned", taken);
  } else if (PyCapsule_IsValid(capsule.ptr(), "dltensor")) {
    auto* taken = static_cast<dlpack::Managed*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor"));
    tensor_ = &taken->tensor;
    owner_ = take_over(capsule, "used_dltensor", taken);
  } else {
    refuse("gives no DLPack capsule");
  }
  const dlpack::Device device = tensor_->device;
  if (device.type != kDeviceType)
    refuse("is on a device of DLPack's type " + std::to_string(device.type) + ", needs " + kDeviceName);
  if (like && device.id != like->device())
    refuse("is on device " + std::to_string(device.id) + " and x on " + std::to_string(like->device()) +
           "; they need the same");
}

void Tensor::refuse(const std::string& what) const { throw py::value_error(name_ + " " + what); }

std::vector<int64_t> Tensor::steps() const {
  return tensor_->strides ? std::vector<int64_t>(tensor_->strides, tensor_->strides + tensor_->ndim) : c_order(shape());
}

int64_t Tensor::size() const {
  const std::vector<int64_t> sizes = shape();
  return std::accumulate(sizes.begin(), sizes.end(), int64_t{1}, std::multiplies<int64_t>());
}

cuda::Type Tensor::float_type() const {
  const dlpack::DataType t = type();
  if (t.lanes == 1 && t.code == dlpack::kFloat && t.bits == 32) return cuda::Type::float32;
  if (t.lanes == 1 && t.code == dlpack::kFloat && t.bits == 16) return cuda::Type::float16;
  if (t.lanes == 1 && t.code == dlpack::kBfloat && t.bits == 16) return cuda::Type::bfloat16;
  refuse("is " + name_of(t) + ", needs float32, float16 or bfloat16");
}

cuda::View Tensor::view() const {
  std::vector<int64_t> sizes = shape(), distances = steps();
  if (sizes.size() > 4) refuse("is " + text(sizes) + ", needs at most four dimensions");
  sizes.resize(4, 1), distances.resize(4, 0);
  cuda::View view;
  view.array = {data(), float_type()};
  view.shape = {sizes[0], sizes[1], sizes[2], sizes[3]};
  view.steps = {distances[0], distances[2], distances[3], distances[1]};
  return view;
}

void* Tensor::dense(dlpack::DataType needed) const {
  const dlpack::DataType t = type();
  if (t.code != needed.code || t.bits != needed.bits || t.lanes != needed.lanes)
    refuse("is " + name_of(t) + ", needs " + name_of(needed));
  const std::vector<int64_t> sizes = shape(), distances = steps(), dense = c_order(sizes);
  for (size_t axis = 0; axis < sizes.size(); ++axis)
    if (size() != 0 && sizes[axis] != 1 && distances[axis] != dense[axis])
      refuse("has gaps or another order; it needs C order");
  return data();
}

Array::Array(dlpack::DataType type, std::vector<int64_t> shape, std::vector<int64_t> steps, int device,
             cuda::Stream stream)
    : type_(type), shape_(std::move(shape)), steps_(std::move(steps)), device_(device), stream_(stream) {
  if (steps_.empty()) steps_ = c_order(shape_);
  size_t bytes = type.bits / 8;
  for (const int64_t size : shape_)
    if (__builtin_mul_overflow(bytes, static_cast<size_t>(size), &bytes))
      throw std::runtime_error("an array of " + text(shape_) + " is larger than any memory");
  // Any stream but the default one may be gone by then.
  elsewhere_ = std::make_shared<bool>(stream != nullptr);
  const auto release = [device, elsewhere = elsewhere_](void* memory) {
    *elsewhere ? release_anywhere(memory, device) : release_in_default(memory, device);
  };
  memory_.reset(allocate(bytes, stream), release);
}

std::string Array::type_name() const { return type_.code == dlpack::kBfloat ? "bfloat16" : name_of(type_); }

namespace {

// What a capsule of ours keeps alive.
struct Lent {
  std::shared_ptr<void> memory;
  std::vector<int64_t> shape, steps;
  dlpack::Managed managed;
  dlpack::ManagedVersioned versioned;
};

template <typename M>
void delete_lent(M* managed) {
  delete static_cast<Lent*>(managed->context);
}

// A capsule that nobody took over gives its array back.
template <typename M>
void delete_capsule(PyObject* capsule) {
  const char* name = PyCapsule_GetName(capsule);
  if (!name || std::string(name).rfind("used_", 0) == 0) return;
  auto* managed = static_cast<M*>(PyCapsule_GetPointer(capsule, name));
  managed->deleter(managed);
}

}  // namespace

py::capsule Array::capsule(const py::object& stream, const py::object& max_version) const {
  const int64_t consumer = stream.is_none() ? 1 : stream.cast<int64_t>();
  if (consumer == -1) {  // who asks so sees to the order itself
    *elsewhere_ = true;
  } else if (const cuda::Stream reader = stream_of(consumer == 1 ? 0 : static_cast<uint64_t>(consumer));
             reader != stream_) {
    const CurrentDevice current(device_);
    order(stream_, reader);
    *elsewhere_ = true;
  }
  const bool versioned = !max_version.is_none() && max_version.cast<std::pair<uint32_t, uint32_t>>().first >= 1;
  auto lent = std::make_unique<Lent>(Lent{memory_, shape_, steps_, {}, {}});
  const dlpack::Tensor tensor = {memory_.get(),
                                 {kDeviceType, device_},
                                 static_cast<int32_t>(shape_.size()),
                                 type_,
                                 lent->shape.data(),
                                 lent->steps.data(),
                                 0};
  lent->managed = {tensor, lent.get(), &delete_lent<dlpack::Managed>};
  lent->versioned = {dlpack::kMajor, dlpack::kMinor, lent.get(), &delete_lent<dlpack::ManagedVersioned>, 0, tensor};
  PyObject* made =
      versioned ? PyCapsule_New(&lent->versioned, "dltensor_versioned", &delete_capsule<dlpack::ManagedVersioned>)
                : PyCapsule_New(&lent->managed, "dltensor", &delete_capsule<dlpack::Managed>);
  if (!made) throw py::error_already_set();
  lent.release();
  return py::reinterpret_steal<py::capsule>(made);
}

Output::Output(const py::object& out, dlpack::DataType type, const std::vector<int64_t>& shape,
               const std::vector<int64_t>& steps, const Tensor& like, cuda::Stream stream) {
  object_ = out.is_none() ? py::cast(Array(type, shape, steps, like.device(), stream)) : out;
  tensor_ = std::make_unique<Tensor>("out", object_, stream, &like);
  if (tensor_->read_only()) tensor_->refuse("can't be written");
  const dlpack::DataType t = tensor_->type();
  if (t.code != type.code || t.bits != type.bits || t.lanes != type.lanes)
    tensor_->refuse("is " + name_of(t) + ", the result " + name_of(type));
  if (tensor_->shape() != shape) tensor_->refuse("is " + text(tensor_->shape()) + ", the result " + text(shape));
}

dlpack::DataType type_of(cuda::Type type) {
  if (type == cuda::Type::bfloat16) return {dlpack::kBfloat, 16, 1};
  return {dlpack::kFloat, static_cast<uint8_t>(type == cuda::Type::float32 ? 32 : 16), 1};
}

cuda::Stream stream_of(uint64_t stream) { return reinterpret_cast<cuda::Stream>(static_cast<uintptr_t>(stream)); }

void bind_array(py::module_& module) {
  py::class_<Array>(module, "Array", "An array on the device; other libraries take it with their from_dlpack.")
      .def_property_readonly("shape", [](const Array& a) { return py::tuple(py::cast(a.shape())); })
      .def_property_readonly("ndim", [](const Array& a) { return a.shape().size(); })
      .def_property_readonly("dtype", &Array::type_name, "The name of its type: float32, int16, ...")
      .def("__dlpack_device__", &Array::device)
      .def(
          "__dlpack__",
          [](const Array& a, const py::object& stream, const py::object& max_version, const py::object& dl_device,
             const py::object& copy) {
            if (!dl_device.is_none() && dl_device.cast<std::pair<int32_t, int32_t>>() != a.device())
              throw py::buffer_error("the array is not copied to another device");
            if (!copy.is_none() && copy.cast<bool>()) throw py::buffer_error("the array is not copied");
            return a.capsule(stream, max_version);
          },
          py::kw_only(), py::arg("stream") = py::none(), py::arg("max_version") = py::none(),
          py::arg("dl_device") = py::none(), py::arg("copy") = py::none());
}

}  // namespace python_cuda
}  // namespace dsb
