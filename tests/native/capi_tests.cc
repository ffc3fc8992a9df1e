// The C library from many threads, for the sanitizers: dsb_capi_tests FILE.onnx... runs all of it on every file.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "dsb_fast/dsb_fast.hpp"
#include "native/expect.h"

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace {

std::atomic<int> failures{0};

using Bytes = std::vector<unsigned char>;

Bytes made(const dsb_fast::Model& model, const dsb_fast::Request& request, std::int32_t format = DSB_FORMAT_NATIVE) {
  Bytes out(request.count * model.layout(request, format).bytes);
  const dsb_request given = request.in(format);
  dsb_fast::detail::check(dsb_model_generate(model.get(), &given, out.data(), out.size()));
  return out;
}

Bytes streamed(const dsb_fast::Model& model, const dsb_fast::Request& request) {
  Bytes out;
  const dsb_request given = request.in(DSB_FORMAT_NATIVE);
  const auto take = [](void* user, std::uint64_t, std::uint64_t, const void* samples, std::size_t bytes) {
    const auto* from = static_cast<const unsigned char*>(samples);
    static_cast<Bytes*>(user)->insert(static_cast<Bytes*>(user)->end(), from, from + bytes);
    return std::int32_t{0};
  };
  dsb_fast::detail::check(dsb_model_stream(model.get(), &given, take, &out));
  return out;
}

dsb_fast::Request request_of(std::uint64_t start, std::uint64_t count, std::int32_t batch_size = 0) {
  dsb_fast::Request out;
  out.seed = 11;
  out.start = start;
  out.count = count;
  out.batch_size = batch_size;
  return out;
}

// `body(k)` on each of `count` threads.
template <class Body>
void on_threads(int count, Body body) {
  std::vector<std::thread> threads;
  for (int k = 0; k < count; ++k) threads.emplace_back([&body, k] { body(k); });
  for (std::thread& thread : threads) thread.join();
}

template <class Body>
dsb_status status_of(Body body) {
  try {
    body();
    return DSB_OK;
  } catch (const dsb_fast::Error& error) {
    expect(error.what() == std::string(dsb_last_error()), "the text is the thread's own");
    return error.status();
  }
}

void test_calls(const dsb_fast::Model& model, const Bytes& whole, std::size_t size) {
  on_threads(16, [&](int k) {
    for (std::uint64_t call = 0; call < 8; ++call) {
      const std::uint64_t start = (k * 7 + call * 5) % 24, count = 1 + call % 4;
      const auto request = request_of(start, count, static_cast<std::int32_t>(call % 3));
      const Bytes got = call % 2 ? streamed(model, request) : made(model, request);
      const Bytes expected(whole.begin() + start * size, whole.begin() + (start + count) * size);
      expect(got == expected, "a call among sixteen threads makes the samples that one alone makes");
    }
  });
}

void test_failures(const dsb_fast::Model& model) {
  on_threads(8, [&](int k) {
    auto request = request_of(0, 1);
    request.leads = 100 + k;
    const std::string text = "leads: " + std::to_string(100 + k);
    for (int call = 0; call < 50; ++call) {
      expect(status_of([&] { made(model, request); }) == DSB_ERROR_UNSUPPORTED, "wrong leads are refused");
      expect(std::string(dsb_last_error()).find("leads: ") == 0, "a thread reads its own failure: " + text);
      expect(std::string(dsb_model_error(model.get())).find("leads: ") == 0, "a model has the last failure of any");
    }
  });
}

void test_cancellation(const dsb_fast::Model& model) {
  for (const bool stream : {false, true}) {
    dsb_fast::Cancellation cancellation;
    std::thread canceller([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      cancellation.cancel();
    });
    on_threads(4, [&](int) {
      auto request = request_of(0, stream ? 10'000'000 : 64, stream ? 1 : 0);
      request.cancellation = &cancellation;
      const dsb_status status = status_of([&] {
        if (stream) streamed(model, request);
        while (!stream) made(model, request);
      });
      expect(status == DSB_CANCELLED, "every call that has the token ends");
    });
    canceller.join();
  }
}

void test_streams_that_end(const dsb_fast::Model& model, std::int32_t kind) {
  const auto run = [&](auto callback) {
    return kind == DSB_KIND_ECG ? model.stream<std::int16_t>(request_of(0, 40, 2), callback)
                                : model.stream<std::uint8_t>(request_of(0, 40, 2), callback);
  };
  int batches = 0;
  expect(!run([&](std::uint64_t, auto) { return ++batches < 3; }) && batches == 3, "a callback ends a stream");
  expect(run([&](std::uint64_t, auto) { ++batches; }) && batches == 23, "a callback that returns nothing goes on");
  bool thrown = false;
  try {
    run([](std::uint64_t, auto) -> bool { throw std::runtime_error("own"); });
  } catch (const std::runtime_error& error) {
    thrown = error.what() == std::string("own");
  }
  expect(thrown, "an exception of the callback gets out");
}

// A program built with -ffast-math flushes denormal numbers to zero, some round otherwise.
void test_environment(const dsb_fast::Model& model, const Bytes& whole) {
#if defined(__SSE__)
  const unsigned before = _mm_getcsr();
  _mm_setcsr(before | 0x8040u | 0x6000u);  // flush to zero, denormals are zero, round towards zero
  const Bytes one = made(model, request_of(0, 32, 32)), many = made(model, request_of(0, 32, 3));
  const Bytes stream = streamed(model, request_of(0, 32, 32));
  expect((_mm_getcsr() & 0xFFC0u) == ((before | 0x8040u | 0x6000u) & 0xFFC0u),
         "the program's environment is as it was");
  _mm_setcsr(before);
  expect(one == whole && many == whole && stream == whole, "no bit depends on the program's environment");
#else
  (void)model, (void)whole;
#endif
}

void test_opening(const std::string& path, const Bytes& whole, std::size_t size) {
  on_threads(4, [&](int k) {
    for (int cycle = 0; cycle < 5; ++cycle) {
      dsb_fast::Options options;
      options.threads = 1 + k % 3;
      const dsb_fast::Model model(path, options);
      const Bytes got = made(model, request_of(2, 5, 1));
      expect(got == Bytes(whole.begin() + 2 * size, whole.begin() + 7 * size), "a model opened beside others is it");
      expect(status_of([] { dsb_fast::Model("/nowhere/x.onnx"); }) == DSB_ERROR_FILE, "no file, no model");
    }
  });
}

void test_file(const std::string& path) {
  dsb_fast::Options options;
  options.threads = 3;
  const dsb_fast::Model model(path, options);
  const std::size_t size = model.layout({}).bytes;
  const Bytes whole = made(model, request_of(0, 32));
  made(model, request_of(0, 5, 2), DSB_FORMAT_FLOAT32);
  expect(streamed(model, request_of(0, 32, 3)) == whole, "a stream has the same samples");
  test_calls(model, whole, size);
  test_environment(model, whole);
  test_failures(model);
  test_cancellation(model);
  test_streams_that_end(model, model.info().kind);
  test_opening(path, whole, size);
}

}  // namespace

void expect(bool good, const std::string& what) {
  if (good) return;
  ++failures;
  std::printf("FAILED: %s\n", what.c_str());
}

int main(int count, char** words) {
  for (int k = 1; k < count; ++k) {
    try {
      test_file(words[k]);
      std::printf("%s: run\n", words[k]);
      std::fflush(stdout);
    } catch (const std::exception& error) {
      expect(false, std::string(words[k]) + ": " + error.what());
    }
  }
  expect(count > 1, "no file was named");
  std::printf("%s, %d failures\n", failures ? "FAILED" : "passed", failures.load());
  return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
