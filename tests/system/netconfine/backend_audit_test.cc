// What the kernel has is what was meant, or nobody gets through.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <random>
#include <sstream>
#include <thread>

#include "netconfine/audit/audit_loop.h"
#include "netconfine/netlink/enter.h"
#include "tests/system/netconfine/faulty.h"
#include "tests/system/netconfine/world.h"

namespace panal::netconfine {
namespace {

using namespace testing;
using Outcome = AuditReport::Outcome;

const Service kDns = service("dns", {"10.1.0.53", "fd00:1::53"}, {{Protocol::kUdp, {53, 53}}});

PolicySet office() { return policies({kDns}, {policy("office", {"dns"}, {}, "room")}); }

class Audit : public ::testing::TestWithParam<BackendUnderTest> {
 protected:
  OpenBackend faulty() {
    return [this]() -> Result<std::unique_ptr<FirewallBackend>> {
      PANAL_ASSIGN(auto real, GetParam().open());
      return std::make_unique<Faulty>(std::move(real), faults_);
    };
  }
  static bool asks(World& world) {
    return world.passes(1, 0, udp4(ip4("10.77.0.1"), ip4("10.1.0.53"), 53), false);
  }
  static bool talks(World& world) {
    return world.passes(1, 2, udp6(ip6("fd77:70::1"), ip6("fd77:70::2")), true);
  }
  Faulty::Faults faults_;
};

INSTANTIATE_TEST_SUITE_P(All, Audit, ::testing::ValuesIn(backends()),
                         [](const auto& test) { return test.param.name; });

TEST_P(Audit, FindsNothingWhereNothingIs) {
  World world(GetParam().open, 2);
  EXPECT_EQ(world.network().audit().outcome, Outcome::kAsMeant);
  ASSERT_TRUE(world.apply(office(), {{1, "office"}, {2, "office"}}));
  EXPECT_EQ(world.network().audit().outcome, Outcome::kAsMeant);
  ASSERT_TRUE(world.network().set_policy(2, 0));
  ASSERT_TRUE(world.network().detach(1));
  const auto report = world.network().audit();
  EXPECT_EQ(report.outcome, Outcome::kAsMeant)
      << (report.drifts.empty() ? report.why
                                : report.drifts.front().where + " " + report.drifts.front().what);
}

TEST_P(Audit, TheFirstWallIsLookedAtToo) {
  World world(GetParam().open, 1);
  ASSERT_TRUE(world.apply(policies({}, {policy("none-at-all", {})}), {}));
  for (const char* setting : {"net.ipv4.conf.all.rp_filter=0", "net.ipv6.conf.all.accept_ra=1",
                              "net.ipv4.conf.default.accept_source_route=1"}) {
    ASSERT_EQ(shell_inside(world.panal(), std::string("sysctl -qw ") + setting), 0);
    const auto report = world.network().audit();
    EXPECT_EQ(report.outcome, Outcome::kRepaired) << report.why;
    ASSERT_EQ(report.drifts.size(), 1U) << setting;
    EXPECT_EQ(report.drifts.front().where + "=",
              "sysctl " + std::string(setting, std::string_view(setting).find('=') + 1));
    EXPECT_EQ(world.network().audit().outcome, Outcome::kAsMeant) << setting;
  }
}

// By name: nftables drops desktops' fragments before they are put together.
TEST(IptablesAudit, AFragmentSettingIsMendedAndNobodyIsCutOff) {
  World world([] { return open_iptables_backend(); }, 1);
  ASSERT_TRUE(world.apply(office(), {{1, "office"}}));
  for (const char* setting :
       {"ipv4/ipfrag_high_thresh", "netfilter/nf_conntrack_frag6_high_thresh"}) {
    ASSERT_EQ(shell_inside(world.panal(), std::string("echo 262144 > /proc/sys/net/") + setting),
              0);
    const auto report = world.network().audit();
    EXPECT_EQ(report.outcome, Outcome::kRepaired) << setting << ": " << report.why;
    ASSERT_EQ(report.drifts.size(), 1U) << setting;
    EXPECT_NE(report.drifts.front().where.find(setting), std::string::npos);
    EXPECT_EQ(output_inside(world.panal(), std::string("cat /proc/sys/net/") + setting), "0\n");
    EXPECT_EQ(world.network().audit().outcome, Outcome::kAsMeant) << setting;
    EXPECT_TRUE(world.passes(1, 0, udp4(ip4("10.77.0.1"), ip4("10.1.0.53"), 53), false));
  }
}

TEST_P(Audit, WhatCannotBeRepairedCutsEverybodyOffUntilItCan) {
  World world(faulty(), 2);
  ASSERT_TRUE(world.apply(office(), {{1, "office"}, {2, "office"}}));
  ASSERT_TRUE(asks(world));
  ASSERT_TRUE(talks(world));
  faults_.load = true;
  ASSERT_EQ(shell_inside(world.panal(), GetParam().flush), 0);
  auto report = world.network().audit();
  EXPECT_EQ(report.outcome, Outcome::kCutOff);
  EXPECT_FALSE(report.drifts.empty());
  EXPECT_NE(report.why.find("load rules"), std::string::npos) << report.why;
  EXPECT_FALSE(asks(world));
  EXPECT_FALSE(talks(world));
  EXPECT_EQ(world.network().audit().outcome, Outcome::kCutOff) << "still";
  EXPECT_FALSE(asks(world));
  faults_.load = false;
  EXPECT_EQ(world.network().audit().outcome, Outcome::kRepaired);
  EXPECT_TRUE(asks(world));
  EXPECT_TRUE(talks(world));
  EXPECT_EQ(world.network().audit().outcome, Outcome::kAsMeant);
}

TEST_P(Audit, WhereEvenTheCutFailsLinksGoDownAndComeBack) {
  World world(faulty(), 2);
  ASSERT_TRUE(world.apply(office(), {{1, "office"}, {2, "office"}}));
  ASSERT_TRUE(talks(world));
  faults_.load = faults_.cut_off = true;
  ASSERT_EQ(shell_inside(world.panal(), GetParam().open_up), 0);
  EXPECT_EQ(world.network().audit().outcome, Outcome::kCutOff);
  EXPECT_EQ(output_inside(world.panal(), "ip -o link show up | grep -c pnl"), "0\n");
  // Nor does a new one come up under rules that are known to be wrong.
  const FakeDesktop late;
  const auto attached = world.network().attach(3, late.network());
  ASSERT_FALSE(attached);
  EXPECT_EQ(attached.error().code, EAGAIN) << attached.error().message();
  EXPECT_EQ(output_inside(world.panal(), "ip -o link show | grep -c pnl3"), "0\n");
  faults_.load = faults_.cut_off = false;
  EXPECT_EQ(world.network().audit().outcome, Outcome::kRepaired);
  // The kernel starts a link's queues some time after it came up.
  for (int i = 0; i < 500 && !(asks(world) && talks(world)); ++i) usleep(10'000);
  EXPECT_TRUE(asks(world));
  EXPECT_TRUE(talks(world));
  EXPECT_TRUE(world.network().attach(3, late.network()));
}

// Hears what a loop says, from another thread.
class Listener {
 public:
  void hear(const AuditReport& report) {
    const std::lock_guard lock(mutex_);
    if (report.outcome == Outcome::kRepaired) ++repaired_;
    ++all_;
    heard_.notify_all();
  }
  bool wait_for_repairs(int wanted) {
    std::unique_lock lock(mutex_);
    return heard_.wait_for(lock, std::chrono::seconds(30), [&] { return repaired_ >= wanted; });
  }
  bool wait_for_any() {
    std::unique_lock lock(mutex_);
    return heard_.wait_for(lock, std::chrono::seconds(30), [&] { return all_ > 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable heard_;
  int repaired_ = 0, all_ = 0;
};

TEST_P(Audit, TheLoopRepairsWhatItIsToldOf) {
  World world(GetParam().open, 1);
  ASSERT_TRUE(world.apply(office(), {{1, "office"}}));
  Listener listener;
  AuditIntervals intervals;
  intervals.untold = std::chrono::milliseconds(200);
  const auto loop = AuditLoop::start(world.network(), intervals,
                                     [&](const AuditReport& report) { listener.hear(report); });
  ASSERT_TRUE(loop);
  ASSERT_TRUE(listener.wait_for_any());
  for (int i = 1; i <= 3; ++i) {
    const auto start = std::chrono::steady_clock::now();
    ASSERT_EQ(shell_inside(world.panal(), GetParam().flush), 0);
    ASSERT_TRUE(listener.wait_for_repairs(i));
    RecordProperty("repaired_ms_" + std::to_string(i),
                   static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                        std::chrono::steady_clock::now() - start)
                                        .count()));
    EXPECT_TRUE(asks(world));
  }
}

// A desktop asks and is answered, one question at a time, until told to stop. Every question must
// come back.
class Talker {
 public:
  Talker(const UniqueFd& desktop, const UniqueFd& outside)
      : thread_([this, desktop_fd = *desktop.duplicate(), outside_fd = *outside.duplicate()] {
          (void)run_inside(desktop_fd, [&]() -> Result<void> {
            const UniqueFd asker(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
            UniqueFd answerer;
            (void)run_inside(outside_fd, [&]() -> Result<void> {
              answerer = UniqueFd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
              return {};
            });
            talk(asker.get(), answerer.get());
            return {};
          });
        }) {}
  ~Talker() { stop(); }
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  std::atomic<int> asked = 0, answered = 0;

 private:
  void talk(int asker, int answerer) {
    // Not on the core that changes the rules.
    cpu_set_t all;
    std::memset(&all, 0xff, sizeof(all));
    sched_setaffinity(0, sizeof(all), &all);
    const timeval limit{.tv_sec = 10, .tv_usec = 0};
    for (const int fd : {asker, answerer}) {
      setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    }
    sockaddr_in server{};
    server.sin_family = AF_INET;
    server.sin_port = htons(53);
    const Ipv4 address = ip4("10.1.0.53");
    std::memcpy(&server.sin_addr, address.data(), address.size());
    const auto* to = reinterpret_cast<const sockaddr*>(&server);
    if (bind(answerer, to, sizeof(server)) != 0) return;
    while (!stop_) {
      char byte = 'x';
      sockaddr_in from{};
      socklen_t length = sizeof(from);
      if (sendto(asker, &byte, 1, 0, to, sizeof(server)) != 1) return;
      ++asked;
      if (recvfrom(answerer, &byte, 1, 0, reinterpret_cast<sockaddr*>(&from), &length) != 1) return;
      (void)sendto(answerer, &byte, 1, 0, reinterpret_cast<const sockaddr*>(&from), length);
      if (recv(asker, &byte, 1, 0) != 1) return;
      ++answered;
    }
  }

  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

TEST_P(Audit, ExchangingRulesUnderLoadLosesNothingOfWhatBothAllow) {
  World world(GetParam().open, 1);
  auto other = office();
  other.services["more"] = service("more", {"10.2.0.0/16"});
  other.policies["office"].reach.push_back("more");
  other.policies["another"] = policy("another", {"more"});
  // And from a policy that goes to one that comes, which nothing else has in common.
  auto renamed = office();
  renamed.policies["bureau"] = policy("bureau", {"dns"});
  renamed.policies.erase("office");
  const std::map<DesktopId, std::string> has = {{1, "office"}}, has_other = {{1, "bureau"}};
  ASSERT_TRUE(world.apply(office(), has));
  ASSERT_EQ(shell_inside(world.outside(),
                         "ip address add 10.1.0.53/32 dev lo && "
                         "ip route add 10.77.0.0/16 via 192.0.2.1 dev out0 onlink && "
                         "ip neigh replace 192.0.2.1 lladdr " +
                             to_string(world.uplink_mac()) + " dev out0"),
            0);
  Talker talker(world.inside(1), world.outside());
  for (int i = 0; i < 20'000 && talker.answered == 0; ++i) usleep(1000);
  ASSERT_GT(talker.answered, 0) << "no conversation";
  for (int i = 0; i < 60; ++i) {
    const auto applied = i % 3 == 0   ? world.apply(other, has)
                         : i % 3 == 1 ? world.apply(renamed, has_other)
                                      : world.apply(office(), has);
    ASSERT_TRUE(applied) << applied.error().message();
  }
  const int during = talker.answered;
  talker.stop();
  EXPECT_EQ(talker.asked, talker.answered) << "a question was lost";
  EXPECT_GT(during, 40);
}

// Those of iptables come in steps: KilledAnywhereNothingIsMoreOpen (iptables/).
TEST(NftKilled, InTheMiddleOfAChangeTheOldOrTheNewRulesStand) {
  const auto panal = new_network_namespace();
  const auto pool = AddressPool::parse(kWorldPlan.subnet4, kWorldPlan.subnet6);
  const auto rules_of = [&](bool second) {
    auto set = office();
    if (second) set.policies["office"].reach.clear();
    return *compile(
        set,
        {.uplink = kUplink, .masquerade = false, .desktops = {}, .uses = {{"office", "acme"}}});
  };
  const auto senders_of = [&](bool second) {
    std::vector<Sender> senders;
    for (DesktopId id = 1; id <= (second ? 40 : 20); ++id) senders.push_back({*pool->of(id), 1});
    return senders;
  };
  const auto text = [&] { return output_inside(panal, "nft -s list ruleset"); };
  const auto load = [&](bool second) {
    const auto loaded = run_inside(panal, [&]() -> Result<void> {
      PANAL_ASSIGN(auto firewall, open_nftables_backend());
      return firewall->load(rules_of(second), senders_of(second));
    });
    ASSERT_TRUE(loaded) << loaded.error().message();
  };
  load(true);
  const auto second = text();
  load(false);
  const auto first = text();
  ASSERT_NE(first, second);
  std::mt19937 random(7);
  for (int i = 0; i < 30; ++i) {
    int ready[2];
    ASSERT_EQ(pipe2(ready, O_CLOEXEC), 0);
    const pid_t child = fork();
    if (child == 0) {
      (void)run_inside(panal, [&]() -> Result<void> {
        PANAL_ASSIGN(auto firewall, open_nftables_backend());
        if (write(ready[1], "r", 1) != 1) _exit(1);
        for (bool flip = true;; flip = !flip) {
          (void)firewall->load(rules_of(flip), senders_of(flip));
        }
      });
      _exit(1);
    }
    char byte = 0;
    ASSERT_EQ(read(ready[0], &byte, 1), 1);
    usleep(static_cast<useconds_t>(random() % 20'000));
    ::kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    close(ready[0]);
    close(ready[1]);
    const auto now = text();
    EXPECT_TRUE(now == first || now == second) << now;
  }
}

// By name: only where the rules are nftables'.
class NftAudit : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(world_.apply(office(), {{1, "office"}, {2, "office"}})); }
  void expect_repair(const std::string& tampering, const std::string& where,
                     const std::string& what) {
    const auto before = listed();
    ASSERT_EQ(shell_inside(world_.panal(), tampering), 0) << tampering;
    const auto report = world_.network().audit();
    EXPECT_EQ(report.outcome, Outcome::kRepaired) << tampering << ": " << report.why;
    bool said = false;
    std::string all;
    for (const Drift& drift : report.drifts) {
      all += drift.where + ": " + drift.what + "\n";
      said = said || (drift.where == where && drift.what.find(what) != std::string::npos);
    }
    EXPECT_TRUE(said) << tampering << " was told as:\n" << all;
    EXPECT_EQ(listed(), before) << tampering;
    EXPECT_EQ(world_.network().audit().outcome, Outcome::kAsMeant) << tampering;
  }
  // The order of sets is that in which they were made, and nothing depends on it.
  std::vector<std::string> listed() {
    std::istringstream text(output_inside(world_.panal(), "nft -s list ruleset"));
    std::vector<std::string> paragraphs(1);
    for (std::string line; std::getline(text, line);) {
      if (line.empty()) paragraphs.emplace_back();
      paragraphs.back() += line + "\n";
    }
    std::sort(paragraphs.begin(), paragraphs.end());
    return paragraphs;
  }
  // "0x1234abcd", as the kernel has it.
  std::string office_number() {
    const std::string text = output_inside(world_.panal(), "nft list map inet panal policy_out");
    const auto at = text.find("0x");
    return at == std::string::npos ? "none" : text.substr(at, 10);
  }
  std::string group_set() {
    const std::string text = output_inside(world_.panal(), "nft list sets inet");
    const auto at = text.find("group_");
    return at == std::string::npos ? "none" : text.substr(at, 14);
  }
  std::string office_chain(const std::string& part) {
    return "p" + office_number().substr(2) + "_office_" + part;
  }
  World world_{open_nftables_backend, 2};
};

TEST_F(NftAudit, EveryKindOfDriftIsToldAndRepaired) {
  expect_repair("nft flush ruleset", "table inet panal", "is missing");
  expect_repair("nft delete table arp panal", "table arp panal", "is missing");
  expect_repair("nft flush chain inet panal prerouting", "chain inet panal prerouting",
                "has lost all its rules");
  expect_repair("nft insert rule inet panal forward accept", "chain inet panal forward",
                "has a rule that is not ours");
  expect_repair("nft add rule inet panal " + office_chain("reach") + " accept",
                "chain inet panal " + office_chain("reach"), "has a rule that is not ours");
  expect_repair(
      "nft delete rule inet panal prerouting handle $(nft -a list chain inet panal "
      "prerouting | sed -n 's/.*spoofed_ipv4.*handle //p')",
      "chain inet panal prerouting", "misses a rule");
  expect_repair("nft add chain inet panal forward '{ policy accept; }'", "chain inet panal forward",
                "policy accept");
  expect_repair("nft add table inet panal '{ flags dormant; }'", "table inet panal", "flags 1");
  expect_repair("nft add chain inet panal strange", "chain inet panal strange", "is not ours");
  expect_repair("nft add chain inet panal strange '{ type filter hook forward priority -5; }'",
                "chain inet panal strange", "is not ours");
  expect_repair("nft add set inet panal strange '{ type ifname; }'", "set inet panal strange",
                "is not ours");
  expect_repair("nft add counter inet panal strange", "object inet panal strange", "is not ours");
  expect_repair("nft add quota inet panal strange '{ over 10 mbytes }'",
                "object inet panal strange", "is not ours");
  expect_repair(
      "nft delete element inet panal senders4 '{ \"pnl1\" . 02:70:00:00:00:01 . "
      "10.77.0.1 }'",
      "set inet panal senders4", "misses pnl1");
  expect_repair(
      "nft add element inet panal senders4 '{ \"pnl1\" . 02:70:00:00:00:01 . 10.77.0.2 }'",
      "set inet panal senders4", "has pnl1, which is not ours");
  expect_repair("nft delete element inet panal policy_of '{ \"pnl1\" }'",
                "set inet panal policy_of",
                "misses pnl1 : " + std::to_string(std::stoul(office_number(), nullptr, 16)));
  expect_repair("nft add element inet panal policy_of '{ \"up0\" : 1 }'",
                "set inet panal policy_of", "has up0 : 1");
  expect_repair("nft delete element inet panal policy_out '{ " + office_number() + " : goto " +
                    office_chain("out") + " }'",
                "set inet panal policy_out", "misses");
  expect_repair("nft add element inet panal policy_out '{ 7 : accept }'",
                "set inet panal policy_out", "which is not ours");
  expect_repair("nft add element inet panal service_dns4 '{ 9.9.9.9 . udp . 53 }'",
                "set inet panal service_dns4", "which is not ours");
  expect_repair("nft add element inet panal " + group_set() + " '{ \"up0\" }'",
                "set inet panal " + group_set(), "has up0");
  expect_repair("nft add table ip strange", "table ip strange", "is not ours");
  expect_repair(
      "nft add table netdev strange '{ chain in { type filter hook ingress device pnl1 "
      "priority 0; fwd to pnl2; }; }'",
      "table netdev strange", "is not ours");
}

TEST_F(NftAudit, AListingThatIsTheSameIsNoDrift) {
  // Changed and changed back, by others: nothing is repaired, and nothing is reset.
  const Bytes question = udp4(ip4("10.77.0.1"), ip4("10.1.0.54"), 53);
  world_.send(1, question, false);
  world_.settle();
  const auto before = world_.dropped("denied");
  EXPECT_GT(before, 0U);
  ASSERT_EQ(shell_inside(world_.panal(), "nft add table ip x; nft delete table ip x"), 0);
  EXPECT_EQ(world_.network().audit().outcome, Outcome::kAsMeant);
  EXPECT_EQ(world_.dropped("denied"), before);
}

}  // namespace
}  // namespace panal::netconfine
