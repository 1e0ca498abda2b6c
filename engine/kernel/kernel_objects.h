#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/tree.h"

/// Things of which the kernel allows so many on the whole machine, or to one user.
namespace panal::kernel {

struct ObjectCount {
  std::uint64_t used = 0;
  std::uint64_t limit = 0;
  std::uint64_t reserve = 0;  ///< of `limit`: not for desktops

  [[nodiscard]] bool operator==(const ObjectCount&) const = default;
};

/// Parses fs.file-nr, "1159\t0\t2466186": allocated, of these free (always 0 since Linux 2.6),
/// most. Errors: EPROTO. Kernel: Documentation/admin-guide/sysctl/fs.rst.
[[nodiscard]] Result<ObjectCount> parse_file_nr(std::string_view text);
/// Open files of all processes. Errors: ENOENT, EPROTO.
[[nodiscard]] Result<ObjectCount> read_open_files(const Tree& tree);

/// Pseudoterminals. Desktops have a devpts of their own each, so kernel.pty.reserve is not for
/// them. Errors: ENOENT, EPROTO. Kernel: Documentation/filesystems/devpts.rst.
[[nodiscard]] Result<ObjectCount> read_terminals(const Tree& tree);

/// What one user has of keys and keyrings, against that user's own quota.
struct KeyUse {
  ObjectCount keys;
  ObjectCount bytes;

  [[nodiscard]] bool operator==(const KeyUse&) const = default;
};

/// Parses /proc/key-users, lines of `    0:     9 8/8 3/1000000 40/25000000`: of `user` the last
/// two pairs. Nothing: the user has none. Errors: EPROTO. Kernel:
/// Documentation/security/keys/core.rst; proc(5).
[[nodiscard]] Result<std::optional<KeyUse>> parse_key_users(std::string_view text, uid_t user);
/// Of host root, who pays for the keyrings of containers while they are made. Errors: ENOENT on a
/// kernel without keys, and where root has none; EPROTO.
[[nodiscard]] Result<KeyUse> read_root_keys(const Tree& tree);

}  // namespace panal::kernel
