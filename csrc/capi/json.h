// JSON as a model card has it: read, never written.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dsb {
namespace capi {

struct Json {
  enum class Kind { null, boolean, number, text, list, object };

  Kind kind = Kind::null;
  bool boolean = false;
  double number = 0.0;
  std::string text;                                  // UTF-8
  std::vector<Json> list;                            // items
  std::vector<std::pair<std::string, Json>> object;  // as written; the last of two equal names counts

  // The member called `name`, or null for none.
  const Json* find(const std::string& name) const;
};

// Nothing if `text` is no JSON, or nested more than 32 deep.
std::optional<Json> parse_json(const std::string& text);

}  // namespace capi
}  // namespace dsb
