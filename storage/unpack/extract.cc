#include "storage/unpack/extract.h"

#include <unistd.h>

#include <algorithm>

namespace panal::storage::unpack {
namespace {

Attributes attributes_of(const TarEntry& entry) {
  Attributes out;
  out.uid = static_cast<uid_t>(entry.uid);
  out.gid = static_cast<gid_t>(entry.gid);
  out.mode = static_cast<mode_t>(entry.mode);
  out.modified = entry.modified;
  return out;
}

Result<void> write_at(const UniqueFd& file, const char* bytes, std::size_t size,
                      std::uint64_t offset, const TarEntry& entry) {
  while (size > 0) {
    const ssize_t put = ::pwrite(file.get(), bytes, size, static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return failed_at("write", entry.name);
    bytes += put;
    size -= static_cast<std::size_t>(put);
    offset += static_cast<std::uint64_t>(put);
  }
  return {};
}

}  // namespace

Result<void> extract_bytes(TarStream& stream, const TarEntry& entry, const UniqueFd& file) {
  std::uint64_t end = 0;
  for (;;) {
    PANAL_ASSIGN(const auto block, stream.block());
    if (!block) break;
    if (block->size == 0) continue;
    if (block->offset > entry.size_bytes || block->size > entry.size_bytes - block->offset)
      return fail(EPROTO, shown(entry.name) + " has more bytes than its header says");
    PANAL_TRY(write_at(file, block->bytes, block->size, block->offset, entry));
    end = std::max(end, block->offset + block->size);
  }
  if (end < entry.size_bytes && ::ftruncate(file.get(), static_cast<off_t>(entry.size_bytes)) != 0)
    return failed_at("extend", entry.name);
  return {};
}

Result<void> extract_entry(TarStream& stream, const TarEntry& entry, Target& target,
                           const EntryRules& rules, Budget& budget, ExtractCounts& counts) {
  PANAL_ASSIGN(const Verdict verdict, judge(entry, rules));
  ++counts.entries;
  if (verdict.left_out) ++counts.left_out;
  switch (verdict.action) {
    case Action::kSkip: return {};
    case Action::kWhiteout: return target.whiteout(verdict.path);
    case Action::kOpaque: return target.make_opaque(verdict.path);
    case Action::kTake: break;
  }
  switch (entry.type) {
    case EntryType::kDirectory: return target.make_directory(verdict.path, attributes_of(entry));
    case EntryType::kSymlink:
      return target.make_symlink(verdict.path, entry.target, attributes_of(entry));
    case EntryType::kHardLink: return target.make_hard_link(verdict.path, verdict.link_path);
    default: break;
  }
  PANAL_TRY(budget.take_file(entry.size_bytes, shown(entry.name)));
  PANAL_ASSIGN(const UniqueFd file, target.make_file(verdict.path));
  PANAL_TRY(extract_bytes(stream, entry, file));
  return Target::seal(file, verdict.path, attributes_of(entry));
}

Result<void> extract_all(TarStream& stream, Target& target, const EntryRules& rules, Budget& budget,
                         ExtractCounts& counts) {
  for (;;) {
    PANAL_ASSIGN(const auto entry, stream.next());
    if (!entry) return {};
    PANAL_TRY(extract_entry(stream, *entry, target, rules, budget, counts));
  }
}

}  // namespace panal::storage::unpack
