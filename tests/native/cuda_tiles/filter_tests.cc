// upfirdn2d's tiles, run on the host as blocks of threads, against the same tiles one item after the other.
#include "block.h"
#define for_each_tile for_each_tile_in_order
#include "cuda/launch.h"
#undef for_each_tile
#include "cuda/tile_loop.cuh"
#include "filter_tests.h"

namespace dsb {
namespace cuda {
namespace {

bool in_blocks = false;

// What launch.h has under nvcc; fewer blocks than tiles, so that a block's memory serves several.
template <class Body>
void for_each_tile(uint64_t tiles, size_t floats, const Body& body, Stream stream) {
  if (!in_blocks) return for_each_tile_in_order(tiles, floats, body, stream);
  std::vector<float> memory(floats);
  const unsigned threads = 64;
  launch({static_cast<unsigned>(tiles / 3 + 1)}, threads, [&] { run_tiles(tiles, threads, body, memory.data()); });
}

}  // namespace
}  // namespace cuda
}  // namespace dsb

#include "cuda/upfirdn2d_tiles.cu"

namespace {

using namespace dsb::cuda;

template <class T>
int differing(const Image& in, const FilterPlan& plan, Type type, bool wide) {
  std::vector<T> x(in.size());
  for (size_t i = 0; i < x.size(); ++i) x[i] = from_float<T>(static_cast<float>(i * 7 % 13) - 6.0f);
  std::vector<T> expected(in.n * in.c * plan.height * plan.width), y = expected;
  in_blocks = false;
  bool ran = upfirdn2d_tiles(in, plan, type, wide, x.data(), nullptr, expected.data());
  in_blocks = true;
  ran = upfirdn2d_tiles(in, plan, type, wide, x.data(), nullptr, y.data()) && ran;
  const bool same = std::memcmp(y.data(), expected.data(), y.size() * sizeof(T)) == 0;
  std::printf("upfirdn2d by tiles: %s\n", !ran ? "not taken" : same ? "as in order" : "other values");
  return ran && same ? 0 : 1;
}

}  // namespace

int filter_failures() {
  int failures = 0;
  for (const bool last : {false, true}) {
    const Image in = {2, 8, 37, 41, !last};
    std::vector<float> taps(12);
    for (size_t t = 0; t < taps.size(); ++t) taps[t] = static_cast<float>(t) - 4.0f;
    const dsb::Filter row = {taps.data(), 1, 12}, column = {taps.data(), 12, 1};
    const FilterPlan plan = plan_filter(
        in, {{row, {2, 1, 1, 1, 6, 5, 0, 0, false, 1.0f}}, {column, {1, 2, 1, 1, 0, 0, 6, 5, false, 4.0f}}});
    failures += differing<float>(in, plan, Type::float32, last) + differing<Half>(in, plan, Type::float16, last);
  }
  return failures;
}
