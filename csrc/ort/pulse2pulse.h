// The network inside a session's Pulse2Pulse node, for callers that need no session to run it.
#pragma once

#include <memory>

#include "ops/pulse2pulse.h"
#include "ort/library.h"

namespace dsb {
namespace ort {

// While it lives, the network of the Pulse2Pulse kernel that this thread makes is kept. One at a time a thread.
class NetworkCapture {
 public:
  NetworkCapture();
  ~NetworkCapture();
  NetworkCapture(const NetworkCapture&) = delete;
  NetworkCapture& operator=(const NetworkCapture&) = delete;

  // Null if no such kernel was made.
  std::shared_ptr<const Pulse2PulseNetwork> network() const { return network_; }

 private:
  std::shared_ptr<const Pulse2PulseNetwork> network_;
};

}  // namespace ort
}  // namespace dsb
