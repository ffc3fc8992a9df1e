#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include "python_cuda/dlpack.h"
#include "python_cuda/memory.h"

namespace dsb {
namespace python_cuda {

const int32_t kDeviceType = dlpack::kCpu;
const char* const kDeviceName = "the CPU";

CurrentDevice::CurrentDevice(int) {}
CurrentDevice::~CurrentDevice() = default;

void* allocate(size_t bytes, cuda::Stream) {
  if (bytes == 0) return nullptr;
  void* memory = bytes > SIZE_MAX - 256 ? nullptr : std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (!memory) throw std::runtime_error("no memory for " + std::to_string(bytes) + " bytes; a smaller batch works");
  return memory;
}

void release(void* memory, cuda::Stream) { std::free(memory); }
void release_anywhere(void* memory, int) { std::free(memory); }
void release_in_default(void* memory, int) { std::free(memory); }
void wait(cuda::Stream) {}
void copy_to_host(const void* from, size_t bytes, void* to, cuda::Stream) { std::memcpy(to, from, bytes); }
void order(cuda::Stream, cuda::Stream) {}

}  // namespace python_cuda
}  // namespace dsb
