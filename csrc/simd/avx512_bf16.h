// AVX-512 with bfloat16 dot products. No kernel uses them yet; float32 work is that of avx512.
#pragma once

#include "simd/avx512.h"
