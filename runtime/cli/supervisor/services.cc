#include "runtime/cli/supervisor/services.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "runtime/store/child.h"

namespace panal::supervisor {
namespace {

/// What our programs get to see of the caller's environment: nothing but the settings they need.
std::vector<std::string> environment(const std::string& config_file) {
  std::vector<std::string> out{"LC_ALL=C.UTF-8",
                               "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
  const char* inherited = std::getenv("PANAL_CONFIG");
  if (!config_file.empty()) {
    out.push_back("PANAL_CONFIG=" + config_file);
  } else if (inherited != nullptr) {
    out.push_back(std::string("PANAL_CONFIG=") + inherited);
  }
  // Where a lab shows the host's ksmd (runtime/optimiser/ksmd.h).
  if (const char* ksmd = std::getenv("PANAL_LAB_KSMD"))
    out.push_back(std::string("PANAL_LAB_KSMD=") + ksmd);
  return out;
}

Service own_program(const config::Config& config, const std::string& config_file,
                    const std::string& name, const std::string& program) {
  Service service;
  service.name = name;
  service.program = [config, config_file, name, program]() -> Result<store::ServerProgram> {
    store::ServerProgram out;
    out.argv = {config::program_dir() + "/" + program};
    out.environment = environment(config_file);
    out.directory = "/";
    out.log_file = log_file(config, name);
    out.stop_signal = SIGTERM;
    return out;
  };
  return service;
}

}  // namespace

std::string directory(const config::Config& config) { return config.run_dir + "/supervisor"; }

std::string log_file(const config::Config& config, const std::string& name) {
  return config.state_dir + "/log/" + name + ".log";
}

std::string pid_file(const config::Config& config, const std::string& name) {
  return directory(config) + "/" + name + ".pid";
}

std::vector<Service> node_services(const config::Config& config, const std::string& config_file) {
  std::vector<Service> services;
  const auto cluster = std::make_shared<store::PrivateCluster>(config);
  if (cluster->needed()) {
    Service postgres;
    postgres.name = kPostgres;
    postgres.program = [cluster]() -> Result<store::ServerProgram> {
      PANAL_TRY(cluster->ensure());
      return cluster->program();
    };
    postgres.ready = [cluster](const Pidfd& server) -> Result<void> {
      PANAL_TRY(cluster->wait_ready(std::chrono::seconds(60), &server));
      PANAL_TRY(cluster->prepare());
      return {};
    };
    services.push_back(std::move(postgres));
  }
  services.push_back(own_program(config, config_file, kPanald, "panald"));
  services.push_back(own_program(config, config_file, kBroker, "panal-broker"));
  return services;
}

Result<void> supervise(const config::Config& config, const std::string& config_file) {
  sigset_t stops;
  sigemptyset(&stops);
  sigaddset(&stops, SIGTERM);
  sigaddset(&stops, SIGINT);
  if (sigprocmask(SIG_BLOCK, &stops, nullptr) != 0) return fail_errno("block signals");
  const UniqueFd stop(signalfd(-1, &stops, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!stop) return fail_errno("signalfd");
  PANAL_ASSIGN(auto supervisor,
               Supervisor::open(directory(config), node_services(config, config_file),
                                Logger::to_stderr("panal-supervisor", LogLevel::kInfo)));
  return supervisor.run(stop.get());
}

Result<void> start_detached(const config::Config& config, const std::string& config_file) {
  const std::string file = log_file(config, "supervisor");
  PANAL_TRY(rotate_log(file, std::uint64_t{8} << 20U));
  const UniqueFd log(open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640));
  if (!log) return fail_errno("open", file);
  store::ServerProgram program;
  program.argv = {config::program_dir() + "/panal", "supervise"};
  if (!config_file.empty()) program.argv.insert(program.argv.end(), {"--config", config_file});
  program.environment = environment(config_file);
  program.uid = geteuid();
  program.directory = "/";
  // A child in between that ends at once: the supervisor's parent is then init, not the caller.
  const pid_t between = fork();
  if (between < 0) return fail_errno("fork");
  if (between == 0) _exit(store::spawn(program, log) ? 0 : 1);
  int status = 0;
  while (waitpid(between, &status, 0) < 0) {
    if (errno != EINTR) return fail_errno("waitpid");
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return fail(EAGAIN, "start the supervisor");
  return {};
}

}  // namespace panal::supervisor
