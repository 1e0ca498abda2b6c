// kill -9 before every single thing that is said to the kernel while desktops are attached, moved
// between groups with bridges and detached: no port is up without the rules that hold it, and the
// next panald makes everything whole.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>

#include "tests/system/netconfine/world.h"

namespace {

// Calls of sendto(2) until the process is killed before one; 0: never. All threads count: those
// that work inside namespaces, too, which a tracer would not follow.
std::atomic<int> left_to_say{0};

}  // namespace

/// In place of libc's, for this whole program: all of netlink is said by it.
extern "C" ssize_t sendto(int fd, const void* bytes, size_t size, int flags,
                          const struct sockaddr* to, socklen_t length) {
  if (left_to_say.load() > 0 && left_to_say.fetch_sub(1) == 1) ::kill(::getpid(), SIGKILL);
  return static_cast<ssize_t>(::syscall(SYS_sendto, fd, bytes, size, flags, to, length));
}

namespace panal::netconfine {
namespace {

using namespace testing;

constexpr int kMostCalls = 1000;

class GroupKillPoints : public ::testing::Test {
 protected:
  static Ruleset rules_of(bool bridge) {
    auto set = policies({}, {policy("pupil", {}, {}, "room"), policy("singer", {}, {}, "choir")});
    for (const char* name : {"room", "choir"}) set.groups[name] = {name, bridge};
    return *compile(set, {.uplink = "",
                          .masquerade = false,
                          .desktops = {},
                          .uses = {{"pupil", "acme"}, {"singer", "acme"}},
                          .bridges = true});
  }
  static Assignments all_have(const char* name) {
    const auto id = policy_id(rules_of(true), name, "acme");
    return {{1, id}, {2, id}};
  }
  Result<std::unique_ptr<Network>> open() {
    return Network::open(*panal_.duplicate(), kWorldPlan, Logger::silent(), open_nftables_backend,
                         rules_of(true), all_have("pupil"),
                         [this](DesktopId id) { return inside(id).duplicate(); });
  }
  [[nodiscard]] const UniqueFd& inside(DesktopId id) const {
    return inside_[static_cast<std::size_t>(id - 1)];
  }

  Result<void> work() {
    PANAL_ASSIGN(const auto network, open());
    for (const DesktopId id : {1, 2}) PANAL_TRY(network->attach(id, inside(id)));
    PANAL_TRY(network->set_policy(2, policy_id(rules_of(true), "singer", "acme")));
    PANAL_TRY(network->set_rules(rules_of(false), all_have("pupil")));
    PANAL_TRY(network->set_rules(rules_of(true), all_have("singer")));
    for (const DesktopId id : {1, 2}) PANAL_TRY(network->detach(id));
    return network->set_rules({}, {});
  }
  /// True when it came to its end.
  bool work_killed_before(int call) {
    const pid_t child = ::fork();
    if (child == 0) {
      left_to_say = call;
      const auto done = work();
      left_to_say = 0;
      ::_exit(done ? 0 : 3);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    if (WIFEXITED(status)) {
      EXPECT_EQ(WEXITSTATUS(status), 0) << "call " << call;
    }
    return WIFEXITED(status);
  }

  void expect_closed() const {
    EXPECT_EQ(
        shell_inside(panal_,
                     "for png in $(ip -br link show up | grep -o '^png[0-9]*'); do"
                     "  nft list chain bridge panal prerouting | grep -q 'policy drop' &&"
                     "  nft list chain bridge panal forward | grep -q 'policy drop' || exit 1;"
                     " done"),
        0)
        << "a port is up that no rules hold:\n"
        << output_inside(panal_, "ip -br link; nft list ruleset");
  }
  void expect_made_whole() {
    auto network = open();
    ASSERT_TRUE(network) << network.error().message();
    for (const DesktopId id : {1, 2}) {
      auto attached = (*network)->attach(id, inside(id));
      if (!attached && attached.error().code == EEXIST) {
        // Half a link is no link: a start that was killed is undone and made again.
        const auto detached = (*network)->detach(id);
        ASSERT_TRUE(detached) << detached.error().message();
        attached = (*network)->attach(id, inside(id));
      }
      ASSERT_TRUE(attached) << attached.error().message();
    }
    const auto report = (*network)->audit();
    EXPECT_EQ(report.outcome, AuditReport::Outcome::kAsMeant)
        << report.why << (report.drifts.empty() ? "" : report.drifts.front().what);
    EXPECT_EQ(output_inside(panal_, "ip -br link show up | grep -c '^png'"), "2\n");
    EXPECT_EQ(output_inside(panal_, "ip -br link show type bridge | wc -l"), "1\n");
    const DesktopId both[] = {1, 2};
    ASSERT_TRUE((*network)->detach_all(both));
    ASSERT_TRUE((*network)->set_rules({}, {}));
    EXPECT_EQ(output_inside(panal_, "ip -br link show | grep -c '^pn'"), "0\n");
    EXPECT_EQ(output_inside(panal_, "nft list tables | grep -c bridge"), "0\n");
  }

  UniqueFd panal_ = new_network_namespace();
  std::vector<UniqueFd> inside_ = [] {
    std::vector<UniqueFd> all;
    for (int i = 0; i < 2; ++i) all.push_back(new_network_namespace());
    return all;
  }();
};

TEST_F(GroupKillPoints, NoPortIsUpWithoutItsRulesAndTheNextPanaldMakesAllWhole) {
  int calls = 0;
  for (bool finished = false; !finished;) {
    ASSERT_LT(++calls, kMostCalls);
    finished = work_killed_before(calls);
    expect_closed();
    expect_made_whole();
    if (HasFailure()) {
      FAIL() << "after a kill before call " << calls;
    }
  }
  EXPECT_GT(calls, 50) << "the work says more than that";
  RecordProperty("calls", calls);
}

}  // namespace
}  // namespace panal::netconfine
