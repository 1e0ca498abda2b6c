#include "netconfine/firewall/iptables/fragments.h"

#include "engine/base/kernel_paths.h"
#include "engine/base/log.h"
#include "engine/base/tree.h"

namespace panal::netconfine {
namespace {

// Below proc/sys/net. The low ones first: they may not be above the high ones.
constexpr const char* kThresholds[] = {
    "ipv4/ipfrag_low_thresh",
    "ipv4/ipfrag_high_thresh",
    "netfilter/nf_conntrack_frag6_low_thresh",
    "netfilter/nf_conntrack_frag6_high_thresh",
};

Result<Dir> open_net() {
  PANAL_ASSIGN(const auto proc, Dir::open(kernel_paths::kProc));
  return proc.open_dir("sys/net");
}

}  // namespace

Result<void> refuse_fragments() {
  PANAL_ASSIGN(const auto net, open_net());
  for (const char* path : kThresholds)
    if (net.exists(path)) PANAL_TRY(net.write(path, "0"));  // no IPv6, no such file
  return {};
}

Result<std::vector<Drift>> audit_fragments() {
  PANAL_ASSIGN(const auto net, open_net());
  std::vector<Drift> drifts;
  for (const char* path : kThresholds) {
    if (!net.exists(path)) continue;
    PANAL_ASSIGN(std::string value, net.read(path));
    while (!value.empty() && value.back() == '\n') value.pop_back();
    if (value != "0")
      drifts.push_back(
          {std::string("sysctl net/") + path, "is " + printable(value, 32) + ", not 0"});
  }
  return drifts;
}

}  // namespace panal::netconfine
