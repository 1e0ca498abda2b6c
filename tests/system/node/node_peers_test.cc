// Who may talk to panald, and what the pre-warmer's client can reach.
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "engine/base/cleanup.h"
#include "runtime/control/control.h"
#include "tests/system/node/node_fixture.h"

namespace panal::node {
namespace {

using store::Desired;
using ::testing::HasSubstr;

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

}  // namespace
}  // namespace panal::node
