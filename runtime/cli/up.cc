#include "runtime/cli/up.h"

#include <fmt/format.h>
#include <unistd.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "runtime/cli/desktop_logs.h"
#include "runtime/cli/desktops.h"
#include "runtime/cli/host_setup.h"
#include "runtime/cli/images.h"
#include "runtime/cli/node_state.h"
#include "runtime/cli/supervisor/services.h"
#include "runtime/cli/supervisor/systemd.h"
#include "runtime/cli/tune_at_start.h"

namespace panal::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kPatience{90};
constexpr std::uint32_t kLogLines = 12;

void say(Shell& shell, const std::string& text) {
  shell.out << "panal: " << text << "\n" << std::flush;
}

ExitCode with_log(Shell& shell, ExitCode code, const std::string& sentence,
                  const std::string& log) {
  (void)shell.refuse(code, sentence);
  if (const auto tail = tail_of(log, kLogLines); tail && !tail->empty()) {
    shell.err << fmt::format("the last lines of {}:\n", log);
    print_lines(shell.err, *tail);
  }
  return code;
}

/// Waits for a service to answer; ends early when it, or the supervisor, keeps dying.
ExitCode await_service(Shell& shell, const std::string& name,
                       const std::function<Result<void>()>& probe) {
  const auto deadline = Clock::now() + kPatience;
  const std::string log = supervisor::log_file(shell.config, name);
  while (true) {
    const auto answer = probe();
    if (answer) {
      say(shell, name + " answers");
      return ExitCode::kOk;
    }
    const std::string trouble = service_trouble(shell.config, name);
    if (std::atoi(trouble.c_str()) >= 3) {
      return with_log(
          shell, ExitCode::kFailed,
          fmt::format("{} keeps ending ({})", name, trouble.substr(trouble.find(' ') + 1)), log);
    }
    if (!service_process(shell.config, "supervisor")) {
      return with_log(shell, ExitCode::kFailed, "the supervisor has ended",
                      supervisor::log_file(shell.config, "supervisor"));
    }
    if (Clock::now() >= deadline) {
      return with_log(shell, ExitCode::kFailed,
                      fmt::format("{} did not answer within {} s: {}", name, kPatience.count(),
                                  answer.error().message()),
                      log);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

/// Supervisors are found by their pid file; one that is just starting has none yet.
ExitCode ensure_supervisor(Shell& shell) {
  if (service_process(shell.config, "supervisor")) {
    say(shell, "supervisor runs already");
    return ExitCode::kOk;
  }
  const bool systemd = supervisor::systemd_keeps(shell.config_file);
  if (systemd) {
    say(shell, "starting panal.service");
    PANAL_CLI_TRY(shell, supervisor::start_unit());
  } else {
    say(shell, "starting the supervisor");
    PANAL_CLI_TRY(shell, supervisor::start_detached(shell.config, shell.config_file));
  }
  const auto deadline = Clock::now() + std::chrono::seconds(10);
  while (!service_process(shell.config, "supervisor")) {
    if (Clock::now() >= deadline) {
      if (systemd) {
        return shell.refuse(ExitCode::kFailed,
                            "the supervisor did not start; journalctl -u panal says why");
      }
      return with_log(shell, ExitCode::kFailed, "the supervisor did not start",
                      supervisor::log_file(shell.config, "supervisor"));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return ExitCode::kOk;
}

/// A stranger on the port would look like a broker that answers.
ExitCode check_port(Shell& shell) {
  if (service_process(shell.config, supervisor::kBroker)) return ExitCode::kOk;
  const auto free = broker_address_is_free(shell.config);
  if (free) return ExitCode::kOk;
  const std::string where =
      fmt::format("{} port {}", shell.config.listen_address, shell.config.port);
  if (free.error().code == EADDRINUSE) {
    return shell.refuse(
        ExitCode::kRefused,
        fmt::format("{} is in use by another program; stop that one (`ss -ltnp` shows it) or set "
                    "another port under [broker]",
                    where));
  }
  return shell.refuse(
      ExitCode::kFailed,
      fmt::format("the broker cannot listen on {}: {}; check address and port under [broker]",
                  where, sentence_of(free.error())));
}

ExitCode await_desktops(Shell& shell) {
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, auto desktops, store->desktops());
  std::erase_if(desktops, [&](const store::Desktop& desktop) {
    return desktop.desired != store::Desired::kRunning || desktop.node != shell.config.node_name;
  });
  return wait_for_desktops(shell, *store, desktops, store::Desired::kRunning,
                           std::chrono::seconds(shell.config.start_timeout_seconds + 30));
}

/// What was removed while this node was down. Whatever keeps it from going does not keep the node
/// from coming up.
void agree_at_start(Shell& shell) {
  const auto store = shell.backends.store(shell.config);
  if (!store) return;
  if (const auto agreed = agree_with_removals(shell, **store, false, nullptr); !agreed)
    say(shell, "what was removed elsewhere is still here: " + sentence_of(agreed.error()) +
                   "; panal image agree tries again");
}

}  // namespace

ExitCode up(Shell& shell, const UpOptions& options) {
  if (options.dry_run) {
    const std::string plan = describe_host_plan(shell.config) + tune_at_start_plan(shell);
    shell.out << plan;
    if (!service_process(shell.config, "supervisor")) {
      shell.out
          << (supervisor::systemd_keeps(shell.config_file)
                  ? "would start panal.service, and it the database, panald and the broker\n"
                  : "would start the supervisor, and it the database, panald and the broker\n");
    } else if (plan.empty()) {
      shell.out << "all is there already\n";
    }
    return ExitCode::kOk;
  }
  if (geteuid() != 0) {
    return shell.refuse(ExitCode::kNotAllowed, "panal up needs root: run it with sudo");
  }
  if (!options.prepare) {
    if (const auto code = check_port(shell); code != ExitCode::kOk) return code;
  }
  const auto tell = [&shell](const std::string& text) { say(shell, text); };
  const auto prepared = prepare_host(shell.config, tell);
  if (!prepared) {
    return shell.refuse(ExitCode::kFailed,
                        fmt::format("this host could not be prepared: {}; panal doctor says more",
                                    sentence_of(prepared.error())));
  }
  // Before panald, which looks at swap and KSM when it starts.
  tune_at_start(shell, tell);
  if (options.prepare) return ExitCode::kOk;
  if (const auto code = ensure_supervisor(shell); code != ExitCode::kOk) return code;
  const bool private_database = shell.config.database_url.empty();
  ExitCode code = await_service(shell, private_database ? supervisor::kPostgres : "database",
                                [&shell]() -> Result<void> {
                                  PANAL_TRY(shell.backends.store(shell.config));
                                  return {};
                                });
  if (code != ExitCode::kOk) return code;
  agree_at_start(shell);
  code = await_service(shell, supervisor::kPanald, [&shell]() -> Result<void> {
    PANAL_TRY(shell.backends.ask_node(shell.config, {{"op", "status"}}, std::chrono::seconds(5)));
    return {};
  });
  if (code != ExitCode::kOk) return code;
  code =
      await_service(shell, supervisor::kBroker, [&shell] { return broker_accepts(shell.config); });
  if (code != ExitCode::kOk) return code;
  if (options.wait) code = await_desktops(shell);
  if (code == ExitCode::kOk && options.first_desktop) return first_desktop(shell, options.image);
  if (code == ExitCode::kOk) {
    say(shell, fmt::format("up; clients connect to {}:{}", broker_address(shell.config),
                           shell.config.port));
  }
  return code;
}

}  // namespace panal::cli
