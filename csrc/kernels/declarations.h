// The kernels of the variant that is being compiled; what each does stands in kernels.h.
#pragma once

#include "kernels/kernels.h"

namespace dsb {
namespace DSB_VARIANT {

void philox_uniform(const PhiloxRange& range, float low, float span, float* out);
void philox_uniform_lanes(const PhiloxRange& range, float low, float span, float* out);
void philox_normal(const PhiloxRange& range, float* out);
bool microvolt(const float* signal, size_t count, float scale, int16_t* out);
bool microvolt_lanes(const float* signal, int64_t length, float scale, int64_t samples, int64_t out_sample,
                     int16_t* out);
void upfirdn2d(const UpfirdnPlane& plane, const float* x, const float* taps, float gain, float* out);
void filter_planes(const FilterPlane& plane, int64_t planes, const float* x, const float* taps_x, const float* taps_y,
                   float gain, bool past_cache, float* memory, float* out);
void bias_act(const float* x, size_t count, const float* bias, size_t bias_step, const ActivationOptions& options,
              float* out);
void conv2d(const ConvPlane& plane, const float* x, const float* weight, float* out);
void direct2d(const ConvPlane& plane, int64_t out_channels, const float* x, const float* weight, int64_t count,
              float* out, int64_t out_row);
void demodulation(const double* energies, int64_t channels, const float* styles, float* factors);
void winograd_forward(const WinogradForward& winograd, const float* x, const float* factors, float* strip, float* v);
void winograd_product(const WinogradProduct& product, const float* v, const float* weight, float* out);
void winograd_inverse(const WinogradInverse& winograd, const ConvEpilogue& epilogue, const float* m, float* strip,
                      float* out);
void phase_forward(const PhaseTiles& tiles, const float* x, const float* factors, float* strip, float* v);
void phase_inverse(const PhaseTiles& tiles, const float* m, int64_t pitch, float* out);
void phase_filter(const PhaseFilter& filter, const ConvEpilogue& epilogue, const float* x, float* strip, float* out);
void winograd_forward_bf16(const WinogradForward& winograd, const float* x, const float* factors, float* strip,
                           bfloat16* v);
void winograd_product_bf16(const WinogradProduct& product, const bfloat16* v, const bfloat16_pair* weight, float* out);
void product_lanes(const Product& product, const float* v, const float* weight, float* out);
void product_channels(const Product& product, const float* v, const float* weight, float* out);
void toom_forward(const ToomForward& toom, const float* x, float* v);
void toom_inverse(const ToomInverse& toom, const float* m, const float* bias, float* carry, float* out);
void scale_add(const float* x, size_t count, float factor, const float* addend, float* out);
void matmul(const MatrixProduct& product, const float* a, const float* b, float* out);
float row_maximum(const float* x, size_t count, float scale);
void exp_row(const float* x, size_t count, float scale, float maximum, float* out, size_t out_step);
void softmax_columns(const float* x, int64_t rows, int64_t row, int64_t columns, float scale, float factor, float* out,
                     int64_t out_row);
void panel_product(const PanelProduct& product, const float* a, const float* b, const float* start,
                   const float* factors, float* out);
void add_scaled_columns(int64_t rows, int64_t columns, const float* x, const float* factors, float* out);
void exp2_columns(int64_t rows, int64_t columns, float* x, float* largest, float* sums, float* scale);
void panel_product_bf16(const PanelProduct& product, const bfloat16_pair* a, const bfloat16_pair* b, const float* start,
                        const float* factors, float* out);
void exp2_columns_bf16(int64_t rows, int64_t columns, const float* x, float* largest, float* sums, float* scale,
                       bfloat16_pair* out);
float plane_centre(const float* x, int64_t count);
void pair_channels(const float* first, const float* second, int64_t count, float first_centre, float second_centre,
                   bfloat16_pair* out);
void pair_positions(const float* x, int64_t count, float centre, bfloat16_pair* out);
void bilinear_up2(const float* x, int64_t height, int64_t width, float* out);
void blur2d(const float* x, int64_t height, int64_t width, float* out);
void channel_norm(const float* x, int64_t channels, int64_t channel, int64_t count, const float* gain,
                  const float* bias, float eps, bool eps_to_deviation, float* out);
void instance_norm(const float* x, int64_t count, float gain, float bias, float eps, float* out);
bool grey_levels(const float* x, int64_t channels, int64_t pixels, float scale, float offset, uint8_t* out);
void round_bf16(const float* x, size_t count, bfloat16* out);
void widen_bf16(const bfloat16* x, size_t count, float* out);
void pair_bf16(const float* first, const float* second, size_t count, bfloat16_pair* out);
void conv2d_bf16(const ConvPlane& plane, int64_t out_channels, const bfloat16_pair* x, const bfloat16_pair* packed,
                 float* out);
void conv1d_lanes_bf16(const LaneConv& conv, const bfloat16_pair* x, const bfloat16_pair* packed, const float* bias,
                       float* out);
void add_squared_steps(const int16_t* x, int64_t count, int64_t apart, int64_t* sums);
int64_t count_at_most(const int32_t* x, int64_t count, int32_t limit);
void order_rows(int32_t* low, int32_t* high, int64_t count);
void correlate(const double* x, int64_t rows, int64_t row, const double* pattern, int64_t columns, double* out);

}  // namespace DSB_VARIANT
}  // namespace dsb
