// What the kernel writes of its tables and connections, read back.
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "netconfine/firewall/nft/conntrack.h"
#include "netconfine/firewall/nft/snapshot.h"
#include "netconfine/log/packet_log.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace panal::netconfine;
  // One message: type, family, attributes. Its length is true and of whole words, as the kernel's
  // messages are (and libmnl expects).
  if (size < 2) return 0;
  std::vector<std::uint8_t> bytes(NLMSG_ALIGN(sizeof(nlmsghdr) + sizeof(nfgenmsg) + size - 2));
  std::memcpy(bytes.data() + sizeof(nlmsghdr) + sizeof(nfgenmsg), data + 2, size - 2);
  auto* header = reinterpret_cast<nlmsghdr*>(bytes.data());
  header->nlmsg_len = static_cast<std::uint32_t>(bytes.size());
  header->nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | data[0]);
  reinterpret_cast<nfgenmsg*>(header + 1)->nfgen_family = data[1];
  NftSnapshot snapshot;
  (void)add_to_snapshot(header, snapshot);
  (void)differences(snapshot, NftSnapshot{}, true);
  (void)foreign_tables(snapshot);
  (void)parse_generation(header);
  (void)parse_connection(header);
  (void)parse_logged(header);
  return 0;
}
