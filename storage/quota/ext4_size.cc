#include "storage/quota/ext4_size.h"

namespace panal::storage {
namespace {

// https://docs.kernel.org/filesystems/ext4/globals.html#super-block
constexpr std::size_t kBlocksLow = 0x4;
constexpr std::size_t kLogBlockSize = 0x18;  ///< of 1024 bytes
constexpr std::size_t kMagicAt = 0x38;
constexpr std::size_t kIncompatAt = 0x60;
constexpr std::size_t kBlocksHigh = 0x150;
constexpr std::uint64_t kMagicNumber = 0xef53;
constexpr std::uint64_t k64bit = 0x80;
constexpr std::uint64_t kMostLog = 6;  ///< 64 KiB

/// Little endian.
std::uint64_t number_at(std::string_view bytes, std::size_t at, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = size; i > 0; --i)
    value = value << 8U | static_cast<unsigned char>(bytes[at + i - 1]);
  return value;
}

}  // namespace

Result<std::uint64_t> parse_ext4_size(std::string_view superblock) {
  if (superblock.size() < kExt4SuperblockBytes ||
      number_at(superblock, kMagicAt, 2) != kMagicNumber)
    return fail(EPROTO, "no ext4");
  const std::uint64_t log = number_at(superblock, kLogBlockSize, 4);
  if (log > kMostLog) return fail(EPROTO, "an ext4 with blocks of no size there is");
  std::uint64_t blocks = number_at(superblock, kBlocksLow, 4);
  if ((number_at(superblock, kIncompatAt, 4) & k64bit) != 0)
    blocks |= number_at(superblock, kBlocksHigh, 4) << 32U;
  const std::uint64_t shift = 10 + log;
  if (blocks > (~std::uint64_t{0} >> shift)) return fail(EPROTO, "an ext4 larger than there is");
  return blocks << shift;
}

}  // namespace panal::storage
