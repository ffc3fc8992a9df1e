#include <cuda_runtime_api.h>

#include <map>
#include <mutex>
#include <stdexcept>
#include <string>

#include "python_cuda/dlpack.h"
#include "python_cuda/memory.h"

namespace dsb {
namespace python_cuda {
namespace {

void check(cudaError_t status, const std::string& what) {
  if (status != cudaSuccess) throw std::runtime_error(what + ": " + cudaGetErrorString(status));
}

cudaStream_t stream_of(cuda::Stream stream) { return static_cast<cudaStream_t>(stream); }

// A pool of our own on each device: it keeps what it was given back, up to a limit, and changes nobody else's.
cudaMemPool_t pool() {
  static std::mutex mutex;
  static std::map<int, cudaMemPool_t> pools;
  int device = 0;
  check(cudaGetDevice(&device), "the current CUDA device is not known");
  const std::lock_guard<std::mutex> lock(mutex);
  const auto found = pools.find(device);
  if (found != pools.end()) return found->second;
  cudaMemPoolProps props = {};
  props.allocType = cudaMemAllocationTypePinned;
  props.location.type = cudaMemLocationTypeDevice;
  props.location.id = device;
  cudaMemPool_t made;
  check(cudaMemPoolCreate(&made, &props), "CUDA memory pools do not work on this device");
  uint64_t keep = uint64_t{256} << 20;
  check(cudaMemPoolSetAttribute(made, cudaMemPoolAttrReleaseThreshold, &keep), "a CUDA memory pool has no limit");
  return pools[device] = made;
}

template <typename Work>
void on_device(int device, const Work& work) {
  int before = 0;
  cudaGetDevice(&before);
  cudaSetDevice(device);
  work();
  cudaSetDevice(before);
}

}  // namespace

const int32_t kDeviceType = dlpack::kCuda;
const char* const kDeviceName = "a CUDA device";

CurrentDevice::CurrentDevice(int device) {
  check(cudaGetDevice(&before_), "CUDA does not start");
  if (device != before_ && cudaSetDevice(device) != cudaSuccess) {
    cudaGetLastError();
    throw std::invalid_argument("CUDA device " + std::to_string(device) + " is not there");
  }
}

CurrentDevice::~CurrentDevice() { cudaSetDevice(before_); }

void* allocate(size_t bytes, cuda::Stream stream) {
  if (bytes == 0) return nullptr;
  void* memory = nullptr;
  if (cudaMallocFromPoolAsync(&memory, bytes, pool(), stream_of(stream)) != cudaSuccess) {
    cudaGetLastError();
    throw std::runtime_error("no memory on the device for " + std::to_string(bytes) + " bytes; a smaller batch works");
  }
  return memory;
}

void release(void* memory, cuda::Stream stream) {
  if (memory) cudaFreeAsync(memory, stream_of(stream));
}

void release_anywhere(void* memory, int device) {
  on_device(device, [memory] {
    cudaDeviceSynchronize();  // of memory from a pool cudaFree takes for granted that nobody uses it
    cudaFree(memory);
  });
}

void release_in_default(void* memory, int device) {
  on_device(device, [memory] {
    if (memory) cudaFreeAsync(memory, nullptr);
  });
}

void wait(cuda::Stream stream) { check(cudaStreamSynchronize(stream_of(stream)), "the work on the device failed"); }

void copy_to_host(const void* from, size_t bytes, void* to, cuda::Stream stream) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_of(stream)), "a copy to the host failed");
  wait(stream);
}

void order(cuda::Stream before, cuda::Stream after) {
  if (before == after) return;
  cudaEvent_t event;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "CUDA makes no event");
  const cudaError_t recorded = cudaEventRecord(event, stream_of(before));
  const cudaError_t waiting = recorded != cudaSuccess ? recorded : cudaStreamWaitEvent(stream_of(after), event, 0);
  cudaEventDestroy(event);
  check(waiting, "a CUDA stream does not wait for another");
}

}  // namespace python_cuda
}  // namespace dsb
