#include "kernels/kernels.h"

namespace dsb {
namespace DSB_VARIANT {

void philox_uniform(const PhiloxRange& range, float low, float span, float* out);
void philox_normal(const PhiloxRange& range, float* out);
bool microvolt(const float* signal, size_t count, float scale, int16_t* out);

extern const Kernels kernels;
const Kernels kernels = {DSB_VARIANT_NAME, philox_uniform, philox_normal, microvolt};

}  // namespace DSB_VARIANT
}  // namespace dsb
