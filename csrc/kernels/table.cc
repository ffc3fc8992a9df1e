#include "kernels/declarations.h"
#include DSB_SIMD_HEADER

namespace dsb {
namespace DSB_VARIANT {

extern const Kernels kernels;
const Kernels kernels = {DSB_VARIANT_NAME, kFloatLanes,     philox_uniform, philox_normal, microvolt,    upfirdn2d,
                         bias_act,         conv2d,          conv1d_lanes,   scale_add,     matmul,       row_maximum,
                         exp_row,          softmax_columns, bilinear_up2,   blur2d,        channel_norm, grey_levels};

}  // namespace DSB_VARIANT
}  // namespace dsb
