#include "kernels/declarations.h"
#include DSB_SIMD_HEADER

namespace dsb {
namespace DSB_VARIANT {

extern const Kernels kernels;
const Kernels kernels = {DSB_VARIANT_NAME, kFloatLanes,  philox_uniform,  philox_uniform_lanes,
                         philox_normal,    microvolt,    microvolt_lanes, upfirdn2d,
                         bias_act,         conv2d,       product_lanes,   product_channels,
                         toom_forward,     toom_inverse, scale_add};

}  // namespace DSB_VARIANT
}  // namespace dsb
