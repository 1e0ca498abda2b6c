#include "bench/confinement/open_firewall.h"

#include <sys/eventfd.h>

#include "netconfine/firewall/choice/leftovers.h"
#include "netconfine/firewall/iptables/iptables.h"

namespace panal::bench {

using netconfine::Addresses;
using netconfine::Drift;
using netconfine::DropCounter;
using netconfine::Ruleset;
using netconfine::Sender;

Result<void> OpenFirewall::load(const Ruleset& /*rules*/, const std::vector<Sender>& /*senders*/) {
  return {};
}

Result<void> OpenFirewall::put(std::span<const Sender> /*senders*/) { return {}; }

Result<void> OpenFirewall::remove(std::span<const Addresses> /*senders*/) { return {}; }

Result<std::vector<std::string>> OpenFirewall::links() { return std::vector<std::string>{}; }

Result<std::vector<DropCounter>> OpenFirewall::drops() { return std::vector<DropCounter>{}; }

Result<std::vector<Drift>> OpenFirewall::audit() { return std::vector<Drift>{}; }

Result<void> OpenFirewall::cut_off() {
  return fail(EOPNOTSUPP, "cut desktops off: this panald has no rules");
}

Result<std::unique_ptr<netconfine::FirewallBackend>> open_no_firewall() {
  PANAL_TRY(netconfine::clear_nftables());
  PANAL_TRY(netconfine::clear_iptables());
  UniqueFd idle(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!idle) return fail_errno("make an event descriptor");
  return std::make_unique<OpenFirewall>(std::move(idle));
}

}  // namespace panal::bench
