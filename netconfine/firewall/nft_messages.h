#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "netconfine/firewall/firewall.h"
#include "netconfine/netlink/socket.h"

namespace panal::netconfine {

/// Our table's name, in every family we use.
inline constexpr const char* kNftTable = "panal";

/// Room for one netfilter message while it is built.
class NftBuffer {
 public:
  /// Writes the header. `type`: NFT_MSG_*. The buffer is long enough for kElementsPerMessage
  /// elements, the longest thing we send.
  nlmsghdr* begin(int type, std::uint32_t family, int flags);

 private:
  std::vector<char> bytes_ = std::vector<char>(std::size_t{64} << 10);
};

/// An attribute's length is 16 bits: elements past this number go into another message.
inline constexpr std::size_t kElementsPerMessage = 256;

/// A set's key, as it lies in the registers.
using NftKey = std::vector<std::uint8_t>;

struct NftSet {
  std::string name;
  std::uint32_t key_type = 0;  ///< for `nft list`: 6 bits a part, see nft's datatype numbers
  std::uint32_t key_length = 0;
  std::uint32_t id = 0;  ///< within its batch
};

struct NftBaseChain {
  std::string name;
  std::uint32_t hook = 0;  ///< NF_INET_* or NF_ARP_*
  std::int32_t priority = 0;
};

// One request each. Errors: ENOMEM.
[[nodiscard]] Result<Message> add_table(std::uint32_t family);
[[nodiscard]] Result<Message> delete_table(std::uint32_t family);
/// Type filter, policy drop.
[[nodiscard]] Result<Message> add_base_chain(std::uint32_t family, const NftBaseChain& chain);
[[nodiscard]] Result<Message> add_counter(std::uint32_t family, const std::string& name);
[[nodiscard]] Result<Message> add_set(std::uint32_t family, const NftSet& set);
/// `type`: NFT_MSG_NEWSETELEM or NFT_MSG_DELSETELEM; at most kElementsPerMessage keys.
[[nodiscard]] Result<Message> change_elements(int type, std::uint32_t family,
                                              const std::string& set,
                                              const std::vector<NftKey>& keys);
/// Questions for NetlinkSocket::query.
[[nodiscard]] Result<Message> list_elements(std::uint32_t family, const std::string& set);
[[nodiscard]] Result<Message> list_counters(std::uint32_t family);

/// Keys in one message of the answer to list_elements.
[[nodiscard]] std::vector<NftKey> parse_elements(const nlmsghdr* message);
/// The counter in one message of the answer to list_counters.
[[nodiscard]] Result<DropCounter> parse_counter(const nlmsghdr* message);

/// `messages` between the marks that make them one transaction.
[[nodiscard]] std::vector<Message> as_batch(std::vector<Message> messages);

}  // namespace panal::netconfine
