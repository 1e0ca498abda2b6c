#pragma once

#include <compare>
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
/// NFPROTO_INET, whose header cannot be had beside <netinet/in.h>.
inline constexpr std::uint32_t kInetFamily = 1;

/// Room for one netfilter message while it is built.
class NftBuffer {
 public:
  /// Writes the header. `type`: NFT_MSG_*. The buffer is long enough for kElementsPerMessage
  /// elements, the longest thing we send.
  nlmsghdr* begin(int type, std::uint32_t family, int flags);

 private:
  std::vector<char> bytes_ = std::vector<char>(std::size_t{64} << 10);
};

/// An attribute's length is 16 bits: elements past this number go into another message. The longest
/// is an IPv6 range with its verdict, about 150 bytes.
inline constexpr std::size_t kElementsPerMessage = 256;

/// A set's key, as it lies in the registers: each part of a concatenation fills 4-byte registers.
using NftKey = std::vector<std::uint8_t>;

/// A part of a set's key. The numbers are nft's data types (its include/datatype.h is their only
/// register); they matter to `nft list` alone.
struct NftField {
  std::uint32_t type = 0;
  std::uint32_t bytes = 0;
};
inline constexpr NftField kFieldIpv4{7, 4}, kFieldIpv6{8, 16}, kFieldMac{9, 6},
    kFieldProtocol{12, 1}, kFieldPort{13, 2}, kFieldMark{19, 4}, kFieldLink{41, 16};

struct NftSet {
  std::string name;
  std::vector<NftField> key;
  bool ranges = false;    ///< elements have a first and a last key; the key has several parts
  bool verdicts = false;  ///< a map whose elements say where to go on
  bool marks = false;     ///< a map whose elements are numbers of 4 bytes
  /// Filled by packets, by NftRule::over_rate and its like; else by us, and audited.
  bool dynamic = false;
  std::uint64_t timeout_ms = 0;        ///< of dynamic elements nobody has used since; 0: none
  std::uint32_t family = kInetFamily;  ///< of the table it is in
};

/// Which set it is: tables of two families may have one of the same name.
struct NftSetId {
  std::uint32_t family = kInetFamily;
  std::string name;
  [[nodiscard]] auto operator<=>(const NftSetId&) const = default;
};
[[nodiscard]] inline NftSetId id_of(const NftSet& set) { return {set.family, set.name}; }

/// What the kernel keeps of a set besides its name and elements (NFTA_SET_*).
struct NftSetShape {
  std::uint32_t flags = 0;     ///< NFT_SET_*
  std::uint32_t key_type = 0;  ///< of each part 6 bits
  std::uint32_t key_bytes = 0;
  std::uint32_t data_type = 0;   ///< of maps
  std::uint32_t data_bytes = 0;  ///< of maps of marks
  std::uint64_t timeout_ms = 0;
  [[nodiscard]] bool operator==(const NftSetShape&) const = default;
};
[[nodiscard]] NftSetShape shape_of(const NftSet& set);

struct NftElement {
  NftKey key;
  NftKey last = {};        ///< in sets with ranges
  std::string chain = {};  ///< in maps of verdicts: the chain to go on in
  NftKey data = {};        ///< in maps of marks: the number, in host byte order
  [[nodiscard]] auto operator<=>(const NftElement&) const = default;
};

struct NftBaseChain {
  std::string name;
  std::string type;        ///< "filter", "nat"
  std::uint32_t hook = 0;  ///< NF_INET_* or NF_ARP_*
  std::int32_t priority = 0;
  bool drops = true;  ///< what reaches its end
};

// One request each; in our table unless a name is given. Errors: ENOMEM.
[[nodiscard]] Result<Message> add_table(std::uint32_t family, const std::string& table = kNftTable);
[[nodiscard]] Result<Message> delete_table(std::uint32_t family,
                                           const std::string& table = kNftTable);
[[nodiscard]] Result<Message> add_base_chain(std::uint32_t family, const NftBaseChain& chain,
                                             const std::string& table = kNftTable);
[[nodiscard]] Result<Message> add_chain(std::uint32_t family, const std::string& name);
[[nodiscard]] Result<Message> delete_chain(std::uint32_t family, const std::string& name);
/// Of all chains of the table.
[[nodiscard]] Result<Message> delete_rules(std::uint32_t family);
[[nodiscard]] Result<Message> add_counter(std::uint32_t family, const std::string& name);
[[nodiscard]] Result<Message> delete_counter(std::uint32_t family, const std::string& name);
/// `id`: within its batch.
[[nodiscard]] Result<Message> add_set(std::uint32_t family, const NftSet& set, std::uint32_t id);
[[nodiscard]] Result<Message> delete_set(std::uint32_t family, const std::string& name);
/// `type`: NFT_MSG_NEWSETELEM or NFT_MSG_DELSETELEM; at most kElementsPerMessage.
[[nodiscard]] Result<Message> change_elements(int type, std::uint32_t family,
                                              const std::string& set,
                                              const std::vector<NftElement>& elements);
/// Appends as many change_elements() as it takes.
[[nodiscard]] Result<void> append_elements(std::vector<Message>& messages, int type,
                                           std::uint32_t family, const std::string& set,
                                           const std::vector<NftElement>& elements);

/// Questions for NetlinkSocket::query.
[[nodiscard]] Result<Message> list_elements(std::uint32_t family, const std::string& set);
[[nodiscard]] Result<Message> list_counters(std::uint32_t family);
/// All of a kind in all families. `type`: NFT_MSG_GETTABLE, GETCHAIN, GETRULE, GETSET, GETOBJ.
[[nodiscard]] Message list_all(int type);
[[nodiscard]] Message ask_generation();

/// Elements in one message of the answer to list_elements.
[[nodiscard]] std::vector<NftElement> parse_elements(const nlmsghdr* message);
/// The counter in one message of the answer to list_counters.
[[nodiscard]] Result<DropCounter> parse_counter(const nlmsghdr* message);
/// The generation in the answer to ask_generation: it grows by one with every transaction of
/// anybody in this network namespace, and never is 0.
[[nodiscard]] std::uint32_t parse_generation(const nlmsghdr* message);

/// `messages` between the marks that make them one transaction. With a `generation` that is not
/// 0, the kernel refuses it (ERESTART) when that is no longer the present one.
[[nodiscard]] std::vector<Message> as_batch(std::vector<Message> messages,
                                            std::uint32_t generation = 0);

}  // namespace panal::netconfine
