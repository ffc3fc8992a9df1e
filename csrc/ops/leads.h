// Twelve leads from eight.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dsb {

// From I, II, V1..V6 (in: [8][length]) the clinical order I, II, III, aVR, aVL, aVF, V1..V6 (out: [12][length]).
// Halves are cut toward zero. False if a derived value does not fit int16; out is then not defined.
bool derive_12_leads(const int16_t* in, size_t length, int16_t* out);

}  // namespace dsb
