#pragma once

#include <string>
#include <string_view>

namespace panal::storage {

/// A file name for what is made once of a version: the readable end of the tree's path and a number
/// of the whole of it, "icewm+2026.11.23-1+root-0123456789abcdef"; at most 80 bytes of a-z, A-Z,
/// 0-9, '.', '-', '_' and '+', not beginning with '.' or '-'. Two paths never have one in practice.
[[nodiscard]] std::string template_key(std::string_view version_root);

}  // namespace panal::storage
