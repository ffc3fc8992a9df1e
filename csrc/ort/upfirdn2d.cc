// UpFirDn2d: zero insertion, padding, FIR filter, decimation.
//
// Inputs: x [N, C, H, W]; taps [h, w], or [t] for a separable filter. Attributes, all optional: up and down [x, y],
// padding [left, right, top, bottom] on the enlarged image (negative crops), flip_filter, gain. Output: y [N, C, H',
// W'].
#include "ops/upfirdn2d.h"

#include <algorithm>

#include "ort/attributes.h"
#include "ort/operator.h"
#include "ort/tensors.h"

namespace dsb {
namespace ort {
namespace {

Resampling resampling(const Dimensions& up, const Dimensions& down, const Dimensions& padding) {
  Resampling how;
  how.up_x = up[0], how.up_y = up[1], how.down_x = down[0], how.down_y = down[1];
  how.left = padding[0], how.right = padding[1], how.top = padding[2], how.bottom = padding[3];
  return how;
}

bool within(const Dimensions& values, size_t count, int64_t least, int64_t most) {
  return values.size() == count && *std::min_element(values.begin(), values.end()) >= least &&
         *std::max_element(values.begin(), values.end()) <= most;
}

class UpFirDn2d {
 public:
  static constexpr const char* kName = "UpFirDn2d";
  static constexpr Input kInputs[] = {{kFloat}, {kFloat}};
  static constexpr ONNXTensorElementDataType kOutput = kFloat;

  explicit UpFirDn2d(const Ort::ConstKernelInfo& info) {
    const Attributes attributes(info, kName);
    how_ = resampling(attributes.integers("up", 2, 1, kMaxFactor, Dimensions{1, 1}),
                      attributes.integers("down", 2, 1, kMaxFactor, Dimensions{1, 1}),
                      attributes.integers("padding", 4, -kMaxPadding, kMaxPadding, Dimensions{0, 0, 0, 0}));
    how_.flip_filter = attributes.flag("flip_filter", false);
    how_.gain = attributes.number("gain", 1.0f);
  }

  void compute(const Ort::KernelContext& context) const {
    const Tensor x = input(context, 0), taps = input(context, 1);
    const Shape4 in = image_shape(kName, "x", x.shape);
    const FilterSteps steps = filter_steps(filters_of(kName, taps), how_);
    check_growth(kName, in, largest_size(in, steps));
    const Shape4 shape = upfirdn2d_shape(in, steps);
    auto y = context.GetOutput(0, {shape.n, shape.c, shape.h, shape.w});
    upfirdn2d(x.data, in, steps, host_threads(context), y.GetTensorMutableData<float>());
  }

  // Height and width where those of x are known, for attributes that are all there.
  static void infer(Inference& inference) {
    const Sizes &x = inference.input(0), &taps = inference.input(1);
    if (x.size() != 4 || !known(x) || !known(taps) || !x[2].IsInt() || !x[3].IsInt()) return;
    Tensor filter = {nullptr, {}, 0};
    for (const auto& size : taps) {
      if (!size.IsInt()) return;
      filter.shape.push_back(size.AsInt());
    }
    const Dimensions up = inference.integers("up"), down = inference.integers("down"),
                     padding = inference.integers("padding");
    if (!within(up, 2, 1, kMaxFactor) || !within(down, 2, 1, kMaxFactor) ||
        !within(padding, 4, -kMaxPadding, kMaxPadding))
      return;
    const Shape4 in = image_shape(kName, "x", {1, 1, x[2].AsInt(), x[3].AsInt()});
    const Shape4 shape = upfirdn2d_shape(in, filter_steps(filters_of(kName, filter), resampling(up, down, padding)));
    inference.set_output({x[0], x[1], shape.h, shape.w}, kOutput);
  }

 private:
  Resampling how_;
};

}  // namespace

const OrtCustomOp* upfirdn2d_op() { return operator_of<UpFirDn2d>(); }

}  // namespace ort
}  // namespace dsb
