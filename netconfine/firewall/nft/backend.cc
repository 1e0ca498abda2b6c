#include "netconfine/firewall/backend.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_ipv4.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <optional>

#include "engine/base/kernel_paths.h"
#include "engine/base/tree.h"
#include "netconfine/firewall/nft/bridge_ruleset.h"
#include "netconfine/firewall/nft/conntrack.h"
#include "netconfine/firewall/nft/exchange.h"
#include "netconfine/firewall/nft/kernel_state.h"
#include "netconfine/firewall/nft/ruleset.h"
#include "netconfine/firewall/nft/script.h"

namespace panal::netconfine {
namespace {

constexpr std::uint32_t kInet = NFPROTO_INET;
constexpr std::uint32_t kArp = NFPROTO_ARP;
constexpr std::uint32_t kBridge = NFPROTO_BRIDGE;

// A table of its own, with nothing in it but ends: what cut_off() adds.
constexpr const char* kCutTable = "panal_cut";

// True in a network namespace that is not the machine's own. There we share with nobody, and other
// tables are drift; in the machine's they are somebody's, whatever we do there.
Result<bool> namespace_is_ours() {
  PANAL_ASSIGN(const auto proc, Dir::open(kernel_paths::kProc));
  struct stat ours{}, machines{};
  if (fstatat(proc.fd(), "thread-self/ns/net", &ours, 0) != 0) {
    return fail_errno("look up the network namespace");
  }
  if (fstatat(proc.fd(), "1/ns/net", &machines, 0) != 0) return false;
  return ours.st_dev != machines.st_dev || ours.st_ino != machines.st_ino;
}

// The address in a key of senders4 or senders6.
std::vector<std::uint8_t> address_in(const NftKey& key) {
  constexpr std::size_t kBefore = 16 + 8;  // link and MAC
  if (key.size() <= kBefore) return {};
  return {key.begin() + kBefore, key.end()};
}

class NftBackend : public FirewallBackend {
 public:
  NftBackend(NftKernel kernel, bool alone) : kernel_(std::move(kernel)), alone_(alone) {}

  [[nodiscard]] const char* name() const override { return "nftables"; }
  [[nodiscard]] bool bridges() const override { return true; }

  Result<void> load(const Ruleset& rules, const std::vector<Sender>& senders) override {
    PANAL_ASSIGN(const auto wanted, plan(rules, senders));
    const bool bridged = has_table(wanted, kBridge);
    bridged_ = bridged_ || bridged;
    PANAL_ASSIGN(const auto without_entry, replace(wanted));
    bridged_ = bridged;
    gone_.insert(without_entry.begin(), without_entry.end());
    rules_ = rules;
    senders_.clear();
    for (const Sender& sender : senders) senders_[sender.addresses.link] = sender;
    tracks_ = wanted.tracks;
    loaded_ = true;
    return knows_connections_ ? forget_gone() : forget_strangers();
  }

  Result<void> put(std::span<const Sender> senders) override {
    PANAL_TRY(must_be_loaded("add senders"));
    Change change;
    bool had_an_owner = false;
    for (const Sender& sender : senders) {
      PANAL_ASSIGN(auto wanted, elements_of(rules_, sender));
      NftElements present;
      const auto known = senders_.find(sender.addresses.link);
      if (known != senders_.end()) {
        PANAL_ASSIGN(present, elements_of(rules_, known->second));
      }
      collect(change.goes, present, wanted);
      collect(change.comes, wanted, present);
      change.senders[sender.addresses.link] = sender;
      had_an_owner = had_an_owner || is_gone(sender.addresses);
    }
    // Whoever has an address next is told nothing that its last owner had asked for.
    if (had_an_owner) PANAL_TRY(forget_gone());
    return carry_out(change);
  }

  Result<void> remove(std::span<const Addresses> senders) override {
    if (!loaded_) return {};
    Change change;
    AddressSet gone;
    for (const Addresses& sender : senders) {
      const auto known = senders_.find(sender.link);
      if (known == senders_.end()) continue;
      PANAL_ASSIGN(const auto present, elements_of(rules_, known->second));
      collect(change.goes, present, {});
      change.senders[sender.link] = std::nullopt;
      const Addresses& addresses = known->second.addresses;
      gone.emplace(addresses.ipv4.begin(), addresses.ipv4.end());
      gone.emplace(addresses.ipv6.begin(), addresses.ipv6.end());
    }
    PANAL_TRY(carry_out(change));
    // Nothing of theirs passes any more. Their connections are forgotten together with others', at
    // the next audit or before somebody else has the address.
    gone_.insert(gone.begin(), gone.end());
    return {};
  }

  Result<std::vector<std::string>> links() override {
    std::vector<std::string> names;
    for (const char* set : {kSenders4, kSenders6}) {
      PANAL_ASSIGN(const auto elements, kernel_.elements({kInet, set}));
      for (const NftElement& element : elements) names.push_back(link_of_key(element.key));
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
  }

  Result<std::vector<DropCounter>> drops() override {
    PANAL_ASSIGN(auto counters, kernel_.counters(kInet));
    PANAL_ASSIGN(auto arp, kernel_.counters(kArp));
    std::move(arp.begin(), arp.end(), std::back_inserter(counters));
    if (!bridged_) return counters;
    PANAL_ASSIGN(auto bridge, kernel_.counters(kBridge));
    std::move(bridge.begin(), bridge.end(), std::back_inserter(counters));
    return counters;
  }

  Result<std::vector<Drift>> audit() override {
    PANAL_TRY(must_be_loaded("audit the rules"));
    kernel_.forget_changes();
    // Where it fails, put() tries again before it would matter.
    (void)forget_gone();
    PANAL_ASSIGN(auto present, kernel_.generation());
    // Nobody but us has changed anything: nothing can be different.
    if (present == generation_) return std::vector<Drift>{};
    PANAL_ASSIGN(const auto found, kernel_.snapshot(&present));
    auto drifts = differences(meant_, found, alone_);
    if (found.objects.contains(nft_name("table", kInet, kCutTable)) && !alone_) {
      drifts.push_back({nft_name("table", kInet, kCutTable), "cuts every desktop off"});
    }
    if (drifts.empty()) generation_ = present;
    return drifts;
  }

  Result<void> cut_off() override {
    NftScript script;
    script.add(add_table(kInet, kCutTable));
    constexpr std::int32_t kFirst = -1000;
    for (const auto& [name, hook] : {std::pair{"prerouting", NF_INET_PRE_ROUTING},
                                     {"forward", NF_INET_FORWARD},
                                     {"output", NF_INET_LOCAL_OUT}}) {
      script.add(add_base_chain(kInet,
                                {.name = name,
                                 .type = "filter",
                                 .hook = static_cast<std::uint32_t>(hook),
                                 .priority = kFirst},
                                kCutTable));
    }
    PANAL_ASSIGN(auto messages, script.finish());
    if (bridged_) {
      // What is bridged passes no inet chain.
      PANAL_ASSIGN(auto bridge, bridge_cut_off(kCutTable));
      std::move(bridge.begin(), bridge.end(), std::back_inserter(messages));
    }
    return kernel_.commit(std::move(messages));
  }

  [[nodiscard]] int changes() const override { return kernel_.changes(); }

 private:
  [[nodiscard]] Result<void> must_be_loaded(const char* operation) const {
    if (loaded_) return {};
    return fail(ENOENT, std::string("nftables: ") + operation + ": no rules have been loaded");
  }

  // What is in `from` and not in `but`.
  static void collect(NftElements& into, const NftElements& from, const NftElements& but) {
    for (const auto& [set, elements] : from) {
      const auto others = but.find(set);
      for (const NftElement& element : elements) {
        if (others == but.end() || std::find(others->second.begin(), others->second.end(),
                                             element) == others->second.end()) {
          into[set].push_back(element);
        }
      }
    }
  }

  // One transaction that makes the tables those of the plan; the addresses that lost their entries
  // by it. The kernel refuses it when somebody else has changed something since it was looked at,
  // and what it then holds is read back and kept: an audit compares with that.
  Result<AddressSet> replace(const NftPlan& wanted) {
    constexpr int kAttempts = 5;
    bool exchange = true;
    for (int attempt = 1; attempt <= kAttempts; ++attempt) {
      std::uint32_t before = 0, after = 0;
      PANAL_ASSIGN(const auto found, kernel_.snapshot(&before));
      const bool exchanges = exchange && same_hooks(found, wanted);
      PANAL_ASSIGN(auto messages, replacement(found, wanted, exchanges));
      const auto committed = kernel_.commit(std::move(messages), before);
      if (!committed && committed.error().code == ERESTART) continue;
      if (!committed && exchanges) {
        // Something is in the tables that cannot be taken out alone.
        exchange = false;
        continue;
      }
      if (!committed) return tl::make_unexpected(committed.error());
      PANAL_ASSIGN(auto now, kernel_.snapshot(&after));
      if (after != next_generation(before)) continue;
      PANAL_TRY(holds(now, wanted));
      meant_ = std::move(now);
      generation_ = after;
      return lost(found, wanted);
    }
    return fail(EAGAIN, "nftables: load rules: others change them at the same time");
  }

  Result<std::vector<Message>> replacement(const NftSnapshot& found, const NftPlan& wanted,
                                           bool exchanges) const {
    std::vector<Message> messages;
    if (exchanges) {
      PANAL_ASSIGN(messages, exchange(found, wanted));
    } else {
      NftScript script;
      for (const std::uint32_t family : {kInet, kArp, kBridge})
        make_anew(script, family, found, wanted);
      PANAL_ASSIGN(messages, script.finish());
      PANAL_ASSIGN(auto inside, contents(wanted));
      std::move(inside.begin(), inside.end(), std::back_inserter(messages));
    }
    // At the end, so that whoever is cut off stays so until the rules stand.
    for (const auto& [family, name] : foreign_tables(found)) {
      if (!alone_ && name != kCutTable) continue;
      PANAL_ASSIGN(auto message, delete_table(family, name));
      messages.push_back(std::move(message));
    }
    return messages;
  }

  // What is read back is what later audits believe in: elements, which are most of it and are
  // compared one by one, must be those that were asked for.
  static Result<void> holds(const NftSnapshot& now, const NftPlan& wanted) {
    for (const NftSet& set : wanted.sets) {
      if (set.dynamic) continue;
      std::set<NftElement> asked;
      if (const auto some = wanted.elements.find(id_of(set)); some != wanted.elements.end()) {
        asked.insert(some->second.begin(), some->second.end());
      }
      const auto there = now.elements.find(id_of(set));
      if (there == now.elements.end() || there->second != asked) {
        return fail(EPROTO, "nftables: load rules: the kernel reads set " + set.name +
                                " back as another than it was given");
      }
    }
    return {};
  }

  static AddressSet lost(const NftSnapshot& found, const NftPlan& wanted) {
    AddressSet gone;
    for (const char* name : {kSenders4, kSenders6}) {
      const NftSetId set{kInet, name};
      const auto there = found.elements.find(set);
      if (there == found.elements.end()) continue;
      std::set<NftElement> stay;
      if (const auto kept = wanted.elements.find(set); kept != wanted.elements.end()) {
        stay.insert(kept->second.begin(), kept->second.end());
      }
      for (const NftElement& element : there->second) {
        if (!stay.contains(element)) gone.insert(address_in(element.key));
      }
    }
    return gone;
  }

  static std::uint32_t next_generation(std::uint32_t generation) {
    return generation == 0xffffffff ? 1 : generation + 1;
  }

  struct Change {
    NftElements goes, comes;
    std::map<std::string, std::optional<Sender>> senders;  // by link; nothing: it goes
  };

  using Senders = std::map<std::string, Sender>;  // by link

  static void apply(const Change& change, Senders& senders) {
    for (const auto& [link, sender] : change.senders) {
      if (sender) {
        senders[link] = *sender;
      } else {
        senders.erase(link);
      }
    }
  }

  // Elements go and come in one transaction. Where the kernel does not have what we think it has,
  // everything is loaded anew.
  Result<void> carry_out(const Change& change) {
    std::vector<Message> messages;
    for (const auto& [set, elements] : change.goes) {
      PANAL_TRY(append_elements(messages, NFT_MSG_DELSETELEM, set.family, set.name, elements));
    }
    for (const auto& [set, elements] : change.comes) {
      PANAL_TRY(append_elements(messages, NFT_MSG_NEWSETELEM, set.family, set.name, elements));
    }
    if (!messages.empty()) {
      auto committed = kernel_.commit(messages, generation_);
      if (!committed && committed.error().code == ERESTART) {
        // Somebody has changed something; what, is for the next audit to say.
        generation_ = 0;
        committed = kernel_.commit(std::move(messages));
      }
      if (!committed) return load_again(change);
    }
    if (!change.goes.empty() || !change.comes.empty()) {
      if (generation_ != 0) generation_ = next_generation(generation_);
    }
    for (const auto& [set, elements] : change.goes) {
      for (const NftElement& element : elements) meant_.elements[set].erase(element);
    }
    for (const auto& [set, elements] : change.comes) {
      meant_.elements[set].insert(elements.begin(), elements.end());
    }
    apply(change, senders_);
    return {};
  }

  // What is known stays as the kernel has it until the load has succeeded: else whoever tries a
  // failed change again would find nothing to do.
  Result<void> load_again(const Change& change) {
    Senders wanted = senders_;
    apply(change, wanted);
    std::vector<Sender> all;
    for (const auto& [link, sender] : wanted) all.push_back(sender);
    const Ruleset rules = rules_;
    return load(rules, all);
  }

  [[nodiscard]] bool is_gone(const Addresses& addresses) const {
    return gone_.contains({addresses.ipv4.begin(), addresses.ipv4.end()}) ||
           gone_.contains({addresses.ipv6.begin(), addresses.ipv6.end()});
  }

  Result<void> forget_gone() {
    // Rules that track nothing let nothing through; who is gone is remembered for others.
    if (!tracks_ || gone_.empty()) return {};
    PANAL_TRY(end_connections(kernel_.socket(), [&](const ConnectionEnds& ends) {
      return gone_.contains(ends.source) || gone_.contains(ends.destination);
    }));
    gone_.clear();
    return {};
  }

  // An earlier process may have removed senders and not lived to forget their connections: in this
  // namespace every connection has a sender at one end.
  Result<void> forget_strangers() {
    if (!tracks_) return {};
    AddressSet present;
    for (const auto& [link, sender] : senders_) {
      present.emplace(sender.addresses.ipv4.begin(), sender.addresses.ipv4.end());
      present.emplace(sender.addresses.ipv6.begin(), sender.addresses.ipv6.end());
    }
    PANAL_TRY(end_connections(kernel_.socket(), [&](const ConnectionEnds& ends) {
      return gone_.contains(ends.source) || gone_.contains(ends.destination) ||
             (!present.contains(ends.source) && !present.contains(ends.destination));
    }));
    gone_.clear();
    knows_connections_ = true;
    return {};
  }

  NftKernel kernel_;
  const bool alone_;  // in this network namespace
  Ruleset rules_;
  Senders senders_;
  AddressSet gone_;  // may have connections still
  NftSnapshot meant_;
  std::uint32_t generation_ = 0;  // in which the kernel had what was meant; 0: not known
  bool tracks_ = false;
  bool bridged_ = false;            // there is, or may be, a table of bridges
  bool knows_connections_ = false;  // those an earlier process had left are forgotten
  bool loaded_ = false;
};

}  // namespace

Result<std::unique_ptr<FirewallBackend>> open_nftables_backend() {
  PANAL_ASSIGN(auto kernel, NftKernel::open());
  PANAL_ASSIGN(const bool alone, namespace_is_ours());
  // A kernel without nftables answers no question about it.
  const auto generation = kernel.generation();
  if (!generation && generation.error().code == EINVAL) {
    return fail(EPROTONOSUPPORT,
                "nftables: this kernel has none; load nf_tables, or use the iptables backend");
  }
  if (!generation) return tl::make_unexpected(generation.error());
  return std::make_unique<NftBackend>(std::move(kernel), alone);
}

}  // namespace panal::netconfine
