#include "runtime/cli/image_affected.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "runtime/cli/span.h"
#include "runtime/cli/table.h"

namespace panal::cli {
namespace {

bool somebody_connected(const store::Desktop& desktop) {
  return desktop.session_state != "none" && desktop.session_state != "suspended" &&
         desktop.session_state != "ended";
}

nlohmann::json seconds_or_null(const std::optional<std::chrono::seconds>& span) {
  return span ? nlohmann::json(span->count()) : nlohmann::json(nullptr);
}

}  // namespace

Affected affected_by(const std::vector<store::Desktop>& desktops, const std::string& image,
                     const std::string& tag, const std::string& to) {
  Affected out;
  for (const store::Desktop& desktop : desktops) {
    if (desktop.image != image || !desktop.version.empty()) continue;
    if ((desktop.tag.empty() ? store::kDefaultTag : desktop.tag) != tag) continue;
    if (desktop.running_version.empty())
      ++out.at_next_start;
    else if (desktop.running_version != to)
      out.running.push_back(desktop);
  }
  return out;
}

std::string describe(const store::Deadlines& deadlines) {
  if (!deadlines.any()) return "no deadline";
  std::string text;
  if (deadlines.soft) text = "soft " + print_span(*deadlines.soft);
  if (deadlines.hard) text += (text.empty() ? "hard " : ", hard ") + print_span(*deadlines.hard);
  return text;
}

nlohmann::json affected_json(const Affected& affected, const store::Deadlines& deadlines) {
  auto list = nlohmann::json::array();
  for (const store::Desktop& desktop : affected.running)
    list.push_back({{"id", desktop.id},
                    {"name", desktop.name},
                    {"tenant", desktop.tenant},
                    {"user", desktop.login},
                    {"node", desktop.node},
                    {"running_version", desktop.running_version},
                    {"session", desktop.session_state},
                    {"connected", somebody_connected(desktop)}});
  return {{"running", list},
          {"at_next_start", affected.at_next_start},
          {"soft_seconds", seconds_or_null(deadlines.soft)},
          {"hard_seconds", seconds_or_null(deadlines.hard)}};
}

void print_affected(std::ostream& out, const Affected& affected,
                    const store::Deadlines& deadlines) {
  const auto desktops = [](std::size_t count, std::string_view kind) {
    return fmt::format("{} {} desktop{}", count, kind, count == 1 ? "" : "s");
  };
  if (affected.at_next_start > 0)
    out << fmt::format("{} will have it from the next start on\n",
                       desktops(affected.at_next_start, "stopped"));
  if (affected.running.empty()) {
    out << "no desktop that runs is affected\n";
    return;
  }
  Table table({">ID", "NAME", "USER", "NODE", "RUNS", "SESSION", "CONNECTED"});
  for (const store::Desktop& desktop : affected.running)
    table.add_row({std::to_string(desktop.id), desktop.name, desktop.login, desktop.node,
                   desktop.running_version, desktop.session_state,
                   somebody_connected(desktop) ? "yes" : ""});
  table.print(out);
  const std::string count = desktops(affected.running.size(), "running");
  if (deadlines.soft)
    out << fmt::format("{} will be started again when nobody is connected, from {} on\n", count,
                       print_span(*deadlines.soft));
  if (deadlines.hard)
    out << fmt::format("{} will be started again in any case after {}\n", count,
                       print_span(*deadlines.hard));
  if (!deadlines.any())
    out << fmt::format("{} will go on with what they run until they are stopped\n", count);
}

}  // namespace panal::cli
