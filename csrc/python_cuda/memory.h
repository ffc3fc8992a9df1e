// Memory and devices: CUDA's, or in the host build the processor's, so that the module is tested without a GPU.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/kernels.h"

namespace dsb {
namespace python_cuda {

extern const int32_t kDeviceType;  // DLPack's number of the device that this build works on
extern const char* const kDeviceName;

// Makes a device current while it lives. Throws std::invalid_argument if there is none of that number.
class CurrentDevice {
 public:
  explicit CurrentDevice(int device);
  ~CurrentDevice();
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;

 private:
  int before_ = 0;
};

// Memory of the current device, usable by what is put into the stream from now on; aligned to 256 bytes. Throws
// std::runtime_error if there is not enough. Nothing for 0 bytes.
void* allocate(size_t bytes, cuda::Stream stream);

// Gives memory back once what is in the stream has run.
void release(void* memory, cuda::Stream stream);

// Gives memory back once everything on its device has run; for what other streams may have used. Never throws.
void release_anywhere(void* memory, int device);

// Gives memory back once what is in its device's default stream has run, without waiting for it. Never throws.
void release_in_default(void* memory, int device);

// Waits for what is in the stream.
void wait(cuda::Stream stream);

// Copies to the host and waits for it.
void copy_to_host(const void* from, size_t bytes, void* to, cuda::Stream stream);

// Work put into `after` from now on waits for what `before` has in it.
void order(cuda::Stream before, cuda::Stream after);

// Memory for one call.
class Workspace {
 public:
  Workspace(size_t bytes, cuda::Stream stream) : stream_(stream), memory_(allocate(bytes, stream)) {}
  ~Workspace() { release(memory_, stream_); }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  void* get() const { return memory_; }

 private:
  cuda::Stream stream_;
  void* memory_;
};

}  // namespace python_cuda
}  // namespace dsb
