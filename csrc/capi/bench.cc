// dsb-fast-bench: times the making of samples, with neither Python nor torch in the process.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "dsb_fast/dsb_fast.hpp"

namespace {

constexpr const char* kUsage =
    "usage: dsb-fast-bench FILE.onnx [--count N] [--rounds N] [--seed S] [--start I] [--batch-size B] [--threads T]\n"
    "                      [--callers C] [--leads 8|12] [--truncation PSI] [--format native|float32]\n"
    "                      [--provider cpu|cuda[:N]] [--onnxruntime LIBRARY] [--output FILE] [--wait] [--quiet]\n"
    "Makes N samples a round and prints samples a second, a line a round. --callers C threads share the work, each\n"
    "with calls of B samples; --output writes the samples' bytes; --wait waits for a line on standard input before\n"
    "each round; --quiet prints seconds alone.\n";

struct Settings {
  std::string path, output;
  dsb_fast::Options options;
  dsb_fast::Request request;
  int rounds = 5, callers = 1;
  std::int32_t format = DSB_FORMAT_NATIVE;
  bool wait = false, quiet = false;
};

[[noreturn]] void refuse(const std::string& text) {
  std::fprintf(stderr, "dsb-fast-bench: %s\n", text.c_str());
  std::exit(2);
}

unsigned long long number(const std::string& name, const std::string& text) {
  char* end = nullptr;
  const unsigned long long value = std::strtoull(text.c_str(), &end, 10);
  if (text.empty() || *end || text[0] == '-') refuse(name + ": '" + text + "' is no whole number");
  return value;
}

double real(const std::string& name, const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end) refuse(name + ": '" + text + "' is no number");
  return value;
}

void read_value(Settings& out, const std::string& name, const std::string& value) {
  const auto whole = [&] { return number(name, value); };
  const auto small = [&] {
    if (whole() > 1 << 30) refuse(name + ": " + value + " is too large");
    return static_cast<std::int32_t>(whole());
  };
  if (name == "--count") {
    out.request.count = whole();
  } else if (name == "--rounds") {
    out.rounds = small();
  } else if (name == "--seed") {
    out.request.seed = whole();
  } else if (name == "--start") {
    out.request.start = whole();
  } else if (name == "--batch-size") {
    out.request.batch_size = small();
  } else if (name == "--threads") {
    out.options.threads = small();
  } else if (name == "--callers") {
    out.callers = small();
  } else if (name == "--leads") {
    out.request.leads = small();
  } else if (name == "--truncation") {
    out.request.truncation = real(name, value);
  } else if (name == "--format") {
    if (value != "native" && value != "float32") refuse("--format: '" + value + "'; there are native and float32");
    out.format = value == "float32" ? DSB_FORMAT_FLOAT32 : DSB_FORMAT_NATIVE;
  } else if (name == "--provider") {
    out.options.provider = value;
  } else if (name == "--onnxruntime") {
    out.options.onnxruntime_library = value;
  } else if (name == "--output") {
    out.output = value;
  } else {
    refuse("no option is called " + name + "; --help lists them");
  }
}

Settings read(int count, char** words) {
  Settings out;
  out.request.count = 256;
  for (int k = 1; k < count; ++k) {
    const std::string word = words[k];
    if (word == "--help" || word == "-h") {
      std::fputs(kUsage, stdout);
      std::exit(0);
    }
    if (word == "--wait") {
      out.wait = true;
    } else if (word == "--quiet") {
      out.quiet = true;
    } else if (word.compare(0, 2, "--") == 0) {
      if (k + 1 == count) refuse(word + ": it needs a value");
      read_value(out, word, words[++k]);
    } else if (out.path.empty()) {
      out.path = word;
    } else {
      refuse("'" + word + "': one file is enough");
    }
  }
  if (out.path.empty()) refuse("no file was named; --help tells more");
  if (out.callers < 1 || out.callers > 1024 || out.rounds < 1) refuse("--callers and --rounds must be above 0");
  return out;
}

// One caller's calls of a batch each, samples [begin, end) of the request.
void call(const dsb_fast::Model& model, const Settings& settings, const dsb_layout& layout, std::uint64_t begin,
          std::uint64_t end, unsigned char* out) {
  const std::uint64_t size = settings.request.batch_size ? settings.request.batch_size : layout.batch_size;
  for (std::uint64_t at = begin; at < end; at += size) {
    dsb_fast::Request request = settings.request;
    request.start += at;
    request.count = std::min(size, end - at);
    const dsb_request given = request.in(settings.format);
    dsb_fast::detail::check(
        dsb_model_generate(model.get(), &given, out + at * layout.bytes, request.count * layout.bytes));
  }
}

void make(const dsb_fast::Model& model, const Settings& settings, const dsb_layout& layout, unsigned char* out) {
  const std::uint64_t count = settings.request.count;
  if (settings.callers == 1) {
    const dsb_request given = settings.request.in(settings.format);
    return dsb_fast::detail::check(dsb_model_generate(model.get(), &given, out, count * layout.bytes));
  }
  const auto callers = static_cast<std::uint64_t>(settings.callers);
  std::vector<std::string> errors(callers);
  std::vector<std::thread> threads;
  for (std::uint64_t k = 0; k < callers; ++k)
    threads.emplace_back([&, k] {
      try {
        call(model, settings, layout, count * k / callers, count * (k + 1) / callers, out);
      } catch (const std::exception& error) {
        errors[k] = error.what();
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& error : errors)
    if (!error.empty()) throw std::runtime_error(error);
}

int run(const Settings& settings) {
  const dsb_fast::Model model(settings.path, settings.options);
  const dsb_info info = model.info();
  const dsb_layout layout = model.layout(settings.request, settings.format);
  std::vector<unsigned char> out(settings.request.count * layout.bytes);
  if (!settings.quiet)
    std::fprintf(stderr, "%s, %s, %s, %s kernels, ONNX Runtime %s, %d threads, %d callers\n", info.model, info.flavour,
                 info.backend, info.variant, info.onnxruntime_version, info.threads, settings.callers);
  make(model, settings, layout, out.data());  // memory is touched and scratch space taken before anything is timed
  if (!settings.output.empty()) {
    std::ofstream file(settings.output, std::ios::binary);
    if (!file.write(reinterpret_cast<const char*>(out.data()), static_cast<std::streamsize>(out.size())))
      refuse(settings.output + ": it can't be written");
  }
  std::string line;
  for (int round = 0; round < settings.rounds && (!settings.wait || std::getline(std::cin, line)); ++round) {
    const auto begin = std::chrono::steady_clock::now();
    make(model, settings, layout, out.data());
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (settings.quiet) {
      std::printf("%.9f\n", seconds);
    } else {
      std::printf("%.1f samples/s (%llu samples in %.4f s)\n", static_cast<double>(settings.request.count) / seconds,
                  static_cast<unsigned long long>(settings.request.count), seconds);
    }
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

int main(int count, char** words) {
  try {
    return run(read(count, words));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "dsb-fast-bench: %s\n", error.what());
    return 1;
  }
}
