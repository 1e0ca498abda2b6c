#include "engine/kernel/cgroup_stat.h"

#include "engine/kernel/text.h"

namespace panal::kernel {
namespace {

using Table = std::unordered_map<std::string, std::uint64_t>;

std::optional<std::uint64_t> look_up(const Table& table, const char* key) {
  const auto found = table.find(key);
  if (found == table.end()) return std::nullopt;
  return found->second;
}

Result<Table> read_table(const Dir& dir, const std::string& file) {
  PANAL_ASSIGN(const std::string text, dir.read(file));
  auto table = parse_flat_keyed(text);
  if (!table) return prefixed(dir.path() + "/" + file, std::move(table.error()));
  return table;
}

}  // namespace

Result<Table> parse_flat_keyed(std::string_view text) {
  Table table;
  for (const std::string_view line : lines_of(text)) {
    if (line.empty()) continue;
    const auto words = words_of(line);
    const auto value = words.size() == 2 ? parse_number(words[1]) : std::nullopt;
    if (!value) return fail(EPROTO, "a line is not a name and a number");
    table.insert_or_assign(std::string(words[0]), *value);
  }
  return table;
}

Result<std::uint64_t> read_number(const Dir& dir, const std::string& file) {
  PANAL_ASSIGN(const std::string text, dir.read(file));
  const auto words = words_of(text);
  if (words.size() == 1 && words[0] == "max") return UINT64_MAX;
  const auto value = words.size() == 1 ? parse_number(words[0]) : std::nullopt;
  if (!value) return fail(EPROTO, "read " + dir.path() + "/" + file + ": not one number");
  return *value;
}

Result<void> read_memory(const Dir& group, int version, CgroupStatistics& into) {
  PANAL_ASSIGN(const Table stat, read_table(group, "memory.stat"));
  if (version == 2) {
    PANAL_ASSIGN(into.memory_bytes, read_number(group, "memory.current"));
    into.anon_bytes = look_up(stat, "anon");
    into.file_bytes = look_up(stat, "file");
    into.kernel_bytes = look_up(stat, "kernel");
    // Absent on a kernel without swap.
    if (auto swap = read_number(group, "memory.swap.current")) into.swap_bytes = *swap;
    PANAL_ASSIGN(const Table events, read_table(group, "memory.events"));
    into.oom_kills = look_up(events, "oom_kill");
    return {};
  }
  PANAL_ASSIGN(into.memory_bytes, read_number(group, "memory.usage_in_bytes"));
  // v1 has both: the group alone and, with total_, those below it too.
  into.anon_bytes = look_up(stat, "total_rss");
  into.file_bytes = look_up(stat, "total_cache");
  into.swap_bytes = look_up(stat, "total_swap");
  if (auto kernel = read_number(group, "memory.kmem.usage_in_bytes")) into.kernel_bytes = *kernel;
  PANAL_ASSIGN(const Table oom, read_table(group, "memory.oom_control"));
  into.oom_kills = look_up(oom, "oom_kill");
  return {};
}

Result<void> read_cpu(const Dir& group, int version, CgroupStatistics& into) {
  if (version == 1) {
    PANAL_ASSIGN(into.cpu_ns, read_number(group, "cpuacct.usage"));
    return {};
  }
  PANAL_ASSIGN(const Table stat, read_table(group, "cpu.stat"));
  if (const auto usage = look_up(stat, "usage_usec")) into.cpu_ns = *usage * 1000;
  return {};
}

}  // namespace panal::kernel
