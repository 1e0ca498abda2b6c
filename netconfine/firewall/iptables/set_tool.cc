#include "netconfine/firewall/iptables/set_tool.h"

#include "netconfine/firewall/iptables/program.h"

namespace panal::netconfine {

Result<SetTool> SetTool::find() {
  PANAL_ASSIGN(std::string path, find_program("ipset"));
  SetTool tool(std::move(path));
  PANAL_TRY(
      tool.restore("create pnl-try4 hash:net,iface family inet\ndestroy pnl-try4\n"
                   "create pnl-try6 hash:net,iface family inet6\ndestroy pnl-try6\n"));
  return tool;
}

Result<IpSets> SetTool::save() const {
  PANAL_ASSIGN(const std::string text, output_of({path_, {"save"}}));
  return parse_saved_sets(text);
}

Result<void> SetTool::restore(const std::string& text) const {
  if (text.empty()) return {};
  const auto done = output_of({path_, {"-exist", "restore"}}, text);
  if (!done) return tl::make_unexpected(done.error());
  return {};
}

Result<void> SetTool::delete_but(const IpSets& keep) const {
  PANAL_ASSIGN(const auto found, save());
  Result<void> result;
  for (const auto& [name, members] : found) {
    if (keep.contains(name)) continue;
    const auto deleted = output_of({path_, {"destroy", name}});
    if (!deleted && deleted.error().context.find("in use") == std::string::npos && result)
      result = tl::make_unexpected(deleted.error());
  }
  return result;
}

}  // namespace panal::netconfine
