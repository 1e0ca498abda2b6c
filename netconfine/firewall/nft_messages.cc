#include "netconfine/firewall/nft_messages.h"

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/object.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <memory>

namespace panal::netconfine {
namespace {

struct Free {
  void operator()(nftnl_table* table) const { nftnl_table_free(table); }
  void operator()(nftnl_chain* chain) const { nftnl_chain_free(chain); }
  void operator()(nftnl_set* set) const { nftnl_set_free(set); }
  void operator()(nftnl_obj* object) const { nftnl_obj_free(object); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

Result<Message> table_message(int type, std::uint32_t family, int flags, const char* verb) {
  std::string what = std::string("nftables: ") + verb + " table " + kNftTable;
  const Owned<nftnl_table> table(nftnl_table_alloc());
  if (!table) return fail(ENOMEM, what);
  nftnl_table_set_u32(table.get(), NFTNL_TABLE_FAMILY, family);
  nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, kNftTable);
  NftBuffer buffer;
  nlmsghdr* header = buffer.begin(type, family, flags);
  nftnl_table_nlmsg_build_payload(header, table.get());
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

Message mark(bool begin) {
  std::vector<char> bytes(sizeof(nlmsghdr) + sizeof(nfgenmsg));
  nlmsghdr* header = begin ? nftnl_batch_begin(bytes.data(), 0) : nftnl_batch_end(bytes.data(), 0);
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

Result<Message> add_table(std::uint32_t family) {
  return table_message(NFT_MSG_NEWTABLE, family, NLM_F_CREATE, "add");
}

Result<Message> delete_table(std::uint32_t family) {
  return table_message(NFT_MSG_DELTABLE, family, 0, "delete");
}

Result<Message> add_base_chain(std::uint32_t family, const NftBaseChain& base) {
  std::string what = "nftables: add chain " + base.name;
  const Owned<nftnl_chain> chain(nftnl_chain_alloc());
  if (!chain) return fail(ENOMEM, what);
  nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_FAMILY, family);
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TABLE, kNftTable);
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_NAME, base.name.c_str());
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TYPE, "filter");
  nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_HOOKNUM, base.hook);
  nftnl_chain_set_s32(chain.get(), NFTNL_CHAIN_PRIO, base.priority);
  nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_POLICY, NF_DROP);
  NftBuffer buffer;
  nlmsghdr* header = buffer.begin(NFT_MSG_NEWCHAIN, family, NLM_F_CREATE);
  nftnl_chain_nlmsg_build_payload(header, chain.get());
  return Message(header, std::move(what));
}

Result<Message> add_counter(std::uint32_t family, const std::string& name) {
  std::string what = "nftables: add counter " + name;
  const Owned<nftnl_obj> object(nftnl_obj_alloc());
  if (!object) return fail(ENOMEM, what);
  nftnl_obj_set_u32(object.get(), NFTNL_OBJ_FAMILY, family);
  nftnl_obj_set_str(object.get(), NFTNL_OBJ_TABLE, kNftTable);
  nftnl_obj_set_str(object.get(), NFTNL_OBJ_NAME, name.c_str());
  nftnl_obj_set_u32(object.get(), NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
  NftBuffer buffer;
  nlmsghdr* header = buffer.begin(NFT_MSG_NEWOBJ, family, NLM_F_CREATE);
  nftnl_obj_nlmsg_build_payload(header, object.get());
  return Message(header, std::move(what));
}

Result<Message> add_set(std::uint32_t family, const NftSet& wanted) {
  std::string what = "nftables: add set " + wanted.name;
  const auto set = named_set(family, wanted.name);
  if (!set) return fail(ENOMEM, what);
  nftnl_set_set_u32(set.get(), NFTNL_SET_ID, wanted.id);
  nftnl_set_set_u32(set.get(), NFTNL_SET_FLAGS, 0);  // no interval: the kernel picks a hash
  nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_TYPE, wanted.key_type);
  nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_LEN, wanted.key_length);
  NftBuffer buffer;
  nlmsghdr* header = buffer.begin(NFT_MSG_NEWSET, family, NLM_F_CREATE);
  nftnl_set_nlmsg_build_payload(header, set.get());
  return Message(header, std::move(what));
}

Result<Message> change_elements(int type, std::uint32_t family, const std::string& name,
                                const std::vector<NftKey>& keys) {
  std::string what = "nftables: change elements of set " + name;
  const auto set = named_set(family, name);
  if (!set) return fail(ENOMEM, what);
  if (keys.size() > kElementsPerMessage) return fail(E2BIG, what);
  for (const NftKey& key : keys) {
    nftnl_set_elem* element = nftnl_set_elem_alloc();
    if (element == nullptr) return fail(ENOMEM, what);
    nftnl_set_elem_add(set.get(), element);  // the set owns it from here
    if (nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, key.data(),
                           static_cast<std::uint32_t>(key.size())) != 0) {
      return fail(EINVAL, what);
    }
  }
  NftBuffer buffer;
  const int flags = type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0;
  nlmsghdr* header = buffer.begin(type, family, flags);
  nftnl_set_elems_nlmsg_build_payload(header, set.get());
  return Message(header, std::move(what));
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

std::vector<NftKey> parse_elements(const nlmsghdr* message) {
  std::vector<NftKey> keys;
  const Owned<nftnl_set> set(nftnl_set_alloc());
  if (!set || nftnl_set_elems_nlmsg_parse(message, set.get()) < 0) return keys;
  const auto collect = [](nftnl_set_elem* element, void* to) {
    std::uint32_t length = 0;
    const auto* first =
        static_cast<const std::uint8_t*>(nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY, &length));
    if (first != nullptr)
      static_cast<std::vector<NftKey>*>(to)->emplace_back(first, first + length);
    return 0;
  };
  nftnl_set_elem_foreach(set.get(), collect, &keys);
  return keys;
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

std::vector<Message> as_batch(std::vector<Message> messages) {
  messages.insert(messages.begin(), mark(true));
  messages.push_back(mark(false));
  return messages;
}

}  // namespace panal::netconfine
