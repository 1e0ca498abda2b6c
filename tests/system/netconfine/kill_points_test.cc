// kill -9 before every single thing that is said to the kernel while rules are changed: what then
// stands is what stood before or what was to stand, never something between. (The iptables backend
// has two tables a family, which no kernel changes together: iptables/backend_test.cc kills it at
// random and asks whether anything is more open than either.)
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "netconfine/netlink/enter.h"
#include "tests/support/kill_at_call.h"
#include "tests/system/netconfine/world.h"

namespace panal::netconfine {
namespace {

using namespace testing;

// All that the kernel is told goes by these.
constexpr std::array kSayingCalls = {SYS_sendto, SYS_sendmsg, SYS_write};

constexpr unsigned kMostCalls = 2000;

class KillPoints : public ::testing::Test {
 protected:
  using Step = std::function<Result<void>(FirewallBackend&)>;

  static Ruleset rules_of(bool second) {
    auto set = policies({service("dns", {"10.1.0.53", "fd00:1::53"}, {{Protocol::kUdp, {53, 53}}}),
                         service("web", {"10.3.0.0/16"}, {{Protocol::kTcp, {443, 443}}})},
                        {policy("office", {"dns"}, {}, "room"), policy("guest", {"web"})});
    if (second) {
      set.policies["office"].reach = {"web"};
      set.policies.erase("guest");
      // A table more, of bridges.
      set.groups["room"] = {"room", true};
    }
    return *compile(set, {.uplink = kUplink,
                          .masquerade = true,
                          .desktops = {},
                          .uses = {{"office", "acme"}, {"guest", "acme"}},
                          .bridges = true});
  }

  static std::vector<Sender> senders_of(DesktopId count) {
    const auto pool = AddressPool::parse(kWorldPlan.subnet4, kWorldPlan.subnet6);
    std::vector<Sender> senders;
    for (DesktopId id = 1; id <= count; ++id) senders.push_back({*pool->of(id), 1});
    return senders;
  }

  static Result<void> begin(FirewallBackend& firewall) {
    return firewall.load(rules_of(false), senders_of(20));
  }

  // All that Network::set_rules() loads where desktops go from a policy that ends to one that is
  // new: from the second rules and 40 desktops on.
  static std::vector<Step> going_over() {
    auto set = policies({service("web", {"10.3.0.0/16"}, {{Protocol::kTcp, {443, 443}}})},
                        {policy("guest", {"web"})});
    const Ruleset next = *compile(
        set, {.uplink = kUplink, .masquerade = true, .desktops = {}, .uses = {{"guest", "acme"}}});
    const auto all = senders_of(40);
    Assignments has;
    std::vector<DesktopId> ids;
    for (const Sender& one : all) {
      ids.push_back(id_of_link(one.addresses.link));
      has[ids.back()] = one.policy;
    }
    auto between = steps_between(rules_of(true), has, next, has, ids);
    between.push_back({next, has});
    std::vector<Step> steps;
    for (const RulesStep& step : between) {
      steps.emplace_back([step, all](FirewallBackend& firewall) {
        auto senders = all;
        for (Sender& one : senders) one.policy = step.policies.at(id_of_link(one.addresses.link));
        return firewall.load(step.rules, senders);
      });
    }
    return steps;
  }

  // Everything that changes rules.
  static std::vector<Step> steps() {
    std::vector<Step> all = {
        [](FirewallBackend& firewall) {
          return firewall.put(std::span(&senders_of(21).back(), 1));
        },
        [](FirewallBackend& firewall) {
          auto moved = senders_of(10);
          for (Sender& one : moved) one.policy = 2;
          return firewall.put(moved);
        },
        [](FirewallBackend& firewall) {
          const auto gone = senders_of(3);
          std::vector<Addresses> addresses;
          for (const Sender& one : gone) addresses.push_back(one.addresses);
          return firewall.remove(addresses);
        },
        [](FirewallBackend& firewall) { return firewall.load(rules_of(true), senders_of(40)); }};
    const auto over = going_over();
    all.insert(all.end(), over.begin(), over.end());
    const std::vector<Step> rest = {[](FirewallBackend& firewall) {
                                      // Without masquerading there is one base chain less: tables
                                      // are made anew.
                                      Ruleset rules = rules_of(true);
                                      rules.masquerade = false;
                                      return firewall.load(rules, senders_of(5));
                                    },
                                    [](FirewallBackend& firewall) { return firewall.cut_off(); },
                                    [](FirewallBackend& firewall) { return begin(firewall); }};
    all.insert(all.end(), rest.begin(), rest.end());
    return all;
  }

  // Tables, sets and chains sorted: what a process that found other rules has added stands last.
  [[nodiscard]] std::string text() const {
    const std::string listed = output_inside(panal_, "nft -s list ruleset");
    std::vector<std::string> blocks;
    std::string table;
    std::string block;
    std::istringstream lines(listed);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("table ")) {
        table = line;
        blocks.push_back(table + "\n");
      } else if (line == "}" || line.empty()) {
        if (!block.empty()) blocks.push_back(table + "\n" + block);
        block.clear();
      } else {
        block += line + "\n";
      }
    }
    std::sort(blocks.begin(), blocks.end());
    std::string all;
    for (const std::string& one : blocks) all += one;
    return all;
  }

  UniqueFd panal_ = new_network_namespace();
};

TEST_F(KillPoints, BeforeEachCallTheOldOrTheNewRulesStand) {
  // What may stand: the rules before all, and after each step.
  std::vector<std::string> states;
  const auto walk = [&](const Step& step, FirewallBackend& firewall) -> Result<void> {
    PANAL_TRY(step(firewall));
    states.push_back(text());
    return {};
  };
  const auto walked = run_inside(panal_, [&]() -> Result<void> {
    PANAL_ASSIGN(auto firewall, open_nftables_backend());
    PANAL_TRY(walk(begin, *firewall));
    for (const Step& step : steps()) PANAL_TRY(walk(step, *firewall));
    return {};
  });
  ASSERT_TRUE(walked) << walked.error().message();
  ASSERT_EQ(states.back(), states.front());
  for (std::size_t i = 1; i < states.size(); ++i)
    ASSERT_NE(states[i], states[i - 1]) << "step " << i << " changes nothing";

  const auto work = [&] {
    // No thread: the tracer follows one.
    if (::setns(panal_.get(), CLONE_NEWNET) != 0) return 1;
    const auto firewall = open_nftables_backend();
    if (!firewall || !begin(**firewall)) return 2;
    for (const Step& step : steps())
      if (!step(**firewall)) return 3;
    return 0;
  };
  unsigned calls = 0;
  std::vector<bool> seen(states.size());
  for (;;) {
    const auto run = test::run_killed_before(++calls, work, kSayingCalls);
    const std::string now = text();
    const auto found = std::find(states.begin(), states.end(), now);
    ASSERT_NE(found, states.end()) << "before call " << calls << " this stands:\n" << now;
    seen[static_cast<std::size_t>(found - states.begin())] = true;
    if (run.finished) {
      ASSERT_EQ(run.status, 0);
      break;
    }
    ASSERT_LT(calls, kMostCalls);
  }
  // The last one is the first.
  for (std::size_t i = 0; i + 1 < states.size(); ++i)
    EXPECT_TRUE(seen[i]) << "no kill has left the rules after step " << i;
  RecordProperty("calls", static_cast<int>(calls));
}

}  // namespace
}  // namespace panal::netconfine
