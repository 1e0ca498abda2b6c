#pragma once

#include <string>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "runtime/agent/user.h"

namespace panal::agent {

/// While it lives, files are opened and made with the user's rights and owner (setfsuid(2)):
/// whatever links the user has laid in their own directories, root is not led by them.
class AsUser {
 public:
  explicit AsUser(const User& user);
  AsUser(const AsUser&) = delete;
  AsUser& operator=(const AsUser&) = delete;
  ~AsUser();
};

/// Makes the image's root a place the user can work in: passwd, group, host name, time zone,
/// home (from /etc/skel when it is empty), runtime directory, X's socket directory, a place for
/// compiled keymaps. `root` is put in front of all paths ("" in a desktop). Idempotent.
///
/// Fails only for what no session can do without; the rest is logged.
[[nodiscard]] Result<void> prepare_user(const User& user, const std::string& root);

/// Replaces a file whole: temporary name beside it, then rename. Errors: those of open(2).
[[nodiscard]] Result<void> replace_file(const std::string& path, std::string_view text,
                                        unsigned mode, std::uint32_t uid, std::uint32_t gid);
/// mkdir -p, root's; an existing last part keeps its mode. Errors: those of mkdir(2).
[[nodiscard]] Result<void> make_directories(const std::string& path);
/// Errors: those of open(2); EFBIG past 1 MiB.
[[nodiscard]] Result<std::string> read_file(const std::string& path);

}  // namespace panal::agent
