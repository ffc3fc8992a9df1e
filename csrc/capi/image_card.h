// What the model card of an exported image network says of its inputs and output.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "capi/model_file.h"
#include "capi/session.h"
#include "dsb_fast/dsb_fast.h"

namespace dsb {
namespace capi {

struct NoisePlane {
  std::string input;  // "noise_0", ...
  int64_t side;
};

struct ImageCard {
  bool is_lucid = true;  // of stylegan2-pytorch; else NVIDIA's or rosinality's
  int64_t size = 0, channels = 0, latent = 0;
  int64_t labels = 0;  // classes, 0 of a network that is not conditional
  double truncation = 1.0;
  int32_t noise = DSB_NOISE_RANDOM;  // what the graph was exported with
  bool has_noise_layers = true;
  std::vector<NoisePlane> planes;       // in forward order, of graphs that take them
  uint64_t plane_values = 0;            // of one sample
  float scale = 255.0f, offset = 0.5f;  // image * scale + offset, held to 0..255 and cut down, are grey levels

  // The graph's inputs.
  std::vector<Port> inputs() const;
};

// Throws Failure for a card that is no image network's, or one of a part of a network.
ImageCard read_image_card(const ModelFile& file);

}  // namespace capi
}  // namespace dsb
