#include "runtime/broker/desktop_list.h"

#include <nlohmann/json.hpp>

namespace panal::broker {

std::string_view qvd_state(store::Observed observed) {
  switch (observed) {
    case store::Observed::kComposing:
    case store::Observed::kStarting: return "starting";
    case store::Observed::kRunning: return "running";
    case store::Observed::kStopping: return "stopping";
    case store::Observed::kStopped:
    case store::Observed::kFailed: break;
  }
  return "stopped";
}

std::string list_body(const std::vector<store::Desktop>& desktops) {
  using nlohmann::ordered_json;
  ordered_json list = ordered_json::array();
  for (const auto& desktop : desktops) {
    list.push_back(ordered_json{{"id", desktop.id},
                                {"state", qvd_state(desktop.observed)},
                                {"name", desktop.name},
                                {"blocked", 0},
                                {"is_application", 0}});
  }
  return list.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\r\n";
}

}  // namespace panal::broker
