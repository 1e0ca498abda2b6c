// The iptables backend in the real kernel, in both variants of iptables: what is loaded is what
// the kernel says it has, whatever comes in between.
#include "netconfine/firewall/backend.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <random>

#include "tests/system/netconfine/iptables/backend_fixture.h"

namespace panal::netconfine {
namespace {

using namespace testing;

TEST_P(IptablesBackend, TheKernelHasWhatWasMeant) {
  load(everybody());
  auto limits = rules_;
  for (auto& policy : limits.policies) {
    policy.limits.connections = 100;
    policy.limits.new_connections_per_second = 30000;
    policy.log = NetLog::kAll;
  }
  limits.masquerade = true;
  std::swap(rules_, limits);
  load(everybody());
  for (auto& policy : rules_.policies) policy.limits.new_connections_per_second = 5;
  load(everybody());
  rules_.uplink.clear();
  load(everybody());
  load({});
}

TEST_P(IptablesBackend, DesktopsComeAndGo) {
  load({});
  std::vector<Sender> many;
  for (DesktopId desktop = 1; desktop <= 130; ++desktop)
    many.push_back(sender(desktop, id(desktop % 3 == 0 ? "pupil" : "office", "t1")));
  ASSERT_TRUE(backend_->put(many));
  expect_no_drift();
  const auto links = backend_->links();
  ASSERT_TRUE(links) << links.error().message();
  EXPECT_EQ(links->size(), 130U);

  many.assign({sender(131, id("free")), sender(12, 0)});
  ASSERT_TRUE(backend_->put(many));
  expect_no_drift();
  std::vector<Addresses> gone;
  for (DesktopId desktop = 2; desktop <= 140; ++desktop)
    gone.push_back(PlainWorld::addresses(desktop));
  ASSERT_TRUE(backend_->remove(gone));
  expect_no_drift();
  EXPECT_EQ(*backend_->links(), std::vector<std::string>{"pnl1"});
}

TEST_P(IptablesBackend, DriftIsSeenAndMended) {
  add_desktops(2);
  load(everybody());
  const std::string ip = tool("iptables"), ip6 = tool("ip6tables");
  const std::vector<std::pair<std::string, std::string>> table = {
      {ip + " -F FORWARD", "chain ip filter FORWARD misses"},
      {ip + " -P FORWARD ACCEPT", "chain ip filter FORWARD has the policy ACCEPT, not DROP"},
      {ip6 + " -I FORWARD -j ACCEPT", "has a rule that is not ours: \"-j ACCEPT\""},
      {ip + " -t raw -F", "chain ip raw PANAL-SENDER misses"},
      {ip + " -t raw -D PANAL-SENDER 1", "chain ip raw PANAL-SENDER misses"},
      {GetParam().sets ? "ipset flush $(ipset list -n | grep '^pnl4[a-z]$')"
                       : ip + " -F PANAL-FROM",
       GetParam().sets ? "misses 10.77.0.1,pnl1" : "chain ip filter PANAL-FROM misses"},
      {GetParam().sets ? "ipset add $(ipset list -n | grep '^pnl6[a-z]$') fd77::9,pnl1"
                       : ip6 + " -A PANAL-FROM -j ACCEPT",
       "that is not ours"},
      {ip6 + " -F; " + ip6 + " -X", "is missing"},
      {ip + " -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.77.0.1",
       "chain ip nat PREROUTING is not ours"},
      {ip6 + " -t mangle -N MINE", "chain ip6 mangle MINE is not ours"},
      {"echo 262144 > /proc/sys/net/ipv4/ipfrag_high_thresh", "ipfrag_high_thresh is 262144"},
      {"arptables-nft -P INPUT ACCEPT", "chain arp filter INPUT has the policy ACCEPT"},
      {(GetParam().variant == IptablesVariant::kNft ? "iptables-legacy" : "iptables-nft") +
           std::string(" -t nat -A PREROUTING -j ACCEPT"),
       "chain ip of the other iptables nat PREROUTING is not ours"},
  };
  for (const auto& [command, expected] : table) {
    ASSERT_EQ(shell_inside(world_.panal(), command), 0) << command;
    EXPECT_NE(drift().find(expected), std::string::npos) << command << "\n" << drift();
    load(everybody());
    EXPECT_TRUE(to_outside(1, "10.1.0.1", Protocol::kUdp, 53)) << command;
    EXPECT_FALSE(to_outside(1, "8.8.8.8", Protocol::kUdp, 53)) << command;
  }
}

TEST_P(IptablesBackend, AChangeThatFindsNothingToStandOnLoadsEverything) {
  add_desktops(1);
  load({sender(1, id("office", "t1")), sender(11, id("office", "t1"))});
  const std::string flush = tool("iptables") + " -t raw -F && ";
  ASSERT_EQ(shell_inside(world_.panal(),
                         GetParam().sets
                             ? flush + "set=$(ipset list -n | grep '^pnl4[a-z]$'); "
                                       // The kernel lets go of it a moment later.
                                       "for i in 1 2 3 4 5 6 7 8 9; do "
                                       "ipset destroy $set 2>/dev/null && exit 0; sleep 0.2; done; "
                                       "exit 1"
                             : flush + tool("iptables") + " -t raw -X"),
            0);
  EXPECT_FALSE(to_outside(1, "10.1.0.1", Protocol::kUdp, 53)) << "the policy is to drop";
  const auto removed = backend_->remove(std::vector{PlainWorld::addresses(11)});
  ASSERT_TRUE(removed) << removed.error().message();
  expect_no_drift();
  EXPECT_TRUE(to_outside(1, "10.1.0.1", Protocol::kUdp, 53));
}

TEST_P(IptablesBackend, BadRulesChangeNothing) {
  load(everybody());
  auto bad = rules_;
  bad.policies[0].name = "x\nCOMMIT";
  EXPECT_EQ(backend_->load(bad, everybody()).error().code, EINVAL);
  EXPECT_EQ(backend_->load(rules_, {sender(1, 999)}).error().code, EINVAL);
  expect_no_drift();
  EXPECT_EQ(backend_->links()->size(), 7U);
}

TEST_P(IptablesBackend, ClearLeavesNothing) {
  load(everybody());
  ASSERT_TRUE(run_inside(world_.panal(), clear_iptables));
  for (const char* name : {"iptables-legacy-save", "ip6tables-legacy-save", "iptables-nft-save",
                           "ip6tables-nft-save", "arptables-nft-save"}) {
    const auto saved = output_inside(world_.panal(), std::string(name) + " 2>/dev/null");
    EXPECT_EQ(saved.find("-A"), std::string::npos) << name << "\n" << saved;
    EXPECT_EQ(saved.find("DROP"), std::string::npos) << name << "\n" << saved;
    EXPECT_EQ(saved.find("PANAL"), std::string::npos) << name << "\n" << saved;
  }
}

TEST_P(IptablesBackend, KilledAnywhereNothingIsMoreOpen) {
  add_desktops(3);
  auto set = PlainWorld::policies();
  const auto rules_with = [&](std::vector<std::string> reach, const std::string& group) {
    set.policies["office"].reach = std::move(reach);
    set.policies["office"].group = group;
    return *compile(set, {.uplink = PlainWorld::kUplink,
                          .masquerade = false,
                          .desktops = {},
                          .uses = {{"office", "t1"}, {"pupil", "t1"}}});
  };
  const Ruleset first = rules_with({"dns"}, "class");
  const Ruleset second = rules_with({"web"}, "");
  // Without a group a policy is every tenant's.
  const auto senders = [&](const Ruleset& rules) {
    const auto office = policy_id(rules, "office", "t1");
    return std::vector{sender(1, office != 0 ? office : policy_id(rules, "office", "")),
                       sender(2, policy_id(rules, "lonely", "")), sender(3, 0)};
  };
  std::mt19937 random(2);  // NOLINT(cert-msc51-cpp): the same moments each time, as far as they are
  const std::string own1 = to_string(PlainWorld::addresses(1).ipv4);
  // Before the first rules are in force, a node forwards nothing; this world does.
  ASSERT_TRUE(backend_->load(first, senders(first)));
  for (int round = 0; round < 15; ++round) {
    const pid_t pid = fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      SetUp();  // sockets of its own
      for (;;) {
        bool good = backend_->load(first, senders(first)).has_value();
        good = good && backend_->remove(std::vector{PlainWorld::addresses(1)});
        good = good && backend_->put(std::vector{senders(first)[0]});
        good = good && backend_->load(second, senders(second));
        if (!good) _exit(1);
      }
    }
    usleep(static_cast<useconds_t>(random() % 120'000));
    ASSERT_EQ(kill(pid, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFSIGNALED(status)) << "a change has failed";
    EXPECT_FALSE(to_outside(1, "8.8.8.8", Protocol::kUdp, 53));
    EXPECT_FALSE(to_outside(2, "10.1.0.1", Protocol::kUdp, 53));
    EXPECT_FALSE(to_outside(3, "10.1.0.77", Protocol::kTcp, 8000));
    EXPECT_FALSE(arrives(world_.outside(), "8.8.8.8", world_.desktop(1), own1, Protocol::kUdp, 9));
    EXPECT_FALSE(arrives(world_.desktop(1), own1, world_.desktop(2),
                         to_string(PlainWorld::addresses(2).ipv4), Protocol::kUdp, 9));
  }
  // A new process takes over whatever is there.
  ASSERT_TRUE(run_inside(world_.panal(), [&]() -> Result<void> {
    PANAL_ASSIGN(backend_, open_iptables_backend(GetParam()));
    return {};
  }));
  const auto loaded = backend_->load(first, senders(first));
  ASSERT_TRUE(loaded) << loaded.error().message();
  expect_no_drift();
  EXPECT_TRUE(to_outside(1, "10.1.0.1", Protocol::kUdp, 53));
  EXPECT_FALSE(to_outside(1, "10.1.0.77", Protocol::kTcp, 8000));
}

TEST(IptablesBackendOpen, TheMachinesOwnNamespaceIsRefused) {
  const auto opened = open_iptables_backend();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message(),
            "iptables: this is the machine's own network namespace: Invalid argument");
  // Nothing of ours can be there, and what is there is others'.
  EXPECT_TRUE(clear_iptables());
}

std::string way_name(const ::testing::TestParamInfo<IptablesOptions>& way) {
  return std::string(way.param.variant == IptablesVariant::kNft ? "Nft" : "Legacy") +
         (way.param.sets ? "WithSets" : "WithTrees");
}

INSTANTIATE_TEST_SUITE_P(Ways, IptablesBackend,
                         ::testing::Values(IptablesOptions{IptablesVariant::kLegacy, true},
                                           IptablesOptions{IptablesVariant::kLegacy, false},
                                           IptablesOptions{IptablesVariant::kNft, true},
                                           IptablesOptions{IptablesVariant::kNft, false}),
                         way_name);

}  // namespace
}  // namespace panal::netconfine
