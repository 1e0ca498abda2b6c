#include "runtime/node/requests.h"

#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "runtime/node/trial_desk.h"

namespace panal::node {

using nlohmann::json;

std::string text_of(const json& request, const char* key) {
  const auto found = request.find(key);
  return found != request.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool flag_of(const json& request, const char* key, bool otherwise) {
  const auto found = request.find(key);
  if (found == request.end()) return otherwise;
  if (found->is_boolean()) return found->get<bool>();
  return found->is_number_integer() ? found->get<std::int64_t>() != 0 : otherwise;
}

std::int64_t number_of(const json& request, const char* key) {
  const auto found = request.find(key);
  return found != request.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

void Requests::handle(const CallerPtr& caller, const json& request) {
  const std::string op = text_of(request, "op");
  if (op == "attach") return attach(caller, request);
  if (op == "open") return open(caller, request);
  if (op == "flow") return flow(caller, request);
  // Counts of the node as a whole, which the broker serves to scrapers.
  if (op == "metrics") return caller->answer(parts_.metrics(text_of(request, "format") == "json"));
  // Beyond that the broker may let people in and nothing else.
  if (caller->uid() != 0) return caller->refuse(403, "only root may ask for this");
  if (op == "status") return caller->answer(parts_.status());
  if (op == "stats")
    return caller->answer(
        parts_.statistics({number_of(request, "desktop"), number_of(request, "from"),
                           flag_of(request, "cost", false)}));
  if (op == "suspend") return suspend(caller, request);
  if (op == "treat") return treat(caller, request);
  if (op == "trial" && trials_ != nullptr) return trials_->serve(caller, request);
  if (op == "shutdown") return shut_down(caller, request);
  if (op == "wake") {
    parts_.reconciler.scan();
    return caller->answer(json::object());
  }
  if (parts_.net && parts_.net(caller, request)) return;
  caller->refuse(400, "panald knows no request \"" + printable(op, 40) + "\"");
}

void Requests::attach(const CallerPtr& caller, const json& request) {
  AttachRequest wanted;
  wanted.desktop = number_of(request, "desktop");
  wanted.geometry = text_of(request, "geometry");
  wanted.keyboard = text_of(request, "keyboard");
  wanted.link = text_of(request, "link");
  wanted.client = text_of(request, "client");
  wanted.fullscreen = flag_of(request, "fullscreen", false);
  wanted.takeover = flag_of(request, "takeover", true);
  parts_.attaches.attach(
      wanted, [caller](const std::string& text) { caller->progress(text); },
      [caller](const Answer<Granted>& answer) {
        if (!answer) return caller->refuse(answer.error().status, answer.error().sentence);
        caller->answer({{"attach", answer->attach}, {"cookie", answer->cookie}});
      });
}

void Requests::open(const CallerPtr& caller, const json& request) {
  const std::int64_t attach = number_of(request, "attach");
  auto socket = parts_.attaches.open(number_of(request, "desktop"),
                                     attach > 0 ? static_cast<std::uint64_t>(attach) : 0);
  if (!socket) return caller->refuse(socket.error().status, socket.error().sentence);
  caller->answer(json::object(), std::move(*socket));
}

void Requests::flow(const CallerPtr& caller, const json& request) {
  const auto report = parse_flow_report(request);
  if (!report) return caller->refuse(400, report.error().context);
  parts_.flow(*report);
  caller->answer(json::object());
}

void Requests::suspend(const CallerPtr& caller, const json& request) {
  const DesktopId id = number_of(request, "desktop");
  if (parts_.reconciler.running(id) == nullptr)
    return caller->refuse(404, "desktop " + std::to_string(id) + " does not run here");
  const auto asked = parts_.suspend(id);
  if (!asked) return caller->refuse(503, asked.error().message());
  caller->answer(json::object());
}

void Requests::treat(const CallerPtr& caller, const json& request) {
  const auto prefetch = optimiser::parse_prefetch(text_of(request, "prefetch"));
  if (!prefetch) return caller->refuse(400, "prefetch is recorded, drawing or nothing");
  const DesktopId id = number_of(request, "desktop");
  if (!parts_.treat(id, {.spared = flag_of(request, "spared", false), .prefetch = *prefetch}))
    return caller->refuse(404, "desktop " + std::to_string(id) + " does not run here");
  caller->answer(json::object());
}

void Requests::shut_down(const CallerPtr& caller, const json& request) {
  const bool stop = flag_of(request, "stop_desktops", false);
  const auto total = std::make_shared<std::size_t>(0);
  const auto last = std::make_shared<std::size_t>(0);
  parts_.reconciler.shut_down(
      stop,
      [caller, total, last](std::size_t left) {
        *total = std::max(*total, left);
        if (left == std::exchange(*last, left) || *total == 0) return;
        caller->progress(std::to_string(*total - left) + " of " + std::to_string(*total) +
                         " desktops stopped");
      },
      [caller, stop, exit = parts_.exit] {
        caller->answer(json::object());
        exit(stop);
      });
}

}  // namespace panal::node
