#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "storage/compose/backend.h"

/// What is in a desktop's upper_dir: a directory for each backend and kind, "<backend>-volatile" or
/// "<backend>-persistent" (overlay, which was first: "volatile", "persistent"), "new-XXXXXX" while
/// one is made, "trash-XXXXXX" while one is deleted. upper_dir itself is 0700: a layer may hold
/// set-uid files whose owner is the host's root, seen from outside of the mount.
namespace panal::storage {

/// mkdir(2) that is content with what is there.
[[nodiscard]] Result<void> make_directory(const std::string& path, mode_t mode);
/// upper_dir (0700) and the directory above it (0755), if absent.
[[nodiscard]] Result<void> make_upper_dir(const std::string& upper_dir);

/// A small file that appears whole; no power failure takes it back. Errors: ENOSPC, EIO, ...
[[nodiscard]] Result<void> write_note(const std::string& path, std::string_view text);

/// "copy-volatile"; for overlay "volatile".
[[nodiscard]] std::string layer_name(std::string_view backend, bool persistent);
/// The backend that a persistent layer below `upper_dir` is of, "" when there is none: what
/// note_persistent_backend() wrote, else by the names there (which cannot be seen where the layer
/// has a file system of its own that is not mounted).
[[nodiscard]] std::string persistent_backend(const std::string& upper_dir);
/// Writes it down beside upper_dir, in "kept-by"; the directory above is made if absent.
[[nodiscard]] Result<void> note_persistent_backend(const std::string& upper_dir,
                                                   std::string_view backend);
/// Takes that back. Nothing there is not an error.
[[nodiscard]] Result<void> forget_persistent_backend(const std::string& upper_dir);

/// Deletes `name` below `upper_dir`, renamed first: whatever happens to the deletion, no start sees
/// half of a layer. Nothing there is not an error. True: there was something.
[[nodiscard]] Result<bool> discard_layer(const std::string& upper_dir, const std::string& name);
/// Deletes what is half deleted or half made. Nothing may be mounted in it. How many there were.
[[nodiscard]] Result<std::uint32_t> empty_trash(const std::string& upper_dir);
/// A new directory below `upper_dir` that empty_trash() deletes until it is renamed.
[[nodiscard]] Result<std::string> new_aside(const std::string& upper_dir);

/// Writes out all of the file system that `path` is on (syncfs(2)). Errors: EIO, ENOSPC.
[[nodiscard]] Result<void> sync_around(const std::string& path);

/// Of all that is below `path`; nothing there is no usage.
[[nodiscard]] Result<RootUsage> usage_of_tree(const std::string& path);

/// Whether something is mounted at `path`, without asking the file system (a dead FUSE daemon does
/// not answer). No such path: no.
[[nodiscard]] Result<bool> is_mounted_at(const std::string& path);
/// Unmounts all that is mounted on `path`, one on the other, with what is mounted inside. How many;
/// no such path: none.
[[nodiscard]] Result<std::uint32_t> detach_all(const std::string& path);

/// EBUSY "compose: ... is mounted already" when something is mounted at the spec's mount point.
[[nodiscard]] Result<void> expect_unmounted(const RootSpec& spec);
/// ENOENT with what to do when the version's tree, or a layer, is not there.
[[nodiscard]] Result<void> expect_trees(const RootSpec& spec);
/// EOPNOTSUPP when the spec wants what `traits` has not.
[[nodiscard]] Result<void> expect_possible(std::string_view backend, const BackendTraits& traits,
                                           const RootSpec& spec);

/// EINVAL unless the spec has the desktop's name, as a file name: for backends that call by it what
/// they keep elsewhere, and would otherwise take a directory of all for one's own.
[[nodiscard]] Result<void> expect_named(std::string_view backend, const RootSpec& spec);

/// Calls `one` with the spec (desktop, upper_dir, mount_point) of each desktop in the scope that
/// does not run; what goes wrong for one goes to `problems`.
[[nodiscard]] Result<void> for_each_resting(const RecoverScope& scope, Recovered& recovered,
                                            const std::function<Result<void>(RootSpec)>& one);

}  // namespace panal::storage
