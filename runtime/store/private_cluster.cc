#include "runtime/store/private_cluster.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "engine/base/log.h"
#include "runtime/store/child.h"
#include "runtime/store/database.h"
#include "runtime/store/private_cluster_files.h"
#include "runtime/store/store.h"

namespace panal::store {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPostgresVersions = "/usr/lib/postgresql";  // Debian: one directory a version

struct Account {
  uid_t uid;
  gid_t gid;
};

std::optional<Account> find_account(const std::string& name) {
  const passwd* entry = ::getpwnam(name.c_str());
  if (entry == nullptr) return std::nullopt;
  return Account{entry->pw_uid, entry->pw_gid};
}

Result<Account> account(const std::string& name) {
  if (const auto found = find_account(name)) return *found;
  return fail(ENOENT, "there is no OS user " + name + "; PrivateCluster::ensure() makes it");
}

Result<void> make_dirs(const std::string& path, mode_t mode) {
  // Only what is missing, parent first: a mode that the operator chose is kept.
  const fs::path parent = fs::path(path).parent_path();
  if (!parent.empty() && ::access(parent.c_str(), F_OK) != 0)
    PANAL_TRY(make_dirs(parent.string(), 0755));
  if (::mkdir(path.c_str(), mode) != 0) {
    if (errno == EEXIST) return {};
    return fail_errno("mkdir", path);
  }
  if (::chmod(path.c_str(), mode) != 0) return fail_errno("chmod", path);
  return {};
}

Result<void> own(const std::string& path, uid_t uid, gid_t gid, mode_t mode) {
  if (::chown(path.c_str(), uid, gid) != 0) return fail_errno("chown", path);
  if (::chmod(path.c_str(), mode) != 0) return fail_errno("chmod", path);
  return {};
}

/// The server opens its files by absolute path as its own user.
Result<void> check_reachable(const std::string& path, uid_t uid, const std::string& user) {
  for (fs::path at = fs::path(path).parent_path(); at.has_relative_path(); at = at.parent_path()) {
    struct stat info{};
    if (::stat(at.c_str(), &info) != 0) return fail_errno("stat", at.string());
    if (info.st_uid != uid && (info.st_mode & S_IXOTH) == 0)
      return fail(EACCES, "user " + user + " cannot reach " + path + ": run `chmod o+x " +
                              at.string() + "`, or choose other directories in [paths]");
  }
  return {};
}

/// Written beside and renamed: a running server may re-read it at any time.
Result<void> write_file(const std::string& path, const std::string& text, uid_t uid, gid_t gid) {
  const std::string fresh = path + ".new";
  {
    std::ofstream out(fresh, std::ios::trunc);
    out << text;
    if (!out.flush()) return fail(EIO, "write " + fresh);
  }
  PANAL_TRY(own(fresh, uid, gid, 0600));
  if (::rename(fresh.c_str(), path.c_str()) != 0) return fail_errno("rename", fresh);
  return {};
}

/// /usr/lib/postgresql/<major>/bin: the data directory's major where there is one, else the newest.
Result<std::string> find_programs(const std::string& data_dir) {
  std::string major;
  std::ifstream(data_dir + "/PG_VERSION") >> major;
  if (major.empty()) {
    int newest = 0;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(kPostgresVersions, error)) {
      const std::string name = entry.path().filename().string();
      int number = 0;
      std::from_chars(name.data(), name.data() + name.size(), number);
      if (number > newest && fs::exists(entry.path() / "bin/postgres", error)) newest = number;
    }
    if (newest == 0)
      return fail(ENOENT,
                  "PostgreSQL's server is not installed; `apt install postgresql` or set "
                  "database.url to a server elsewhere");
    major = std::to_string(newest);
  }
  std::string directory = std::string(kPostgresVersions) + "/" + major + "/bin";
  if (::access((directory + "/postgres").c_str(), X_OK) != 0)
    return fail(ENOENT, data_dir + " was made by PostgreSQL " + major +
                            ", which is not installed; `apt install postgresql-" + major + "`");
  return directory;
}

std::vector<std::string> plain_environment() {
  return {"LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
}

}  // namespace

Result<void> ensure_system_user(const std::string& name, const std::string& purpose) {
  if (find_account(name)) return {};
  ServerProgram useradd;
  useradd.argv = {"/usr/sbin/useradd",
                  "--system",
                  "--user-group",
                  "--no-create-home",
                  "--home-dir",
                  "/nonexistent",
                  "--shell",
                  "/usr/sbin/nologin",
                  "--comment",
                  purpose,
                  name};
  useradd.environment = plain_environment();
  useradd.uid = ::geteuid();
  useradd.directory = "/";
  auto made = run_to_end(useradd);
  if (!made && !find_account(name))
    return prefixed("make OS user " + name, std::move(made.error()));
  return {};
}

Result<void> PrivateCluster::ensure() {
  if (::geteuid() != 0)
    return fail(EPERM, "making the private database needs root: it gets a user of its own");
  PANAL_TRY(ensure_system_user(config_.database_user, "Panal's private database"));
  PANAL_TRY(ensure_system_user(config_.broker_user, "Panal's broker"));
  PANAL_ASSIGN(const Account database, account(config_.database_user));
  PANAL_ASSIGN(const Account broker, account(config_.broker_user));

  PANAL_TRY(make_dirs(config_.state_dir, 0711));
  PANAL_TRY(make_dirs(config_.state_dir + "/log", 0750));
  PANAL_TRY(make_dirs(config_.run_dir, 0755));
  const std::string sockets = config_.database_socket_dir();
  PANAL_TRY(make_dirs(sockets, 0770));
  PANAL_TRY(own(sockets, database.uid, broker.gid, 0770));
  PANAL_TRY(check_reachable(data_dir(), database.uid, config_.database_user));
  PANAL_TRY(check_reachable(sockets, database.uid, config_.database_user));
  constexpr std::size_t kSunPath = 108;
  if (sockets.size() + sizeof "/.s.PGSQL.5432" > kSunPath)
    return fail(ENAMETOOLONG, "the database's socket directory " + sockets +
                                  " has too long a path; choose a shorter paths.run");

  if (::access((data_dir() + "/PG_VERSION").c_str(), F_OK) != 0)
    PANAL_TRY(init_data_dir(database.uid, database.gid));
  return write_settings(database.uid, database.gid);
}

Result<void> PrivateCluster::init_data_dir(uid_t uid, gid_t gid) const {
  PANAL_ASSIGN(const std::string programs, find_programs(data_dir()));
  // Made beside and renamed whole: a crash in the middle leaves only what the next try removes.
  const std::string fresh = data_dir() + ".new";
  std::error_code error;
  fs::remove_all(fresh, error);
  PANAL_TRY(make_dirs(fresh, 0700));
  PANAL_TRY(own(fresh, uid, gid, 0700));
  ServerProgram initdb;
  initdb.argv = {programs + "/initdb", "--pgdata=" + fresh, "--username=" + std::string(kOwnerRole),
                 "--locale=C",         "--encoding=UTF8",   "--auth-local=peer",
                 "--auth-host=reject", "--no-instructions", "--wal-segsize=4"};
  initdb.environment = plain_environment();
  initdb.uid = uid;
  initdb.gid = gid;
  initdb.directory = fresh;
  PANAL_TRY(run_to_end(initdb));
  if (::rename(fresh.c_str(), data_dir().c_str()) != 0) return fail_errno("rename", fresh);
  return {};
}

Result<void> PrivateCluster::write_settings(uid_t uid, gid_t gid) const {
  PANAL_TRY(write_file(data_dir() + "/postgresql.conf",
                       postgresql_conf(config_.database_socket_dir()), uid, gid));
  PANAL_TRY(write_file(data_dir() + "/pg_hba.conf", pg_hba_conf(), uid, gid));
  return write_file(data_dir() + "/pg_ident.conf", pg_ident_conf(config_.broker_user), uid, gid);
}

Result<ServerProgram> PrivateCluster::program() const {
  PANAL_ASSIGN(const Account database, account(config_.database_user));
  PANAL_ASSIGN(const std::string programs, find_programs(data_dir()));
  ServerProgram server;
  server.argv = {programs + "/postgres", "-D", data_dir()};
  server.environment = plain_environment();
  server.uid = database.uid;
  server.gid = database.gid;
  server.directory = data_dir();
  server.log_file = log_file();
  server.stop_signal = SIGINT;
  return server;
}

Result<Pidfd> PrivateCluster::start() const {
  PANAL_ASSIGN(const auto server, program());
  const UniqueFd log(
      ::open(server.log_file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640));
  if (!log) return fail_errno("open", server.log_file);
  return spawn(server, log);
}

std::string PrivateCluster::log_tail() const {
  std::ifstream log(log_file(), std::ios::ate);
  constexpr std::streamoff kMost = 1024;
  const std::streamoff size = log.tellg();
  if (size < 0) return "";
  log.seekg(std::max<std::streamoff>(0, size - kMost));
  std::ostringstream text;
  text << log.rdbuf();
  return printable(text.str());
}

Result<void> PrivateCluster::wait_ready(std::chrono::milliseconds timeout,
                                        const Pidfd* server) const {
  const std::string conninfo = maintenance_conninfo(config_.database_socket_dir());
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  constexpr std::chrono::milliseconds kStep{50};
  for (;;) {
    auto connected = Database::connect(conninfo);
    if (connected) return {};
    if (std::chrono::steady_clock::now() >= deadline)
      return fail(ETIMEDOUT, "wait for PostgreSQL: " + connected.error().context +
                                 "; its log ends: " + log_tail());
    if (server != nullptr) {
      PANAL_ASSIGN(const bool ended, server->wait_exit(kStep));
      if (ended) return fail(ECHILD, "PostgreSQL ended at once; its log ends: " + log_tail());
    } else {
      // The server's socket appearing could be watched, but not its being ready.
      ::usleep(static_cast<useconds_t>(std::chrono::microseconds(kStep).count()));
    }
  }
}

Result<int> PrivateCluster::prepare() const {
  if (needed()) {
    PANAL_ASSIGN(auto database,
                 Database::connect(maintenance_conninfo(config_.database_socket_dir())));
    PANAL_ASSIGN(auto found, database.run("look for the database",
                                          "SELECT FROM pg_database WHERE datname = 'panal'"));
    if (found.empty()) {
      auto made = database.run("make the database", "CREATE DATABASE panal");
      // 42P04, 23505: another `panal up` was faster.
      if (!made && made.error().context.find("exists") == std::string::npos &&
          made.error().code != EEXIST)
        return tl::make_unexpected(std::move(made.error()));
    }
  }
  return migrate(config_.database_conninfo(kOwnerRole));
}

}  // namespace panal::store
