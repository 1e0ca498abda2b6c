#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "engine/base/result.h"
#include "netconfine/netlink/socket.h"

struct nftnl_expr;
struct nftnl_rule;

namespace panal::netconfine {

/// A 32-bit register of the nftables machine; values longer than 4 bytes take the next ones too,
/// and a concatenated set key lies in consecutive registers, each part filled up to 4 bytes.
enum class NftRegister : std::uint32_t { k0 = 0, k1 = 1, k2 = 2, k4 = 4, k5 = 5, k6 = 6 };

/// Builds one rule, expression by expression, in the order they are evaluated.
/// An allocation failure is remembered and reported by build().
class NftRule {
 public:
  /// `chain` of the table `panal` in `family` (NFPROTO_*).
  NftRule(std::uint32_t family, const std::string& chain);
  NftRule(const NftRule&) = delete;
  NftRule& operator=(const NftRule&) = delete;
  ~NftRule();

  /// Loads packet meta data (NFT_META_*).
  NftRule& meta(std::uint32_t key, NftRegister to = NftRegister::k0);
  /// Loads `length` bytes at `offset` of a header (NFT_PAYLOAD_*).
  NftRule& payload(std::uint32_t base, std::uint32_t offset, std::uint32_t length,
                   NftRegister to = NftRegister::k0);
  /// Loads what is known of the packet's connection (NFT_CT_*). But for the state of it, a packet
  /// that belongs to none does not match.
  NftRule& connection(std::uint32_t key, NftRegister to = NftRegister::k0);
  /// The same of its first packet: addresses and ports as whoever opened it wrote them.
  NftRule& opened(std::uint32_t key, NftRegister to = NftRegister::k0);
  /// Loads the index of the link that the way back to the packet's source begins with, if that is
  /// the link it came by; else 0.
  NftRule& link_back_to_source(NftRegister to = NftRegister::k0);
  /// Goes on only if register 0 compares so (NFT_CMP_*) with `value`.
  NftRule& compare(std::uint32_t operation, std::span<const std::uint8_t> value);
  NftRule& equals_u8(std::uint8_t value);
  NftRule& equals_u16(std::uint16_t value);  ///< host byte order: as meta data is
  NftRule& equals_u32(std::uint32_t value);  ///< host byte order
  /// Goes on only for this link name; with a trailing '*', for those that begin so.
  NftRule& is_link(const std::string& name);
  /// Keeps the bits of register 0 that are set in `mask`.
  NftRule& mask(std::span<const std::uint8_t> mask);
  /// Goes on only if one of these bits (host byte order) of register 0 is set.
  NftRule& any_of(std::uint32_t bits);
  /// Goes on only if the key that begins in register 0 is in the set.
  NftRule& in_set(const std::string& set);
  NftRule& not_in_set(const std::string& set);
  /// Loads what the map has for the key in register 0 into it; goes no further if it has none.
  NftRule& value_of(const std::string& map);
  /// Goes where the map says for the key in register 0, and on if it has no such key.
  NftRule& verdict_of(const std::string& map);

  /// Goes on only if what has the key in register 0 has come here more often than this since a
  /// while, or (not `over`) not more often. Every key is counted apart, in a dynamic set.
  NftRule& rate(const std::string& set, bool over, std::uint32_t per_second, std::uint32_t burst);
  /// Goes on only if the packet's connection is past the number the key in register 0 may have
  /// open.
  NftRule& over_connections(const std::string& set, std::uint32_t count);

  /// The packet's mark becomes what is in register 0.
  NftRule& set_packet_mark();
  NftRule& set_connection_mark(std::uint32_t mark);
  NftRule& count(const std::string& counter);
  /// The packet's beginning to the netlink log `group`, under `prefix` (at most 127 bytes).
  NftRule& log(std::uint16_t group, const std::string& prefix);
  NftRule& masquerade();
  NftRule& accept();
  NftRule& drop();
  NftRule& jump(const std::string& chain);   ///< and back here when it says nothing
  NftRule& go_to(const std::string& chain);  ///< for good

  /// The request that appends the rule to its chain.
  [[nodiscard]] Result<Message> build() const;

 private:
  nftnl_expr* add(const char* name);
  nftnl_expr* lookup(const std::string& set);
  NftRule& connection_key(std::uint32_t key, bool of_opener, NftRegister to);
  NftRule& per_key(const std::string& set, std::uint32_t operation, nftnl_expr* state);
  NftRule& verdict(int verdict, const std::string& chain = {});

  std::uint32_t family_;
  std::string chain_;
  nftnl_rule* rule_;
  bool out_of_memory_ = false;
};

}  // namespace panal::netconfine
