#include "runtime/control/statistics.h"

#include <nlohmann/json.hpp>

namespace panal::control {

using nlohmann::json;

Result<json> ask_statistics(const Ask& ask, json request) {
  request["op"] = "stats";
  json desktops = json::array();
  std::int64_t from = 0;
  for (;;) {
    request["from"] = from;
    PANAL_ASSIGN(json answer, ask(request));
    const auto list = answer.is_object() ? answer.find("desktops") : answer.end();
    if (list == answer.end() || !list->is_array())
      return fail(EPROTO, "panald's statistics: " + answer.dump().substr(0, 200));
    for (json& one : *list) desktops.push_back(std::move(one));
    const auto next = answer.find("next");
    if (next == answer.end() || !next->is_number_integer()) {
      *list = std::move(desktops);
      return answer;
    }
    if (next->get<std::int64_t>() <= from)
      return fail(EPROTO, "panald's statistics do not come to an end");
    from = next->get<std::int64_t>();
  }
}

}  // namespace panal::control
