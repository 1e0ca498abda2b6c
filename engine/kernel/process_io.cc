#include "engine/kernel/process_io.h"

#include <string>

#include "engine/kernel/text.h"

namespace panal::kernel {

Result<ProcessIo> parse_process_io(std::string_view text) {
  struct Field {
    std::string_view name;
    std::uint64_t ProcessIo::* value;
    bool found = false;
  };
  Field fields[] = {{"read_bytes", &ProcessIo::read_bytes},
                    {"write_bytes", &ProcessIo::written_bytes},
                    {"cancelled_write_bytes", &ProcessIo::cancelled_bytes}};
  ProcessIo out;
  for (const std::string_view line : lines_of(text)) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos)
      return fail(EPROTO, "process io: \"" + std::string(line.substr(0, 80)) + "\"");
    for (Field& field : fields) {
      if (line.substr(0, colon) != field.name) continue;
      const auto words = words_of(line.substr(colon + 1));
      const auto number = words.size() == 1 ? parse_number(words[0]) : std::nullopt;
      if (!number || field.found)
        return fail(EPROTO, "process io: \"" + std::string(line.substr(0, 80)) + "\"");
      out.*field.value = *number;
      field.found = true;
    }
  }
  for (const Field& field : fields)
    if (!field.found) return fail(EPROTO, "process io without " + std::string(field.name));
  return out;
}

Result<ProcessIo> read_process_io(const Tree& tree, pid_t pid) {
  PANAL_ASSIGN(const std::string text, tree.proc.read(std::to_string(pid) + "/io"));
  return parse_process_io(text);
}

}  // namespace panal::kernel
