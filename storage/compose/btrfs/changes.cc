#include "storage/compose/btrfs/changes.h"

#include <btrfsutil.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <limits>
#include <vector>

#include "engine/base/unique_fd.h"

namespace panal::storage {
namespace {

constexpr std::size_t kPageBytes = std::size_t{64} << 10U;
constexpr std::uint64_t kLastKey = std::numeric_limits<std::uint64_t>::max();

/// Little-endian on disk, and so on every machine Panal runs on.
std::uint64_t number_at(std::string_view item, std::size_t offset) {
  std::uint64_t value = 0;
  std::memcpy(&value, item.data() + offset, sizeof value);
  return value;
}

Result<void> add_item(std::string_view item, std::uint32_t type, std::uint64_t since,
                      RootUsage& sum) {
  if (type == BTRFS_INODE_ITEM_KEY) {
    if (item.size() < sizeof(btrfs_inode_item)) return fail(EPROTO, "btrfs: a short inode item");
    if (number_at(item, offsetof(btrfs_inode_item, generation)) > since) ++sum.inodes;
    return {};
  }
  if (type != BTRFS_EXTENT_DATA_KEY) return {};
  // An inline extent's data begin where others' place on disk stands.
  constexpr std::size_t kHead = offsetof(btrfs_file_extent_item, disk_bytenr);
  if (item.size() < kHead) return fail(EPROTO, "btrfs: a short extent item");
  if (number_at(item, offsetof(btrfs_file_extent_item, generation)) <= since) return {};
  const auto kind = static_cast<unsigned char>(item[offsetof(btrfs_file_extent_item, type)]);
  if (kind == BTRFS_FILE_EXTENT_INLINE) {
    sum.bytes += number_at(item, offsetof(btrfs_file_extent_item, ram_bytes));
    return {};
  }
  if (item.size() < sizeof(btrfs_file_extent_item))
    return fail(EPROTO, "btrfs: a short extent item");
  // No place on disk: a hole.
  if (number_at(item, kHead) != 0)
    sum.bytes += number_at(item, offsetof(btrfs_file_extent_item, num_bytes));
  return {};
}

}  // namespace

Result<SearchPage> parse_search_page(std::string_view bytes, std::uint32_t items,
                                     std::uint64_t since) {
  SearchPage page;
  for (std::uint32_t i = 0; i < items; ++i) {
    btrfs_ioctl_search_header header{};
    if (bytes.size() < sizeof header) return fail(EPROTO, "btrfs: a search result ends early");
    std::memcpy(&header, bytes.data(), sizeof header);
    bytes.remove_prefix(sizeof header);
    if (bytes.size() < header.len) return fail(EPROTO, "btrfs: a search result ends early");
    PANAL_TRY(add_item(bytes.substr(0, header.len), header.type, since, page.changed));
    bytes.remove_prefix(header.len);
    page.objectid = header.objectid;
    page.type = header.type;
    page.offset = header.offset;
  }
  return page;
}

Result<RootUsage> changes_of_snapshot(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno("open", path);
  struct btrfs_util_subvolume_info info{};  // a function has the same name
  if (const auto error = btrfs_util_subvolume_info_fd(fd.get(), 0, &info); error != BTRFS_UTIL_OK)
    return fail(errno != 0 ? errno : EIO,
                "look at the snapshot " + path + ": " + btrfs_util_strerror(error));

  constexpr std::size_t kHead = sizeof(btrfs_ioctl_search_args_v2);
  std::vector<std::uint64_t> memory((kHead + kPageBytes) / sizeof(std::uint64_t));
  auto* arguments = reinterpret_cast<btrfs_ioctl_search_args_v2*>(memory.data());
  btrfs_ioctl_search_key& key = arguments->key;
  key.tree_id = 0;  // the subvolume that fd is in
  key.min_objectid = BTRFS_FIRST_FREE_OBJECTID;
  key.max_objectid = BTRFS_LAST_FREE_OBJECTID;
  key.max_type = std::numeric_limits<std::uint32_t>::max();
  key.max_offset = kLastKey;
  key.min_transid = info.otransid + 1;
  key.max_transid = kLastKey;
  RootUsage sum;
  for (;;) {
    key.nr_items = std::numeric_limits<std::uint32_t>::max();
    arguments->buf_size = kPageBytes;
    if (::ioctl(fd.get(), BTRFS_IOC_TREE_SEARCH_V2, arguments) != 0)
      return fail_errno("search in the snapshot", path);
    if (key.nr_items == 0) return sum;
    const std::string_view bytes(reinterpret_cast<const char*>(memory.data()) + kHead, kPageBytes);
    PANAL_ASSIGN(const SearchPage page, parse_search_page(bytes, key.nr_items, info.otransid));
    sum.bytes += page.changed.bytes;
    sum.inodes += page.changed.inodes;
    // On from the item after the last one.
    key.min_objectid = page.objectid;
    key.min_type = page.type;
    key.min_offset = page.offset + 1;
    if (page.offset == kLastKey) {
      key.min_offset = 0;
      if (++key.min_type == 0) ++key.min_objectid;
    }
  }
}

}  // namespace panal::storage
