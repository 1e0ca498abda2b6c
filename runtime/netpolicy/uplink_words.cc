#include "runtime/netpolicy/uplink_words.h"

#include <sched.h>

#include <nlohmann/json.hpp>
#include <system_error>
#include <thread>

#include "engine/base/kernel_paths.h"
#include "engine/base/log.h"
#include "engine/kernel/namespaces.h"
#include "netconfine/uplink/uplink.h"
#include "runtime/netpolicy/plan.h"

namespace panal::netpolicy {
namespace {

/// Ends with its last descriptor.
Result<UniqueFd> empty_network() {
  Result<UniqueFd> made;
  try {
    std::thread([&made] {
      if (::unshare(CLONE_NEWNET) != 0)
        made = fail_errno("make", "a network namespace");
      else
        made = kernel::open_namespace(kernel_paths::kProcThreadSelfNsNet);
    }).join();
  } catch (const std::system_error& error) {
    return fail(error.code().value(), "start a thread to make a network namespace");
  }
  return made;
}

Result<UniqueFd> panals_network(const config::Config& config) {
  auto pinned = kernel::open_namespace(config.net_namespace_file());
  // A pin that is not there may be a plain file.
  if (!pinned && (pinned.error().is_gone() || pinned.error().code == EINVAL))
    return empty_network();
  return pinned;
}

std::string word_of(const nlohmann::json& answer, const char* key) {
  const auto found = answer.find(key);
  return found != answer.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

Result<UplinkWords> describe_uplink(const config::Config& config) {
  PANAL_ASSIGN(auto plan, uplink_plan(config));
  UplinkWords words{netconfine::to_string(plan.kind), plan.device, {}};
  PANAL_ASSIGN(auto host, kernel::open_namespace(kernel_paths::kProcThreadSelfNsNet));
  PANAL_ASSIGN(auto panal, panals_network(config));
  PANAL_ASSIGN(const auto uplink, netconfine::Uplink::open(std::move(host), std::move(panal),
                                                           std::move(plan), Logger::silent()));
  auto lines = uplink->describe();
  if (!lines) {
    // Whatever part of the host it is that refuses: its state does not allow an uplink.
    Error error = std::move(lines.error());
    if (error.is_gone() || error.code == EEXIST) error.code = EBUSY;
    return tl::make_unexpected(std::move(error));
  }
  words.lines = std::move(*lines);
  return words;
}

nlohmann::json to_json(const UplinkWords& words) {
  return {{"kind", words.kind}, {"device", words.device}, {"lines", words.lines}};
}

UplinkWords parse_uplink_words(const nlohmann::json& answer) {
  UplinkWords words;
  if (!answer.is_object()) return words;
  words.kind = word_of(answer, "kind");
  words.device = word_of(answer, "device");
  const auto lines = answer.find("lines");
  if (lines == answer.end() || !lines->is_array()) return words;
  for (const nlohmann::json& line : *lines)
    if (line.is_string()) words.lines.push_back(line.get<std::string>());
  return words;
}

}  // namespace panal::netpolicy
