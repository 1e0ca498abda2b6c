#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace panal::storage {

/// A logical volume of a group.
struct Volume {
  std::string name;
  std::vector<std::string> tags;
};

/// What `lvs --noheadings --separator : --options lv_name,lv_tags` says, a line each:
/// "  panal-t-x:version=/a,other". Lines without a name are passed over. Errors: EPROTO past
/// 100,000 lines.
[[nodiscard]] Result<std::vector<Volume>> parse_volumes(std::string_view text);

/// Of the group. Errors: those of lvs(8).
[[nodiscard]] Result<std::vector<Volume>> list_volumes(const std::string& group);
/// Deletes "group/name", waiting for its last user for some seconds. Not there is not an error.
/// True: it was there.
[[nodiscard]] Result<bool> remove_volume(const std::string& group, const std::string& name);

}  // namespace panal::storage
