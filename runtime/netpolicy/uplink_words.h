#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "runtime/config/config.h"

namespace panal::netpolicy {

/// What the way outside does to the host, in words.
struct UplinkWords {
  std::string kind;                ///< "none", "nic", "macvlan", "veth"
  std::string device;              ///< of the host; empty with "none"
  std::vector<std::string> lines;  ///< as netconfine::Uplink::describe() gives them
  [[nodiscard]] bool operator==(const UplinkWords&) const = default;
};

/// What a panald with this configuration would do now to the host, which is the calling thread's
/// network namespace; nothing is changed. Where Panal's namespace is not there yet, an empty one
/// stands in for it. Blocks (it may run programs); any thread.
/// Errors: EINVAL with a sentence that names the key; EBUSY with a sentence where Uplink::up()
/// would refuse; EPERM for anybody but root.
[[nodiscard]] Result<UplinkWords> describe_uplink(const config::Config& config);

/// {"kind", "device", "lines"}: panald's answer to net_uplink.
[[nodiscard]] nlohmann::json to_json(const UplinkWords& words);
/// Whatever is missing or of another type is empty.
[[nodiscard]] UplinkWords parse_uplink_words(const nlohmann::json& answer);

}  // namespace panal::netpolicy
