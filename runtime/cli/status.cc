#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "runtime/cli/node_state.h"
#include "runtime/cli/supervisor/services.h"
#include "runtime/cli/table.h"
#include "runtime/cli/tuning_state.h"
#include "runtime/cli/up.h"

namespace panal::cli {

ExitCode status(Shell& shell, bool json) {
  const auto& config = shell.config;
  bool all_well = true;
  nlohmann::json facts = {{"node", config.node_name}};
  Table table({"PART", "STATE", ">PID", "NOTE"});

  std::vector<std::string> names{"supervisor"};
  if (config.database_url.empty()) names.emplace_back(supervisor::kPostgres);
  names.emplace_back(supervisor::kPanald);
  names.emplace_back(supervisor::kBroker);
  for (const auto& name : names) {
    const auto process = service_process(config, name);
    const std::string trouble = service_trouble(config, name);
    nlohmann::json& one = facts["services"][name];
    one = {{"running", process.has_value()}, {"trouble", trouble}};
    one["pid"] = process ? nlohmann::json(process->pid()) : nlohmann::json(nullptr);
    if (!process) all_well = false;
    table.add_row({name, process ? "running" : "not running",
                   process ? std::to_string(process->pid()) : "-",
                   trouble.empty() ? "" : "deaths in a row, and why: " + trouble});
  }

  std::map<std::string, std::uint64_t> states;
  const auto store = shell.backends.store(config);
  std::string database_error;
  if (store) {
    const auto desktops = (*store)->desktops();
    if (desktops) {
      for (const auto& desktop : *desktops)
        ++states[std::string(store::to_string(desktop.observed))];
    } else {
      database_error = desktops.error().message();
    }
  } else {
    database_error = store.error().message();
  }
  if (!database_error.empty()) all_well = false;
  facts["database"] = {{"answers", database_error.empty()}, {"error", database_error}};
  table.add_row({"database", database_error.empty() ? "answers" : "silent", "-", database_error});

  const auto node = shell.backends.ask_node(config, {{"op", "status"}}, std::chrono::seconds(5));
  if (!node) all_well = false;
  facts["panald"] = node ? *node : nlohmann::json{{"error", node.error().message()}};
  table.add_row(
      {"panald socket", node ? "answers" : "silent", "-", node ? "" : node.error().message()});

  const auto accepts = broker_accepts(config);
  if (!accepts) all_well = false;
  const std::string where = fmt::format("{}:{}", broker_address(config), config.port);
  facts["broker"] = {{"accepts", accepts.has_value()},
                     {"address", where},
                     {"error", accepts ? "" : accepts.error().message()}};
  table.add_row({"broker port", accepts ? "accepts" : "silent", "-",
                 accepts ? where : accepts.error().message()});

  const TuningState tuning = tuning_state(shell);
  facts["tuning"] = {{"profile", tuning.profile}, {"state", tuning.state}};
  table.add_row({"tuning", tuning.state, "-", tuning.note});

  facts["desktops"] = states;
  facts["ok"] = all_well;
  if (json) {
    shell.print(facts);
  } else {
    shell.out << fmt::format("node {}\n", printable(config.node_name, 80));
    table.print(shell.out);
    std::string counts;
    for (const auto& [state, count] : states) {
      counts += fmt::format("{}{} {}", counts.empty() ? "" : ", ", count, state);
    }
    shell.out << fmt::format("desktops: {}\n", counts.empty() ? "none" : counts);
    if (node && node->contains("room") && (*node)["room"].is_string())
      shell.out << fmt::format("room: {}\n", printable((*node)["room"].get<std::string>(), 200));
  }
  return all_well ? ExitCode::kOk : ExitCode::kNotRunning;
}

}  // namespace panal::cli
