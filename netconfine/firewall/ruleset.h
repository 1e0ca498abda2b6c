#pragma once

#include <vector>

#include "engine/base/result.h"
#include "netconfine/firewall/nft_messages.h"

namespace panal::netconfine {

inline constexpr const char* kSenders4 = "senders4";
inline constexpr const char* kSenders6 = "senders6";

/// Keys of a desktop: link name . MAC . address.
[[nodiscard]] NftKey sender_key4(const Addresses& sender);
[[nodiscard]] NftKey sender_key6(const Addresses& sender);
/// The link name in such a key.
[[nodiscard]] std::string link_of_key(const NftKey& key);

/// Requests that replace our tables by fresh ones with `senders` (docs/network.md shows the
/// result as `nft list ruleset` prints it).
[[nodiscard]] Result<std::vector<Message>> ruleset(const std::vector<Addresses>& senders);

/// Appends the requests that add (NFT_MSG_NEWSETELEM) or delete (NFT_MSG_DELSETELEM) elements.
[[nodiscard]] Result<void> append_elements(std::vector<Message>& messages, int type,
                                           const std::vector<Addresses>& senders);

}  // namespace panal::netconfine
