#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/cli/net_query.h"
#include "tests/unit/runtime/cli/commands_fixture.h"

namespace panal::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr const char* kPolicies = R"(
[service.dns]
to = ["10.0.0.53"]
ports = ["53/udp"]
[policy.office]
reach = ["dns"]
[policy.class]
group = "room"
)";

class NetCommands : public Commands {
 protected:
  void SetUp() override {
    Commands::SetUp();
    write(kPolicies);
    farm_with_desktops(2);
    for (auto& [id, desktop] : backends_.farm.desktops) desktop.node = "n1";
  }
  void write(const std::string& text) const { std::ofstream(directory_ + "/network.toml") << text; }
  [[nodiscard]] const nlohmann::json& asked() const { return backends_.farm.requests.back(); }
};

TEST_F(NetCommands, AssignsToTenantsImagesAndDesktops) {
  ASSERT_EQ(panal({"net", "assign", "office", "--tenant", "default"}), ExitCode::kOk) << err();
  EXPECT_EQ(out(), "tenant default has policy office, desktops that run too\n");
  ASSERT_EQ(panal({"net", "assign", "none", "--image", "icewm", "--desktop", "d-1", "--desktop",
                   "default/d-2"}),
            ExitCode::kOk)
      << err();
  ASSERT_THAT(backends_.farm.net, SizeIs(4));
  ASSERT_EQ(panal({"net", "ls"}), ExitCode::kOk);
  EXPECT_THAT(out(), AllOf(HasSubstr("desktop default/d-1"), HasSubstr("image icewm"),
                           HasSubstr("(default)")));
  ASSERT_EQ(panal({"net", "ls", "--json"}), ExitCode::kOk);
  EXPECT_EQ(json()["by_default"], 0);
  const auto listed = json();
  for (const auto& one : listed["assignments"])
    EXPECT_EQ(one["desktops"], one["scope"] == "desktop" ? 1 : 0) << one.dump();
  ASSERT_EQ(panal({"net", "unassign", "--desktop", "d-1"}), ExitCode::kOk);
  EXPECT_EQ(out(), "desktop default/d-1 has no policy of its own\n");
  EXPECT_THAT(backends_.farm.net, SizeIs(3));
}

TEST_F(NetCommands, LooksBeforeItAssigns) {
  EXPECT_EQ(panal({"net", "assign", "offce", "--tenant", "default"}), ExitCode::kNotFound);
  EXPECT_THAT(err(), AllOf(HasSubstr("there is no policy offce in"),
                           HasSubstr("did you mean office?"), HasSubstr("--force")));
  EXPECT_EQ(panal({"net", "assign", "office", "--tenant", "defaultx"}), ExitCode::kNotFound);
  EXPECT_THAT(err(), HasSubstr("there is no tenant defaultx; did you mean default?"));
  EXPECT_EQ(panal({"net", "assign", "office", "--image", "icwm"}), ExitCode::kNotFound);
  EXPECT_EQ(panal({"net", "assign", "office", "--desktop", "d-1", "--desktop", "d-9"}),
            ExitCode::kNotFound);
  EXPECT_EQ(panal({"net", "assign", "office"}), ExitCode::kUsage);
  EXPECT_THAT(err(), HasSubstr("say whom: --tenant, --image or --desktop"));
  EXPECT_EQ(panal({"net", "assign", "No Policy", "--tenant", "default"}), ExitCode::kUsage);
  EXPECT_THAT(backends_.farm.net, IsEmpty()) << "all are looked at before the first is changed";
  ASSERT_EQ(panal({"net", "assign", "office", "--tenant", "default", "--dry-run"}), ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("tenant default would get policy office"));
  EXPECT_THAT(backends_.farm.net, IsEmpty());
  EXPECT_EQ(panal({"net", "assign", "elsewhere", "--tenant", "default", "--force"}), ExitCode::kOk);
  EXPECT_THAT(backends_.farm.net, SizeIs(1));
  write("[policy.none]\n");
  EXPECT_EQ(panal({"net", "assign", "--tenant", "default", "office"}), ExitCode::kUsage);
  EXPECT_THAT(err(), HasSubstr("network.toml:1: policy none is there already"));
}

TEST_F(NetCommands, ExplainAsksThisNodesPanald) {
  backends_.farm.node_answer = nlohmann::json::parse(R"({
    "from": {"address": "10.77.0.1", "desktop": 1, "name": "d-1", "tenant": "default",
             "policy": "office", "given_by": "tenant", "policy_missing": false},
    "to": {"address": "10.0.0.53"}, "traffic": "53/udp", "allowed": true,
    "rule": "policy office: service dns"})");
  ASSERT_EQ(panal({"net", "explain", "d-1", "10.0.0.53:53/udp"}), ExitCode::kOk) << err();
  EXPECT_EQ(out(),
            "d-1 (10.77.0.1) -> 10.0.0.53 53/udp: allowed\n"
            "  policy office: service dns\n"
            "  d-1 has policy office by its tenant\n");
  EXPECT_EQ(asked(), nlohmann::json::parse(R"({"op": "net_explain", "from": {"desktop": 1},
    "to": {"address": "10.0.0.53"}, "v6": false, "traffic": "53/udp"})"));
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"net", "explain", "d-1", "->", "d-2:22"},
        {"net", "explain", "d-1", "to", "d-2:22"},
        {"net", "explain", "d-1 -> d-2:22"},
        {"net", "explain", "10.77.0.1", "10.77.0.2:22"}}) {
    ASSERT_EQ(panal(words), ExitCode::kOk) << err();
    EXPECT_EQ(asked()["from"]["desktop"], 1);
    EXPECT_EQ(asked()["to"]["desktop"], 2);
    EXPECT_EQ(asked()["traffic"], "22/tcp");
  }
  ASSERT_EQ(panal({"net", "explain", "d-1", "d-2", "--ipv6"}), ExitCode::kOk) << err();
  EXPECT_EQ(asked()["v6"], true);
  EXPECT_EQ(asked()["traffic"], "ping");
}

TEST_F(NetCommands, ExplainRefusesWhatItDoesNotUnderstand) {
  const std::vector<std::pair<std::vector<std::string>, const char*>> table{
      {{"net", "explain", "d-1"}, "say FROM and TO"},
      {{"net", "explain", "d-1", "-"}, "the shell took > for a file"},
      {{"net", "explain", "d-1", "d-2", "d-1"}, "say FROM and TO"},
      {{"net", "explain", "d-1", "10.0.0.5:https"}, "\"https\" is no port"},
      {{"net", "explain", "10.0.0.1", "10.0.0.2"}, "neither end is a desktop"},
      {{"net", "explain", "d-1", "10.0.0.2", "--ipv6"}, "is no IPv6 address"},
  };
  for (const auto& [words, why] : table) {
    EXPECT_EQ(panal(words), ExitCode::kUsage) << why;
    EXPECT_THAT(err(), HasSubstr(why));
  }
  EXPECT_EQ(panal({"net", "explain", "d-9", "10.0.0.2"}), ExitCode::kNotFound);
  EXPECT_THAT(backends_.farm.requests, IsEmpty());
  backends_.farm.desktops.at(2).node = "n2";
  EXPECT_EQ(panal({"net", "explain", "d-2", "10.0.0.2"}), ExitCode::kRefused);
  EXPECT_THAT(err(), HasSubstr("desktop d-2 is on node n2; ask there"));
}

TEST_F(NetCommands, WithoutPanaldTheFileExplains) {
  backends_.farm.node_answers = false;
  ASSERT_EQ(panal({"net", "assign", "class", "--tenant", "default"}), ExitCode::kOk);
  ASSERT_EQ(panal({"net", "explain", "d-1", "d-2:22"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), AllOf(HasSubstr("d-1 (10.77.0.1) -> d-2 (10.77.0.2) 22/tcp: allowed\n"),
                           HasSubstr("policy class: group room"),
                           HasSubstr("network.toml; what is in force may be other")));
  write("");
  ASSERT_EQ(panal({"net", "explain", "d-1", "d-2:22", "--json"}), ExitCode::kOk) << err();
  EXPECT_EQ(json()["allowed"], false);
  EXPECT_EQ(json()["from"]["policy_missing"], true);
  EXPECT_EQ(json()["rule"], "no policy: nothing is allowed");
}

TEST_F(NetCommands, TestSaysWhetherThePacketDidAsTheRulesSay) {
  auto answer = nlohmann::json::parse(R"({
    "from": {"address": "10.77.0.1", "name": "d-1", "policy": "class", "given_by": "default"},
    "to": {"address": "10.77.0.2", "name": "d-2", "policy": "class", "given_by": "desktop"},
    "traffic": "22/tcp", "allowed": true, "rule": "policy class: group room",
    "sent": {"left": true, "passed": true, "by": "pnl2"}, "proved": true})");
  backends_.farm.node_answer = answer;
  ASSERT_EQ(panal({"net", "test", "d-1", "d-2:22"}), ExitCode::kOk) << err();
  EXPECT_EQ(asked()["op"], "net_test");
  EXPECT_THAT(out(), AllOf(HasSubstr("proved: a packet left the desktop and went out by pnl2"),
                           HasSubstr("d-1 has policy class by the file's default")));
  answer["sent"]["passed"] = false;
  answer["proved"] = false;
  backends_.farm.node_answer = answer;
  EXPECT_EQ(panal({"net", "test", "d-1", "d-2:22"}), ExitCode::kFailed);
  EXPECT_THAT(out(), HasSubstr("NOT AS THE RULES SAY: a packet left the desktop and went no "
                               "further"));
  answer["sent"]["left"] = false;
  backends_.farm.node_answer = answer;
  EXPECT_EQ(panal({"net", "test", "d-1", "d-2:22"}), ExitCode::kFailed);
  EXPECT_THAT(out(), HasSubstr("not proved"));
  backends_.farm.node_answers = false;
  EXPECT_EQ(panal({"net", "test", "d-1", "d-2:22"}), ExitCode::kNotRunning);
}

TEST_F(NetCommands, ChecksFiles) {
  ASSERT_EQ(panal({"net", "check"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("network.toml: 1 services, 2 policies; the default is none"));
  ASSERT_EQ(panal({"net", "check", PANAL_SOURCE_DIR "/scripts/network.toml", "--json"}),
            ExitCode::kOk)
      << err();
  EXPECT_EQ(json()["policies"], 3);
  write("\n[polcy.x]\n");
  EXPECT_EQ(panal({"net", "check"}), ExitCode::kUsage);
  EXPECT_THAT(err(), HasSubstr("network.toml:2: unknown key polcy"));
  write("[service.x]\nto = [\"10.77.1.0/24\"]\n");
  EXPECT_EQ(panal({"net", "check"}), ExitCode::kUsage);
  EXPECT_THAT(err(), HasSubstr("network.toml: service x: 10.77.1.0/24 is an address of desktops"));
  EXPECT_EQ(panal({"net", "check", "/nonexistent"}), ExitCode::kNotFound);
}

TEST_F(NetCommands, ApplyTellsWhatItChanged) {
  backends_.farm.node_answer = nlohmann::json::parse(R"({"file": "/etc/panal/network.toml",
    "there": true, "changes": ["service dns changed"], "desktops": 12,
    "missing": [{"desktop": 3, "name": "d-3\u001b[31m", "policy": "gone"}]})");
  ASSERT_EQ(panal({"net", "apply", "--dry-run"}), ExitCode::kOk) << err();
  EXPECT_EQ(asked()["dry_run"], true);
  EXPECT_THAT(out(), AllOf(HasSubstr("service dns changed\n"), Not(HasSubstr("\x1b")),
                           HasSubstr("has policy gone, which this node does not know"),
                           HasSubstr("would be put in force; 12 desktops are concerned")));
  ASSERT_EQ(panal({"net", "apply"}), ExitCode::kOk);
  EXPECT_EQ(asked()["op"], "net_apply");
  EXPECT_FALSE(asked()["actor"].get<std::string>().empty());
  backends_.farm.node_answer = {{"file", "f"}, {"changes", nlohmann::json::array()}};
  ASSERT_EQ(panal({"net", "apply"}), ExitCode::kOk);
  EXPECT_EQ(out(), "f is in force as it is\n");
}

TEST_F(NetCommands, ShowsWhatIsInForce) {
  backends_.farm.node_answer = nlohmann::json::parse(R"({"file": "/etc/panal/network.toml",
    "there": true, "mistake": "", "default": "none", "uplink": "", "none": 3, "more": 0,
    "policies": [{"name": "office", "desktops": 9, "group": "", "reach": ["dns", "web"],
                  "reached_by": []}], "missing": [], "dropped": {}})");
  ASSERT_EQ(panal({"net", "show"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), AllOf(HasSubstr("office"), HasSubstr("dns, web"), HasSubstr("default: none"),
                           HasSubstr("no uplink")));
  backends_.farm.node_answer["mistake"] = "network.toml:2: wrong";
  ASSERT_EQ(panal({"net", "show"}), ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("network.toml:2: wrong\nwhat is shown is in force from before\n"));
  backends_.farm.node_answer = {{"name", "office"}, {"text", "[policy.office]\n"}};
  ASSERT_EQ(panal({"net", "show", "office"}), ExitCode::kOk);
  EXPECT_EQ(asked()["policy"], "office");
  EXPECT_EQ(out(), "[policy.office]\n");
  backends_.farm.node_answer = nlohmann::json::parse(R"({"id": 1, "address4": "10.77.0.1",
    "address6": "fd77::1", "link": "pnl1", "policy": "office", "given_by": "image",
    "missing": false, "text": "[policy.office]\n"})");
  ASSERT_EQ(panal({"net", "show", "--desktop", "d-1"}), ExitCode::kOk) << err();
  EXPECT_EQ(asked()["desktop"], 1);
  EXPECT_EQ(out(),
            "d-1: 10.77.0.1, fd77::1 by pnl1\npolicy office by its image\n[policy.office]\n");
}

TEST_F(NetCommands, ShowsWhatTheWayOutsideDoesToTheHost) {
  const std::vector<std::string> lines{"# in the host's network namespace:\nsysctl -w a=1",
                                       "nft -f - <<'END'\ntable inet x {\n}\nEND"};
  backends_.farm.node_answer = {
      {"ok", true}, {"kind", "veth"}, {"device", "eth0"}, {"lines", lines}};
  ASSERT_EQ(panal({"net", "uplink"}), ExitCode::kOk) << err();
  EXPECT_EQ(asked(), nlohmann::json::parse(R"({"op": "net_uplink"})"));
  EXPECT_EQ(out().substr(0, 11), "# <panal>: ");
  EXPECT_EQ(out().substr(out().find('\n') + 1), lines[0] + "\n" + lines[1] + "\n")
      << "word for word, to be typed";
  ASSERT_EQ(panal({"net", "uplink", "--json"}), ExitCode::kOk) << err();
  EXPECT_EQ(json()["kind"], "veth");
  EXPECT_EQ(json()["device"], "eth0");
  EXPECT_EQ(json()["lines"], nlohmann::json(lines));
  backends_.farm.node_answer["lines"] = nlohmann::json::parse(R"(["one\u001b[31m", 7])");
  ASSERT_EQ(panal({"net", "uplink"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), AllOf(HasSubstr("one"), Not(HasSubstr("\x1b"))));
}

TEST_F(NetCommands, WithoutPanaldTheUplinkIsLookedAtFromHere) {
  backends_.farm.uplink = netpolicy::UplinkWords{"nic", "eth1", {"ip link set eth1 netns x"}};
  ASSERT_EQ(panal({"net", "uplink", "--dry-run"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("ip link set eth1 netns x\n"));
  EXPECT_THAT(backends_.farm.requests, IsEmpty()) << "by the file, not by what panald has read";
  backends_.farm.node_answers = false;
  ASSERT_EQ(panal({"net", "uplink", "--json"}), ExitCode::kOk) << err();
  EXPECT_EQ(json()["device"], "eth1");
  backends_.farm.uplink = netpolicy::UplinkWords{"none", "", {"# no uplink"}};
  ASSERT_EQ(panal({"net", "uplink"}), ExitCode::kOk) << err();
  EXPECT_EQ(out(), "# no uplink\n");
}

TEST_F(NetCommands, SaysWhyThereCanBeNoUplink) {
  const std::vector<std::pair<Error, ExitCode>> table{
      {{EBUSY, "eth0 is the host's own way out"}, ExitCode::kRefused},
      {{EINVAL, "uplink_device = \"\": name it"}, ExitCode::kUsage},
      {{EPERM, "enter a network namespace"}, ExitCode::kNotAllowed},
      {{EPROTO, "nft: syntax error"}, ExitCode::kFailed},
  };
  for (const auto& [error, code] : table) {
    backends_.farm.uplink = tl::make_unexpected(error);
    EXPECT_EQ(panal({"net", "uplink", "--dry-run"}), code) << error.context;
    EXPECT_THAT(err(), HasSubstr(code == ExitCode::kNotAllowed ? "sudo" : error.context));
    EXPECT_EQ(out(), "");
  }
  backends_.farm.node_refuses = {EBUSY, "the host has no link eth9"};
  EXPECT_EQ(panal({"net", "uplink"}), ExitCode::kRefused);
  EXPECT_EQ(err(), "panal: the host has no link eth9\n") << "panald was there, and has said so";
}

TEST_F(NetCommands, UpSaysBeforeItComesUpWhatTheUplinkDoes) {
  backends_.farm.uplink = netpolicy::UplinkWords{"veth", "eth0", {"ip link add uplink0"}};
  ASSERT_EQ(panal({"up", "--dry-run"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), Not(HasSubstr("uplink"))) << "none is configured";
  std::ofstream(directory_ + "/panal.toml", std::ios::app)
      << "[network]\nuplink = \"veth\"\nuplink_device = \"eth0\"\n";
  ASSERT_EQ(panal({"up", "--dry-run"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), AllOf(HasSubstr("panald would make the uplink veth by eth0:\n"),
                           HasSubstr("\nip link add uplink0\n")));
  backends_.farm.uplink = tl::make_unexpected(Error{EBUSY, "the host has no link eth0"});
  ASSERT_EQ(panal({"up", "--dry-run"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("panald could not make the uplink veth by eth0: the host has no "
                               "link eth0\n"));
  backends_.farm.uplink = tl::make_unexpected(Error{EPERM, "enter a network namespace"});
  ASSERT_EQ(panal({"up", "--dry-run"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("uplink veth by eth0; with sudo this shows how\n"));
}

}  // namespace
}  // namespace panal::cli
