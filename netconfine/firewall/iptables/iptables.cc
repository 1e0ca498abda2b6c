#include "netconfine/firewall/iptables/iptables.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "engine/base/kernel_paths.h"
#include "engine/base/tree.h"
#include "engine/base/unique_fd.h"
#include "netconfine/conntrack/connections.h"
#include "netconfine/conntrack/judge.h"
#include "netconfine/firewall/iptables/fragments.h"
#include "netconfine/firewall/iptables/rules.h"
#include "netconfine/firewall/iptables/set_tool.h"
#include "netconfine/firewall/iptables/sets.h"
#include "netconfine/firewall/iptables/toolset.h"
#include "netconfine/netlink/enter.h"

namespace panal::netconfine {
namespace {

const char* name_of(IpFamily family) { return family == IpFamily::kIpv4 ? "ip" : "ip6"; }

/// Without IPv6 in the kernel there is nothing to wall in.
std::vector<IpFamily> families() {
  const auto proc = Dir::open(kernel_paths::kProc);
  if (proc && !proc->exists("sys/net/ipv6")) return {IpFamily::kIpv4};
  return {IpFamily::kIpv4, IpFamily::kIpv6};
}

/// All tables of the namespace become Panal's: the machine's own would lose what others have there.
Result<void> must_be_apart() {
  PANAL_ASSIGN(const auto proc, Dir::open(kernel_paths::kProc));
  struct stat ours{};
  struct stat machines{};
  if (::fstatat(proc.fd(), "thread-self/ns/net", &ours, 0) != 0 ||
      ::fstatat(proc.fd(), "1/ns/net", &machines, 0) != 0)
    return fail_errno("look up the network namespace");
  if (ours.st_dev == machines.st_dev && ours.st_ino == machines.st_ino)
    return fail(EINVAL, "iptables: this is the machine's own network namespace");
  return {};
}

bool has_content(const RuleTable& table) {
  return std::any_of(table.begin(), table.end(), [](const auto& chain) {
    return !chain.second.rules.empty() || chain.second.policy != "ACCEPT";
  });
}

/// Those of `found` that are not in `meant` and do something.
RuleTables strange_tables(const RuleTables& meant, const RuleTables& found) {
  RuleTables strange;
  for (const auto& [name, table] : found)
    if (!meant.contains(name) && has_content(table)) strange[name] = table;
  return strange;
}

Result<void> empty_tables(const Toolset& tools, IpFamily family, const RuleTables& meant) {
  PANAL_ASSIGN(const auto found, tools.save(family));
  const auto strange = strange_tables(meant, found.tables);
  if (strange.empty()) return {};
  return tools.replace(family, replacing_text(emptied(strange)));
}

/// What is left when nothing else helps: nothing passes, whatever the source.
RuleTables closed_tables() {
  const RuleChain drop{"DROP", {}};
  return {{"filter", {{"FORWARD", drop}, {"INPUT", drop}, {"OUTPUT", drop}}},
          {"raw", {{"OUTPUT", {"ACCEPT", {}}}, {"PREROUTING", drop}}}};
}

/// What is to be in the kernel for one family.
struct Picture {
  RuleTables tables;
  IpSets sets;  ///< empty: trees of chains tell desktops apart
};
using Pictures = std::map<IpFamily, Picture>;

class Iptables : public FirewallBackend {
 public:
  Iptables(UniqueFd network_namespace, Toolset tools, std::optional<SetTool> set_tool, ArpWall arp,
           ConnectionTable connections)
      : namespace_(std::move(network_namespace)),
        tools_(std::move(tools)),
        set_tool_(std::move(set_tool)),
        arp_(std::move(arp)),
        connections_(std::move(connections)) {
    const auto other = tools_.variant() == IptablesVariant::kNft ? IptablesVariant::kLegacy
                                                                 : IptablesVariant::kNft;
    if (auto others = Toolset::find(other); others && others->variant() == other)
      others_ = std::move(*others);
  }

  [[nodiscard]] const char* name() const override { return "iptables"; }

  Result<void> load(const Ruleset& rules, const std::vector<Sender>& senders) override {
    PANAL_TRY(check_words(rules));
    Senders wanted;
    for (const auto& sender : senders) {
      PANAL_ASSIGN(const DesktopId id, check_sender(rules, sender));
      wanted[id] = sender;
    }
    return inside([&] { return load_inside(rules, std::move(wanted)); });
  }

  Result<void> put(std::span<const Sender> senders) override {
    PANAL_TRY(must_be_loaded("add senders"));
    Senders wanted = senders_;
    for (const auto& sender : senders) {
      PANAL_ASSIGN(const DesktopId id, check_sender(rules_, sender));
      wanted[id] = sender;
    }
    return change_to(std::move(wanted));
  }

  Result<void> remove(std::span<const Addresses> senders) override {
    Senders wanted = senders_;
    for (const auto& addresses : senders) wanted.erase(id_of_link(addresses.link));
    if (wanted.size() == senders_.size()) return {};
    return change_to(std::move(wanted));
  }

  Result<std::vector<std::string>> links() override {
    std::set<std::string> names;
    PANAL_TRY(inside([&]() -> Result<void> {
      for (const IpFamily family : families()) {
        PANAL_ASSIGN(const auto saved, tools_.save(family));
        add_links(saved.tables, names);
      }
      if (!set_tool_) return {};
      PANAL_ASSIGN(const auto sets, set_tool_->save());
      for (const auto& [name, members] : sets)
        for (const auto& one : members)
          if (const auto link = one.substr(one.find(',') + 1); id_of_link(link) != 0)
            names.insert(link);
      return {};
    }));
    return std::vector<std::string>(names.begin(), names.end());
  }

  Result<std::vector<DropCounter>> drops() override {
    std::map<std::string, DropCounter> sums;
    PANAL_TRY(inside([&]() -> Result<void> {
      for (const IpFamily family : families()) {
        PANAL_ASSIGN(const auto saved, tools_.save(family));
        add_drops(saved.counts, sums);
      }
      return {};
    }));
    std::vector<DropCounter> drops;
    for (auto& [reason, drop] : sums) drops.push_back(std::move(drop));
    return drops;
  }

  Result<std::vector<Drift>> audit() override {
    PANAL_TRY(must_be_loaded("audit the rules"));
    std::vector<Drift> drifts;
    const auto add = [&](std::vector<Drift> more) {
      drifts.insert(drifts.end(), more.begin(), more.end());
    };
    PANAL_TRY(inside([&]() -> Result<void> {
      for (const IpFamily family : families()) {
        PANAL_ASSIGN(const auto saved, tools_.save(family));
        add(compare_tables(name_of(family), meant_[family].tables, saved.tables));
        if (!others_) continue;
        // A kernel without the other kind has nothing of it.
        if (const auto others = others_->save(family); others)
          add(compare_tables(std::string(name_of(family)) + " of the other iptables", {},
                             others->tables));
      }
      if (set_tool_) {
        PANAL_ASSIGN(const auto sets, set_tool_->save());
        for (const IpFamily family : families()) add(compare_sets(meant_[family].sets, sets));
      }
      PANAL_ASSIGN(auto of_arp, arp_.audit(rules_.uplink));
      add(std::move(of_arp));
      PANAL_ASSIGN(auto of_fragments, audit_fragments());
      add(std::move(of_fragments));
      return {};
    }));
    return drifts;
  }

  Result<void> cut_off() override {
    return inside([&]() -> Result<void> {
      const std::string text = replacing_text(closed_tables());
      Result<void> result;
      for (const IpFamily family : families()) {  // the one even where the other cannot be
        auto closed = tools_.replace(family, text);
        if (!closed && result) result = std::move(closed);
      }
      return result;
    });
  }

 private:
  [[nodiscard]] Result<void> must_be_loaded(const char* operation) const {
    if (!meant_.empty()) return {};
    return fail(ENOENT, std::string("iptables: ") + operation + ": no rules have been loaded");
  }

  Result<void> inside(const std::function<Result<void>()>& work) {
    return run_inside(namespace_, work);
  }

  [[nodiscard]] Pictures pictures(const Ruleset& rules, const Senders& senders,
                                  const std::string& generation) const {
    Pictures all;
    for (const IpFamily family : families()) {
      Picture& picture = all[family];
      SetWords words{generation, {}};
      bool by_sets = set_tool_.has_value();
      if (by_sets && !senders.empty()) {
        const auto match = mac_match(family, senders);
        by_sets = match.has_value();
        words.mac_match = match.value_or("");
      }
      picture.tables = rule_tables(family, rules, senders, by_sets ? &words : nullptr);
      if (by_sets) picture.sets = sets_for(family, words, rules, senders);
    }
    return all;
  }

  Result<void> load_inside(const Ruleset& rules, Senders wanted) {
    auto done = load_pictures(rules, wanted);
    if (!done && set_tool_ && (done.error().code == EPROTONOSUPPORT || done.error().code == EIO)) {
      // A program that knows sets, and a kernel whose iptables does not: the legacy variant then
      // says no more than that the table's last line has failed.
      set_tool_.reset();
      done = load_pictures(rules, wanted);
    }
    PANAL_TRY(std::move(done));
    rules_ = rules;
    senders_ = std::move(wanted);
    // Only now: where connection tracking is a module, it has come with the rules.
    PANAL_TRY(refuse_fragments());
    PANAL_TRY(arp_.load(rules_.uplink));
    for (const IpFamily family : families()) PANAL_TRY(drop_strange(family));
    return forget_denied();
  }

  /// Sets under new names, then tables that refer to them, then the old sets go.
  Result<void> load_pictures(const Ruleset& rules, const Senders& wanted) {
    PANAL_ASSIGN(const std::string generation, next_generation());
    Pictures now = pictures(rules, wanted, generation);
    auto done = fill_sets({}, now);
    if (done) done = replace_all(now);
    if (done) {
      meant_ = std::move(now);
      generation_ = generation;
    }
    if (set_tool_) {
      IpSets keep;
      for (const auto& [family, picture] : meant_)
        keep.insert(picture.sets.begin(), picture.sets.end());
      auto deleted = set_tool_->delete_but(keep);
      if (done) done = std::move(deleted);
    }
    return done;
  }

  /// One that no set in the kernel is of.
  Result<std::string> next_generation() {
    if (!set_tool_) return std::string();
    PANAL_ASSIGN(const auto found, set_tool_->save());
    for (char letter = 'a'; letter <= 'z'; ++letter) {
      const bool taken = std::any_of(found.begin(), found.end(), [&](const auto& set) {
        return set.first.size() > kSetPrefix.size() + 1 &&
               set.first[kSetPrefix.size() + 1] == letter;
      });
      if (!taken) return std::string(1, letter);
    }
    return fail(EEXIST, "make sets: all names from pnl4a to pnl4z are taken");
  }

  Result<void> fill_sets(const Pictures& before, const Pictures& now) {
    if (!set_tool_) return {};
    std::string text;
    for (const auto& [family, picture] : now) {
      const auto was = before.find(family);
      text += changing_sets_text(family, was == before.end() ? IpSets{} : was->second.sets,
                                 picture.sets);
    }
    return set_tool_->restore(text);
  }

  Result<void> replace(IpFamily family, const Picture& picture) {
    return tools_.replace(family, replacing_text(picture.tables));
  }

  /// All families or none: what was there before comes back.
  Result<void> replace_all(const Pictures& now) {
    for (const auto& [family, picture] : now) {
      auto replaced = replace(family, picture);
      if (replaced) continue;
      put_back(family);
      return replaced;
    }
    return {};
  }

  /// Families up to `last` as they were. That this fails, too, is the audit's to find: what is in
  /// force then is not what is meant.
  void put_back(IpFamily last) {
    for (const auto& [family, picture] : meant_) {
      (void)replace(family, picture);
      if (family == last) break;
    }
  }

  /// Sets first: tables may refer to them, and a desktop that is in a set is nevertheless held to
  /// what the tables say.
  Result<void> change_to(Senders wanted) {
    return inside([&]() -> Result<void> {
      Pictures now = pictures(rules_, wanted, generation_);
      auto done = fill_sets(meant_, now);
      for (auto at = now.begin(); done && at != now.end(); ++at)
        done = tools_.change(at->first, changing_text(meant_[at->first].tables, at->second.tables));
      // Where the kernel has not what was meant, a change has no place to stand on.
      if (!done) return load_inside(rules_, std::move(wanted));
      meant_ = std::move(now);
      const Senders before = std::exchange(senders_, std::move(wanted));
      return forget_changed(before);
    });
  }

  /// Tables in force beside those we have loaded.
  Result<void> drop_strange(IpFamily family) {
    PANAL_TRY(empty_tables(tools_, family, meant_[family].tables));
    if (!others_) return {};
    auto emptied = empty_tables(*others_, family, {});
    if (!emptied && emptied.error().code == EPROTONOSUPPORT) return {};
    return emptied;
  }

  Result<void> forget_denied(const GoneAddresses& gone = {}) {
    const ConnectionJudge judge(rules_, list_of(senders_));
    const auto forgotten = connections_.forget([&](const Connection& connection) {
      return gone.has(connection) || !judge.allows(connection);
    });
    if (!forgotten) return tl::make_unexpected(forgotten.error());
    return {};
  }

  /// A new desktop has no connections; one that is gone or has another policy may have some.
  Result<void> forget_changed(const Senders& before) {
    GoneAddresses gone;
    bool changed = false;
    for (const auto& [id, sender] : before) {
      const auto now = senders_.find(id);
      if (now != senders_.end() && now->second == sender) continue;
      changed = true;
      if (now == senders_.end()) gone.add(sender.addresses);
    }
    return changed ? forget_denied(gone) : Result<void>{};
  }

  static std::vector<Sender> list_of(const Senders& senders) {
    std::vector<Sender> list;
    list.reserve(senders.size());
    for (const auto& [id, sender] : senders) list.push_back(sender);
    return list;
  }

  static void add_links(const RuleTables& tables, std::set<std::string>& names) {
    const auto raw = tables.find("raw");
    if (raw == tables.end()) return;
    for (const auto& [chain, content] : raw->second) {
      if (!chain.starts_with(kSenderChain)) continue;
      for (const auto& rule : content.rules) {
        const auto at = rule.find("-i pnl");
        if (at == std::string::npos) continue;
        const auto link = rule.substr(at + 3, rule.find(' ', at + 3) - at - 3);
        if (id_of_link(link) != 0) names.insert(link);
      }
    }
  }

  const UniqueFd namespace_;
  const Toolset tools_;
  std::optional<SetTool> set_tool_;
  std::optional<Toolset> others_;  ///< of the other variant, which may have left something behind
  ArpWall arp_;
  ConnectionTable connections_;
  Ruleset rules_;
  Senders senders_;
  Pictures meant_;
  std::string generation_;  ///< of the sets in `meant_`
};

Result<void> clear_with(IptablesVariant variant) {
  const auto tools = Toolset::find(variant);
  if (!tools || tools->variant() != variant) return {};
  for (const IpFamily family : families()) {
    auto emptied = empty_tables(*tools, family, {});
    if (!emptied && emptied.error().code != EPROTONOSUPPORT) return emptied;
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<FirewallBackend>> open_iptables_backend(const IptablesOptions& options) {
  PANAL_TRY(must_be_apart());
  UniqueFd here(::open(kernel_paths::kProcThreadSelfNsNet, O_RDONLY | O_CLOEXEC));
  if (!here) return fail_errno("open", kernel_paths::kProcThreadSelfNsNet);
  PANAL_ASSIGN(auto tools, Toolset::find(options.variant));
  if (const auto saved = tools.save(IpFamily::kIpv4); !saved)
    return prefixed(tools.version(), saved.error());
  std::optional<SetTool> sets;
  if (options.sets) {
    // Without it, trees of chains do the same.
    if (auto found = SetTool::find()) sets = std::move(*found);
  }
  PANAL_ASSIGN(auto connections, ConnectionTable::open());
  return std::unique_ptr<FirewallBackend>(std::make_unique<Iptables>(
      std::move(here), std::move(tools), std::move(sets), ArpWall::find(), std::move(connections)));
}

Result<std::unique_ptr<FirewallBackend>> open_iptables_backend() {
  return open_iptables_backend(IptablesOptions{});
}

Result<void> clear_iptables() {
  // In the machine's own namespace nothing of ours can be: the backend refuses it.
  const auto apart = must_be_apart();
  if (!apart && apart.error().code == EINVAL) return {};
  PANAL_TRY(apart);
  PANAL_TRY(clear_with(IptablesVariant::kLegacy));
  PANAL_TRY(clear_with(IptablesVariant::kNft));
  if (const auto sets = SetTool::find()) PANAL_TRY(sets->delete_but({}));
  return ArpWall::find().empty();
}

}  // namespace panal::netconfine
