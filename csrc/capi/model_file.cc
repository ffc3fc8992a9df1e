#include "capi/model_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "capi/failure.h"
#include "capi/protobuf.h"
#include "capi/sha256.h"

namespace dsb {
namespace capi {
namespace {

constexpr off_t kMaxBytes = off_t{1} << 31;   // what a protobuf message may have
constexpr size_t kMaxNodes = 10'000;          // as export/onnx_file.py has it
constexpr size_t kMaxCard = size_t{1} << 20;  // of text, which takes many times as much once it is parsed

// Numbers of fields in onnx.proto.
enum : uint64_t {
  kModelGraph = 7,
  kModelProperties = 14,
  kModelTraining = 20,
  kModelFunctions = 25,
  kGraphNode = 1,
  kGraphInitializer = 5,
  kGraphSparse = 15,
  kNodeInput = 1,
  kNodeOutput = 2,
  kNodeOperator = 4,
  kNodeAttribute = 5,
  kNodeDomain = 7,
  kTensorExternal = 13,
  kTensorLocation = 14,
};
constexpr uint64_t kAttributesInside[] = {5, 6, 10, 11, 22, 23};  // tensors and graphs, dense, sparse, one or many

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  int number() const { return number_; }

 private:
  int number_;
};

// Whether this is no file but what may be a registered model: "cardiovascular.ecg".
bool is_name(const std::string& asked) {
  constexpr const char* kLetters = "abcdefghijklmnopqrstuvwxyz0123456789_-.";
  const size_t dot = asked.find('.');
  const bool onnx = asked.size() > 5 && asked.compare(asked.size() - 5, 5, ".onnx") == 0;
  return dot != std::string::npos && dot != 0 && dot + 1 < asked.size() && !onnx &&
         asked.find_first_not_of(kLetters) == std::string::npos && access(asked.c_str(), F_OK) != 0;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// Where `dsb-fast export NAME --cached` puts a model: as dsb_fast/_cache.py has it.
std::string exported(const std::string& name) {
  std::string folder = variable("DSB_CACHE_DIR");
  if (folder.empty()) {
    const std::string base = variable("XDG_CACHE_HOME");
    folder = (base.empty() ? variable("HOME") + "/.cache" : base) + "/dsb_fast";
  }
  const std::string path = folder + "/exported/" + name + ".onnx";
  if (access(path.c_str(), F_OK) != 0)
    throw Failure(DSB_ERROR_FILE, name + ": No such file, and no model of that name in the cache (" + path +
                                      "); dsb-fast export " + name + " --cached puts it there");
  return path;
}

std::string read_file(const std::string& path) {
  const auto refuse = [&path](const std::string& why) { throw Failure(DSB_ERROR_FILE, path + ": " + why); };
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a pipe is refused, not waited for
  struct stat facts;
  if (file.number() < 0 || fstat(file.number(), &facts) != 0) refuse(std::strerror(errno));
  if (!S_ISREG(facts.st_mode)) refuse("it is no regular file");
  if (facts.st_size > kMaxBytes) refuse("it is larger than an ONNX file can be");
  std::string bytes(static_cast<size_t>(facts.st_size), '\0');
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t got = read(file.number(), &bytes[done], bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) refuse(std::strerror(errno));
    if (got == 0) refuse("it was cut while it was read");
    done += static_cast<size_t>(got);
  }
  return bytes;
}

bool is_utf8(std::string_view text) {
  for (size_t k = 0; k < text.size();) {
    const auto lead = static_cast<unsigned char>(text[k]);
    const size_t more = lead < 0x80 ? 0 : lead >= 0xC2 && lead < 0xE0 ? 1 : lead >= 0xE0 && lead < 0xF0 ? 2 : 3;
    if (lead >= 0xF5 || (lead >= 0x80 && lead < 0xC2) || text.size() - k <= more) return false;
    for (size_t j = 1; j <= more; ++j)
      if ((static_cast<unsigned char>(text[k + j]) & 0xC0) != 0x80) return false;
    k += 1 + more;
  }
  return true;
}

struct Node {
  std::string_view op, domain;
  std::vector<std::string_view> inputs, outputs;
};

// Looks through a message and its parts; says in `problem` what is wrong.
class Walk {
 public:
  std::string problem;
  std::map<std::string, std::string> properties;
  std::vector<Node> nodes;
  std::string digest;

  void model(std::string_view message) {
    Sha256 sha;
    each(message, [&](const Field& field) {
      if (field.number == kModelProperties) return property(field.bytes);
      sha.update(field.whole.data(), field.whole.size());
      if (field.number == kModelGraph) graph(field.bytes);
      if (field.number == kModelFunctions || field.number == kModelTraining)
        problem = "it has functions or training graphs, which dsb_fast never exports";
    });
    digest = sha.hex();
  }

 private:
  template <class Body>
  void each(std::string_view message, Body body) {
    Fields fields(message);
    Field field;
    while (problem.empty() && fields.next(field)) body(field);
    if (fields.broken()) problem = "it is no valid ONNX file";
  }

  void property(std::string_view message) {
    std::string name, value;
    each(message, [&](const Field& field) {
      if (field.number == 1) name = field.bytes;
      if (field.number == 2) value = field.bytes;
    });
    if (!is_utf8(name) || !is_utf8(value)) problem = "its metadata is no text";
    properties[name] = value;
  }

  void graph(std::string_view message) {
    each(message, [&](const Field& field) {
      if (field.number == kGraphNode) node(field.bytes);
      if (nodes.size() > kMaxNodes) problem = "it has too many nodes, more than dsb_fast ever exports";
      if (field.number == kGraphInitializer) tensor(field.bytes);
      if (field.number == kGraphSparse) problem = "it has sparse weights, which dsb_fast never exports";
    });
  }

  void node(std::string_view message) {
    Node made;
    each(message, [&](const Field& field) {
      if (field.number == kNodeInput) made.inputs.push_back(field.bytes);
      if (field.number == kNodeOutput) made.outputs.push_back(field.bytes);
      if (field.number == kNodeOperator) made.op = field.bytes;
      if (field.number == kNodeDomain) made.domain = field.bytes;
      if (field.number == kNodeAttribute) attribute(field.bytes);
    });
    nodes.push_back(std::move(made));
  }

  void attribute(std::string_view message) {
    each(message, [&](const Field& field) {
      if (std::count(std::begin(kAttributesInside), std::end(kAttributesInside), field.number))
        problem = "a node of it carries a graph or a tensor, which dsb_fast never exports";
    });
  }

  void tensor(std::string_view message) {
    each(message, [&](const Field& field) {
      if (field.number == kTensorExternal || (field.number == kTensorLocation && field.value != 0))
        problem = "a weight of it lies in another file, which is never read";
    });
  }
};

bool is_fused_ecg(const std::vector<Node>& nodes) {
  if (nodes.size() != 1) return false;
  const Node& node = nodes.front();
  return node.op == "Pulse2Pulse" && node.domain == "dsb_fast" && !node.inputs.empty() &&
         node.inputs.front() == "noise" && node.outputs == std::vector<std::string_view>{"signal"};
}

void check_properties(const ModelFile& file, const std::string& digest) {
  const auto refuse = [&file](const std::string& why) { throw Failure(DSB_ERROR_FILE, file.path + ": " + why); };
  for (const char* name : {"model", "flavour", "format_version", "weights_sha256", "graph_sha256", "card"})
    if (!file.properties.count(name))
      refuse(std::string("it was not exported by dsb_fast: no metadata property ") + name);
  if (file.property("format_version") != "1")
    refuse("its format version is '" + shortened(file.property("format_version"), 20) + "', not 1; export it again");
  const std::string& flavour = file.property("flavour");
  if (flavour != "portable" && flavour != "fused")
    refuse("its flavour is '" + shortened(flavour, 20) + "'; there are portable and fused");
  if (file.property("graph_sha256") != digest)
    refuse("its graph is not the one that was exported (graph_sha256 does not fit)");
}

}  // namespace

const std::string& ModelFile::property(const std::string& name) const {
  static const std::string nothing;
  const auto found = properties.find(name);
  return found == properties.end() ? nothing : found->second;
}

ModelFile read_model_file(const std::string& asked) {
  const bool by_name = is_name(asked);
  const std::string path = by_name ? exported(asked) : asked;
  ModelFile file;
  file.path = path;
  file.bytes = read_file(path);
  Walk walk;
  walk.model(file.bytes);
  if (!walk.problem.empty()) throw Failure(DSB_ERROR_FILE, path + ": " + walk.problem);
  file.properties = std::move(walk.properties);
  check_properties(file, walk.digest);
  if (by_name && file.property("model") != asked)
    throw Failure(DSB_ERROR_FILE, path + ": it is a graph of '" + shortened(file.property("model")) + "'");
  file.is_fused_ecg = is_fused_ecg(walk.nodes);
  std::optional<Json> card;
  if (file.property("card").size() <= kMaxCard) card = parse_json(file.property("card"));
  if (!card || card->kind != Json::Kind::object)
    throw Failure(DSB_ERROR_FILE, path + ": its metadata property card is not a JSON object");
  file.card = std::move(*card);
  return file;
}

}  // namespace capi
}  // namespace dsb
