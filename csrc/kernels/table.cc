#include "kernels/declarations.h"

namespace dsb {
namespace DSB_VARIANT {

extern const Kernels kernels;
const Kernels kernels = {DSB_VARIANT_NAME, philox_uniform, philox_normal, microvolt,
                         upfirdn2d,        bias_act,       conv2d,        scale_add};

}  // namespace DSB_VARIANT
}  // namespace dsb
