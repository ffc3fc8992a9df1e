#include "kernels/declarations.h"
#include DSB_SIMD_HEADER

namespace dsb {
namespace DSB_VARIANT {

extern const Kernels kernels;
const Kernels kernels = {DSB_VARIANT_NAME,
                         kFloatLanes,
                         philox_uniform,
                         philox_uniform_lanes,
                         philox_normal,
                         microvolt,
                         microvolt_lanes,
                         upfirdn2d,
                         filter_planes,
                         bias_act,
                         conv2d,
                         direct2d,
                         demodulation,
                         winograd_forward,
                         winograd_product,
                         winograd_inverse,
                         phase_forward,
                         phase_inverse,
                         phase_filter,
                         product_lanes,
                         product_channels,
                         toom_forward,
                         toom_inverse,
                         scale_add,
                         matmul,
                         row_maximum,
                         exp_row,
                         softmax_columns,
                         panel_product,
                         add_scaled_columns,
                         exp2_columns,
                         panel_product_bf16,
                         exp2_columns_bf16,
                         plane_centre,
                         pair_channels,
                         pair_positions,
                         bilinear_up2,
                         blur2d,
                         channel_norm,
                         instance_norm,
                         grey_levels,
                         round_bf16,
                         widen_bf16,
                         pair_bf16,
                         conv2d_bf16,
                         conv1d_lanes_bf16,
                         winograd_forward_bf16,
                         winograd_product_bf16};

}  // namespace DSB_VARIANT
}  // namespace dsb
