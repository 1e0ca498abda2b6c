#include "netconfine/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <utility>

#include "engine/base/cleanup.h"
#include "netconfine/address/address_pool.h"
#include "netconfine/bridge/groups.h"
#include "netconfine/link/routed_veth.h"
#include "netconfine/netlink/enter.h"
#include "netconfine/policy/prefix.h"
#include "netconfine/qos/rates.h"

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

// Classes of a thousand desktops are much to read, and nobody gets out by them.
constexpr std::chrono::seconds kLookAtRates{60};

// Longer than a core takes to see one packet through the rules.
constexpr std::chrono::milliseconds kInFlight{10};

// What a look at both walls has found.
struct Found {
  std::vector<Drift> drifts;
  bool rules_differ = false;  // what only the backend mends; it may have settings of its own
};

// Two desktops that may reach each other, or something outside: packets must be passed on.
bool forwards(const Ruleset& rules) {
  return !rules.uplink.empty() ||
         std::any_of(rules.policies.begin(), rules.policies.end(),
                     [](const CompiledPolicy& policy) { return policy.group != 0; });
}

// What a RoutedNetwork is made of.
struct NetworkParts {
  UniqueFd network_namespace;
  AddressPool pool;
  GroupPrefixes prefixes;
  LineLimits line;
  NamespaceOf namespace_of;
  RoutedVeths veths;
  std::unique_ptr<FirewallBackend> firewall;
  LoggerPtr log;
};

class RoutedNetwork : public Network {
 public:
  explicit RoutedNetwork(NetworkParts parts)
      : namespace_(std::move(parts.network_namespace)),
        pool_(parts.pool),
        veths_(std::move(parts.veths)),
        firewall_(std::move(parts.firewall)),
        rates_(namespace_, parts.line),
        groups_(namespace_, parts.prefixes, std::move(parts.namespace_of), parts.log),
        log_(std::move(parts.log)) {}

  // Rules that know the links which are there: what an earlier process left is taken over, and
  // a ruleset of another version or one that was tampered with is replaced.
  Result<void> set_rules(const Ruleset& rules,
                         const std::map<DesktopId, std::uint32_t>& policies) override {
    const std::lock_guard lock(mutex_);
    PANAL_ASSIGN(const auto ids, veths_.list());
    const auto senders = senders_of(ids, policies);
    PANAL_TRY(can_hold(rules));
    PANAL_TRY(rates_.prepare(rules));
    // Off their bridges before rules may know these no more.
    if (auto left = groups_.leave_for(rules, senders); !left) {
      if (loaded_ && !cut_off_) groups_.load(rules_, senders_of(ids, policies_));
      return left;
    }
    auto loaded = go_over(rules, policies, ids);
    if (loaded) loaded = firewall_->load(rules, senders);
    // After the rules: some settings are there once conntrack is, and nothing is to be passed on
    // before rules for it stand.
    if (loaded) loaded = prepare(rules);
    if (!loaded) {
      if (loaded_) go_back(ids);
      return loaded;
    }
    const bool first = !std::exchange(loaded_, true);
    rules_ = rules;
    policies_ = policies;
    groups_.load(rules, senders);
    note_rates(rates_.load(rules, senders));
    if (first) {
      // One that stays down is closed; the others go on.
      if (const auto raised = raise_links(); !raised)
        log_->error("network_links_stay_down", {{"error", raised.error().message()}});
    }
    log_->info("network_loaded", {{"backend", firewall_->name()},
                                  {"links", std::to_string(ids.size())},
                                  {"policies", std::to_string(rules.policies.size())}});
    return {};
  }

  Result<void> set_policy(DesktopId id, std::uint32_t policy) override {
    const std::lock_guard lock(mutex_);
    if (policy == policy_in(policies_, id)) return {};
    const auto addresses = pool_.of(id);
    PANAL_ASSIGN(const bool attached, veths_.exists(link_name(id)));
    if (!addresses || !attached) {
      policies_[id] = policy;
      return {};
    }
    const Sender sender{*addresses, policy};
    groups_.leave_before(sender);
    auto put = firewall_->put(std::span(&sender, 1));
    if (!put) {
      return prefixed(fmt::format("give {} another network policy", kernel_name(id)),
                      std::move(put.error()));
    }
    policies_[id] = policy;
    groups_.expect(sender);
    if (!cut_off_) catch_up();
    // Who reaches what is in force; a rate that is not is found by the next look at them.
    note_rates(rates_.put(sender));
    return {};
  }

  Result<void> set_session(DesktopId id, SessionClass session) override {
    const std::lock_guard lock(mutex_);
    PANAL_ASSIGN(const auto addresses, pool_.of(id));
    return rates_.set_session(addresses, session);
  }

  Result<std::vector<ShapeUse>> rates() override {
    const std::lock_guard lock(mutex_);
    return rates_.use();
  }

  AuditReport audit() override {
    const std::lock_guard lock(mutex_);
    AuditReport report = audit_locked();
    report.untold = groups_.are_there();
    return report;
  }

  int changes() override {
    const std::lock_guard lock(mutex_);
    return firewall_->changes();
  }

  Result<Link> attach(DesktopId id, const UniqueFd& desktop_namespace) override {
    const auto failed = [&](Error error) {
      return prefixed(fmt::format("attach {} to the network", kernel_name(id)), std::move(error));
    };
    auto addresses = pool_.of(id);
    if (!addresses) return failed(std::move(addresses.error()));
    auto done = attach_link(id, *addresses, desktop_namespace);
    if (!done) return failed(std::move(done.error()));
    log_->info("link_up", {{"desktop", std::to_string(id)}, {"link", addresses->link}});
    return to_link(id, *addresses);
  }

  Result<void> detach(DesktopId id) override {
    const std::lock_guard lock(mutex_);
    return detach_locked(id);
  }

  Result<void> detach_all(std::span<const DesktopId> ids) override {
    const std::lock_guard lock(mutex_);
    return detach_all_locked(ids);
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
    PANAL_ASSIGN(const auto with_port, groups_.ids());
    found.insert(with_port.begin(), with_port.end());
    std::vector<DesktopId> dead;
    for (const DesktopId id : found) {
      if (live.contains(id)) continue;
      dead.push_back(id);
      log_->info("link_recovered", {{"desktop", std::to_string(id)}});
    }
    PANAL_TRY(veths_.keep(live));
    return detach_all_locked(dead);
  }

  Result<std::vector<DropCounter>> drops() override {
    const std::lock_guard lock(mutex_);
    return firewall_->drops();
  }

 private:
  static std::uint32_t policy_in(const std::map<DesktopId, std::uint32_t>& policies, DesktopId id) {
    const auto found = policies.find(id);
    return found != policies.end() ? found->second : 0;
  }

  // A link past the end of a plan that has since shrunk gets no entry, so it is mute.
  [[nodiscard]] std::vector<Sender> senders_of(
      const std::vector<DesktopId>& ids, const std::map<DesktopId, std::uint32_t>& policies) const {
    std::vector<Sender> senders;
    for (const DesktopId id : ids) {
      auto addresses = pool_.of(id);
      if (addresses) senders.push_back({std::move(*addresses), policy_in(policies, id)});
    }
    return senders;
  }

  Result<void> prepare(const Ruleset& rules) {
    return run_inside(namespace_, [&] { return prepare_panal_namespace(forwards(rules)); });
  }

  // Rules that nobody would hold bridges to are refused before anything is touched.
  [[nodiscard]] Result<void> can_hold(const Ruleset& rules) const {
    if (firewall_->bridges()) return {};
    for (const CompiledPolicy& policy : rules.policies) {
      if (!policy.bridged) continue;
      return fail(
          EOPNOTSUPP,
          fmt::format("group {}: bridge = true: bridged groups need nftables, and the rules "
                      "here are by {}; leave it out, and its desktops reach each other by "
                      "address",
                      policy.group_name, firewall_->name()));
    }
    return {};
  }

  // After rules that failed on their way in, of which some or all may stand: a backend may have
  // failed at what comes behind its tables, and would tell its audit that they are as meant. What
  // was in force is again; where that fails, too, nothing is.
  void go_back(const std::vector<DesktopId>& ids) {
    auto back = firewall_->load(rules_, senders_of(ids, policies_));
    if (back) back = prepare(rules_);
    if (back) {
      if (!cut_off_) groups_.load(rules_, senders_of(ids, policies_));
      return;
    }
    log_->error("network_cut_off", {{"error", back.error().message()}});
    cut_off_everybody();
  }

  // Where a desktop goes from a policy that ends to another, or to one that is new, a packet may be
  // between the look at its policy and the one at what that allows. Both are there meanwhile.
  Result<void> go_over(const Ruleset& rules, const Assignments& policies,
                       const std::vector<DesktopId>& ids) {
    for (const RulesStep& step : steps_between(rules_, policies_, rules, policies, ids)) {
      PANAL_TRY(firewall_->load(step.rules, senders_of(ids, step.policies)));
      std::this_thread::sleep_for(kInFlight);
    }
    return {};
  }

  // Both walls, compared with what is meant.
  Result<Found> look() {
    Found found;
    PANAL_ASSIGN(found.drifts, firewall_->audit());
    found.rules_differ = !found.drifts.empty();
    PANAL_TRY(run_inside(namespace_, [&]() -> Result<void> {
      PANAL_ASSIGN(const auto changed, changed_settings(forwards(rules_)));
      for (const ChangedSetting& setting : changed) {
        found.drifts.push_back({"sysctl " + setting.name,
                                fmt::format("is {}, not {}", setting.value, setting.wanted)});
      }
      return {};
    }));
    PANAL_ASSIGN(auto of_groups, groups_.audit());
    std::move(of_groups.begin(), of_groups.end(), std::back_inserter(found.drifts));
    return found;
  }

  AuditReport audit_locked() {
    AuditReport report;
    const auto rates = look_at_rates();
    auto found = look();
    if (found && found->drifts.empty() && !cut_off_) {
      catch_up_with_rates();
      if (!rates.empty()) report = {AuditReport::Outcome::kRepaired, rates, {}};
      return report;
    }
    const bool rules_differ = cut_off_ || !found || found->rules_differ;
    if (found) {
      report.drifts = std::move(found->drifts);
    } else {
      report.why = found.error().message();
    }
    for (const Drift& drift : report.drifts)
      log_->warning("network_drift", {{"where", drift.where}, {"what", drift.what}});
    const auto repaired = repair(rules_differ);
    report.drifts.insert(report.drifts.end(), rates.begin(), rates.end());
    if (repaired) {
      report.outcome = AuditReport::Outcome::kRepaired;
      log_->warning("network_repaired", {{"places", std::to_string(report.drifts.size())}});
      cut_off_ = false;
      catch_up_with_rates();
      return report;
    }
    report.outcome = AuditReport::Outcome::kCutOff;
    report.why = repaired.error().message();
    if (!cut_off_) log_->error("network_cut_off", {{"error", report.why}});
    cut_off_everybody();
    return report;
  }

  // Everything anew, and a look at whether it is so. Rules that are as meant are left alone: their
  // counters and limits would begin anew.
  Result<void> repair(bool rules_differ) {
    PANAL_ASSIGN(const auto ids, veths_.list());
    if (rules_differ) PANAL_TRY(firewall_->load(rules_, senders_of(ids, policies_)));
    PANAL_TRY(prepare(rules_));
    PANAL_TRY(groups_.repair());
    PANAL_ASSIGN(const Found left, look());
    if (left.drifts.empty()) {
      if (links_down_) PANAL_TRY(raise_links());
      return {};
    }
    const Drift& first = left.drifts.front();
    return fail(EIO, fmt::format("repair the rules: {} {}", first.where, first.what));
  }

  // With the least that can fail; where even that does, no link carries anything.
  void cut_off_everybody() {
    cut_off_ = true;
    auto cut = firewall_->cut_off();
    if (cut) return;
    log_->error("network_rules_cannot_cut_off", {{"error", cut.error().message()}});
    undo_step("bridges", "all", groups_.leave_all());
    const auto ids = veths_.list();
    if (!ids) {
      log_->error("network_links_cannot_be_listed", {{"error", ids.error().message()}});
      return;
    }
    for (const DesktopId id : *ids)
      undo_step("link", link_name(id), veths_.take_down(link_name(id)));
    links_down_ = true;
  }

  // Links that are down because no rules could be relied on; an earlier process may have done it.
  // One that cannot be raised does not keep the others down; the first error is told.
  Result<void> raise_links() {
    PANAL_ASSIGN(const auto ids, veths_.list_down());
    Result<void> all;
    for (const DesktopId id : ids) {
      const auto addresses = pool_.of(id);
      if (!addresses) continue;
      auto raised = veths_.bring_up(*addresses);
      if (!raised && !raised.error().is_gone() && all) all = std::move(raised);
    }
    links_down_ = !all;
    return all;
  }

  Result<void> attach_link(DesktopId id, const Addresses& addresses,
                           const UniqueFd& desktop_namespace) {
    PANAL_TRY(run_inside(desktop_namespace, prepare_desktop_namespace));
    const std::lock_guard lock(mutex_);
    Cleanup undo;  // after the lock: its steps run under it
    // Others' links may be down because no rules can be relied on.
    if (cut_off_) return fail(EAGAIN, "every desktop is cut off until the rules can be repaired");
    PANAL_ASSIGN(const bool exists, veths_.exists(addresses.link));
    if (exists) return fail(EEXIST, "add link " + addresses.link);
    // First the entry, then the link: there is no moment at which it could send unchecked. (It
    // could not anyway: a link without an entry is mute.)
    const Sender sender{addresses, policy_in(policies_, id)};
    PANAL_TRY(firewall_->put(std::span(&sender, 1)));
    undo.push(
        [&] { undo_step("entry", addresses.link, firewall_->remove(std::span(&addresses, 1))); });
    PANAL_TRY(veths_.add(addresses, desktop_namespace));
    undo.push([&] { undo_step("link", addresses.link, veths_.remove(addresses.link)); });
    PANAL_TRY(run_inside(desktop_namespace, [&] { return configure_desktop_end(addresses); }));
    PANAL_TRY(groups_.attach(sender, desktop_namespace));
    undo.push([&] { undo_step("group", addresses.link, groups_.detach(std::span(&id, 1))); });
    PANAL_TRY(rates_.put(sender));  // while nothing can be sent to outside
    undo.push([&] { undo_step("rates", addresses.link, rates_.remove(std::span(&addresses, 1))); });
    PANAL_TRY(veths_.bring_up(addresses));
    undo.release();
    return {};
  }

  void note_rates(const Result<void>& done) {
    if (!done) log_->error("network_rates", {{"why", done.error().message()}});
  }

  // To be on no bridge is closed; whoever is to be on one and could not joins once he can.
  void catch_up() {
    if (groups_.catch_up()) next_look_at_rates_ = {};
  }

  // As catch_up(), where nobody puts rates afterwards: a new port is not to be without until the
  // next look at them.
  void catch_up_with_rates() {
    catch_up();
    (void)look_at_rates();
  }

  // Rates are no walls: where they cannot be mended nobody is cut off, but it is said.
  std::vector<Drift> look_at_rates() {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_look_at_rates_) return {};
    next_look_at_rates_ = now + kLookAtRates;
    auto drifts = rates_.repair();
    if (!drifts) {
      note_rates(tl::make_unexpected(std::move(drifts.error())));
      return {};
    }
    for (const Drift& drift : *drifts)
      log_->warning("network_drift", {{"where", drift.where}, {"what", drift.what}});
    return std::move(*drifts);
  }

  void undo_step(const char* what, const std::string& link, const Result<void>& result) {
    if (result || result.error().is_gone()) return;
    log_->error("attach_undo_failed",
                {{"what", what}, {"link", link}, {"error", result.error().message()}});
  }

  Result<void> detach_locked(DesktopId id) {
    // What fails here is closed by the rules, which lose its entries.
    auto left = groups_.detach(std::span(&id, 1));
    auto removed = veths_.remove(link_name(id));
    if (!removed && !removed.error().is_gone()) return removed;
    const auto addresses = pool_.of(id);
    if (!addresses) return left;  // outside the plan: it never had an entry
    PANAL_TRY(firewall_->remove(std::span(&*addresses, 1)));
    note_rates(rates_.remove(std::span(&*addresses, 1)));
    if (removed) log_->info("link_down", {{"desktop", std::to_string(id)}});
    return left;
  }

  Result<void> detach_all_locked(std::span<const DesktopId> ids) {
    if (ids.empty()) return {};
    if (ids.size() == 1) return detach_locked(ids.front());
    std::vector<std::string> names;
    std::vector<Addresses> planned;
    for (const DesktopId id : ids) {
      names.push_back(link_name(id));
      auto addresses = pool_.of(id);
      if (addresses) planned.push_back(std::move(*addresses));
    }
    // Links first: without them entries and classes allow nothing.
    Result<void> result = groups_.detach(ids);
    auto links = veths_.remove(names);
    if (!links && result) result = std::move(links);
    auto entries = firewall_->remove(planned);
    if (!entries && result) result = std::move(entries);
    note_rates(rates_.remove(planned));
    if (result) log_->info("links_down", {{"links", std::to_string(ids.size())}});
    return result;
  }

  const UniqueFd namespace_;
  const AddressPool pool_;
  std::mutex mutex_;  // of all below, the sockets inside veths_ and firewall_ among it
  RoutedVeths veths_;
  std::unique_ptr<FirewallBackend> firewall_;
  Rates rates_;
  Groups groups_;
  std::chrono::steady_clock::time_point next_look_at_rates_{};
  Ruleset rules_;
  std::map<DesktopId, std::uint32_t> policies_;  // attached or not
  bool loaded_ = false;                          // rules_ are in force
  bool cut_off_ = false;
  bool links_down_ = false;
  LoggerPtr log_;
};

}  // namespace

Result<std::unique_ptr<Network>> Network::open(UniqueFd network_namespace, const AddressPlan& plan,
                                               LoggerPtr log, const OpenBackend& open_backend) {
  return open(std::move(network_namespace), plan, std::move(log), open_backend, {}, {});
}

Result<std::unique_ptr<Network>> Network::open(UniqueFd network_namespace, const AddressPlan& plan,
                                               LoggerPtr log, const OpenBackend& open_backend,
                                               const Ruleset& rules,
                                               const std::map<DesktopId, std::uint32_t>& policies,
                                               NamespaceOf namespace_of) {
  const auto failed = [](Error error) {
    return prefixed("open the desktops' network", std::move(error));
  };
  PANAL_ASSIGN(const auto pool, AddressPool::parse(plan.subnet4, plan.subnet6));
  GroupPrefixes prefixes;
  PANAL_ASSIGN(prefixes.v4, parse_prefix(plan.subnet4));
  std::optional<RoutedVeths> veths;
  std::unique_ptr<FirewallBackend> firewall;
  auto opened = run_inside(network_namespace, [&]() -> Result<void> {
    PANAL_ASSIGN(veths, RoutedVeths::open());
    PANAL_ASSIGN(firewall, open_backend());
    return {};
  });
  if (!opened) return failed(std::move(opened.error()));
  auto network = std::make_unique<RoutedNetwork>(
      NetworkParts{.network_namespace = std::move(network_namespace),
                   .pool = pool,
                   .prefixes = prefixes,
                   .line = plan.line,
                   .namespace_of = std::move(namespace_of),
                   .veths = std::move(*veths),
                   .firewall = std::move(firewall),
                   .log = log});
  auto loaded = network->set_rules(rules, policies);
  if (!loaded) return failed(std::move(loaded.error()));
  return network;
}

}  // namespace panal::netconfine
