// What is read about homes and quotas: mount tables, btrfs's quota items, locks, panal-home's words
// and backups. The first byte says which.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "engine/base/unique_fd.h"
#include "storage/backup/backup.h"
#include "storage/home/home_call.h"
#include "storage/home/home_lock.h"
#include "storage/quota/ext4_size.h"
#include "storage/quota/mount_table.h"
#include "storage/quota/qgroup_items.h"
#include "tests/fuzz/texts.h"

namespace {

using panal::fuzz::require;
namespace storage = panal::storage;

void check_table(std::string_view text) {
  const auto table = storage::parse_mountinfo(text);
  if (!table) return;
  for (const auto& line : *table) {
    require(!line.point.empty() && line.point.front() == '/' && !line.type.empty());
    require(storage::is_mounted_at(*table, line.point));
    require(storage::mount_of(*table, line.point) != nullptr);
  }
}

void check_items(std::string_view text) {
  if (text.size() < 9) return;
  const auto count = static_cast<std::uint32_t>(static_cast<unsigned char>(text[0]) % 8);
  std::uint64_t group = 0;
  for (int i = 1; i <= 8; ++i)
    group = group << 8U | static_cast<unsigned char>(text[static_cast<std::size_t>(i)]);
  (void)storage::parse_qgroup_items(text.substr(9), count, group);
}

void check_lock(std::string_view text) {
  if (const auto owner = storage::parse_home_owner(text)) {
    require(owner->text() == text);
    require(text.find('/') == text.npos && text.find('\n') == text.npos);
  }
  const std::string home = storage::locked_home(text);
  if (!home.empty()) require("." + home + ".lock" == text);
}

void check_answer(std::string_view text) {
  const auto answer = storage::home_call::parse_answer(text);
  if (!answer) return;
  require(answer->at < static_cast<int>(answer->each.size()));
  for (const auto& one : answer->each)
    require(one || one.error().context.find('\n') == std::string::npos);
}

void check_texts(std::string_view text) {
  if (const auto label = storage::backup::parse_label(text))
    require(storage::backup::print_label(*label) == text);
  if (const auto sum = storage::backup::parse_sum(text)) {
    const auto again = storage::backup::parse_sum(storage::backup::print_sum(*sum));
    require(again && again->sum == sum->sum && again->bytes == sum->bytes);
  }
  if (const auto name = storage::backup::parse_entry_name(text)) {
    require(!name->starts_with('/') && !name->ends_with('/'));
    require(("/" + *name + "/").find("/../") == std::string::npos);
  }
}

/// A whole stream, only checked: nothing is written anywhere.
void check_backup(std::string_view text) {
  const panal::UniqueFd file(::memfd_create("backup", MFD_CLOEXEC));
  if (!file) return;
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return;
  (void)::lseek(file.get(), 0, SEEK_SET);
  const auto report = storage::backup::read(file.get(), -1, {std::uint64_t{64} << 20U, 10'000}, {});
  if (report) require(report->sum.size() == 64 && report->entries > 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return -1;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'm': check_table(text); break;
    case 'q': check_items(text); break;
    case 'e': (void)storage::parse_ext4_size(text); break;
    case 'l': check_lock(text); break;
    case 'a': check_answer(text); break;
    case 't': check_texts(text); break;
    case 'b': check_backup(text); break;
    default: return -1;
  }
  return 0;
}
