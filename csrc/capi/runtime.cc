#include "capi/runtime.h"

#include <dlfcn.h>
#include <glob.h>
#include <sys/stat.h>

#include <cstdlib>
#include <mutex>
#include <vector>

#include "capi/failure.h"

namespace dsb {
namespace capi {
namespace {

constexpr const char* kVariable = "DSB_ONNXRUNTIME_LIBRARY";

std::vector<std::string> matches(const std::string& pattern) {
  std::vector<std::string> out;
  glob_t found;
  if (glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    out.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
    globfree(&found);
  }
  return out;
}

// The folder's library, of several the last by name.
std::string inside(const std::string& folder) {
  const auto found = matches(folder + "/libonnxruntime.so*");
  return found.empty() ? "" : found.back();
}

// Of the file that this code is in, "" if the loader does not know.
std::string own_folder() {
  Dl_info facts;
  if (!dladdr(reinterpret_cast<void*>(&own_folder), &facts) || !facts.dli_fname) return "";
  const std::string path = facts.dli_fname;
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

// Where pip puts ONNX Runtime: beside the package dsb_fast that holds this library, or in the Python of the same
// prefix.
std::vector<std::string> neighbours() {
  const std::string here = own_folder();
  std::vector<std::string> out;
  if (here.empty()) return out;
  for (const std::string& folder : {here + "/../../../onnxruntime/capi", here + "/../../onnxruntime/capi"})
    if (const std::string found = inside(folder); !found.empty()) out.push_back(found);
  for (const std::string& folder : matches(here + "/../lib*/python3*/site-packages/onnxruntime/capi"))
    if (const std::string found = inside(folder); !found.empty()) out.push_back(found);
  return out;
}

std::string loader_said() {
  const char* text = dlerror();
  return text ? text : "no reason given";
}

void* load(const std::string& path, int flags = 0) {
  dlerror();
  return dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | flags);
}

struct Loaded {
  void* handle;
  std::string path;
};

// What a user or the environment named: this or nothing.
Loaded load_named(const std::string& named, const std::string& who) {
  struct stat facts;
  const bool is_folder = stat(named.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode);
  const std::string path = is_folder ? inside(named) : named;
  if (path.empty()) throw Failure(DSB_ERROR_RUNTIME, who + ": the folder " + named + " has no libonnxruntime.so");
  if (void* handle = load(path)) return {handle, path};
  throw Failure(DSB_ERROR_RUNTIME, who + ": ONNX Runtime can't be loaded: " + loader_said());
}

Loaded load_found() {
  for (const char* name : {"libonnxruntime.so.1", "libonnxruntime.so"})
    if (void* handle = load(name, RTLD_NOLOAD)) return {handle, name};
  std::string tried;
  std::vector<std::string> places = neighbours();
  places.insert(places.end(), {"libonnxruntime.so.1", "libonnxruntime.so"});
  for (const std::string& path : places) {
    if (void* handle = load(path)) return {handle, path};
    tried = loader_said();
  }
  throw Failure(DSB_ERROR_RUNTIME, std::string("ONNX Runtime is not found (") + tried +
                                       "); pip install onnxruntime, or name its library by " +
                                       "the option onnxruntime_library or the variable " + kVariable);
}

Loaded find(const std::string& asked) {
  if (!asked.empty()) return load_named(asked, "onnxruntime_library");
  const char* variable = std::getenv(kVariable);
  return variable && *variable ? load_named(variable, kVariable) : load_found();
}

const OrtApiBase* base_of(const Loaded& loaded) {
  using Function = const OrtApiBase*(ORT_API_CALL*)();
  const auto function = reinterpret_cast<Function>(dlsym(loaded.handle, "OrtGetApiBase"));
  const OrtApiBase* base = function ? function() : nullptr;
  if (!base) throw Failure(DSB_ERROR_RUNTIME, loaded.path + ": it is no ONNX Runtime: it has no OrtGetApiBase");
  return base;
}

// The file that the loader found for a bare name.
std::string file_of(const OrtApiBase* base, const std::string& otherwise) {
  Dl_info facts;
  return dladdr(reinterpret_cast<void*>(base->GetApi), &facts) && facts.dli_fname ? facts.dli_fname : otherwise;
}

Runtime* start(const std::string& asked) {
  Loaded loaded = find(asked);
  const OrtApiBase* base = base_of(loaded);
  loaded.path = file_of(base, loaded.path);
  const std::string version = base->GetVersionString();
  const OrtApi* api = base->GetApi(ort::kApiVersion);
  if (!api)
    throw Failure(DSB_ERROR_RUNTIME, loaded.path + ": it is ONNX Runtime " + version + "; 1." +
                                         std::to_string(ort::kApiVersion) + " or newer is needed");
  Ort::InitApi(api);
  try {  // what goes wrong is told by a status; nothing is to be printed
    return new Runtime{loaded.path, version, Ort::Env(ORT_LOGGING_LEVEL_FATAL, "dsb_fast")};
  } catch (const Ort::Exception& error) {
    throw Failure(DSB_ERROR_RUNTIME, loaded.path + ": ONNX Runtime could not start: " + error.what());
  }
}

}  // namespace

const Runtime& runtime(const std::string& asked) {
  static std::mutex mutex;
  static Runtime* running = nullptr;  // for good: ONNX Runtime has threads and statics of its own
  const std::lock_guard<std::mutex> lock(mutex);
  if (!running) {
    running = start(asked);
  } else if (!asked.empty()) {
    const Loaded other = load_named(asked, "onnxruntime_library");
    const bool same = base_of(other) == base_of({load(running->path), running->path});
    if (!same)
      throw Failure(DSB_ERROR_RUNTIME, "onnxruntime_library: " + running->path +
                                           " is in use already; a process can have one ONNX Runtime");
  }
  return *running;
}

}  // namespace capi
}  // namespace dsb
