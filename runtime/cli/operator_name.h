#pragma once

#include <string>

namespace panal::cli {

/// Who gives this command, for the history of tags and the audit log: whoever ran sudo, else the
/// account's name, else "uid N". What sudo says is believed only of root, and only where it can be
/// a login name.
[[nodiscard]] std::string operator_name();

}  // namespace panal::cli
