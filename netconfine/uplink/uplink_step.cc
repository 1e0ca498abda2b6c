#include "netconfine/uplink/uplink_step.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/kernel_paths.h"
#include "engine/base/tree.h"
#include "netconfine/netlink/enter.h"

namespace panal::netconfine {
namespace {

Result<Dir> net_settings() {
  PANAL_ASSIGN(const auto proc, Dir::open(kernel_paths::kProc));
  return proc.open_dir("sys/net");
}

}  // namespace

Result<std::string> read_net_setting(const std::string& path) {
  PANAL_ASSIGN(const auto net, net_settings());
  PANAL_ASSIGN(auto text, net.read(path));
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

Result<void> write_net_settings(const NetSettings& settings) {
  PANAL_ASSIGN(const auto net, net_settings());
  for (const auto& [path, value] : settings) {
    auto written = net.write(path, value);
    const bool may_lack = path.starts_with("ipv6/") || path.starts_with("netfilter/");
    if (!written && !(written.error().is_gone() && may_lack)) return written;
  }
  return {};
}

UplinkStep settings_step(const UniqueFd& space, const std::string& where, NetSettings settings) {
  std::string text = fmt::format("# in {}:", where);
  for (const auto& [path, value] : settings) {
    // A dot in a link's name is a slash for sysctl(8).
    std::string key = path;
    for (char& c : key) c = c == '/' ? '.' : (c == '.' ? '/' : c);
    text += fmt::format("\nsysctl -w net.{}={}", key, value);
  }
  return {std::move(text), [&space, settings = std::move(settings)] {
            return run_inside(space, [&] { return write_net_settings(settings); });
          }};
}

}  // namespace panal::netconfine
