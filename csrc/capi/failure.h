// What goes wrong inside the C interface: a status and one line of text, thrown up to the function that was called.
#pragma once

#include <exception>
#include <string>
#include <utility>

#include "dsb_fast/dsb_fast.h"

namespace dsb {
namespace capi {

class Failure : public std::exception {
 public:
  Failure(dsb_status status, std::string text) : status_(status), text_(std::move(text)) {}

  dsb_status status() const { return status_; }
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  dsb_status status_;
  std::string text_;
};

// At most `length` bytes of what a file, a caller or ONNX Runtime says, its first line, for use inside a message.
inline std::string shortened(const std::string& text, size_t length = 60) {
  std::string out = text.substr(0, text.find('\n')).substr(0, length);
  for (char& c : out)
    if (c < ' ' || c > '~') c = '?';
  return out;
}

}  // namespace capi
}  // namespace dsb
