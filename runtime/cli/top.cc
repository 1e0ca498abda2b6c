#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "runtime/cli/top_view.h"
#include "runtime/cli/up.h"
#include "runtime/control/statistics.h"

namespace panal::cli {
namespace {

/// What desktops cost is looked at for some seconds after each request (runtime/node/cost_meter).
constexpr std::uint32_t kAskAgainSeconds = 4;

Result<nlohmann::json> statistics_of(Shell& shell) {
  return control::ask_statistics(
      [&shell](const nlohmann::json& request) {
        return shell.backends.ask_node(shell.config, request, std::chrono::seconds(10));
      },
      {{"cost", true}});
}

/// Between two looks of which the first is not shown.
void wait_asking(Shell& shell, std::uint32_t seconds) {
  for (std::uint32_t left = seconds; left > 0;) {
    const std::uint32_t step = std::min(left, kAskAgainSeconds);
    std::this_thread::sleep_for(std::chrono::seconds(step));
    left -= step;
    if (left > 0) (void)statistics_of(shell);  // an error is told by the second look
  }
}

std::uint64_t steady_ns() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

}  // namespace

ExitCode top(Shell& shell, const TopOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  TopView view;
  const bool refresh = shell.tty && !options.once && !options.json;
  for (int round = 0;; ++round) {
    PANAL_CLI_ASSIGN(shell, const auto stats, statistics_of(shell));
    PANAL_CLI_ASSIGN(shell, auto desktops, store->desktops());
    std::map<DesktopId, store::Desktop> names;
    for (auto& desktop : desktops) names.emplace(desktop.id, std::move(desktop));
    const auto digest = view.digest(stats, steady_ns(), names);
    // Rates are differences: a single look needs two. What desktops truly cost is not known at
    // once either: of some by then, of all after a while (--seconds).
    if (round == 0 && !refresh) {
      wait_asking(shell, options.seconds);
      continue;
    }
    if (options.json) {
      shell.print(digest);
      return ExitCode::kOk;
    }
    winsize size{};
    std::size_t lines = 100'000;
    if (refresh && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 1)
      lines = size.ws_row - 1U;
    if (refresh) shell.out << "\x1b[H\x1b[2J";
    shell.out << render_top(digest, lines) << std::flush;
    if (!refresh) return ExitCode::kOk;
    std::this_thread::sleep_for(std::chrono::seconds(options.seconds));
  }
}

}  // namespace panal::cli
