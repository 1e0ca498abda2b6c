#include "netconfine/firewall/choice/leftovers.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "netconfine/netlink/socket.h"

namespace panal::netconfine {
namespace {

Message netfilter_message(int type, std::uint8_t family, std::uint16_t resource,
                          const char* table) {
  std::array<char, 256> bytes{};
  nlmsghdr* header = mnl_nlmsg_put_header(bytes.data());
  header->nlmsg_type = static_cast<std::uint16_t>(type);
  header->nlmsg_flags = NLM_F_REQUEST;
  auto* netfilter = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
  netfilter->nfgen_family = family;
  netfilter->version = NFNETLINK_V0;
  netfilter->res_id = htons(resource);
  std::string what = "nftables: end of batch";
  if (table != nullptr) {
    mnl_attr_put_strz(header, NFTA_TABLE_NAME, table);
    what = std::string("nftables: delete table ") + table;
  }
  return {header, std::move(what)};
}

Message mark(int type) {
  auto message = netfilter_message(type, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, nullptr);
  message.mark = true;
  return message;
}

}  // namespace

Result<void> clear_nftables() {
  PANAL_ASSIGN(auto socket, NetlinkSocket::open(NETLINK_NETFILTER));
  // A batch is all or nothing, so each has one of its own.
  for (const auto& [family, table] : {std::pair{NFPROTO_INET, "panal"},
                                      {NFPROTO_ARP, "panal"},
                                      {NFPROTO_BRIDGE, "panal"},
                                      {NFPROTO_INET, "panal_cut"},
                                      {NFPROTO_BRIDGE, "panal_cut"}}) {
    std::vector<Message> messages;
    messages.push_back(mark(NFNL_MSG_BATCH_BEGIN));
    messages.push_back(netfilter_message(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELTABLE,
                                         static_cast<std::uint8_t>(family), 0, table));
    messages.push_back(mark(NFNL_MSG_BATCH_END));
    const auto deleted = socket.transact(std::move(messages));
    if (deleted || deleted.error().is_gone()) continue;
    // A kernel without nftables, or without it for this family.
    if (deleted.error().is_unsupported() || deleted.error().code == EINVAL) continue;
    return deleted;
  }
  return {};
}

}  // namespace panal::netconfine
