#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "runtime/cli/top_view.h"
#include "runtime/cli/up.h"

namespace panal::cli {

ExitCode top(Shell& shell, const TopOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  TopView view;
  const bool refresh = shell.tty && !options.once && !options.json;
  for (int round = 0;; ++round) {
    PANAL_CLI_ASSIGN(
        shell, const auto stats,
        shell.backends.ask_node(shell.config, {{"op", "stats"}}, std::chrono::seconds(10)));
    PANAL_CLI_ASSIGN(shell, auto desktops, store->desktops());
    std::map<DesktopId, store::Desktop> names;
    for (auto& desktop : desktops) names.emplace(desktop.id, std::move(desktop));
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    const auto digest =
        view.digest(stats,
                    static_cast<std::uint64_t>(
                        std::chrono::duration_cast<std::chrono::nanoseconds>(now).count()),
                    names);
    // CPU is a difference: a single look needs two.
    if (round == 0 && !refresh) {
      std::this_thread::sleep_for(std::chrono::seconds(1));
      continue;
    }
    if (options.json) {
      shell.print(digest);
      return ExitCode::kOk;
    }
    winsize size{};
    std::size_t rows = 1000;
    if (refresh && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 6) {
      rows = size.ws_row - 5U;
    }
    if (refresh) shell.out << "\x1b[H\x1b[2J";
    shell.out << render_top(digest, rows) << std::flush;
    if (!refresh) return ExitCode::kOk;
    std::this_thread::sleep_for(std::chrono::seconds(options.seconds));
  }
}

}  // namespace panal::cli
