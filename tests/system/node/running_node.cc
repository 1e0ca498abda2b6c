#include "tests/system/node/running_node.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/kernel/namespaces.h"
#include "runtime/control/control.h"
#include "runtime/control/message.h"
#include "runtime/store/child.h"
#include "storage/image/image_store.h"

namespace panal::node {

namespace fs = std::filesystem;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr const char* kImages = "/var/cache/panal/images";

std::string newest_icewm() {
  const auto all = storage::ImageStore(kImages).list();
  if (!all) return "";
  for (const auto& manifest : *all)
    if (manifest.image == "icewm") return manifest.version;
  return "";
}

void reap(Pidfd& process, int signal) {
  if (!process.valid()) return;
  (void)process.send_signal(signal);
  ::waitpid(process.pid(), nullptr, 0);
  process = Pidfd();
}

}  // namespace

std::string RunningNode::why_not() {
  if (std::getenv("PANAL_LAB_CGROUP") == nullptr) return "not in scripts/lab";
  if (newest_icewm().empty()) return std::string("no icewm image in ") + kImages;
  for (const char* program :
       {"panald", "panal-spawner", "panal-agent", "panal-prewarm", "panal-warm"})
    if (::access((std::string(PANAL_BIN_DIR "/") + program).c_str(), X_OK) != 0)
      return std::string(program) + " is not built";
  return "";
}

RunningNode::RunningNode(const std::string& more) {
  std::string pattern = (fs::temp_directory_path() / "node-XXXXXX").string();
  directory_ = ::mkdtemp(pattern.data());
  ::chmod(directory_.c_str(), 0755);
  config_file_ = directory_ + "/panal.toml";
  std::ostringstream text;
  text << "[node]\nname = \"lab\"\n[paths]\nstate = \"" << directory_ << "/state\"\nrun = \""
       << directory_ << "/run\"\nimages = \"" << kImages << "\"\n[cgroup]\nparent = \""
       << std::getenv("PANAL_LAB_CGROUP") << "/panal\"\n[ids]\nfirst = 1000000\ncount = 6553600\n"
       << "[broker]\nuser = \"nobody\"\n[database]\nuser = \"postgres\"\n"
       << "[desktop]\nstop_grace_seconds = 3\n"
       << more;
  config_text_ = text.str();
  configure("");
  auto config = config::load(config_file_);
  EXPECT_TRUE(config) << config.error().message();
  config_ = *config;
  cluster_ = std::make_unique<store::PrivateCluster>(config_);
  const auto made = cluster_->ensure();
  EXPECT_TRUE(made) << made.error().message();
  auto started = cluster_->start();
  EXPECT_TRUE(started) << started.error().message();
  database_ = std::move(*started);
  const auto ready = cluster_->wait_ready(seconds(60), &database_);
  EXPECT_TRUE(ready) << ready.error().message();
  const auto prepared = cluster_->prepare();
  EXPECT_TRUE(prepared) << prepared.error().message();
  admin_ = std::move(*store::Store::connect(config_.database_conninfo(store::kAdminRole)));
  const auto manifest = storage::ImageStore(kImages).find("icewm", newest_icewm());
  EXPECT_TRUE(manifest) << manifest.error().message();
  store::Version version;
  version.image = manifest->image;
  version.version = manifest->version;
  version.session = manifest->session;
  const auto added = admin_->add_version(version, "");
  EXPECT_TRUE(added) << added.error().message();
  start_panald();
}

RunningNode::~RunningNode() {
  if (panald_.valid()) {
    (void)ask({{"op", "shutdown"}, {"stop_desktops", true}});
    ::waitpid(panald_.pid(), nullptr, 0);
  }
  if (::testing::Test::HasFailure() || std::getenv("PANAL_TEST_LOG") != nullptr)
    std::fprintf(stderr, "%s\n", log().c_str());
  admin_.reset();
  reap(database_, SIGINT);
  EXPECT_TRUE(kernel::release_pinned_namespaces(config_.run_dir));
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

void RunningNode::configure(const std::string& more) const {
  std::ofstream(config_file_) << config_text_ << more;
}

void RunningNode::start_panald() {
  store::ServerProgram program;
  program.argv = {PANAL_BIN_DIR "/panald", "--config", config_file_};
  program.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  program.directory = "/";
  const std::string file = directory_ + "/panald.log";
  const UniqueFd log(::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
  auto started = store::spawn(program, log);
  ASSERT_TRUE(started) << started.error().message();
  panald_ = std::move(*started);
  for (int i = 0; i < 600; ++i) {
    const auto connection = control::Connection::connect(config_.node_socket());
    if (connection && connection->send({{"op", "status"}}) && connection->receive(seconds(10)))
      return;
    const auto ended = panald_.wait_exit(milliseconds(100));
    if (ended && *ended) break;
  }
  FAIL() << "panald does not answer:\n" << this->log();
}

void RunningNode::end_panald(int signal) { reap(panald_, signal); }

store::Desktop RunningNode::new_desktop(bool persistent) {
  store::User user;
  user.login = "user" + std::to_string(++users_);
  EXPECT_TRUE(admin_->add_user(user));
  store::Desktop desktop;
  desktop.login = user.login;
  desktop.name = user.login + "-desk";
  desktop.image = "icewm";
  desktop.persistent = persistent;
  const auto made = admin_->add_desktop(desktop);
  EXPECT_TRUE(made) << made.error().message();
  return *made;
}

void RunningNode::want(DesktopId id, store::Desired desired) {
  const auto asked = admin_->set_desired(id, desired, "test");
  ASSERT_TRUE(asked) << asked.error().message();
}

store::Desktop RunningNode::row(DesktopId id) {
  const auto found = admin_->desktop(id);
  EXPECT_TRUE(found) << found.error().message();
  return found ? *found : store::Desktop{};
}

store::Desktop RunningNode::await(DesktopId id, store::Observed observed) {
  return await(
      id, [observed](const store::Desktop& desktop) { return desktop.observed == observed; },
      std::string(store::to_string(observed)));
}

store::Desktop RunningNode::await(DesktopId id,
                                  const std::function<bool(const store::Desktop&)>& good,
                                  const std::string& what) {
  store::Desktop desktop;
  for (int i = 0; i < 1200; ++i) {
    if (desktop.observed == store::Observed::kFailed && i > 100 && what != "failed") break;
    desktop = row(id);
    if (good(desktop)) return desktop;
    ::usleep(50000);
  }
  ADD_FAILURE() << "desktop " << id << " is " << store::to_string(desktop.observed) << "/"
                << desktop.session_state << " (" << desktop.reason << "), not " << what << "\n"
                << log();
  return desktop;
}

json RunningNode::ask(const json& request) {
  const auto connection = control::Connection::connect(config_.node_socket());
  if (!connection) return {{"error", connection.error().message()}};
  if (const auto sent = connection->send(request); !sent)
    return {{"error", sent.error().message()}};
  for (;;) {
    const auto answer = connection->receive(seconds(90));
    if (!answer) return {{"error", answer.error().message()}};
    if (!answer->body.contains("progress")) return answer->body;
  }
}

pid_t RunningNode::init_of(DesktopId id) {
  const json stats = ask({{"op", "stats"}, {"desktop", id}});
  if (!stats.contains("desktops") || stats["desktops"].empty()) return -1;
  return stats["desktops"][0].value("pid", -1);
}

std::string RunningNode::log() const {
  std::ifstream file(directory_ + "/panald.log");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace panal::node
