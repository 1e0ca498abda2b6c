#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <thread>
#include <vector>

#include "storage/repo/repository.h"
#include "storage/transfer/archive.h"
#include "storage/transfer/keys.h"
#include "storage/transfer/pull.h"
#include "storage/transfer/remote_source.h"
#include "storage/transfer/signed_list.h"
#include "storage/transfer/trust.h"
#include "tests/support/patience.h"
#include "tests/system/storage/storage_fixture.h"

namespace panal::storage {

/// tests/system/storage/helper/archive_server.py, as long as it is in scope.
class ArchiveServer {
 public:
  ArchiveServer(const std::string& directory, const std::string& log, const std::string& tls = {}) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return;
    const UniqueFd reading(ends[0]);
    UniqueFd writing(ends[1]);
    const std::string script =
        std::string(PANAL_SOURCE_DIR) + "/tests/system/storage/helper/archive_server.py";
    process_ = ::fork();
    if (process_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::dup2(writing.get(), STDOUT_FILENO);
      if (tls.empty())
        ::execlp("python3", "python3", script.c_str(), directory.c_str(), log.c_str(), nullptr);
      else
        ::execlp("python3", "python3", script.c_str(), directory.c_str(), log.c_str(), "--tls",
                 tls.c_str(), nullptr);
      ::_exit(127);
    }
    writing.reset();
    std::string line;
    for (char c = 0; ::read(reading.get(), &c, 1) == 1 && c != '\n';) line += c;
    std::istringstream(line) >> port_ >> pin_;
  }
  ArchiveServer(const ArchiveServer&) = delete;
  ArchiveServer& operator=(const ArchiveServer&) = delete;
  ~ArchiveServer() {
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }

  [[nodiscard]] std::string url(const std::string& how, const char* scheme = "http") const {
    return std::string(scheme) + "://127.0.0.1:" + port_ + "/" + how;
  }
  [[nodiscard]] const std::string& pin() const { return pin_; }

 private:
  pid_t process_ = -1;
  std::string port_;
  std::string pin_;
};

/// A publisher with one version, its archive, and a node that has nothing yet.
class TransferTest : public StorageTest {
 protected:
  static constexpr uid_t kNobodysId = 77'000'000;

  void SetUp() override {
    StorageTest::SetUp();
    if (IsSkipped()) return;
    for (const char* name : {"tree/etc", "tree/usr/bin", "scratch"}) make_dir(name);
    for (int file = 0; file < 20; ++file)
      write(dir_ + "/tree/usr/bin/program" + std::to_string(file),
            std::to_string(file) + std::string(20'000, 'p'));
    write(dir_ + "/tree/etc/motd", "first");
    ASSERT_EQ(::symlink("program1", (dir_ + "/tree/usr/bin/link").c_str()), 0);
    auto key = SecretKey::generate();
    ASSERT_TRUE(key);
    key_ = std::make_unique<SecretKey>(std::move(*key));
    ASSERT_TRUE(key_->save(dir_ + "/key"));
    auto publisher = Repository::open_or_create(dir_ + "/publisher", RepositoryMode::kBare);
    ASSERT_TRUE(publisher) << publisher.error().message();
    publisher_ = std::make_unique<Repository>(std::move(*publisher));
    auto archive = Archive::open_or_create(archive_dir(), *key_);
    ASSERT_TRUE(archive) << archive.error().message();
    archive_ = std::make_unique<Archive>(std::move(*archive));
    first_ = publish("1");
    node_ = new_node("node");
    Trust trust;
    trust.key = key_->public_key();
    ASSERT_TRUE(write_trust(trust_file(), trust));
  }

  [[nodiscard]] std::string archive_dir() const { return dir_ + "/archive"; }
  [[nodiscard]] std::string trust_file() const { return dir_ + "/trust"; }
  [[nodiscard]] std::string log_file() const { return dir_ + "/requests"; }

  std::unique_ptr<Repository> new_node(const std::string& name) {
    auto node = Repository::open_or_create(dir_ + "/" + name, RepositoryMode::kBare);
    EXPECT_TRUE(node) << node.error().message();
    return node ? std::make_unique<Repository>(std::move(*node)) : nullptr;
  }

  /// Commits the tree as it is, and pushes it.
  ListedVersion publish(const std::string& version, ListLife life = {}) {
    CommitSpec spec;
    spec.root = dir_ + "/tree";
    spec.manifest.image = "icewm";
    spec.manifest.version = version;
    spec.manifest.session = {"icewm"};
    const auto commit = publisher_->commit(spec);
    EXPECT_TRUE(commit) << commit.error().message();
    if (!commit) return {};
    const auto pushed = archive_->push(*publisher_, *commit, *key_, life);
    EXPECT_TRUE(pushed) << pushed.error().message();
    return pushed ? *pushed : ListedVersion();
  }

  [[nodiscard]] FetchHelper helper() const {
    return {PANAL_BIN_DIR "/panal-fetch", dir_ + "/scratch", kNobodysId, kNobodysId};
  }
  static PullBudget small_budget() {
    PullBudget budget;
    budget.bytes = std::uint64_t{32} << 20U;
    budget.object_bytes = std::uint64_t{8} << 20U;
    budget.quiet = std::chrono::seconds(30);
    return budget;
  }

  /// The list, and then the version, as the node would have them from there.
  Result<PullReport> pull(Repository& node, Source& source, const std::string& version = "1",
                          const PullBudget& budget = small_budget(), const Work& work = {}) const {
    PANAL_ASSIGN(const ImageList list, fetch_list(source, trust_file(), ::time(nullptr)));
    PANAL_ASSIGN(const ListedVersion wanted, find_version(list, "icewm", version));
    return pull_version(node, source, wanted, budget, work);
  }
  static RemoteArchive at(const std::string& url) {
    RemoteArchive remote;
    remote.url = url;
    return remote;
  }
  Result<PullReport> pull_from(const RemoteArchive& remote, const std::string& version = "1",
                               const PullBudget& budget = small_budget(),
                               const Work& work = {}) const {
    PANAL_ASSIGN(const auto source, start_remote_source(remote, helper(), budget, work.cancelled));
    return pull(*node_, *source, version, budget, work);
  }

  [[nodiscard]] std::size_t requests(const std::string& ending) const {
    std::ifstream in(log_file());
    std::size_t count = 0;
    for (std::string line; std::getline(in, line);)
      if (line.ends_with(ending)) ++count;
    return count;
  }

  /// Waits, 20 s at most (times patience()), for so many.
  [[nodiscard]] bool wait_for_requests(const std::string& ending, std::size_t count) const {
    for (int turn = 0; turn < 4000 * patience(); ++turn) {
      if (requests(ending) >= count) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }

  /// Processes named panal-fetch that this one started.
  static std::set<pid_t> helpers() {
    std::set<pid_t> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      std::ifstream in(entry.path() / "status");
      std::string comm;
      std::string parent;
      for (std::string line; std::getline(in, line);) {
        if (line.starts_with("Name:\t")) comm = line.substr(6);
        if (line.starts_with("PPid:\t")) parent = line.substr(6);
      }
      if (comm == "panal-fetch" && parent == std::to_string(::getpid()))
        found.insert(static_cast<pid_t>(std::stol(name)));
    }
    return found;
  }

  std::unique_ptr<SecretKey> key_;
  std::unique_ptr<Repository> publisher_;
  std::unique_ptr<Archive> archive_;
  std::unique_ptr<Repository> node_;
  ListedVersion first_;
};

}  // namespace panal::storage
