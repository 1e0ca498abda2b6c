#include "runtime/cli/doctor.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "engine/kernel/namespaces.h"
#include "runtime/cli/doctor_net.h"
#include "runtime/cli/doctor_probe.h"
#include "runtime/cli/doctor_storage.h"
#include "runtime/cli/doctor_takers.h"
#include "runtime/cli/left_ksm.h"
#include "runtime/control/control.h"
#include "runtime/store/store.h"
#include "runtime/tuning/machine_state.h"
#include "runtime/tuning/profiles.h"

namespace panal::cli {
namespace {

namespace fs = std::filesystem;

// The directory itself or the nearest one above it that exists.
std::string nearest_existing(fs::path path) {
  std::error_code ignored;
  while (path.has_relative_path() && !fs::is_directory(path, ignored)) path = path.parent_path();
  return path.empty() ? "/" : path.string();
}

std::string text_of(const char* file) {
  const auto directory = Dir::open(fs::path(file).parent_path());
  return directory ? directory->read(fs::path(file).filename()).value_or("") : "";
}

// Whether a process of that name runs; names of programs are not to be believed, this is a hint.
bool runs(const Tree& tree, std::string_view program) {
  const auto names = tree.proc.list();
  if (!names) return false;
  for (const std::string& name : *names) {
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto comm = tree.proc.read(name + "/comm");
    if (comm && comm->substr(0, comm->find('\n')) == program.substr(0, 15)) return true;
  }
  return false;
}

Result<void> try_to_bind(const config::Config& config) {
  const bool six = config.listen_address.find(':') != std::string::npos;
  sockaddr_storage address{};
  socklen_t size = 0;
  if (six) {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(config.port);
    if (::inet_pton(AF_INET6, config.listen_address.c_str(), &in.sin6_addr) != 1)
      return fail(EINVAL, "listen_address " + config.listen_address);
    std::memcpy(&address, &in, sizeof in);
    size = sizeof in;
  } else {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(config.port);
    if (::inet_pton(AF_INET, config.listen_address.c_str(), &in.sin_addr) != 1)
      return fail(EINVAL, "listen_address " + config.listen_address);
    std::memcpy(&address, &in, sizeof in);
    size = sizeof in;
  }
  const UniqueFd socket(::socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno("open", "socket");
  const int on = 1;
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0)
    return fail_errno("bind", fmt::format("{} port {}", config.listen_address, config.port));
  return {};
}

Check check_port(const config::Config& config, const Tree& tree) {
  const std::string name = fmt::format("port {}", config.port);
  const auto bound = try_to_bind(config);
  if (bound) return {name, Check::kOk, "is free", {}};
  if (bound.error().code != EADDRINUSE)
    return {name, Check::kFailed, bound.error().message(),
            "mend listen_address and port in [broker]"};
  if (runs(tree, "panal-broker")) return {name, Check::kOk, "is in use while our broker runs", {}};
  return {name, Check::kFailed, "is used by another program",
          fmt::format("stop it (ss -ltnp 'sport = :{}' shows it) or set another port in [broker]",
                      config.port)};
}

Check check_database(const config::Config& config) {
  const auto store = store::Store::connect(config.database_conninfo(store::kAdminRole));
  if (store) return {"database", Check::kOk, "answers", {}};
  if (!config.database_url.empty())
    return {"database", Check::kFailed, store.error().message(),
            "mend url in [database], or start that server"};
  return {"database", Check::kWarning, "the private PostgreSQL does not answer",
          "start Panal: panal up"};
}

/// None where the database does not answer, which has a check of its own.
std::vector<store::NetAssignment> assignments(const config::Config& config) {
  const auto store = store::Store::connect(config.database_conninfo(store::kAdminRole));
  return store ? (*store)->net_assignments().value_or(std::vector<store::NetAssignment>())
               : std::vector<store::NetAssignment>();
}

Check check_node(const config::Config& config) {
  const auto connection = control::Connection::connect(config.node_socket());
  if (connection) return {"panald", Check::kOk, "answers on " + config.node_socket(), {}};
  return {"panald", Check::kWarning, "does not run (" + connection.error().message() + ")",
          "start Panal: panal up"};
}

Check check_namespaces(const config::Config& config) {
  if (kernel::namespaces_are_pinned(config.run_dir))
    return {"namespaces", Check::kOk, "are pinned below " + config.run_dir, {}};
  return {"namespaces", Check::kOk, "not made yet: panal up makes them", {}};
}

Check disk_of(const std::string& path) {
  const std::string directory = nearest_existing(path);
  struct statvfs info{};
  if (::statvfs(directory.c_str(), &info) != 0)
    return {"disk " + directory, Check::kFailed, fail_errno("look at", directory).value().message(),
            "make it a directory root may read"};
  return check_disk(directory, info.f_bavail * info.f_frsize, info.f_favail, info.f_files);
}

}  // namespace

std::vector<Check> run_doctor(const config::Config& config, const Tree& tree) {
  std::vector<Check> checks;
  const auto add = [&](std::vector<Check> more) {
    for (Check& check : more) checks.push_back(std::move(check));
  };
  if (::geteuid() == 0) {
    add(probe_kernel(nearest_existing(config.state_dir)));
    add(probe_takers(config, tree));
  } else {
    checks.push_back({"privileges", Check::kFailed, "not root: kernel features were not tried",
                      "sudo panal doctor"});
  }
  add(check_cgroups(tree));
  add(check_apparmor(tree));
  const auto profile = tuning::load_profile(config, config.tuning_profile);
  if (profile)
    add(check_limits(*profile, tree));
  else
    checks.push_back({"tuning profile", Check::kWarning, profile.error().message(),
                      "mend it, or name another one in [tuning]; limits were not looked at"});
  checks.push_back(check_ksm(tree, tuning::machine_state_dir()));
  checks.push_back(check_ids(config, text_of("/etc/subuid"), text_of("/etc/subgid")));
  checks.push_back(check_memory(config, tree));
  checks.push_back(disk_of(config.state_dir));
  add(probe_storage(config, ::geteuid() == 0));
  const char* path = std::getenv("PATH");
  checks.push_back(check_programs(path == nullptr ? "/usr/bin:/bin" : path));
  checks.push_back(check_clock(std::chrono::duration_cast<std::chrono::seconds>(
                                   std::chrono::system_clock::now().time_since_epoch())
                                   .count()));
  checks.push_back(check_namespaces(config));
  checks.push_back(check_database(config));
  checks.push_back(check_net_policies(config, assignments(config)));
  checks.push_back(check_node(config));
  checks.push_back(check_port(config, tree));
  return checks;
}

}  // namespace panal::cli
