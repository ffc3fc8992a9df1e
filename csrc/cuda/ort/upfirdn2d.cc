// Upfirdn2d: zero insertion, padding, FIR filter, decimation; the operator UpFirDn2d of csrc/ort for GPUs.
//
// Inputs: x [N, H, W, C], or [N, C, H, W] with layout "NCHW", of float, float16 or bfloat16; taps [h, w], or [t] for a
// separable filter, float, in host memory. Attributes, all optional: layout, up and down [x, y], padding [left, right,
// top, bottom] on the enlarged image (negative crops), flip_filter, gain. Output: y, of x's type and layout.
#include "ops/upfirdn2d.h"

#include <stdexcept>

#include "cuda/ort/library.h"
#include "cuda/ort/operator.h"
#include "cuda/ort/tensors.h"

namespace dsb {
namespace cuda {
namespace {

template <Type type>
class Upfirdn2d {
 public:
  static constexpr const char* kName = "Upfirdn2d";
  static constexpr DeviceInput kInputs[] = {{element(type)}, {ort::kFloat, INPUT_OUTPUT_REQUIRED, OrtMemTypeCPUInput}};
  static constexpr DeviceOutput kOutputs[] = {{element(type)}};

  explicit Upfirdn2d(const Ort::ConstKernelInfo& info) {
    const Attributes attributes(info, kName);
    channels_first_ = channels_first(attributes);
    const Dimensions up = attributes.integers("up", 2, 1, ort::kMaxFactor, Dimensions{1, 1});
    const Dimensions down = attributes.integers("down", 2, 1, ort::kMaxFactor, Dimensions{1, 1});
    const Dimensions padding =
        attributes.integers("padding", 4, -ort::kMaxPadding, ort::kMaxPadding, Dimensions{0, 0, 0, 0});
    how_.up_x = up[0], how_.up_y = up[1], how_.down_x = down[0], how_.down_y = down[1];
    how_.left = padding[0], how_.right = padding[1], how_.top = padding[2], how_.bottom = padding[3];
    how_.flip_filter = attributes.flag("flip_filter", false);
    how_.gain = attributes.number("gain", 1.0f);
  }

  void compute(const Ort::KernelContext& context) const {
    const DeviceTensor x = device_input(context, kName, 0, "x");
    const Image in = image4_of(kName, "x", x.shape, channels_first_);
    const Shape4 planes = ort::image_shape(kName, "x", {in.n, in.c, in.h, in.w});
    const FilterSteps steps = filter_steps(ort::filters_of(kName, ort::input(context, 1)), how_);
    ort::check_growth(kName, planes, largest_size(planes, steps));
    const Shape4 made = upfirdn2d_shape(planes, steps);
    void* y = output_data(
        context, 0,
        channels_first_ ? Dimensions{made.n, made.c, made.h, made.w} : Dimensions{made.n, made.h, made.w, made.c});
    upfirdn2d(in, type, x.array.data, steps, stream_of(context), y);
  }

 private:
  Resampling how_;
  bool channels_first_;
};

}  // namespace

void add_upfirdn2d(Ort::CustomOpDomain& domain) {
  domain.Add(device_operator<Upfirdn2d<Type::float32>>());
  domain.Add(device_operator<Upfirdn2d<Type::float16>>());
  domain.Add(device_operator<Upfirdn2d<Type::bfloat16>>());
}

}  // namespace cuda
}  // namespace dsb
