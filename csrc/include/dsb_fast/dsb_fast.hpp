// dsb_fast in C++17: dsb_fast.h with owners, exceptions and typed buffers. Header only.
//
//   dsb_fast::Model model("ecg.onnx");
//   dsb_fast::Request request;
//   request.count = 100;
//   std::vector<std::int16_t> signal_uv = model.generate<std::int16_t>(request);  // [100][8][5000]
//
// Functions of one Model may be called from any number of threads at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "dsb_fast/dsb_fast.h"

namespace dsb_fast {

// What a call said that failed. `status` is one of DSB_ERROR_..., DSB_CANCELLED, DSB_STOPPED.
class Error : public std::runtime_error {
 public:
  Error(dsb_status status, const std::string& text) : std::runtime_error(text), status_(status) {}
  dsb_status status() const noexcept { return status_; }

 private:
  dsb_status status_;
};

namespace detail {

inline void check(dsb_status status) {
  if (status != DSB_OK) throw Error(status, dsb_last_error());
}

template <class T>
constexpr std::int32_t format_of() {
  using Value = std::remove_cv_t<T>;
  static_assert(
      std::is_same_v<Value, std::int16_t> || std::is_same_v<Value, std::uint8_t> || std::is_same_v<Value, float>,
      "samples are int16_t microvolts, uint8_t grey levels or float");
  if (std::is_same_v<Value, std::int16_t>) return DSB_FORMAT_INT16_MICROVOLT;
  return std::is_same_v<Value, float> ? DSB_FORMAT_FLOAT32 : DSB_FORMAT_UINT8_HWC;
}

}  // namespace detail

// Values that somebody else owns, as std::span of C++20, to which and from which it converts.
template <class T>
class span {
 public:
  constexpr span() noexcept = default;
  constexpr span(T* data, std::size_t size) noexcept : data_(data), size_(size) {}
  template <class Container,
            class = std::enable_if_t<std::is_convertible_v<decltype(std::declval<Container&>().data()), T*> &&
                                     !std::is_same_v<std::remove_cv_t<Container>, span>>>
  constexpr span(Container& container) noexcept : data_(container.data()), size_(container.size()) {}

  constexpr T* data() const noexcept { return data_; }
  constexpr std::size_t size() const noexcept { return size_; }
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr T* begin() const noexcept { return data_; }
  constexpr T* end() const noexcept { return data_ + size_; }
  constexpr T& operator[](std::size_t index) const { return data_[index]; }
  constexpr span subspan(std::size_t first, std::size_t count) const { return {data_ + first, count}; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

// Ends calls from another thread; outlives the calls that it was given to.
class Cancellation {
 public:
  Cancellation() {
    dsb_cancellation* made = nullptr;
    detail::check(dsb_cancellation_create(&made));
    handle_.reset(made);
  }
  void cancel() noexcept { dsb_cancellation_cancel(handle_.get()); }
  dsb_cancellation* get() const noexcept { return handle_.get(); }

 private:
  struct Destroy {
    void operator()(dsb_cancellation* handle) const noexcept { dsb_cancellation_destroy(handle); }
  };
  std::unique_ptr<dsb_cancellation, Destroy> handle_;
};

// dsb_open_options.
struct Options {
  std::string provider = "cpu";
  std::string precision;
  std::string onnxruntime_library;
  std::int32_t threads = 0;
};

// dsb_request; what is not set is the model's own.
struct Request {
  std::uint64_t seed = 0, start = 0, count = 1;
  std::optional<double> truncation;
  std::optional<std::int64_t> label;
  std::int32_t leads = 0;
  std::int32_t noise = DSB_NOISE_DEFAULT;
  std::int32_t batch_size = 0;
  const Cancellation* cancellation = nullptr;

  dsb_request in(std::int32_t format) const {
    dsb_request out = DSB_REQUEST_INIT;
    out.seed = seed;
    out.start = start;
    out.count = count;
    out.has_truncation = truncation.has_value();
    out.truncation = truncation.value_or(0.0);
    out.has_label = label.has_value();
    out.label = label.value_or(0);
    out.format = format;
    out.leads = leads;
    out.noise = noise;
    out.batch_size = batch_size;
    out.cancellation = cancellation ? cancellation->get() : nullptr;
    return out;
  }
};

// A model file. Everything throws Error, or std::bad_alloc where memory for a result is not there.
class Model {
 public:
  explicit Model(const std::string& path, const Options& options = {}) {
    dsb_open_options given = DSB_OPEN_OPTIONS_INIT;
    given.provider = options.provider.c_str();
    given.precision = options.precision.empty() ? nullptr : options.precision.c_str();
    given.onnxruntime_library = options.onnxruntime_library.empty() ? nullptr : options.onnxruntime_library.c_str();
    given.threads = options.threads;
    dsb_model* made = nullptr;
    detail::check(dsb_model_open(path.c_str(), &given, &made));
    handle_.reset(made);
  }

  // Strings live as long as the model.
  dsb_info info() const {
    dsb_info out = DSB_INFO_INIT;
    detail::check(dsb_model_info(get(), &out));
    return out;
  }

  std::string property(const std::string& name) const {
    const char* value = nullptr;
    detail::check(dsb_model_property(get(), name.c_str(), &value));
    return value;
  }

  // Names of `leads` leads: 8, 12, or 0 for the model's own.
  std::vector<std::string> leads(std::int32_t leads = 0) const {
    Request request;
    request.leads = leads;
    const std::int64_t count = layout(request, DSB_FORMAT_INT16_MICROVOLT).shape[0];
    std::vector<std::string> out;
    for (std::int32_t index = 0; index < count; ++index) {
      const char* name = nullptr;
      detail::check(dsb_model_lead(get(), leads, index, &name));
      out.emplace_back(name);
    }
    return out;
  }

  dsb_layout layout(const Request& request, std::int32_t format = DSB_FORMAT_NATIVE) const {
    const dsb_request given = request.in(format);
    dsb_layout out = DSB_LAYOUT_INIT;
    detail::check(dsb_model_layout(get(), &given, &out));
    return out;
  }

  // Values of one sample.
  template <class T>
  std::size_t sample_size(const Request& request = {}) const {
    return layout(request, detail::format_of<T>()).elements;
  }

  // Into `out`, request.count samples one after the other. T chooses the format: std::int16_t microvolts, std::uint8_t
  // grey levels, float what the network made.
  template <class T>
  void generate(const Request& request, span<T> out) const {
    const dsb_request given = request.in(detail::format_of<T>());
    detail::check(dsb_model_generate(get(), &given, out.data(), out.size() * sizeof(T)));
  }

  template <class T>
  std::vector<T> generate(const Request& request) const {
    std::vector<T> out;
    const std::size_t size = sample_size<T>(request);
    if (request.count > out.max_size() / size)
      throw Error(DSB_ERROR_ARGUMENT, "count: " + std::to_string(request.count) + " samples fit into no memory");
    out.resize(static_cast<std::size_t>(request.count) * size);
    generate(request, span<T>(out));
    return out;
  }

  // callback(first, span<const T>) for each batch in order, on this thread, while later ones are made. It ends the
  // stream by returning false, or by an exception, which gets out; it may as well return nothing. True if the stream
  // came to its end.
  template <class T, class Callback>
  bool stream(const Request& request, Callback callback) const {
    const dsb_request given = request.in(detail::format_of<T>());
    Consumer<T, Callback> consumer{callback, nullptr};
    const dsb_status status = dsb_model_stream(get(), &given, &Consumer<T, Callback>::take, &consumer);
    if (consumer.error) std::rethrow_exception(consumer.error);
    if (status == DSB_STOPPED) return false;
    detail::check(status);
    return true;
  }

  dsb_model* get() const noexcept { return handle_.get(); }

 private:
  template <class T, class Callback>
  struct Consumer {
    Callback& callback;
    std::exception_ptr error;

    static std::int32_t take(void* user, std::uint64_t first, std::uint64_t, const void* samples, std::size_t bytes) {
      auto& self = *static_cast<Consumer*>(user);
      try {
        const span<const T> values(static_cast<const T*>(samples), bytes / sizeof(T));
        if constexpr (std::is_void_v<decltype(self.callback(first, values))>) {
          self.callback(first, values);
          return 0;
        } else {
          return self.callback(first, values) ? 0 : 1;
        }
      } catch (...) {
        self.error = std::current_exception();
        return 1;
      }
    }
  };

  struct Close {
    void operator()(dsb_model* handle) const noexcept { dsb_model_close(handle); }
  };
  std::unique_ptr<dsb_model, Close> handle_;
};

}  // namespace dsb_fast
