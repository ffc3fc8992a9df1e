// Fully connected layers, weights packed once.
#pragma once

#include <vector>

#include "core/threads.h"
#include "ops/bias_act.h"

namespace dsb {

struct DenseSpec {
  int64_t in, out;
  float weight_gain = 1.0f, bias_gain = 1.0f;  // multiplied into weights and biases first
  ActivationOptions activation = {Activation::linear, 0.0f, 1.0f, -1.0f};
};

class DenseLayer {
 public:
  // weight is [out, in]; bias is [out] or null. Both are copied.
  DenseLayer(const DenseSpec& spec, const float* weight, const float* bias);

  // x is [count, in], out [count, out]. From any number of threads at once.
  void run(const float* x, int64_t count, const Threads& threads, float* out) const;

 private:
  DenseSpec spec_;
  std::vector<float> panels_;  // of up to 64 outputs each: the weights of input after input, outputs side by side
  std::vector<float> bias_;
};

}  // namespace dsb
