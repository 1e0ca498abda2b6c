#include "netconfine/firewall/nft_rule.h"

#include <libmnl/libmnl.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <array>
#include <vector>

#include "netconfine/firewall/nft_messages.h"

namespace panal::netconfine {
namespace {

std::uint32_t number(NftRegister reg) {
  return static_cast<std::uint32_t>(NFT_REG32_00) + static_cast<std::uint32_t>(reg);
}
const std::uint32_t kRegister0 = number(NftRegister::k0);

}  // namespace

NftRule::NftRule(std::uint32_t family, const std::string& chain)
    : family_(family), chain_(chain), rule_(nftnl_rule_alloc()) {
  if (rule_ == nullptr) {
    out_of_memory_ = true;
    return;
  }
  nftnl_rule_set_u32(rule_, NFTNL_RULE_FAMILY, family);
  out_of_memory_ = nftnl_rule_set_str(rule_, NFTNL_RULE_TABLE, kNftTable) != 0 ||
                   nftnl_rule_set_str(rule_, NFTNL_RULE_CHAIN, chain.c_str()) != 0;
}

NftRule::~NftRule() {
  if (rule_ != nullptr) nftnl_rule_free(rule_);
}

// The rule owns the expression from here. Null when memory is out: callers then do nothing.
nftnl_expr* NftRule::add(const char* name) {
  if (out_of_memory_) return nullptr;
  nftnl_expr* expression = nftnl_expr_alloc(name);
  if (expression == nullptr) {
    out_of_memory_ = true;
  } else {
    nftnl_rule_add_expr(rule_, expression);
  }
  return expression;
}

NftRule& NftRule::meta(std::uint32_t key, NftRegister to) {
  if (nftnl_expr* e = add("meta")) {
    nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, key);
    nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, number(to));
  }
  return *this;
}

NftRule& NftRule::payload(std::uint32_t base, std::uint32_t offset, std::uint32_t length,
                          NftRegister to) {
  if (nftnl_expr* e = add("payload")) {
    nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
    nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
    nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, length);
    nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, number(to));
  }
  return *this;
}

NftRule& NftRule::compare(std::uint32_t operation, std::span<const std::uint8_t> value) {
  if (nftnl_expr* e = add("cmp")) {
    nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, kRegister0);
    nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, operation);
    nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, value.data(), static_cast<std::uint32_t>(value.size()));
  }
  return *this;
}

NftRule& NftRule::equals_u8(std::uint8_t value) {
  return compare(NFT_CMP_EQ, std::span(&value, 1));
}

NftRule& NftRule::equals_u16(std::uint16_t value) {
  return compare(NFT_CMP_EQ, std::span(reinterpret_cast<const std::uint8_t*>(&value), 2));
}

NftRule& NftRule::mask(std::span<const std::uint8_t> mask) {
  if (nftnl_expr* e = add("bitwise")) {
    const std::vector<std::uint8_t> zeros(mask.size(), 0);
    const auto length = static_cast<std::uint32_t>(mask.size());
    nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, kRegister0);
    nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, kRegister0);
    nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, length);
    nftnl_expr_set(e, NFTNL_EXPR_BITWISE_MASK, mask.data(), length);
    nftnl_expr_set(e, NFTNL_EXPR_BITWISE_XOR, zeros.data(), length);
  }
  return *this;
}

NftRule& NftRule::in_set(const std::string& set) {
  if (nftnl_expr* e = add("lookup")) {
    nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, kRegister0);
    nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, set.c_str());
  }
  return *this;
}

NftRule& NftRule::count(const std::string& counter) {
  if (nftnl_expr* e = add("objref")) {
    nftnl_expr_set_u32(e, NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
    nftnl_expr_set_str(e, NFTNL_EXPR_OBJREF_IMM_NAME, counter.c_str());
  }
  return *this;
}

NftRule& NftRule::verdict(std::uint32_t verdict) {
  if (nftnl_expr* e = add("immediate")) {
    nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, verdict);
  }
  return *this;
}

NftRule& NftRule::accept() { return verdict(NF_ACCEPT); }
NftRule& NftRule::drop() { return verdict(NF_DROP); }

Result<Message> NftRule::build() const {
  const std::string what = "nftables: add rule to chain " + chain_;
  if (out_of_memory_) return fail(ENOMEM, what);
  NftBuffer buffer;
  nlmsghdr* header = buffer.begin(NFT_MSG_NEWRULE, family_, NLM_F_CREATE | NLM_F_APPEND);
  nftnl_rule_nlmsg_build_payload(header, rule_);
  return Message(header, what);
}

}  // namespace panal::netconfine
