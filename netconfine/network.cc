#include "netconfine/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "engine/base/cleanup.h"
#include "netconfine/address/address_pool.h"
#include "netconfine/firewall/firewall.h"
#include "netconfine/link/routed_veth.h"
#include "netconfine/netlink/enter.h"

namespace panal::netconfine {
namespace {

Link to_link(DesktopId id, const Addresses& addresses) {
  return {.id = id,
          .name = addresses.link,
          .address4 = to_string(addresses.ipv4),
          .address6 = to_string(addresses.ipv6),
          .mac = to_string(addresses.mac)};
}

// A link whose id the present plan has no address for: known by name alone.
Link unplanned(DesktopId id) {
  Link link;
  link.id = id;
  link.name = link_name(id);
  return link;
}

class RoutedNetwork : public Network {
 public:
  RoutedNetwork(AddressPool pool, RoutedVeths veths, std::unique_ptr<Firewall> firewall,
                LoggerPtr log)
      : pool_(pool),
        veths_(std::move(veths)),
        firewall_(std::move(firewall)),
        log_(std::move(log)) {}

  // Rules that know the links which are there: what an earlier process left is taken over, and
  // a ruleset of another version or one that was tampered with is replaced.
  Result<void> load() {
    PANAL_ASSIGN(const auto ids, veths_.list());
    std::vector<Addresses> senders;
    for (const DesktopId id : ids) {
      auto addresses = pool_.of(id);
      // A link past the end of a plan that has since shrunk: it gets no entry, so it is mute.
      if (addresses) senders.push_back(std::move(*addresses));
    }
    PANAL_TRY(firewall_->load(senders));
    log_->info("network_loaded", {{"links", std::to_string(ids.size())}});
    return {};
  }

  Result<Link> attach(DesktopId id, const UniqueFd& desktop_namespace) override {
    const auto failed = [&](Error error) {
      return prefixed(fmt::format("attach {} to the network", kernel_name(id)), std::move(error));
    };
    auto addresses = pool_.of(id);
    if (!addresses) return failed(std::move(addresses.error()));
    auto done = attach_link(*addresses, desktop_namespace);
    if (!done) return failed(std::move(done.error()));
    log_->info("link_up", {{"desktop", std::to_string(id)}, {"link", addresses->link}});
    return to_link(id, *addresses);
  }

  Result<void> detach(DesktopId id) override {
    const std::lock_guard lock(mutex_);
    return detach_locked(id);
  }

  Result<std::vector<Link>> links() override {
    const std::lock_guard lock(mutex_);
    PANAL_ASSIGN(const auto ids, veths_.list());
    std::vector<Link> links;
    for (const DesktopId id : ids) {
      const auto addresses = pool_.of(id);
      links.push_back(addresses ? to_link(id, *addresses) : unplanned(id));
    }
    return links;
  }

  Result<void> recover(const std::set<DesktopId>& live) override {
    const std::lock_guard lock(mutex_);
    PANAL_ASSIGN(const auto with_link, veths_.list());
    PANAL_ASSIGN(const auto with_entry, firewall_->links());
    std::set<DesktopId> found(with_link.begin(), with_link.end());
    for (const auto& name : with_entry) {
      if (const DesktopId id = id_of_link(name); id != 0) found.insert(id);
    }
    Result<void> result;
    for (const DesktopId id : found) {
      if (live.contains(id)) continue;
      auto detached = detach_locked(id);
      if (!detached && result) result = std::move(detached);
      log_->info("link_recovered", {{"desktop", std::to_string(id)}});
    }
    return result;
  }

  Result<std::vector<DropCounter>> drops() override {
    const std::lock_guard lock(mutex_);
    return firewall_->drops();
  }

 private:
  Result<void> attach_link(const Addresses& addresses, const UniqueFd& desktop_namespace) {
    PANAL_TRY(run_inside(desktop_namespace, prepare_desktop_namespace));
    const std::lock_guard lock(mutex_);
    Cleanup undo;  // after the lock: its steps run under it
    PANAL_ASSIGN(const bool exists, veths_.exists(addresses.link));
    if (exists) return fail(EEXIST, "add link " + addresses.link);
    // First the entry, then the link: there is no moment at which it could send unchecked. (It
    // could not anyway: a link without an entry is mute.)
    PANAL_TRY(firewall_->add(addresses));
    undo.push([&] { undo_step("entry", addresses.link, firewall_->remove(addresses)); });
    PANAL_TRY(veths_.add(addresses, desktop_namespace));
    undo.push([&] { undo_step("link", addresses.link, veths_.remove(addresses.link)); });
    PANAL_TRY(run_inside(desktop_namespace, [&] { return configure_desktop_end(addresses); }));
    PANAL_TRY(veths_.bring_up(addresses));
    undo.release();
    return {};
  }

  void undo_step(const char* what, const std::string& link, const Result<void>& result) {
    if (result || result.error().is_gone()) return;
    log_->error("attach_undo_failed",
                {{"what", what}, {"link", link}, {"error", result.error().message()}});
  }

  Result<void> detach_locked(DesktopId id) {
    auto removed = veths_.remove(link_name(id));
    if (!removed && !removed.error().is_gone()) return removed;
    const auto addresses = pool_.of(id);
    if (!addresses) return {};  // outside the plan: it never had an entry
    PANAL_TRY(firewall_->remove(*addresses));
    if (removed) log_->info("link_down", {{"desktop", std::to_string(id)}});
    return {};
  }

  const AddressPool pool_;
  std::mutex mutex_;  // of the sockets inside veths_ and firewall_
  RoutedVeths veths_;
  std::unique_ptr<Firewall> firewall_;
  LoggerPtr log_;
};

}  // namespace

Result<std::unique_ptr<Network>> Network::open(UniqueFd network_namespace, const AddressPlan& plan,
                                               LoggerPtr log) {
  PANAL_ASSIGN(const auto pool, AddressPool::parse(plan.subnet4, plan.subnet6));
  std::unique_ptr<RoutedNetwork> network;
  const auto opened = run_inside(network_namespace, [&]() -> Result<void> {
    PANAL_ASSIGN(auto veths, RoutedVeths::open());
    PANAL_ASSIGN(auto firewall, open_nftables());
    network = std::make_unique<RoutedNetwork>(pool, std::move(veths), std::move(firewall), log);
    PANAL_TRY(network->load());
    return prepare_panal_namespace();
  });
  if (!opened) return prefixed("open the desktops' network", opened.error());
  return network;
}

}  // namespace panal::netconfine
