#include "netconfine/firewall/nft/rule.h"

#include <libmnl/libmnl.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <array>
#include <vector>

#include "netconfine/firewall/nft/messages.h"

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

NftRule& NftRule::connection_key(std::uint32_t key, bool of_opener, NftRegister to) {
  if (nftnl_expr* e = add("ct")) {
    nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, key);
    nftnl_expr_set_u32(e, NFTNL_EXPR_CT_DREG, number(to));
    if (of_opener) nftnl_expr_set_u8(e, NFTNL_EXPR_CT_DIR, IP_CT_DIR_ORIGINAL);
  }
  return *this;
}

NftRule& NftRule::connection(std::uint32_t key, NftRegister to) {
  return connection_key(key, false, to);
}

NftRule& NftRule::opened(std::uint32_t key, NftRegister to) {
  return connection_key(key, true, to);
}

NftRule& NftRule::link_back_to_source(NftRegister to) {
  if (nftnl_expr* e = add("fib")) {
    nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_DREG, number(to));
    nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_OIF);
    nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF);
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

NftRule& NftRule::equals_u32(std::uint32_t value) {
  return compare(NFT_CMP_EQ, std::span(reinterpret_cast<const std::uint8_t*>(&value), 4));
}

NftRule& NftRule::is_link(const std::string& name) {
  // Registers hold the name filled up with zeros; a shorter comparison is one of beginnings.
  std::vector<std::uint8_t> bytes(name.begin(), name.end());
  if (name.ends_with('*')) {
    bytes.pop_back();
  } else {
    bytes.resize(kFieldLink.bytes);
  }
  return compare(NFT_CMP_EQ, bytes);
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

NftRule& NftRule::any_of(std::uint32_t bits) {
  constexpr std::array<std::uint8_t, 4> kNone = {};
  mask(std::span(reinterpret_cast<const std::uint8_t*>(&bits), 4));
  return compare(NFT_CMP_NEQ, kNone);
}

nftnl_expr* NftRule::lookup(const std::string& set) {
  nftnl_expr* e = add("lookup");
  if (e != nullptr) {
    nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, kRegister0);
    nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, set.c_str());
  }
  return e;
}

NftRule& NftRule::in_set(const std::string& set) {
  (void)lookup(set);
  return *this;
}

NftRule& NftRule::not_in_set(const std::string& set) {
  if (nftnl_expr* e = lookup(set)) {
    nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
  }
  return *this;
}

NftRule& NftRule::value_of(const std::string& map) {
  if (nftnl_expr* e = lookup(map)) {
    nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_DREG, kRegister0);
  }
  return *this;
}

NftRule& NftRule::verdict_of(const std::string& map) {
  if (nftnl_expr* e = lookup(map)) {
    nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
  }
  return *this;
}

// `state` is made for each key and asked for each packet; this owns it.
NftRule& NftRule::per_key(const std::string& set, std::uint32_t operation, nftnl_expr* state) {
  if (state == nullptr) {
    out_of_memory_ = true;
    return *this;
  }
  nftnl_expr* e = add("dynset");
  if (e == nullptr) {
    nftnl_expr_free(state);
    return *this;
  }
  nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_SREG_KEY, kRegister0);
  nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_OP, operation);
  nftnl_expr_set_str(e, NFTNL_EXPR_DYNSET_SET_NAME, set.c_str());
  nftnl_expr_add_expr(e, NFTNL_EXPR_DYNSET_EXPR, state);
  return *this;
}

NftRule& NftRule::rate(const std::string& set, bool over, std::uint32_t per_second,
                       std::uint32_t burst) {
  nftnl_expr* limit = nftnl_expr_alloc("limit");
  if (limit != nullptr) {
    nftnl_expr_set_u64(limit, NFTNL_EXPR_LIMIT_RATE, per_second);
    nftnl_expr_set_u64(limit, NFTNL_EXPR_LIMIT_UNIT, 1);  // seconds
    nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_BURST, burst);
    nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
    nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_FLAGS, over ? NFT_LIMIT_F_INV : 0);
  }
  // "update": a key that is in use does not run into the set's timeout.
  return per_key(set, NFT_DYNSET_OP_UPDATE, limit);
}

NftRule& NftRule::over_connections(const std::string& set, std::uint32_t count) {
  nftnl_expr* connections = nftnl_expr_alloc("connlimit");
  if (connections != nullptr) {
    nftnl_expr_set_u32(connections, NFTNL_EXPR_CONNLIMIT_COUNT, count);
    nftnl_expr_set_u32(connections, NFTNL_EXPR_CONNLIMIT_FLAGS, NFT_CONNLIMIT_F_INV);
  }
  return per_key(set, NFT_DYNSET_OP_ADD, connections);
}

NftRule& NftRule::set_packet_mark() {
  if (nftnl_expr* e = add("meta")) {
    nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, NFT_META_MARK);
    nftnl_expr_set_u32(e, NFTNL_EXPR_META_SREG, kRegister0);
  }
  return *this;
}

NftRule& NftRule::set_connection_mark(std::uint32_t mark) {
  if (nftnl_expr* e = add("immediate")) {
    nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, kRegister0);
    nftnl_expr_set(e, NFTNL_EXPR_IMM_DATA, &mark, sizeof(mark));
  }
  if (nftnl_expr* e = add("ct")) {
    nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, NFT_CT_MARK);
    nftnl_expr_set_u32(e, NFTNL_EXPR_CT_SREG, kRegister0);
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

NftRule& NftRule::log(std::uint16_t group, const std::string& prefix) {
  constexpr std::size_t kLongest = 127;  // NF_LOG_PREFIXLEN with its end
  // Headers of IPv6 and TCP; what is said is nobody's business.
  constexpr std::uint32_t kHeaderBytes = 64;
  if (nftnl_expr* e = add("log")) {
    nftnl_expr_set_u16(e, NFTNL_EXPR_LOG_GROUP, group);
    nftnl_expr_set_str(e, NFTNL_EXPR_LOG_PREFIX, prefix.substr(0, kLongest).c_str());
    nftnl_expr_set_u32(e, NFTNL_EXPR_LOG_SNAPLEN, kHeaderBytes);
  }
  return *this;
}

NftRule& NftRule::masquerade() {
  (void)add("masq");
  return *this;
}

NftRule& NftRule::verdict(int verdict, const std::string& chain) {
  if (nftnl_expr* e = add("immediate")) {
    nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, static_cast<std::uint32_t>(verdict));
    if (!chain.empty()) nftnl_expr_set_str(e, NFTNL_EXPR_IMM_CHAIN, chain.c_str());
  }
  return *this;
}

NftRule& NftRule::accept() { return verdict(NF_ACCEPT); }
NftRule& NftRule::drop() { return verdict(NF_DROP); }
NftRule& NftRule::jump(const std::string& chain) { return verdict(NFT_JUMP, chain); }
NftRule& NftRule::go_to(const std::string& chain) { return verdict(NFT_GOTO, chain); }

Result<Message> NftRule::build() const {
  const std::string what = "nftables: add rule to chain " + chain_;
  if (out_of_memory_) return fail(ENOMEM, what);
  NftBuffer buffer;
  nlmsghdr* header = buffer.begin(NFT_MSG_NEWRULE, family_, NLM_F_CREATE | NLM_F_APPEND);
  nftnl_rule_nlmsg_build_payload(header, rule_);
  return Message(header, what);
}

}  // namespace panal::netconfine
