/// What iptables' programs, ipset and the kernel's connection tracking answer. Tables that are read
/// are written and read again the same; an error is one line.
#include <linux/netlink.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "netconfine/conntrack/connections.h"
#include "netconfine/firewall/iptables/program.h"
#include "netconfine/firewall/iptables/sets.h"
#include "netconfine/firewall/iptables/tables.h"

using namespace panal::netconfine;

namespace {

void must(bool good) {
  if (!good) std::abort();
}

void read_tables(const std::string& text) {
  const auto saved = parse_saved(text);
  if (!saved) {
    must(saved.error().context.find('\n') == std::string::npos);
    return;
  }
  must(compare_tables("ip", saved->tables, saved->tables).empty());
  must(changing_text(saved->tables, saved->tables).empty());
  const auto again = parse_saved(replacing_text(saved->tables));
  must(again.has_value() && again->tables == saved->tables);
  std::map<std::string, DropCounter> drops;
  add_drops(saved->counts, drops);
}

void read_connection(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint8_t> bytes(sizeof(nlmsghdr) + size);
  nlmsghdr header{};
  header.nlmsg_len = static_cast<std::uint32_t>(bytes.size());
  std::memcpy(bytes.data(), &header, sizeof(header));
  if (size > 0) std::memcpy(bytes.data() + sizeof(header), data, size);
  const auto connection = parse_tracked(reinterpret_cast<const nlmsghdr*>(bytes.data()));
  if (connection) must(connection->key.size() % 4 == 0 && !connection->key.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  read_tables(text);
  if (const auto sets = parse_saved_sets(text)) must(compare_sets(*sets, *sets).empty());
  const auto error = failure_of({"/usr/sbin/iptables-restore", {}}, text, {1, {}, text});
  must(error.code != 0 && error.context.find('\n') == std::string::npos);
  read_connection(data, size);
  return 0;
}
