#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/base/cleanup.h"
#include "runtime/control/control.h"
#include "runtime/control/message.h"
#include "storage/warm/hot_pages.h"
#include "tests/support/metrics_text.h"
#include "tests/system/node/running_node.h"

namespace panal::node {
namespace {

using nlohmann::json;
using store::Desired;
using store::Observed;
using ::testing::HasSubstr;

/// One node for all: each test makes desktops of its own and leaves panald serving.
class NodeTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (RunningNode::why_not().empty()) node_ = std::make_unique<RunningNode>();
  }
  static void TearDownTestSuite() { node_.reset(); }
  void SetUp() override {
    if (!node_) GTEST_SKIP() << RunningNode::why_not();
  }
  void TearDown() override {
    for (const auto& desktop : desktops_) node_->want(desktop.id, Desired::kStopped);
    for (const auto& desktop : desktops_)
      node_->await(
          desktop.id,
          [](const auto& row) {
            return row.observed == Observed::kStopped || row.observed == Observed::kFailed;
          },
          "stopped");
  }
  store::Desktop new_desktop() {
    desktops_.push_back(node_->new_desktop());
    return desktops_.back();
  }

  static inline std::unique_ptr<RunningNode> node_;
  std::vector<store::Desktop> desktops_;
};

TEST_F(NodeTest, TakesDesktopsThroughTheirLives) {
  const auto desktop = new_desktop();
  node_->want(desktop.id, Desired::kRunning);
  node_->await(desktop.id, Observed::kRunning);
  const pid_t init = node_->init_of(desktop.id);
  ASSERT_GT(init, 0);
  node_->await(
      desktop.id, [](const auto& row) { return row.session_state == "suspended"; }, "pre-warmed");

  const json stats = node_->ask({{"op", "stats"}});
  ASSERT_EQ(stats["desktops"].size(), 1U);
  EXPECT_EQ(stats["desktops"][0]["class"], "disconnected");
  EXPECT_GT(stats["desktops"][0]["memory_bytes"], 0);
  EXPECT_GT(stats["host"]["parent_limit_bytes"], 0);
  EXPECT_GT(stats["host"]["cpu_busy_ns"], 0);
  EXPECT_GT(stats["host"]["objects"][0]["used"], 0);
  EXPECT_FALSE(stats["desktops"][0].contains("cost")) << "dear, and nobody asked";

  json cost;
  for (int i = 0; i < 100 && !cost.is_object(); ++i) {
    cost = node_->ask({{"op", "stats"}, {"cost", true}})["desktops"][0].value("cost", json());
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  ASSERT_TRUE(cost.is_object()) << "not looked at within 10 s";
  EXPECT_GT(cost["pss_bytes"], 1 << 20);
  EXPECT_GT(cost["shared_bytes"], 0) << "programs of the image, mapped by several";
  EXPECT_GT(cost["kernel_bytes"], 0);
  EXPECT_GE(cost["total_bytes"].get<std::uint64_t>(), cost["pss_bytes"].get<std::uint64_t>());

  node_->want(desktop.id, Desired::kStopped);
  const auto stopped = node_->await(desktop.id, Observed::kStopped);
  EXPECT_FALSE(stopped.id_slot);
  EXPECT_EQ(::kill(init, 0), -1);
  EXPECT_FALSE(std::filesystem::exists(node_->config().desktop_run_dir(desktop.id)));
}

TEST_F(NodeTest, CountsWhatItDecides) {
  const auto desktop = new_desktop();
  const auto ask = [] {
    const json answer = node_->ask({{"op", "metrics"}});
    auto read = test::read_metrics(answer.value("text", ""));
    EXPECT_EQ(read.error, "") << answer.dump();
    return read;
  };
  const auto before = ask();
  node_->want(desktop.id, Desired::kRunning);
  node_->await(desktop.id, Observed::kRunning);
  auto after = ask();
  const std::map<std::string, std::string> running{{"state", "running"}};
  // The database knows it before the loop has read it back.
  for (int i = 0; i < 100 && after.value("panal_node_desktops", running) ==
                                 before.value("panal_node_desktops", running);
       ++i) {
    ::usleep(50000);
    after = ask();
  }
  const auto grown = [&](const std::string& family,
                         const std::map<std::string, std::string>& labels = {}) {
    return after.value(family, labels) - before.value(family, labels);
  };
  EXPECT_EQ(grown("panal_starts_let_through_total"), 1);
  EXPECT_EQ(grown("panal_starts_ended_total", {{"result", "running"}}), 1);
  EXPECT_EQ(grown("panal_starts_ended_total", {{"result", "failed"}}), 0);
  EXPECT_GE(after.value("panal_node_tenant_desktops", {{"tenant", desktop.tenant}}), 1);
  // Where the kernel can enlist nobody, nobody is asked.
  EXPECT_EQ(grown("panal_ksm_enlistments_refused_total", {{"reason", "no_consent"}}) +
                grown("panal_ksm_enlistments_refused_total", {{"reason", "not_allowed"}}),
            1)
      << "balanced enlists nobody who has not agreed";
  EXPECT_EQ(grown("panal_node_desktops", running), 1);
  EXPECT_GT(grown("panal_node_cpu_seconds_total"), 0);
  EXPECT_GT(after.value("panal_memory_available_bytes"), 0);
  EXPECT_GT(after.value("panal_memory_limit_bytes"), after.value("panal_memory_desktops_bytes"));
  EXPECT_GT(after.value("panal_optimiser_looks_total"), 0);

  // Whom it is, and the same as JSON.
  EXPECT_EQ(after.families.at("panal_node_build_info").samples.at(0).labels.at("node"), "lab");
  const json families = node_->ask({{"op", "metrics"}, {"format", "json"}})["families"];
  EXPECT_EQ(families.size(), after.families.size());
}

TEST_F(NodeTest, LetsUsersInOneAtATime) {
  const auto desktop = new_desktop();
  const json attach = {{"op", "attach"}, {"desktop", desktop.id}, {"geometry", "1024x700"},
                       {"link", "lan"},  {"client", "linux"},     {"takeover", true}};
  EXPECT_EQ(node_->ask(attach).value("status", 0), 503) << "it does not run";
  node_->want(desktop.id, Desired::kRunning);
  node_->await(desktop.id, Observed::kRunning);
  // In the middle of pre-warming, or before it.
  const json granted = node_->ask(attach);
  ASSERT_TRUE(granted.value("ok", false)) << granted.dump() << "\n" << node_->log();
  EXPECT_EQ(granted.value("cookie", "").size(), 32U);
  const json open = {{"op", "open"}, {"desktop", desktop.id}, {"attach", granted["attach"]}};

  const json later = node_->ask(attach);
  ASSERT_TRUE(later.value("ok", false)) << later.dump();
  EXPECT_NE(later["cookie"], granted["cookie"]);
  EXPECT_EQ(node_->ask(open).value("status", 0), 409) << "taken over";

  auto connection = control::Connection::connect(node_->config().node_socket());
  ASSERT_TRUE(connection);
  ASSERT_TRUE(
      connection->send({{"op", "open"}, {"desktop", desktop.id}, {"attach", later["attach"]}}));
  const auto answer = connection->receive(std::chrono::seconds(30));
  ASSERT_TRUE(answer) << answer.error().message();
  EXPECT_TRUE(answer->body.value("ok", false)) << answer->body.dump();
  EXPECT_TRUE(answer->descriptor);
  EXPECT_EQ(node_->ask({{"op", "attach"}, {"desktop", desktop.id}, {"geometry", "a b"}})
                .value("status", 0),
            400);
  EXPECT_EQ(node_->ask({{"op", "dance"}}).value("status", 0), 400);
}

TEST_F(NodeTest, FindsRunningDesktopsAgain) {
  const auto first = new_desktop();
  const auto second = new_desktop();
  for (const auto& desktop : {first, second}) node_->want(desktop.id, Desired::kRunning);
  for (const auto& desktop : {first, second}) node_->await(desktop.id, Observed::kRunning);
  const pid_t before = node_->init_of(first.id);

  node_->end_panald(SIGKILL);
  const pid_t doomed = node_->row(second.id).id_slot ? 0 : -1;
  ASSERT_EQ(doomed, 0);
  node_->start_panald();
  EXPECT_EQ(node_->init_of(first.id), before) << "nothing is started twice";
  EXPECT_EQ(node_->row(first.id).observed, Observed::kRunning);
  // Its agent is back: it can be attached.
  const json granted = node_->ask({{"op", "attach"}, {"desktop", first.id}});
  EXPECT_TRUE(granted.value("ok", false)) << granted.dump() << node_->log();

  // Ended by SIGTERM, with a desktop that dies meanwhile.
  const pid_t other = node_->init_of(second.id);
  node_->end_panald(SIGTERM);
  EXPECT_EQ(::kill(before, 0), 0) << "desktops outlive panald";
  ASSERT_EQ(::kill(other, SIGKILL), 0);
  node_->start_panald();
  node_->await(
      second.id,
      [&](const auto& row) {
        return row.observed == Observed::kRunning && node_->init_of(second.id) > 0;
      },
      "running again");
  EXPECT_NE(node_->init_of(second.id), other);
  EXPECT_EQ(node_->init_of(first.id), before);
}

TEST_F(NodeTest, StartsACrashedDesktopAgainButNotForEver) {
  const auto desktop = new_desktop();
  node_->want(desktop.id, Desired::kRunning);
  node_->await(desktop.id, Observed::kRunning);
  pid_t last = -1;
  for (int crash = 0; crash < 2; ++crash) {
    node_->await(
        desktop.id,
        [&](const auto& row) {
          const pid_t now = row.observed == Observed::kRunning ? node_->init_of(desktop.id) : -1;
          return now > 0 && now != last;
        },
        "running");
    last = node_->init_of(desktop.id);
    ASSERT_EQ(::kill(last, SIGKILL), 0);
  }
  node_->await(
      desktop.id,
      [&](const auto& row) {
        const pid_t now = row.observed == Observed::kRunning ? node_->init_of(desktop.id) : -1;
        return now > 0 && now != last;
      },
      "running");
  ASSERT_EQ(::kill(node_->init_of(desktop.id), SIGKILL), 0);
  const auto failed = node_->await(desktop.id, Observed::kFailed);
  EXPECT_THAT(failed.reason, HasSubstr("init ended"));
  EXPECT_THAT(failed.reason, HasSubstr("not started again"));
  // A new request is a new chance.
  node_->want(desktop.id, Desired::kRunning);
  node_->await(desktop.id, Observed::kRunning);
}

TEST_F(NodeTest, SaysWhyAStartFailed) {
  const auto desktop = new_desktop();
  // Somebody else has the home's place.
  const std::string home = node_->config().homes_dir + "/default/" + desktop.home;
  std::filesystem::create_directories(node_->config().homes_dir + "/default");
  std::filesystem::create_symlink("/nonexistent", home);
  node_->want(desktop.id, Desired::kRunning);
  const auto failed = node_->await(desktop.id, Observed::kFailed);
  EXPECT_THAT(failed.reason, HasSubstr("home"));
  std::filesystem::remove(home);
  node_->want(desktop.id, Desired::kRunning);
  node_->await(desktop.id, Observed::kRunning);
}

TEST_F(NodeTest, LeavesAVersionThatHasExpiredAndComesBackAfterARollback) {
  const auto desktop = new_desktop();
  node_->want(desktop.id, Desired::kRunning);
  const std::string good = node_->await(desktop.id, Observed::kRunning).running_version;
  // Registered, but not on this node: its start must fail, and say why.
  store::Version absent;
  absent.image = "icewm";
  absent.version = "absent";
  absent.session = {"icewm-session"};
  ASSERT_TRUE(node_->admin().add_version(absent, ""));
  store::TagChange change{
      "icewm", store::kDefaultTag, "absent", good, store::TagMoveKind::kPublish, "test", {}};
  change.deadlines.hard = std::chrono::seconds(0);
  const auto published = node_->admin().move_tag(change);
  ASSERT_TRUE(published) << published.error().message();
  EXPECT_LE(node_->row(desktop.id).hard_left_ms.value_or(1), 0);
  const auto failed = node_->await(desktop.id, Observed::kFailed);
  EXPECT_THAT(failed.reason, HasSubstr("absent"));
  EXPECT_EQ(failed.desired, Desired::kRunning) << "what is wanted is the user's to say";

  change = {"icewm", store::kDefaultTag, good, "absent", store::TagMoveKind::kRollback, "test", {}};
  ASSERT_TRUE(node_->admin().move_tag(change));
  node_->want(desktop.id, Desired::kRunning);
  EXPECT_EQ(node_->await(desktop.id, Observed::kRunning).running_version, good);
  EXPECT_TRUE(node_->admin().remove_version("icewm", "absent", "test"));
}

TEST_F(NodeTest, ItsSocketIsRootsAndTheBrokersGroups) {
  const std::string path = node_->config().node_socket();
  const passwd* broker = ::getpwnam(node_->config().broker_user.c_str());
  ASSERT_NE(broker, nullptr);
  const uid_t uid = broker->pw_uid;
  const gid_t gid = broker->pw_gid;
  struct stat info{};
  ASSERT_EQ(::lstat(path.c_str(), &info), 0);
  EXPECT_TRUE(S_ISSOCK(info.st_mode));
  EXPECT_EQ(info.st_mode & 07777U, 0660U);
  EXPECT_EQ(info.st_uid, 0U);
  EXPECT_EQ(info.st_gid, gid);
  // What connecting gives as another user: its errno.
  const auto as = [&path](uid_t user, gid_t group) {
    const pid_t child = ::fork();
    if (child == 0) {
      if (::setgroups(0, nullptr) != 0 || ::setresgid(group, group, group) != 0 ||
          ::setresuid(user, user, user) != 0)
        ::_exit(255);
      const auto connection = control::Connection::connect(path);
      ::_exit(connection ? 0 : connection.error().code);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  };
  EXPECT_EQ(as(uid, gid), 0) << "the broker";
  EXPECT_EQ(as(1, 1), EACCES) << "another user of the host";
  const std::uint32_t first = node_->config().ids.first;
  EXPECT_EQ(as(first, first), EACCES) << "a desktop's root";
  EXPECT_EQ(as(first + 1000, first + 1000), EACCES) << "a desktop's user";
}

/// Pids of processes of a name, in any pid namespace.
std::vector<pid_t> named(const std::string& name) {
  std::vector<pid_t> out;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream comm(entry.path() / "comm");
    std::string text;
    if (std::getline(comm, text) && text == name)
      out.push_back(std::atoi(entry.path().filename().c_str()));
  }
  return out;
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST_F(NodeTest, ThePrewarmersClientHasNoNetworkNoFilesAndAnIdNobodyHas) {
  const auto& ids = node_->config().ids;
  const std::uint32_t last = ids.first + ids.count - 65536;
  const auto desktop = new_desktop();
  node_->want(desktop.id, Desired::kRunning);
  // It is held where it is while it is looked at: a pre-warm may be over in a second.
  std::string status;
  pid_t client = -1;
  for (int i = 0; i < 30000 && client < 0; ++i) {
    ::usleep(2000);
    for (const pid_t pid : named("nxproxy")) {
      status = text_of("/proc/" + std::to_string(pid) + "/status");
      // Its name may already be nxproxy's, and the rest not yet.
      if (status.find("\nSeccomp:\t2\n") == std::string::npos) continue;
      if (::kill(pid, SIGSTOP) == 0) client = pid;
    }
  }
  ASSERT_GT(client, 0) << "no warm client was seen\n" << node_->log();
  const Cleanup go_on([client] { ::kill(client, SIGCONT); });
  const std::string proc = "/proc/" + std::to_string(client);
  status = text_of(proc + "/status");
  for (const char* what : {"Uid", "Gid"}) {
    std::istringstream line(status.substr(status.find(std::string("\n") + what + ":") + 5));
    for (int i = 0; i < 4; ++i) {
      std::uint32_t id = 0;
      line >> id;
      EXPECT_GT(id, last) << what;
      EXPECT_LT(id, last + 65536) << what;
    }
  }
  EXPECT_THAT(status, HasSubstr("\nNoNewPrivs:\t1\n"));
  EXPECT_THAT(status, HasSubstr("\nGroups:\t \n"));
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"})
    EXPECT_THAT(status, HasSubstr(std::string("\n") + set + ":\t0000000000000000\n"));

  // The first two lines of net/dev are headings.
  std::istringstream devices(text_of(proc + "/net/dev"));
  std::vector<std::string> links;
  for (std::string line; std::getline(devices, line);)
    if (line.find(':') != std::string::npos) links.push_back(line.substr(0, line.find(':')));
  ASSERT_EQ(links.size(), 1U) << text_of(proc + "/net/dev");
  EXPECT_THAT(links[0], HasSubstr("lo"));
  EXPECT_EQ(text_of(proc + "/net/route").find("\t00000000\t"), std::string::npos) << "no way out";

  for (const char* hidden :
       {"/home", "/run", "/root", "/var/lib/panal", "/srv", "/mnt", "/media"}) {
    std::error_code error;
    if (!std::filesystem::exists(proc + "/root" + hidden, error)) continue;
    EXPECT_TRUE(std::filesystem::is_empty(proc + "/root" + hidden, error) && !error) << hidden;
  }
  // Of its descriptors none is a file of the host's, but for what it is told and its own log.
  for (const auto& entry : std::filesystem::directory_iterator(proc + "/fd")) {
    std::error_code error;
    const std::string target = std::filesystem::read_symlink(entry.path(), error).string();
    EXPECT_TRUE(target.starts_with("socket:") || target.starts_with("pipe:") ||
                target.starts_with("anon_inode:") || target.starts_with("/dev/null") ||
                target.starts_with("/tmp/") || target.starts_with("/usr/lib/"))  // still loading
        << entry.path() << " -> " << target;
  }
  // Which namespaces it has are others than this process's.
  for (const char* kind : {"net", "mnt", "pid", "ipc", "uts"}) {
    const auto of = [kind](const std::string& base) {
      return std::filesystem::read_symlink(base + "/ns/" + kind).string();
    };
    EXPECT_NE(of(proc), of("/proc/self")) << kind;
  }
  ASSERT_EQ(::kill(client, SIGCONT), 0);
  EXPECT_LT(node_->row(desktop.id).id_slot.value_or(99), 99U) << "the last slot is no desktop's";
  node_->await(
      desktop.id, [](const auto& row) { return row.session_state == "suspended"; }, "pre-warmed");
  for (int i = 0; i < 100 && !named("nxproxy").empty(); ++i) ::usleep(50000);
  EXPECT_TRUE(named("nxproxy").empty()) << "it has gone";
}

/// The lab's images cannot be written to, so records are in the state directory.
std::string recorded_version(const RunningNode& node) {
  std::error_code none;
  const std::string directory = node.config().state_dir + "/warm/icewm";
  for (const auto& entry : std::filesystem::directory_iterator(directory, none))
    if (std::filesystem::exists(entry.path() / storage::kHotPagesFile)) return entry.path();
  return {};
}

TEST_F(NodeTest, RecordsWhatADesktopUsesOfItsImageAndKeepsItWarm) {
  // Within 30 s of the first desktop the version is cooled; the next one shows what it needs.
  std::string version = recorded_version(*node_);
  for (int desktops = 0; desktops < 4 && version.empty(); ++desktops) {
    const auto desktop = new_desktop();
    node_->want(desktop.id, Desired::kRunning);
    node_->await(
        desktop.id, [](const auto& row) { return row.session_state == "suspended"; }, "pre-warmed");
    for (int i = 0; i < 700 && version.empty(); ++i) {
      ::usleep(50000);
      version = recorded_version(*node_);
    }
  }
  ASSERT_FALSE(version.empty()) << node_->log();
  const auto pages = storage::read_hot_pages(version);
  ASSERT_TRUE(pages) << pages.error().message();
  EXPECT_EQ(pages->generation, 0U);
  EXPECT_GT(pages->bytes(), std::uint64_t{10} << 20) << "less than an IceWM desktop needs";
  EXPECT_LT(pages->bytes(), std::uint64_t{300} << 20) << "nearly all of the image";
  EXPECT_TRUE(std::any_of(pages->files.begin(), pages->files.end(), [](const auto& file) {
    return file.path.find("nxagent") != std::string::npos;
  }));
  double touched = 0;
  for (int i = 0; i < 300 && touched == 0; ++i) {
    ::usleep(50000);
    const json answer = node_->ask({{"op", "metrics"}});
    touched = test::read_metrics(answer.value("text", ""))
                  .value("panal_warm_runs_total", {{"act", "touch"}});
  }
  EXPECT_GT(touched, 0) << node_->log();
}

/// In Panal's network namespace.
std::string class_of_line(const RunningNode& node) {
  const std::string command = "nsenter --net=" + node.config().net_namespace_file() +
                              " tc class show dev panal-send 2>&1 | grep f000:fffe";
  std::string out;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return out;
  char text[512];
  while (std::fgets(text, sizeof text, pipe) != nullptr) out += text;
  ::pclose(pipe);
  return out;
}

TEST_F(NodeTest, BoundsWhatAllItsDesktopsSendTogether) {
  EXPECT_EQ(class_of_line(*node_), "") << "nobody is taken through a queue for nothing";
  const auto again = [](const std::string& more) {
    node_->end_panald(SIGTERM);
    node_->configure(more);
    node_->start_panald();
  };
  again("[network]\nline_send = \"20 Mbit\"\n");
  EXPECT_THAT(class_of_line(*node_), HasSubstr("ceil 20Mbit"));
  const auto desktop = new_desktop();
  node_->want(desktop.id, Desired::kRunning);
  node_->await(desktop.id, Observed::kRunning);
  again("");
  EXPECT_THAT(class_of_line(*node_), ::testing::Not(HasSubstr("ceil 20Mbit")));
}

TEST_F(NodeTest, FollowsNetworkPoliciesLiveAndSendsPacketsToProveThem) {
  const auto write = [](const std::string& text) {
    std::ofstream(node_->config().policies_file) << text;
  };
  const Cleanup no_file([&write] {
    write("");
    node_->ask({{"op", "net_apply"}});
  });
  write("[policy.class]\ngroup = \"room\"\n");
  const json applied = node_->ask({{"op", "net_apply"}, {"actor", "test"}});
  EXPECT_EQ(applied["changes"], json::array({"policy class added"})) << applied.dump();
  const auto noted = node_->admin().audit_rows(1);
  ASSERT_TRUE(noted);
  EXPECT_EQ(noted->front().action, "net.apply");

  const auto one = new_desktop(), two = new_desktop();
  for (const auto& desktop : {one, two}) node_->want(desktop.id, Desired::kRunning);
  for (const auto& desktop : {one, two}) node_->await(desktop.id, Observed::kRunning);
  json question = {{"op", "net_test"},
                   {"from", {{"desktop", one.id}}},
                   {"to", {{"desktop", two.id}}},
                   {"v6", false},
                   {"traffic", "22/tcp"}};
  for (const bool v6 : {false, true}) {
    question["v6"] = v6;
    const json denied = node_->ask(question);
    EXPECT_EQ(denied["rule"], "no policy: nothing is allowed") << denied.dump();
    EXPECT_EQ(denied["sent"]["left"], true) << denied.dump();
    EXPECT_EQ(denied["sent"]["passed"], false) << denied.dump();
    EXPECT_EQ(denied["proved"], true) << denied.dump();
  }

  // By notification: nobody asks panald to look.
  question["op"] = "net_explain";
  const auto explained = [&question](const std::string& rule) {
    json said;
    for (int i = 0; i < 600; ++i) {
      said = node_->ask(question);
      if (said.value("rule", "") == rule) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    FAIL() << said.dump();
  };
  for (const auto& desktop : {one, two})
    ASSERT_TRUE(node_->admin().set_net_policy({store::NetScope::kDesktop, "", desktop.id}, "class",
                                              "test"));
  explained("policy class: group room");
  const json way_out = node_->ask({{"op", "net_uplink"}});
  EXPECT_EQ(way_out["kind"], "none") << way_out.dump();
  EXPECT_EQ(way_out["lines"].size(), 1U) << way_out.dump();
  const json shown = node_->ask({{"op", "net_show"}, {"desktop", two.id}});
  EXPECT_EQ(shown["given_by"], "desktop") << shown.dump();

  write("[policy.class]\ngr0up = \"room\"\n");
  const json refused = node_->ask({{"op", "net_apply"}});
  EXPECT_EQ(refused["status"], 400);
  EXPECT_THAT(refused.value("error", ""), HasSubstr("network.toml:2: unknown key gr0up"));
  explained("policy class: group room");
  node_->end_panald(SIGKILL);
  node_->start_panald();
  explained("policy class: group room");
  EXPECT_THAT(node_->ask({{"op", "net_show"}}).value("mistake", ""),
              HasSubstr("unknown key gr0up"));
}

TEST_F(NodeTest, StopsAllOnRequestAndWantsThemStill) {
  const auto desktop = new_desktop();
  node_->want(desktop.id, Desired::kRunning);
  node_->await(desktop.id, Observed::kRunning);
  const json down = node_->ask({{"op", "shutdown"}, {"stop_desktops", true}});
  EXPECT_TRUE(down.value("ok", false)) << down.dump();
  node_->end_panald(0);
  for (const auto& hierarchy : std::filesystem::directory_iterator("/sys/fs/cgroup"))
    EXPECT_FALSE(std::filesystem::exists(hierarchy.path() / node_->config().cgroup_warm_group()))
        << hierarchy.path();
  const auto row = node_->row(desktop.id);
  EXPECT_EQ(row.observed, Observed::kStopped);
  EXPECT_EQ(row.desired, Desired::kRunning);
  node_->start_panald();
  node_->await(desktop.id, Observed::kRunning);
}

}  // namespace
}  // namespace panal::node
