#include "netconfine/firewall/nft/messages.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/object.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <memory>

namespace panal::netconfine {
namespace {

static_assert(kInetFamily == NFPROTO_INET);

struct Free {
  void operator()(nftnl_table* table) const { nftnl_table_free(table); }
  void operator()(nftnl_chain* chain) const { nftnl_chain_free(chain); }
  void operator()(nftnl_set* set) const { nftnl_set_free(set); }
  void operator()(nftnl_obj* object) const { nftnl_obj_free(object); }
  void operator()(nftnl_rule* rule) const { nftnl_rule_free(rule); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

Result<Message> table_message(int type, std::uint32_t family, int flags, const char* verb,
                              const std::string& name) {
  std::string what = std::string("nftables: ") + verb + " table " + name;
  const Owned<nftnl_table> table(nftnl_table_alloc());
  if (!table) return fail(ENOMEM, what);
  nftnl_table_set_u32(table.get(), NFTNL_TABLE_FAMILY, family);
  nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, name.c_str());
  NftBuffer buffer;
  nlmsghdr* header = buffer.begin(type, family, flags);
  nftnl_table_nlmsg_build_payload(header, table.get());
  return Message(header, std::move(what));
}

Owned<nftnl_chain> named_chain(std::uint32_t family, const std::string& name,
                               const std::string& table = kNftTable) {
  Owned<nftnl_chain> chain(nftnl_chain_alloc());
  if (chain) {
    nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_FAMILY, family);
    nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TABLE, table.c_str());
    nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_NAME, name.c_str());
  }
  return chain;
}

Result<Message> chain_message(int type, std::uint32_t family, int flags, std::string what,
                              const nftnl_chain* chain) {
  if (chain == nullptr) return fail(ENOMEM, what);
  NftBuffer buffer;
  nlmsghdr* header = buffer.begin(type, family, flags);
  nftnl_chain_nlmsg_build_payload(header, chain);
  return Message(header, std::move(what));
}

Result<Message> counter_message(int type, std::uint32_t family, int flags, std::string what,
                                const std::string& name) {
  const Owned<nftnl_obj> object(nftnl_obj_alloc());
  if (!object) return fail(ENOMEM, what);
  nftnl_obj_set_u32(object.get(), NFTNL_OBJ_FAMILY, family);
  nftnl_obj_set_str(object.get(), NFTNL_OBJ_TABLE, kNftTable);
  nftnl_obj_set_str(object.get(), NFTNL_OBJ_NAME, name.c_str());
  nftnl_obj_set_u32(object.get(), NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
  NftBuffer buffer;
  nlmsghdr* header = buffer.begin(type, family, flags);
  nftnl_obj_nlmsg_build_payload(header, object.get());
  return Message(header, std::move(what));
}

Owned<nftnl_set> named_set(std::uint32_t family, const std::string& name) {
  Owned<nftnl_set> set(nftnl_set_alloc());
  if (set) {
    nftnl_set_set_u32(set.get(), NFTNL_SET_FAMILY, family);
    nftnl_set_set_str(set.get(), NFTNL_SET_TABLE, kNftTable);
    nftnl_set_set_str(set.get(), NFTNL_SET_NAME, name.c_str());
  }
  return set;
}

// A key's length with each part filled up to whole registers; a single part is not.
std::uint32_t key_bytes(const std::vector<NftField>& key) {
  if (key.size() == 1) return key.front().bytes;
  std::uint32_t bytes = 0;
  for (const NftField& field : key) bytes += (field.bytes + 3) / 4 * 4;
  return bytes;
}

bool put_element(nftnl_set* set, const NftElement& wanted, bool adds) {
  nftnl_set_elem* element = nftnl_set_elem_alloc();
  if (element == nullptr) return false;
  nftnl_set_elem_add(set, element);  // the set owns it from here
  bool good = nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, wanted.key.data(),
                                 static_cast<std::uint32_t>(wanted.key.size())) == 0;
  if (!wanted.last.empty()) {
    good = good && nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY_END, wanted.last.data(),
                                      static_cast<std::uint32_t>(wanted.last.size())) == 0;
  }
  if (!wanted.data.empty() && adds) {
    good = good && nftnl_set_elem_set(element, NFTNL_SET_ELEM_DATA, wanted.data.data(),
                                      static_cast<std::uint32_t>(wanted.data.size())) == 0;
  }
  if (!wanted.chain.empty() && adds) {
    nftnl_set_elem_set_u32(element, NFTNL_SET_ELEM_VERDICT, static_cast<std::uint32_t>(NFT_GOTO));
    good = good && nftnl_set_elem_set_str(element, NFTNL_SET_ELEM_CHAIN, wanted.chain.c_str()) == 0;
  }
  return good;
}

NftKey key_of(nftnl_set_elem* element, std::uint16_t attribute) {
  if (!nftnl_set_elem_is_set(element, attribute)) return {};
  std::uint32_t length = 0;
  const auto* first =
      static_cast<const std::uint8_t*>(nftnl_set_elem_get(element, attribute, &length));
  return first != nullptr ? NftKey(first, first + length) : NftKey{};
}

Message mark(bool begin, std::uint32_t generation) {
  std::vector<char> bytes(256);
  nlmsghdr* header = begin ? nftnl_batch_begin(bytes.data(), 0) : nftnl_batch_end(bytes.data(), 0);
  if (generation != 0) mnl_attr_put_u32(header, NFNL_BATCH_GENID, htonl(generation));
  Message message(header, begin ? "nftables: commit" : "nftables: end of batch");
  message.mark = true;
  return message;
}

}  // namespace

nlmsghdr* NftBuffer::begin(int type, std::uint32_t family, int flags) {
  return nftnl_nlmsg_build_hdr(bytes_.data(), static_cast<std::uint16_t>(type),
                               static_cast<std::uint16_t>(family),
                               static_cast<std::uint16_t>(flags), 0);
}

Result<Message> add_table(std::uint32_t family, const std::string& table) {
  return table_message(NFT_MSG_NEWTABLE, family, NLM_F_CREATE, "add", table);
}

Result<Message> delete_table(std::uint32_t family, const std::string& table) {
  return table_message(NFT_MSG_DELTABLE, family, 0, "delete", table);
}

Result<Message> add_base_chain(std::uint32_t family, const NftBaseChain& base,
                               const std::string& table) {
  const auto chain = named_chain(family, base.name, table);
  if (chain) {
    nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TYPE, base.type.c_str());
    nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_HOOKNUM, base.hook);
    nftnl_chain_set_s32(chain.get(), NFTNL_CHAIN_PRIO, base.priority);
    nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_POLICY, base.drops ? NF_DROP : NF_ACCEPT);
  }
  return chain_message(NFT_MSG_NEWCHAIN, family, NLM_F_CREATE, "nftables: add chain " + base.name,
                       chain.get());
}

Result<Message> add_chain(std::uint32_t family, const std::string& name) {
  return chain_message(NFT_MSG_NEWCHAIN, family, NLM_F_CREATE, "nftables: add chain " + name,
                       named_chain(family, name).get());
}

Result<Message> delete_chain(std::uint32_t family, const std::string& name) {
  return chain_message(NFT_MSG_DELCHAIN, family, 0, "nftables: delete chain " + name,
                       named_chain(family, name).get());
}

Result<Message> delete_rules(std::uint32_t family) {
  std::string what = "nftables: delete all rules";
  const Owned<nftnl_rule> rule(nftnl_rule_alloc());
  if (!rule) return fail(ENOMEM, what);
  nftnl_rule_set_u32(rule.get(), NFTNL_RULE_FAMILY, family);
  nftnl_rule_set_str(rule.get(), NFTNL_RULE_TABLE, kNftTable);
  NftBuffer buffer;
  nlmsghdr* header = buffer.begin(NFT_MSG_DELRULE, family, 0);
  nftnl_rule_nlmsg_build_payload(header, rule.get());
  return Message(header, std::move(what));
}

Result<Message> add_counter(std::uint32_t family, const std::string& name) {
  return counter_message(NFT_MSG_NEWOBJ, family, NLM_F_CREATE, "nftables: add counter " + name,
                         name);
}

Result<Message> delete_counter(std::uint32_t family, const std::string& name) {
  return counter_message(NFT_MSG_DELOBJ, family, 0, "nftables: delete counter " + name, name);
}

NftSetShape shape_of(const NftSet& set) {
  NftSetShape shape;
  // Without ranges the kernel picks a hash.
  if (set.ranges) shape.flags |= NFT_SET_INTERVAL | NFT_SET_CONCAT;
  if (set.verdicts || set.marks) shape.flags |= NFT_SET_MAP;
  if (set.dynamic) shape.flags |= NFT_SET_EVAL;
  if (set.timeout_ms != 0) shape.flags |= NFT_SET_TIMEOUT;
  for (const NftField& field : set.key) shape.key_type = shape.key_type << 6 | field.type;
  shape.key_bytes = key_bytes(set.key);
  if (set.verdicts) shape.data_type = NFT_DATA_VERDICT;
  if (set.marks) {
    shape.data_type = kFieldMark.type;
    shape.data_bytes = kFieldMark.bytes;
  }
  shape.timeout_ms = set.timeout_ms;
  return shape;
}

Result<Message> add_set(std::uint32_t family, const NftSet& wanted, std::uint32_t id) {
  std::string what = "nftables: add set " + wanted.name;
  const auto set = named_set(family, wanted.name);
  if (!set) return fail(ENOMEM, what);
  const NftSetShape shape = shape_of(wanted);
  nftnl_set_set_u32(set.get(), NFTNL_SET_ID, id);
  nftnl_set_set_u32(set.get(), NFTNL_SET_FLAGS, shape.flags);
  nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_TYPE, shape.key_type);
  nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_LEN, shape.key_bytes);
  if (shape.data_type != 0) nftnl_set_set_u32(set.get(), NFTNL_SET_DATA_TYPE, shape.data_type);
  if (shape.data_bytes != 0) nftnl_set_set_u32(set.get(), NFTNL_SET_DATA_LEN, shape.data_bytes);
  if (shape.timeout_ms != 0) nftnl_set_set_u64(set.get(), NFTNL_SET_TIMEOUT, shape.timeout_ms);
  std::vector<std::uint8_t> lengths;
  for (const NftField& field : wanted.key) {
    lengths.push_back(static_cast<std::uint8_t>(field.bytes));
  }
  if (wanted.ranges && nftnl_set_set_data(set.get(), NFTNL_SET_DESC_CONCAT, lengths.data(),
                                          static_cast<std::uint32_t>(lengths.size())) != 0) {
    return fail(ENOMEM, what);
  }
  // Packets cannot fill it past this; one element a desktop, and there are fewer of those.
  constexpr std::uint32_t kMostDynamic = 1U << 18;
  if (wanted.dynamic) nftnl_set_set_u32(set.get(), NFTNL_SET_DESC_SIZE, kMostDynamic);
  // For people: what nothing is said of, nft takes to be in the network's order, names of links
  // too.
  const bool host_order = wanted.key.size() == 1 && (wanted.key.front().type == kFieldLink.type ||
                                                     wanted.key.front().type == kFieldMark.type);
  if (host_order) {
    constexpr std::uint32_t kHostOrder = 1;
    const std::unique_ptr<nftnl_udata_buf, void (*)(const nftnl_udata_buf*)> notes(
        nftnl_udata_buf_alloc(64), nftnl_udata_buf_free);
    if (!notes) return fail(ENOMEM, what);
    nftnl_udata_put_u32(notes.get(), NFTNL_UDATA_SET_KEYBYTEORDER, kHostOrder);
    if (wanted.marks) nftnl_udata_put_u32(notes.get(), NFTNL_UDATA_SET_DATABYTEORDER, kHostOrder);
    nftnl_set_set_data(set.get(), NFTNL_SET_USERDATA, nftnl_udata_buf_data(notes.get()),
                       nftnl_udata_buf_len(notes.get()));
  }
  NftBuffer buffer;
  nlmsghdr* header = buffer.begin(NFT_MSG_NEWSET, family, NLM_F_CREATE);
  nftnl_set_nlmsg_build_payload(header, set.get());
  return Message(header, std::move(what));
}

Result<Message> delete_set(std::uint32_t family, const std::string& name) {
  std::string what = "nftables: delete set " + name;
  const auto set = named_set(family, name);
  if (!set) return fail(ENOMEM, what);
  NftBuffer buffer;
  nlmsghdr* header = buffer.begin(NFT_MSG_DELSET, family, 0);
  nftnl_set_nlmsg_build_payload(header, set.get());
  return Message(header, std::move(what));
}

Result<Message> change_elements(int type, std::uint32_t family, const std::string& name,
                                const std::vector<NftElement>& elements) {
  std::string what = "nftables: change elements of set " + name;
  const auto set = named_set(family, name);
  if (!set) return fail(ENOMEM, what);
  if (elements.size() > kElementsPerMessage) return fail(E2BIG, what);
  const bool adds = type == NFT_MSG_NEWSETELEM;
  for (const NftElement& element : elements) {
    if (!put_element(set.get(), element, adds)) return fail(ENOMEM, what);
  }
  NftBuffer buffer;
  nlmsghdr* header = buffer.begin(type, family, adds ? NLM_F_CREATE : 0);
  nftnl_set_elems_nlmsg_build_payload(header, set.get());
  return Message(header, std::move(what));
}

Result<void> append_elements(std::vector<Message>& messages, int type, std::uint32_t family,
                             const std::string& set, const std::vector<NftElement>& elements) {
  for (std::size_t first = 0; first < elements.size(); first += kElementsPerMessage) {
    const auto begin = elements.begin() + static_cast<std::ptrdiff_t>(first);
    const auto count = std::min(kElementsPerMessage, elements.size() - first);
    PANAL_ASSIGN(
        auto message,
        change_elements(type, family, set, {begin, begin + static_cast<std::ptrdiff_t>(count)}));
    messages.push_back(std::move(message));
  }
  return {};
}

Result<Message> list_elements(std::uint32_t family, const std::string& name) {
  std::string what = "nftables: list set " + name;
  const auto set = named_set(family, name);
  if (!set) return fail(ENOMEM, what);
  NftBuffer buffer;
  nlmsghdr* header = buffer.begin(NFT_MSG_GETSETELEM, family, NLM_F_DUMP);
  nftnl_set_nlmsg_build_payload(header, set.get());
  return Message(header, std::move(what));
}

Result<Message> list_counters(std::uint32_t family) {
  std::string what = "nftables: list counters";
  const Owned<nftnl_obj> object(nftnl_obj_alloc());
  if (!object) return fail(ENOMEM, what);
  nftnl_obj_set_str(object.get(), NFTNL_OBJ_TABLE, kNftTable);
  nftnl_obj_set_u32(object.get(), NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
  NftBuffer buffer;
  nlmsghdr* header = buffer.begin(NFT_MSG_GETOBJ, family, NLM_F_DUMP);
  nftnl_obj_nlmsg_build_payload(header, object.get());
  return Message(header, std::move(what));
}

Message list_all(int type) {
  NftBuffer buffer;
  return {buffer.begin(type, NFPROTO_UNSPEC, NLM_F_DUMP), "nftables: list the rules"};
}

Message ask_generation() {
  NftBuffer buffer;
  return {buffer.begin(NFT_MSG_GETGEN, NFPROTO_UNSPEC, 0), "nftables: ask for the generation"};
}

std::vector<NftElement> parse_elements(const nlmsghdr* message) {
  std::vector<NftElement> elements;
  const Owned<nftnl_set> set(nftnl_set_alloc());
  if (!set || nftnl_set_elems_nlmsg_parse(message, set.get()) < 0) return elements;
  const auto collect = [](nftnl_set_elem* element, void* to) {
    NftElement found{.key = key_of(element, NFTNL_SET_ELEM_KEY),
                     .last = key_of(element, NFTNL_SET_ELEM_KEY_END),
                     .chain = {},
                     .data = key_of(element, NFTNL_SET_ELEM_DATA)};
    if (const char* chain = nftnl_set_elem_get_str(element, NFTNL_SET_ELEM_CHAIN)) {
      found.chain = chain;
    }
    if (!found.key.empty()) {
      static_cast<std::vector<NftElement>*>(to)->push_back(std::move(found));
    }
    return 0;
  };
  nftnl_set_elem_foreach(set.get(), collect, &elements);
  return elements;
}

std::uint32_t parse_generation(const nlmsghdr* message) {
  std::uint32_t generation = 0;
  const auto take = [](const nlattr* attribute, void* to) -> int {
    if (mnl_attr_get_type(attribute) == NFTA_GEN_ID &&
        mnl_attr_validate(attribute, MNL_TYPE_U32) == 0) {
      *static_cast<std::uint32_t*>(to) = ntohl(mnl_attr_get_u32(attribute));
    }
    return MNL_CB_OK;
  };
  mnl_attr_parse(message, sizeof(nfgenmsg), take, &generation);
  return generation;
}

Result<DropCounter> parse_counter(const nlmsghdr* message) {
  const Owned<nftnl_obj> object(nftnl_obj_alloc());
  if (!object) return fail(ENOMEM, "nftables: parse a counter");
  if (nftnl_obj_nlmsg_parse(message, object.get()) < 0) {
    return fail(EPROTO, "nftables: parse a counter");
  }
  const char* name = nftnl_obj_get_str(object.get(), NFTNL_OBJ_NAME);
  return DropCounter{.reason = name != nullptr ? name : "",
                     .packets = nftnl_obj_get_u64(object.get(), NFTNL_OBJ_CTR_PKTS),
                     .bytes = nftnl_obj_get_u64(object.get(), NFTNL_OBJ_CTR_BYTES)};
}

std::vector<Message> as_batch(std::vector<Message> messages, std::uint32_t generation) {
  messages.insert(messages.begin(), mark(true, generation));
  messages.push_back(mark(false, 0));
  return messages;
}

}  // namespace panal::netconfine
