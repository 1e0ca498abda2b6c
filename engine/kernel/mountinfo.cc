#include "engine/kernel/mountinfo.h"

#include <algorithm>

#include "engine/kernel/text.h"

namespace panal::kernel {
bool MountEntry::has_super_option(std::string_view option) const {
  const auto options_list = split(super_options, ',');
  return std::find(options_list.begin(), options_list.end(), option) != options_list.end();
}

Result<std::vector<MountEntry>> parse_mountinfo(std::string_view text) {
  std::vector<MountEntry> entries;
  std::size_t number = 0;
  for (const std::string_view line : lines_of(text)) {
    ++number;
    if (line.empty()) continue;
    const auto broken = [&](std::string_view what) {
      return fail(EPROTO, "mountinfo line " + std::to_string(number) + ": " + std::string(what));
    };
    const auto fields = split(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (dash - fields.begin() < 6) return broken("fewer than six fields before the dash");
    // A source may be the empty string, and then two blanks follow each other.
    if (fields.end() - dash < 4) return broken("fewer than three fields after the dash");
    MountEntry entry;
    const auto id = parse_number(fields[0]);
    const auto parent = parse_number(fields[1]);
    if (!id || !parent || *id > INT32_MAX || *parent > INT32_MAX) return broken("bad mount id");
    entry.id = static_cast<int>(*id);
    entry.parent_id = static_cast<int>(*parent);
    entry.root = unescape(fields[3]);
    entry.mount_point = unescape(fields[4]);
    if (entry.mount_point.empty()) return broken("no mount point");
    entry.options = fields[5];
    for (auto field = fields.begin() + 6; field != dash; ++field) {
      if (!entry.propagation.empty()) entry.propagation += ' ';
      entry.propagation += *field;
    }
    entry.type = dash[1];
    entry.source = unescape(dash[2]);
    entry.super_options = dash[3];
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace panal::kernel
