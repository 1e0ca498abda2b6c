#include "runtime/node/confinement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "runtime/node/net_in_force.h"
#include "tests/unit/runtime/node/fake_store.h"

namespace panal::node {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr const char* kOffice = R"(
default = "none"
[service.dns]
to = ["10.0.0.53"]
ports = ["53/udp"]
[policy.office]
reach = ["dns"]
[policy.class]
group = "room"
)";

/// Keeps what it was told.
class FakeNetwork final : public netconfine::Network {
 public:
  Result<netconfine::Link> attach(DesktopId, const UniqueFd&) override {
    return netconfine::Link();
  }
  Result<void> detach(DesktopId) override { return {}; }
  Result<std::vector<netconfine::Link>> links() override { return std::vector<netconfine::Link>(); }
  Result<void> recover(const std::set<DesktopId>&) override { return {}; }
  Result<void> set_rules(const netconfine::Ruleset& all,
                         const std::map<DesktopId, std::uint32_t>& who) override {
    if (broken) return fail(EIO, "load rules");
    rules = all;
    policies = who;
    ++loads;
    return {};
  }
  Result<void> set_policy(DesktopId id, std::uint32_t policy) override {
    if (broken) return fail(EIO, "put a sender");
    policies[id] = policy;
    ++changes;
    return {};
  }
  Result<std::vector<netconfine::DropCounter>> drops() override {
    return std::vector<netconfine::DropCounter>{{"spoofed_ipv4", 3, 180}};
  }

  /// The name of what a desktop has, as the rules call it.
  [[nodiscard]] std::string of(DesktopId id) const {
    const auto found = policies.find(id);
    if (found == policies.end() || found->second == 0) return "none";
    const auto& policy = rules.policies.at(found->second - 1);
    return policy.tenant.empty() ? policy.name : policy.name + "@" + policy.tenant;
  }

  netconfine::Ruleset rules;
  std::map<DesktopId, std::uint32_t> policies;
  int loads = 0, changes = 0;
  bool broken = false;
};

class ConfinementTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "confine-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    config_.run_dir = directory_;
    config_.policies_file = directory_ + "/network.toml";
    config_.node_name = "n1";
    write(kOffice);
    assign(1, "acme", "office");
    assign(2, "acme", "");
    open();
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  void write(const std::string& text) const { std::ofstream(config_.policies_file) << text; }
  void assign(DesktopId id, const std::string& tenant, const std::string& policy) {
    rows_->with([&](FakeRows& rows) {
      std::erase_if(rows.net, [&](const auto& one) { return one.id == id; });
      rows.net.push_back({id, "d" + std::to_string(id), tenant, "icewm", "n1", policy,
                          policy.empty() ? "" : "desktop"});
    });
  }
  /// A panald that has just been started.
  void open() {
    auto opened = Confinement::open({network_, config_, Logger::silent()});
    ASSERT_TRUE(opened) << opened.error().message();
    confinement_ = std::move(*opened);
  }
  /// Since the last call.
  [[nodiscard]] std::vector<std::string> audited() {
    return rows_->with([](FakeRows& rows) { return std::exchange(rows.audited, {}); });
  }
  [[nodiscard]] nlohmann::json apply(bool dry_run = false) {
    const auto done = confinement_->apply(store_, dry_run, "alice");
    EXPECT_TRUE(done) << done.error().message();
    return done.value_or(nlohmann::json());
  }

  std::string directory_;
  config::Config config_;
  FakeNetwork network_;
  std::shared_ptr<FakeRows> rows_ = std::make_shared<FakeRows>();
  FakeStore store_{rows_};
  std::unique_ptr<Confinement> confinement_;
};

TEST_F(ConfinementTest, WithoutAFileNothingIsAllowed) {
  std::filesystem::remove(config_.policies_file);
  ASSERT_TRUE(confinement_->start(store_));
  EXPECT_THAT(network_.rules.policies, IsEmpty());
  EXPECT_EQ(network_.of(1), "none");
  const auto shown = confinement_->show();
  EXPECT_EQ(shown["there"], false);
  EXPECT_EQ(shown["mistake"], "");
  EXPECT_THAT(shown["missing"], SizeIs(1));
  EXPECT_EQ(shown["missing"][0]["policy"], "office");
}

TEST_F(ConfinementTest, AssignmentsAreFollowedLive) {
  ASSERT_TRUE(confinement_->start(store_));
  EXPECT_EQ(network_.of(1), "office");
  EXPECT_EQ(network_.of(2), "none");
  const int loads = network_.loads;
  assign(2, "acme", "office");
  ASSERT_TRUE(confinement_->refresh(store_));
  EXPECT_EQ(network_.of(2), "office");
  EXPECT_EQ(network_.changes, 1) << "one desktop is one change";
  assign(1, "acme", "none");
  ASSERT_TRUE(confinement_->refresh(store_));
  EXPECT_EQ(network_.of(1), "none");
  EXPECT_EQ(network_.loads, loads) << "the rules are the same";
  ASSERT_TRUE(confinement_->refresh(store_));
  EXPECT_EQ(network_.changes, 2) << "nothing was other";
}

TEST_F(ConfinementTest, ADesktopGetsItsPolicyBeforeItsLink) {
  ASSERT_TRUE(confinement_->start(store_));
  const int loads = network_.loads;
  assign(3, "acme", "office");
  ASSERT_TRUE(confinement_->admit(store_, 3));
  EXPECT_EQ(network_.of(3), "office");
  EXPECT_EQ(network_.loads, loads);
  // The first of its tenant in a group: that needs rules of its own.
  assign(4, "beta", "class");
  ASSERT_TRUE(confinement_->admit(store_, 4));
  EXPECT_EQ(network_.of(4), "class@beta");
  EXPECT_EQ(network_.of(3), "office") << "others keep theirs, whatever its number is now";
  EXPECT_EQ(confinement_->admit(store_, 99).error().code, ENOENT);
}

TEST_F(ConfinementTest, AFileWithAMistakeChangesNothing) {
  ASSERT_TRUE(confinement_->start(store_));
  EXPECT_THAT(audited(), SizeIs(1));
  write("[policy.office]\nreach = [\"dsn\"]\n");
  const auto refused = confinement_->apply(store_, false, "alice");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EPROTO);
  EXPECT_THAT(refused.error().context, HasSubstr("network.toml:2: unknown service dsn in reach"));
  EXPECT_EQ(network_.of(1), "office");
  EXPECT_THAT(audited(), IsEmpty());
  // Nor over panald's end.
  open();
  confinement_->resume();
  EXPECT_EQ(network_.of(1), "office") << "before the database is there";
  ASSERT_TRUE(confinement_->start(store_));
  EXPECT_EQ(network_.of(1), "office");
  EXPECT_THAT(confinement_->show()["mistake"].get<std::string>(), HasSubstr("unknown service dsn"));
  write(kOffice);
  EXPECT_THAT(apply()["changes"], IsEmpty());
  EXPECT_EQ(confinement_->show()["mistake"], "");
  // A service where desktops are is a mistake too, which only the node can see.
  write("[service.x]\nto = [\"10.77.0.1\"]\n");
  const auto inside = confinement_->apply(store_, false, "alice");
  ASSERT_FALSE(inside);
  EXPECT_EQ(inside.error().code, EPROTO);
  EXPECT_THAT(inside.error().context, HasSubstr("10.77.0.1 is an address of desktops"));
}

TEST_F(ConfinementTest, ApplySaysWhatItChangesAndWritesItDown) {
  ASSERT_TRUE(confinement_->start(store_));
  EXPECT_THAT(audited(), ElementsAre("panald net.apply node n1: service dns added; policy class "
                                     "added; policy office added"));
  std::string text = kOffice;
  text.replace(text.find("10.0.0.53"), 9, "10.0.0.54");
  write(text);
  const auto planned = apply(true);
  EXPECT_THAT(planned["changes"], ElementsAre("service dns changed"));
  EXPECT_EQ(planned["desktops"], 1);
  EXPECT_THAT(audited(), IsEmpty()) << "a dry run";
  EXPECT_EQ(network_.rules.policies.at(0).reach.at(0).peer.bytes[3], 53);
  EXPECT_EQ(apply(), planned);
  EXPECT_EQ(network_.rules.policies.at(0).reach.at(0).peer.bytes[3], 54);
  EXPECT_THAT(audited(), ElementsAre("alice net.apply node n1: service dns changed"));
  EXPECT_THAT(apply()["changes"], IsEmpty());
  EXPECT_THAT(audited(), IsEmpty()) << "nothing changed";
  open();
  confinement_->resume();
  ASSERT_TRUE(confinement_->start(store_));
  EXPECT_THAT(audited(), IsEmpty()) << "the same file as before";
  write("");
  open();
  confinement_->resume();
  ASSERT_TRUE(confinement_->start(store_));
  EXPECT_THAT(audited(), SizeIs(1));
}

TEST_F(ConfinementTest, WhatTheKernelRefusesIsTriedAgain) {
  ASSERT_TRUE(confinement_->start(store_));
  assign(2, "acme", "office");
  network_.broken = true;
  EXPECT_EQ(confinement_->refresh(store_).error().code, EIO);
  network_.broken = false;
  ASSERT_TRUE(confinement_->refresh(store_));
  EXPECT_EQ(network_.of(2), "office");
}

TEST_F(ConfinementTest, ALostDatabaseChangesNothing) {
  ASSERT_TRUE(confinement_->start(store_));
  rows_->with([](FakeRows& rows) { rows.away = true; });
  EXPECT_FALSE(confinement_->refresh(store_));
  EXPECT_EQ(network_.of(1), "office");
}

TEST_F(ConfinementTest, ExplainsAndShows) {
  ASSERT_TRUE(confinement_->start(store_));
  netpolicy::Query query;
  query.from.desktop = 1;
  query.to.address = netconfine::Prefix{false, {10, 0, 0, 53}, 32};
  query.traffic = {netconfine::Protocol::kUdp, {53, 53}};
  const auto said = confinement_->explain(query);
  ASSERT_TRUE(said) << said.error().message();
  EXPECT_EQ((*said)["rule"], "no uplink: nothing leads outside");
  const auto shown = confinement_->show();
  EXPECT_THAT(shown["policies"], SizeIs(2));
  EXPECT_EQ(shown["policies"][1]["name"], "office");
  EXPECT_EQ(shown["policies"][1]["desktops"], 1);
  EXPECT_EQ(shown["none"], 1);
  EXPECT_EQ(shown["dropped"]["spoofed_ipv4"], 3);
  const auto policy = confinement_->show_policy("office");
  ASSERT_TRUE(policy);
  EXPECT_THAT((*policy)["text"].get<std::string>(), HasSubstr("[service.dns]"));
  EXPECT_EQ((*confinement_->show_policy("none"))["text"], "");
  EXPECT_EQ(confinement_->show_policy("offce").error().code, ENOENT);
  const auto desktop = confinement_->show_desktop(1);
  ASSERT_TRUE(desktop);
  EXPECT_EQ((*desktop)["address4"], "10.77.0.1");
  EXPECT_EQ((*desktop)["policy"], "office");
  EXPECT_EQ(confinement_->show_desktop(9).error().code, ENOENT);
}

TEST_F(ConfinementTest, ABridgeOfAGroupConcernsItsDesktopsAndIsShownWithThePolicy) {
  assign(3, "acme", "class");
  ASSERT_TRUE(confinement_->start(store_));
  EXPECT_FALSE(network_.rules.policies.empty());
  write(std::string(kOffice) + "[group.room]\nbridge = true\n");
  EXPECT_EQ(apply(true)["desktops"], 1) << "of the group, and nobody else";
  EXPECT_THAT(apply()["changes"], SizeIs(1));
  const auto bridged = [&] {
    return std::any_of(network_.rules.policies.begin(), network_.rules.policies.end(),
                       [](const auto& policy) { return policy.bridged; });
  };
  EXPECT_TRUE(bridged());
  EXPECT_THAT((*confinement_->show_policy("class"))["text"].get<std::string>(),
              HasSubstr("[group.room]\nbridge = true"));
  // Over panald's end, too.
  open();
  network_.rules = {};
  confinement_->resume();
  EXPECT_TRUE(bridged());
  // Where it cannot be, it is a mistake like another.
  config_.firewall_backend = "iptables";
  const auto refused = confinement_->apply(store_, false, "alice");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().context, HasSubstr("bridged groups need nftables"));
}

TEST(RulesBefore, DamagedTextsAreRefused) {
  for (const char* text : {
           "",
           "{",
           "[]",
           "{}",
           R"({"policies": 3, "desktops": []})",
           R"({"policies": "", "desktops": {}})",
           R"({"policies": "[polcy.x]", "desktops": []})",
           R"({"policies": "", "desktops": [1]})",
           R"({"policies": "", "desktops": [[]]})",
           R"({"policies": "", "desktops": [["1", "a", "b", "c", "d"]]})",
           R"({"policies": "", "desktops": [[1, "a", "b", "c", 4]]})",
           R"({"policies": "", "desktops": [[1, "a", "b", "c", "d", "e"]]})",
       }) {
    const auto parsed = parse_in_force(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, EPROTO);
  }
  EXPECT_TRUE(parse_in_force(R"({"policies": "", "desktops": [[1, "a", "b", "c", "d"]]})"));
}

}  // namespace
}  // namespace panal::node
