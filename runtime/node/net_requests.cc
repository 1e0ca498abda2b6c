#include "runtime/node/net_requests.h"

#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "runtime/control/control.h"
#include "runtime/node/requests.h"

namespace panal::node {

using nlohmann::json;

namespace {

constexpr std::size_t kMostAnswer = control::kMessageBytes - 4096;

int status_of(int code) {
  switch (code) {
    case ENOENT:
    case ENODEV: return 404;
    case EINVAL:
    case EPROTO: return 400;
    case EBUSY: return 409;
    default: return 503;
  }
}

/// Refusals are whole sentences; what the kernel said needs its own.
std::string sentence_of_refusal(const Error& error) {
  const bool whole =
      error.code == EPROTO || error.code == EINVAL || error.code == ENOENT || error.code == EBUSY;
  return printable(whole ? error.context : error.message(), 2000);
}

void give(const CallerPtr& caller, const Result<json>& result) {
  if (!result)
    return caller->refuse(status_of(result.error().code), sentence_of_refusal(result.error()));
  if (result->dump().size() > kMostAnswer)
    return caller->refuse(413, "the answer is too long; ask for one policy");
  caller->answer(*result);
}

}  // namespace

bool NetRequests::handle(const CallerPtr& caller, const json& request) {
  const std::string op = text_of(request, "op");
  Confinement& confinement = parts_.confinement;
  if (op == "net_show") {
    run(parts_.clerk, caller,
        [&confinement, policy = text_of(request, "policy"),
         desktop = number_of(request, "desktop")](store::Store&) -> Result<json> {
          if (desktop != 0) return confinement.show_desktop(desktop);
          if (!policy.empty()) return confinement.show_policy(policy);
          return confinement.show();
        });
    return true;
  }
  if (op == "net_apply") {
    run(parts_.clerk, caller,
        [&confinement, dry = flag_of(request, "dry_run", false),
         actor = printable(text_of(request, "actor"), 100)](store::Store& store) {
          return confinement.apply(store, dry, actor.empty() ? "root" : actor);
        });
    return true;
  }
  if (op == "net_uplink") {
    parts_.clerk.submit([&loop = parts_.loop, &confinement, caller](store::Store&) {
      auto result = std::make_shared<Result<json>>(confinement.describe_uplink());
      loop.post([caller, result] { give(caller, *result); });
    });
    return true;
  }
  if (op != "net_explain" && op != "net_test") return false;
  const auto query = netpolicy::parse_query(request);
  if (!query) {
    caller->refuse(400, query.error().context);
  } else if (op == "net_test") {
    test(caller, *query);
  } else {
    run(parts_.clerk, caller,
        [&confinement, asked = *query](store::Store&) { return confinement.explain(asked); });
  }
  return true;
}

void NetRequests::test(const CallerPtr& caller, const netpolicy::Query& query) {
  if (query.from.desktop == 0)
    return caller->refuse(
        400,
        "a packet from outside cannot be sent from here; `panal net explain` says "
        "what the rules do with it");
  auto network = parts_.network_of(query.from.desktop);
  if (!network)
    return caller->refuse(404, "desktop " + std::to_string(query.from.desktop) +
                                   " does not run here, so that no packet can be sent from it");
  // Shared: a function object must be copyable.
  auto inside = std::make_shared<UniqueFd>(std::move(*network));
  run(parts_.testers, caller, [&confinement = parts_.confinement, query, inside](store::Store&) {
    return confinement.test(query, *inside);
  });
}

void NetRequests::run(WorkerPool& workers, const CallerPtr& caller, Work work) {
  workers.submit([&loop = parts_.loop, caller, work = std::move(work)](store::Store& store) {
    auto result = std::make_shared<Result<json>>(work(store));
    loop.post([caller, result] { give(caller, *result); });
  });
}

}  // namespace panal::node
