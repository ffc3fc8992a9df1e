// The kernels of every variant this CPU has, for builds with a sanitizer: exact buffers, so that one byte too far
// shows.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "native/draw.h"
#include "native/expect.h"
#include "ops/dispatch.h"
#include "ops/leads.h"
#include "ops/random.h"
#include "ops/text.h"

namespace {

int failures = 0;

}  // namespace

void expect(bool good, const std::string& what) {
  if (good) return;
  std::printf("FAILED: %s\n", what.c_str());
  ++failures;
}

std::vector<float> draw(std::mt19937& engine, int64_t count) {
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values) v = normal(engine);
  values.shrink_to_fit();
  return values;
}

void run_op_tests();
void run_ecg_tests();
void run_bf16_tests();
void run_image_conv_tests();
void run_style_block_tests();
void run_attention_tests();
void run_layer_tests();
void run_measure_tests();
void run_resampling_tests();
void run_thread_tests();

namespace {

// A buffer whose end is the end of its allocation, `offset` elements off any alignment.
template <typename T>
struct Exact {
  explicit Exact(size_t count, size_t offset = 0) : memory(new T[count + offset]), data(memory.get() + offset) {}
  std::unique_ptr<T[]> memory;
  T* data;
};

const size_t kSizes[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 1001};

void test_known_answers(const dsb::Kernels& k) {
  Exact<float> out(4);
  k.philox_uniform({0, 0, 0, 0, 4}, 0.0f, 1.0f, out.data);
  const uint32_t words[4] = {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u};
  for (int e = 0; e < 4; ++e)
    expect(out.data[e] == static_cast<float>(words[e] >> 8) * 0x1p-24f, std::string(k.name) + ": known answer");
}

void test_against_scalar(const dsb::Kernels& k, const dsb::Kernels& scalar) {
  for (size_t size : kSizes)
    for (size_t offset : {0, 1}) {
      const dsb::PhiloxRange range = {0x123456789abcdef0ull, 0xffffffffffull, 7, 11, size};
      Exact<float> a(size, offset), b(size);
      k.philox_uniform(range, -1.0f, 2.0f, a.data);
      scalar.philox_uniform(range, -1.0f, 2.0f, b.data);
      for (size_t e = 0; e < size; ++e) expect(a.data[e] == b.data[e], std::string(k.name) + ": uniform");
      Exact<int16_t> ia(size, offset), ib(size);
      expect(k.microvolt(a.data, size, 6000.0f, ia.data), std::string(k.name) + ": microvolt reports numbers");
      scalar.microvolt(b.data, size, 6000.0f, ib.data);
      for (size_t e = 0; e < size; ++e) expect(ia.data[e] == ib.data[e], std::string(k.name) + ": microvolt");
      k.philox_normal(range, a.data);
      scalar.philox_normal(range, b.data);
      for (size_t e = 0; e < size; ++e) {
        expect(a.data[e] == b.data[e], std::string(k.name) + ": normal");
        expect(std::isfinite(a.data[e]), std::string(k.name) + ": normal is finite");
      }
    }
}

void test_limits(const dsb::Kernels& k) {
  const float values[5] = {1e30f, -1e30f, 0.9999f, -0.9999f, 0.0f};
  Exact<int16_t> out(5);
  expect(k.microvolt(values, 5, 1.0f, out.data), std::string(k.name) + ": large values are numbers");
  expect(out.data[0] == 32767 && out.data[1] == -32768 && out.data[2] == 0 && out.data[3] == 0, "saturated and cut");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (size_t size : {1, 17, 33}) {
    std::vector<float> in(size, 0.0f);
    in[size - 1] = nan;
    Exact<int16_t> to(size);
    expect(!k.microvolt(in.data(), size, 1.0f, to.data), std::string(k.name) + ": not a number is reported");
  }
}

void test_ops() {
  std::vector<float> one(3 * 300001), many(3 * 300001);
  dsb::random_uniform(5, 0, {9, 3, 300001}, -1.0f, 2.0f, 1, one.data());
  dsb::random_uniform(5, 0, {9, 3, 300001}, -1.0f, 2.0f, 3, many.data());
  expect(one == many, "threads do not change bits");
  dsb::random_uniform(5, 0, {9, 0, 300001}, -1.0f, 2.0f, 3, many.data());
  dsb::random_normal(5, 0, {9, 3, 0}, 3, many.data());

  for (size_t length : {0, 1, 5, 100}) {
    Exact<int16_t> in(8 * length), out(12 * length);
    for (size_t e = 0; e < 8 * length; ++e) in.data[e] = static_cast<int16_t>(e * 37 - 1000);
    expect(dsb::derive_12_leads(in.data, length, out.data), "derived leads fit");
    std::string text = "x";
    dsb::format_rows(in.data, 8, length, ' ', {}, 0, text);
    expect(text.size() >= 1 + 16 * length, "text has every value");
  }
  const int16_t extremes[8] = {-32768, 32767, 0, -1, 1, 9, 10, -10};
  std::string text;
  dsb::format_rows(extremes, 8, 1, ',', std::string_view("0.5,\0", 5), 5, text);
  expect(text == "0.5,-32768,32767,0,-1,1,9,10,-10\n", "a row of extremes: " + text);
  int16_t derived[12];
  expect(!dsb::derive_12_leads(extremes, 1, derived), "overflow is reported");
}

}  // namespace

int main() {
  for (const dsb::Variant& variant : dsb::variants()) {
    if (!variant.available) {
      std::printf("%s: not run, this CPU lacks it\n", variant.name.c_str());
      continue;
    }
    const dsb::Kernels& k = dsb::kernels(variant.name);
    expect(variant.name == k.name, variant.name + " is the variant asked for");
    test_known_answers(k);
    test_against_scalar(k, dsb::kernels("scalar"));
    test_limits(k);
    std::printf("%s: run\n", k.name);
  }
  test_ops();
  run_op_tests();
  run_ecg_tests();
  run_bf16_tests();
  run_image_conv_tests();
  run_style_block_tests();
  run_attention_tests();
  run_layer_tests();
  run_measure_tests();
  run_resampling_tests();
  run_thread_tests();
  std::printf("%s, %d failures\n", failures ? "FAILED" : "passed", failures);
  return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
