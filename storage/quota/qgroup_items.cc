#include "storage/quota/qgroup_items.h"

#include <endian.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>

#include <cstring>

namespace panal::storage {
namespace {

/// Copies a structure off the front; the kernel packs them without alignment.
template <typename Item>
bool take_item(std::string_view& bytes, Item& out) {
  if (bytes.size() < sizeof out) return false;
  std::memcpy(&out, bytes.data(), sizeof out);
  bytes.remove_prefix(sizeof out);
  return true;
}

}  // namespace

Result<QgroupNumbers> parse_qgroup_items(std::string_view bytes, std::uint32_t count,
                                         std::uint64_t group) {
  QgroupNumbers numbers;
  bool counted = false;
  for (std::uint32_t i = 0; i < count; ++i) {
    btrfs_ioctl_search_header header{};
    if (!take_item(bytes, header) || header.len > bytes.size())
      return fail(EPROTO, "btrfs quota tree: item " + std::to_string(i) + " is cut");
    std::string_view content = bytes.substr(0, header.len);
    bytes.remove_prefix(header.len);
    if (header.offset != group) continue;
    if (header.type == BTRFS_QGROUP_INFO_KEY) {
      btrfs_qgroup_info_item info{};
      if (!take_item(content, info)) return fail(EPROTO, "btrfs quota tree: a short info item");
      numbers.referenced_bytes = le64toh(info.rfer);
      counted = true;
    } else if (header.type == BTRFS_QGROUP_LIMIT_KEY) {
      btrfs_qgroup_limit_item limit{};
      if (!take_item(content, limit)) return fail(EPROTO, "btrfs quota tree: a short limit item");
      if ((le64toh(limit.flags) & BTRFS_QGROUP_LIMIT_MAX_RFER) != 0)
        numbers.limit_bytes = le64toh(limit.max_rfer);
    }
  }
  if (!counted)
    return fail(EPROTO, "btrfs quota tree: group " + std::to_string(group) + " is not in it");
  return numbers;
}

}  // namespace panal::storage
