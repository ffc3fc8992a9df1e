// The functions of dsb_fast.h: checks of what a caller gives, statuses and texts. Nothing is thrown out of them.
#include "dsb_fast/dsb_fast.h"

#include <cstdio>
#include <cstring>
#include <exception>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>

#include "capi/cancellation.h"
#include "capi/failure.h"
#include "capi/model.h"
#include "capi/work.h"
#include "core/threads.h"

namespace {

using dsb::capi::Failure;

constexpr size_t kTextSize = 1024, kMaxStructSize = 4096;
constexpr int32_t kMaxThreads = 1024;

// A line of text that needs no memory to be had.
struct Line {
  char text[kTextSize] = "";

  void set(const char* from) noexcept {
    std::snprintf(text, sizeof text, "%s", from);
    for (char* c = text; *c; ++c)
      if (static_cast<unsigned char>(*c) < ' ') *c = ' ';
  }
};

thread_local Line last_error, asked_error;

}  // namespace

struct dsb_cancellation {
  dsb::capi::Cancellation cancellation;
};

struct dsb_model {
  std::unique_ptr<dsb::capi::Model> model;
  mutable std::mutex mutex;
  mutable Line error;
};

namespace {

dsb_status failed(const dsb_model* model, dsb_status status, const char* text) noexcept {
  last_error.set(text);
  if (model) {
    const std::lock_guard<std::mutex> lock(model->mutex);
    model->error = last_error;
  }
  return status;
}

template <class Body>
dsb_status guarded(const dsb_model* model, Body body) noexcept {
  try {
    body();
    return DSB_OK;
  } catch (const Failure& failure) {
    return failed(model, failure.status(), failure.what());
  } catch (const std::bad_alloc&) {
    return failed(model, DSB_ERROR_MEMORY, "out of memory; a smaller batch_size or fewer threads need less");
  } catch (const std::invalid_argument& error) {  // DSB_FORCE_VARIANT
    return failed(model, DSB_ERROR_ARGUMENT, error.what());
  } catch (const Ort::Exception& error) {
    return failed(model, dsb::capi::status_of(error, DSB_ERROR_RUNTIME), error.what());
  } catch (const std::exception& error) {
    return failed(model, DSB_ERROR_INTERNAL, error.what());
  } catch (...) {
    return failed(model, DSB_ERROR_INTERNAL, "an unknown exception");
  }
}

void needed(const void* pointer, const char* name) {
  if (!pointer) throw Failure(DSB_ERROR_ARGUMENT, std::string(name) + ": it is null");
}

// A struct that a caller made for this version, or for a newer one of whose fields it uses none; what is `filled` here
// may hold anything. Throws Failure.
template <class Struct>
void check_size(const Struct* given, const char* name, bool filled = false) {
  needed(given, name);
  const size_t size = given->size;
  bool fits = size >= sizeof(Struct) && size <= kMaxStructSize;
  const auto* bytes = reinterpret_cast<const unsigned char*>(given);
  for (size_t k = sizeof(Struct); fits && !filled && k < size; ++k) fits = bytes[k] == 0;
  if (!fits)
    throw Failure(DSB_ERROR_ARGUMENT, std::string(name) + ": its size is " + std::to_string(size) +
                                          ", this library's is " + std::to_string(sizeof(Struct)) +
                                          "; set it with sizeof, and other fields to 0");
}

std::string text_or_nothing(const char* text) { return text ? text : ""; }

dsb::capi::OpenOptions checked(const dsb_open_options* given) {
  const dsb_open_options defaults = DSB_OPEN_OPTIONS_INIT;
  if (given) check_size(given, "options");
  const dsb_open_options& options = given ? *given : defaults;
  dsb::capi::OpenOptions out;
  out.device = dsb::capi::Device::named(text_or_nothing(options.provider));
  out.precision = text_or_nothing(options.precision);
  if (options.threads < 0 || options.threads > kMaxThreads || options.reserved)
    throw Failure(DSB_ERROR_ARGUMENT, "threads: " + std::to_string(options.threads) + "; it must be from 0 to " +
                                          std::to_string(kMaxThreads) + ", and reserved 0");
  out.threads = options.threads ? options.threads : static_cast<int>(dsb::hardware_threads());
  out.onnxruntime_library = text_or_nothing(options.onnxruntime_library);
  return out;
}

dsb::capi::Plan planned(const dsb_model* model, const dsb_request* request) {
  needed(model, "model");
  check_size(request, "request");
  if (request->batch_size < 0)
    throw Failure(DSB_ERROR_ARGUMENT, "batch_size: " + std::to_string(request->batch_size) + "; it can't be negative");
  if (request->count && request->start + (request->count - 1) < request->start)
    throw Failure(DSB_ERROR_ARGUMENT,
                  "count: samples from " + std::to_string(request->start) + " on go past the last number, 2^64 - 1");
  return model->model->plan(*request);
}

dsb::capi::Cancellation* cancellation_of(const dsb_request* request) {
  return request->cancellation ? &request->cancellation->cancellation : nullptr;
}

void check_buffer(const dsb::capi::Plan& plan, const void* buffer, size_t bytes) {
  const uint64_t count = plan.request.count;
  const size_t most = std::numeric_limits<size_t>::max() / plan.layout.bytes;
  if (count > most || bytes != count * plan.layout.bytes)
    throw Failure(DSB_ERROR_ARGUMENT, "buffer: it has " + std::to_string(bytes) + " bytes, " + std::to_string(count) +
                                          " samples of " + std::to_string(plan.layout.bytes) + " bytes were asked for");
  if (count) needed(buffer, "buffer");
  if (reinterpret_cast<uintptr_t>(buffer) % (plan.layout.bytes / plan.layout.elements))
    throw Failure(DSB_ERROR_ARGUMENT, "buffer: it is not aligned for values of its type");
}

// Of a struct made for a newer version the rest becomes 0.
template <class Struct>
void fill(Struct* out, Struct values) {
  const size_t size = out->size;
  std::memset(out, 0, size);
  values.size = size;
  std::memcpy(out, &values, sizeof(Struct));
}

}  // namespace

extern "C" {

int32_t dsb_abi_version(void) { return DSB_ABI_VERSION; }

const char* dsb_version(void) { return DSB_VERSION; }

const char* dsb_status_name(dsb_status status) {
  static const char* const kNames[] = {"DSB_OK",
                                       "DSB_ERROR_ARGUMENT",
                                       "DSB_ERROR_FILE",
                                       "DSB_ERROR_RUNTIME",
                                       "DSB_ERROR_DEVICE",
                                       "DSB_ERROR_UNSUPPORTED",
                                       "DSB_ERROR_GENERATION",
                                       "DSB_ERROR_MEMORY",
                                       "DSB_ERROR_INTERNAL",
                                       "DSB_CANCELLED",
                                       "DSB_STOPPED"};
  const bool known = status >= 0 && status < static_cast<dsb_status>(sizeof kNames / sizeof *kNames);
  return known ? kNames[status] : "unknown";
}

const char* dsb_last_error(void) { return last_error.text; }

dsb_status dsb_model_open(const char* path, const dsb_open_options* options, dsb_model** model) {
  if (model) *model = nullptr;
  return guarded(nullptr, [&] {
    needed(path, "path");
    needed(model, "model");
    auto made = std::make_unique<dsb_model>();
    made->model = dsb::capi::open_model(path, checked(options));
    *model = made.release();
  });
}

void dsb_model_close(dsb_model* model) { delete model; }

const char* dsb_model_error(const dsb_model* model) {
  if (!model) return last_error.text;
  const std::lock_guard<std::mutex> lock(model->mutex);
  asked_error = model->error;
  return asked_error.text;
}

dsb_status dsb_model_info(const dsb_model* model, dsb_info* info) {
  return guarded(model, [&] {
    needed(model, "model");
    check_size(info, "info", true);
    const dsb::capi::Facts& facts = model->model->facts();
    const auto property = [&](const char* name) { return model->model->file().property(name).c_str(); };
    dsb_info out = DSB_INFO_INIT;
    out.model = property("model");
    out.title = facts.title.c_str();
    out.flavour = property("flavour");
    out.licence = property("licence");
    out.citation = property("citation");
    out.synthetic = property("synthetic");
    out.unit = facts.unit.c_str();
    out.weights_sha256 = property("weights_sha256");
    out.graph_sha256 = property("graph_sha256");
    out.card = property("card");
    out.backend = facts.backend.c_str();
    out.grade = facts.grade.c_str();
    out.variant = facts.variant.c_str();
    out.onnxruntime_version = facts.onnxruntime_version.c_str();
    out.onnxruntime_library = facts.onnxruntime_library.c_str();
    out.sampling_rate_hz = facts.sampling_rate_hz;
    out.truncation = facts.truncation;
    out.labels = facts.labels;
    out.kind = facts.kind;
    out.leads = facts.leads;
    out.noise = facts.noise;
    out.threads = model->model->threads();
    fill(info, out);
  });
}

dsb_status dsb_model_property(const dsb_model* model, const char* name, const char** value) {
  return guarded(model, [&] {
    needed(model, "model");
    needed(name, "name");
    needed(value, "value");
    *value = nullptr;
    const auto& properties = model->model->file().properties;
    const auto found = properties.find(name);
    if (found == properties.end())
      throw Failure(DSB_ERROR_ARGUMENT, "name: the file has no metadata property '" + dsb::capi::shortened(name) + "'");
    *value = found->second.c_str();
  });
}

dsb_status dsb_model_lead(const dsb_model* model, int32_t leads, int32_t index, const char** name) {
  return guarded(model, [&] {
    needed(model, "model");
    needed(name, "name");
    *name = nullptr;
    const auto& names = model->model->lead_names(leads);
    if (index < 0 || static_cast<size_t>(index) >= names.size())
      throw Failure(DSB_ERROR_ARGUMENT,
                    "index: " + std::to_string(index) + "; there are " + std::to_string(names.size()) + " leads");
    *name = names[static_cast<size_t>(index)].c_str();
  });
}

dsb_status dsb_model_layout(const dsb_model* model, const dsb_request* request, dsb_layout* layout) {
  return guarded(model, [&] {
    const dsb::capi::Plan plan = planned(model, request);
    check_size(layout, "layout", true);
    fill(layout, plan.layout);
  });
}

dsb_status dsb_model_generate(dsb_model* model, const dsb_request* request, void* buffer, size_t bytes) {
  return guarded(model, [&] {
    const dsb::capi::Plan plan = planned(model, request);
    check_buffer(plan, buffer, bytes);
    dsb::capi::generate(*model->model, plan, cancellation_of(request), buffer);
  });
}

dsb_status dsb_model_stream(dsb_model* model, const dsb_request* request, dsb_batch_callback callback, void* user) {
  return guarded(model, [&] {
    const dsb::capi::Plan plan = planned(model, request);
    if (!callback) throw Failure(DSB_ERROR_ARGUMENT, "callback: it is null");
    dsb::capi::stream(*model->model, plan, cancellation_of(request), callback, user);
  });
}

dsb_status dsb_cancellation_create(dsb_cancellation** cancellation) {
  return guarded(nullptr, [&] {
    needed(cancellation, "cancellation");
    *cancellation = nullptr;
    *cancellation = new dsb_cancellation;
  });
}

void dsb_cancellation_cancel(dsb_cancellation* cancellation) {
  guarded(nullptr, [&] {
    needed(cancellation, "cancellation");
    cancellation->cancellation.cancel();
  });
}

void dsb_cancellation_destroy(dsb_cancellation* cancellation) { delete cancellation; }

}  // extern "C"
