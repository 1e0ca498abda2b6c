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
enum class NftRegister : std::uint32_t { k0 = 0, k4 = 4, k6 = 6 };

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
  /// Goes on only if register 0 compares so (NFT_CMP_*) with `value`.
  NftRule& compare(std::uint32_t operation, std::span<const std::uint8_t> value);
  NftRule& equals_u8(std::uint8_t value);
  NftRule& equals_u16(std::uint16_t value);  ///< host byte order: as meta data is
  /// Keeps the bits of register 0 that are set in `mask`.
  NftRule& mask(std::span<const std::uint8_t> mask);
  /// Goes on only if the key that begins in register 0 is in the set.
  NftRule& in_set(const std::string& set);
  NftRule& count(const std::string& counter);
  NftRule& accept();
  NftRule& drop();

  /// The request that appends the rule to its chain.
  [[nodiscard]] Result<Message> build() const;

 private:
  nftnl_expr* add(const char* name);
  NftRule& verdict(std::uint32_t verdict);

  std::uint32_t family_;
  std::string chain_;
  nftnl_rule* rule_;
  bool out_of_memory_ = false;
};

}  // namespace panal::netconfine
