#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "engine/kernel/namespaces.h"
#include "runtime/cli/broker_workers.h"
#include "runtime/cli/left_ksm.h"
#include "runtime/cli/node_state.h"
#include "runtime/cli/remains.h"
#include "runtime/cli/supervisor/services.h"
#include "runtime/cli/up.h"
#include "runtime/space/space_plan.h"

namespace panal::cli {
namespace {

using std::chrono::seconds;

void say(Shell& shell, const std::string& text) {
  shell.out << "panal: " << text << "\n" << std::flush;
}

/// Ends a service if it lives; problems are told, not fatal: what is left is found at the end.
void end_service(Shell& shell, const std::string& name, int signal, seconds grace) {
  const auto process = service_process(shell.config, name);
  if (!process) return;
  const auto killed = end_process(*process, signal, grace);
  if (!killed) {
    (void)shell.told(killed.error());
  } else {
    say(shell, *killed ? fmt::format("{} killed: it did not end within {} s", name, grace.count())
                       : fmt::format("{} stopped", name));
  }
}

/// panald stops the desktops and ends itself; where it cannot, the desktops are ended without it.
void end_panald(Shell& shell, bool keep_desktops) {
  const auto process = service_process(shell.config, supervisor::kPanald);
  if (!process) return;
  if (!keep_desktops) say(shell, "stopping desktops");
  const nlohmann::json request = {{"op", "shutdown"}, {"stop_desktops", !keep_desktops}};
  const auto answer =
      shell.backends.ask_node(shell.config, request, seconds(shell.config.stop_grace_seconds + 60),
                              [&shell](const std::string& text) { say(shell, text); });
  if (!answer) {
    say(shell,
        fmt::format("panald did not answer ({}); it is ended as it is", answer.error().message()));
  }
  const auto killed = end_process(*process, answer ? 0 : SIGTERM, seconds(15));
  if (!killed)
    (void)shell.told(killed.error());
  else
    say(shell, "panald stopped");
}

/// Those of a broker that was killed serve their clients on. They write to the database at their
/// end, so it is there still.
void end_workers(Shell& shell) {
  const auto ended = end_broker_workers(shell.config, seconds(5));
  if (!ended)
    (void)shell.told(ended.error());
  else if (*ended > 0)
    say(shell, fmt::format("{} workers of a broker that was killed ended", *ended));
}

}  // namespace

ExitCode down(Shell& shell, const DownOptions& options) {
  if (options.dry_run) {
    for (const char* name :
         {"supervisor", supervisor::kPanald, supervisor::kBroker, supervisor::kPostgres}) {
      if (const auto process = service_process(shell.config, name)) {
        shell.out << fmt::format("would stop {} (pid {})\n", name, process->pid());
      }
    }
    shell.out << put_ksm_back_plan(shell);
    shell.out << (options.keep_desktops
                      ? "would leave desktops and namespaces\n"
                      : "would stop all desktops here and release the namespaces; data stays\n");
    return ExitCode::kOk;
  }
  if (geteuid() != 0) {
    return shell.refuse(ExitCode::kNotAllowed, "panal down needs root: run it with sudo");
  }
  PANAL_CLI_ASSIGN(shell, const auto tree, Tree::open_system());
  const Remains remains(tree, shell.config);
  // First of all, or it would start again what ends.
  end_service(shell, "supervisor", SIGTERM, seconds(10));
  end_panald(shell, options.keep_desktops);
  // It does so itself, unless it was killed.
  const ExitCode done = put_ksm_back(shell) ? ExitCode::kOk : ExitCode::kFailed;
  end_service(shell, supervisor::kBroker, SIGTERM, seconds(10));
  end_workers(shell);
  end_service(shell, supervisor::kPostgres, SIGINT, seconds(30));
  if (options.keep_desktops) {
    say(shell, "down; desktops go on, panal up takes them back");
    return done;
  }
  if (const auto left = remains.processes(); !left.empty()) {
    say(shell, fmt::format("ending {} processes that nobody looked after", left.size()));
    remains.kill_processes(seconds(20));
  }
  const auto released = kernel::release_pinned_namespaces(shell.config.run_dir);
  if (!released) (void)shell.told(released.error());
  // Only where there is one: what is mounted there otherwise is the operator's.
  if (shell.config.uppers_pool_bytes != 0)
    if (const auto closed = storage::close_pool(space::pool_spec(shell.config)); !closed)
      (void)shell.told(closed.error());
  remains.remove();
  const auto left = remains.describe();
  if (left.empty()) {
    say(shell, "down; no process, mount, link, cgroup or rule is left");
    return done;
  }
  (void)shell.refuse(ExitCode::kFailed, fmt::format("down, but {} things are left:", left.size()));
  for (const auto& line : left) shell.err << "  " << line << "\n";
  return ExitCode::kFailed;
}

}  // namespace panal::cli
