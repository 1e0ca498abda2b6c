#include "engine/kernel/io_stat.h"

#include "engine/kernel/text.h"

namespace panal::kernel {
namespace {

// Adds the "Read" and "Write" lines of one blkio table; the sums it also prints are skipped.
bool add_blkio(std::string_view table, std::uint64_t& read, std::uint64_t& written) {
  for (const std::string_view line : lines_of(table)) {
    const auto words = words_of(line);
    if (words.empty() || words[0] == "Total") continue;
    if (words.size() != 3 || words[0].find(':') == std::string_view::npos) return false;
    const auto value = parse_number(words[2]);
    if (!value) return false;
    if (words[1] == "Read") read += *value;
    if (words[1] == "Write") written += *value;
  }
  return true;
}

}  // namespace

Result<IoStatistics> parse_io_stat(std::string_view text) {
  IoStatistics io;
  for (const std::string_view line : lines_of(text)) {
    const auto words = words_of(line);
    if (words.empty()) continue;
    if (words[0].find(':') == std::string_view::npos)
      return fail(EPROTO, "io.stat: a line without a device");
    for (std::size_t i = 1; i < words.size(); ++i) {
      const std::size_t equals = words[i].find('=');
      if (equals == std::string_view::npos) return fail(EPROTO, "io.stat: a word without '='");
      const std::string_view key = words[i].substr(0, equals);
      std::uint64_t IoStatistics::* member = nullptr;
      if (key == "rbytes") member = &IoStatistics::read_bytes;
      if (key == "wbytes") member = &IoStatistics::written_bytes;
      if (key == "rios") member = &IoStatistics::reads;
      if (key == "wios") member = &IoStatistics::writes;
      if (member == nullptr) continue;
      const auto value = parse_number(words[i].substr(equals + 1));
      if (!value) return fail(EPROTO, "io.stat: bad value of " + std::string(key));
      io.*member += *value;
    }
  }
  return io;
}

Result<IoStatistics> parse_blkio(std::string_view service_bytes, std::string_view serviced) {
  IoStatistics io;
  if (!add_blkio(service_bytes, io.read_bytes, io.written_bytes) ||
      !add_blkio(serviced, io.reads, io.writes))
    return fail(EPROTO, "blkio: a line is not a device, an operation and a number");
  return io;
}

Result<IoStatistics> read_group_io(const Dir& group, int version) {
  if (version == 2) {
    PANAL_ASSIGN(const std::string text, group.read("io.stat"));
    return parse_io_stat(text);
  }
  PANAL_ASSIGN(const std::string bytes, group.read("blkio.throttle.io_service_bytes_recursive"));
  PANAL_ASSIGN(const std::string operations, group.read("blkio.throttle.io_serviced_recursive"));
  return parse_blkio(bytes, operations);
}

Result<void> start_counting_io_v1(const Dir& group, const std::string& device) {
  constexpr const char* kLimit = "blkio.throttle.read_bps_device";
  PANAL_TRY(group.write(kLimit, device + " 1000000000000"));
  return group.write(kLimit, device + " 0");
}

}  // namespace panal::kernel
