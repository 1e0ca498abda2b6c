#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "runtime/netpolicy/plan.h"

namespace panal::netpolicy {

/// One end of a connection as people write it: "alice-desk", "10.0.0.5:443", "[fd00::5]:443/udp",
/// "bob-desk:22", "9.9.9.9/ping".
struct EndWords {
  std::string host;  ///< a desktop's name or id, or an address without brackets
  bool address = false;
  std::optional<std::uint16_t> port;
  std::optional<netconfine::Protocol> protocol;
};
/// Errors: EINVAL with a sentence.
[[nodiscard]] Result<EndWords> parse_end(std::string_view text);

/// One end, looked up: a desktop, or an address outside.
struct End {
  DesktopId desktop = 0;  ///< 0: outside
  std::optional<netconfine::Prefix>
      address;  ///< outside: a single one; else it follows from the family
};

/// A connection about which is asked.
struct Query {
  End from, to;
  bool v6 = false;
  netconfine::Traffic traffic;  ///< one port
};

/// What two ends mean together: port and protocol come from the destination (a port alone is tcp's,
/// nothing is a ping), the family from an address, else from `v6`.
/// Errors: EINVAL with a sentence (two families, a port at the source, both outside).
[[nodiscard]] Result<Query> make_query(const EndWords& from_words, const End& from,
                                       const EndWords& to_words, const End& to, bool v6);

/// The query as panald is asked, and back. Errors: EPROTO.
[[nodiscard]] nlohmann::json to_json(const Query& query);
[[nodiscard]] Result<Query> parse_query(const nlohmann::json& request);

/// A query with addresses, and what the rules say.
struct Answer {
  netconfine::Flow flow;
  std::optional<netconfine::Sender> from, to;  ///< none: outside
  netconfine::Explanation said;
};
/// Errors: ENOENT for a desktop that the plan does not know; ENOSPC for one without an address.
[[nodiscard]] Result<Answer> answer(const Plan& plan, const netconfine::AddressPool& pool,
                                    const Query& query);
/// {"from", "to", "traffic", "allowed", "rule"}; ends have desktop, name, policy, given_by,
/// address.
[[nodiscard]] nlohmann::json to_json(const Plan& plan, const Query& query, const Answer& answer);

}  // namespace panal::netpolicy
