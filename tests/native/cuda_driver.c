/* libcuda as dsb_fast asks it: two GPUs, memory of the host. */
#include <stdlib.h>
#include <string.h>

static int started, streams, pushed;

int cuInit(unsigned flags) { return started = 1, flags != 0; }
int cuDeviceGetCount(int* count) { return *count = 2, !started; }
int cuDeviceGet(int* device, int number) { return *device = 40 + number, number < 0 || number > 1; }
int cuDeviceGetName(char* name, int length, int device) {
  strncpy(name, device == 40 ? "NVIDIA H100" : "NVIDIA T4", length);
  return 0;
}
int cuDeviceGetAttribute(int* value, int what, int device) {
  *value = what == 75 ? (device == 40 ? 9 : 7) : what == 76 ? (device == 40 ? 0 : 5) : -1;
  return 0;
}
int cuDeviceTotalMem_v2(size_t* bytes, int device) {
  *bytes = (size_t)(device == 40 ? 80 : 16) << 30;
  return 0;
}
int cuDevicePrimaryCtxRetain(void** context, int device) { return *context = (char*)0x7f0000000000 + device, 0; }
int cuCtxPushCurrent_v2(void* context) { return pushed++, (char*)context - (char*)0x7f0000000000 < 40; }
int cuCtxPopCurrent_v2(void** context) { return *context = 0, pushed-- < 1; }
int contexts(void) { return pushed; }
int cuStreamCreate(void** stream, unsigned flags) { return *stream = &streams, flags != 1; }
int cuMemHostAlloc(void** memory, size_t bytes, unsigned flags) { return *memory = malloc(bytes), flags != 1; }
int cuMemcpyDtoHAsync_v2(void* to, unsigned long long from, size_t bytes, void* stream) {
  return memcpy(to, (void*)from, bytes), stream != &streams;
}
int cuStreamSynchronize(void* stream) { return stream != &streams; }
