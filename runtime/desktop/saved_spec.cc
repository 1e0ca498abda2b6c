#include "runtime/desktop/saved_spec.h"

#include <limits>

#include "runtime/agent/protocol.h"

namespace panal::desktop {
namespace {

constexpr std::uint64_t kMostId = std::numeric_limits<std::uint32_t>::max();

Result<void> read_id(const agent::Frame& frame, std::string_view key, std::uint32_t& out) {
  PANAL_ASSIGN(const std::uint64_t value, frame.number(key, kMostId));
  out = static_cast<std::uint32_t>(value);
  return {};
}

}  // namespace

Result<std::string> print_saved(const DesktopSpec& spec) {
  agent::Frame frame("desktop");
  frame.add("id", std::to_string(spec.id))
      .add("tenant", spec.user.tenant)
      .add("home", spec.home)
      .add("uid", std::to_string(spec.user.uid))
      .add("gid", std::to_string(spec.user.gid))
      .add("ids_first", std::to_string(spec.ids.first))
      .add("ids_count", std::to_string(spec.ids.count))
      .add("persistent", spec.persistent ? "1" : "0")
      .add("merge", spec.sharing.merge ? "1" : "0")
      .add("trust", spec.sharing.trust)
      .add("version_root", spec.version_root)
      .add("compose", spec.compose);
  for (const std::string& program : spec.sharing.apart) frame.add("apart", program);
  return agent::encode(frame);
}

Result<DesktopSpec> parse_saved(std::string_view text) {
  PANAL_ASSIGN(const agent::Frame frame, agent::decode(text));
  if (frame.verb != "desktop") return fail(EPROTO, "not a saved desktop");
  DesktopSpec spec;
  PANAL_ASSIGN(const std::uint64_t id,
               frame.number("id", std::numeric_limits<std::int64_t>::max()));
  spec.id = static_cast<DesktopId>(id);
  spec.user.tenant = frame.get("tenant");
  spec.home = frame.get("home");
  PANAL_TRY(read_id(frame, "uid", spec.user.uid));
  PANAL_TRY(read_id(frame, "gid", spec.user.gid));
  PANAL_TRY(read_id(frame, "ids_first", spec.ids.first));
  PANAL_TRY(read_id(frame, "ids_count", spec.ids.count));
  PANAL_ASSIGN(const std::uint64_t persistent, frame.number("persistent", 1));
  spec.persistent = persistent == 1;
  spec.sharing.merge = frame.get("merge") == "1";  // absent: of a panald that enlisted nobody
  spec.sharing.trust = frame.get("trust");
  spec.sharing.apart = frame.all("apart");
  spec.version_root = frame.get("version_root");
  spec.compose = frame.get("compose");  // absent: of a panald that had overlay alone
  return spec;
}

}  // namespace panal::desktop
