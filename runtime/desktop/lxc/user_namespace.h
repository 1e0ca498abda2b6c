#pragma once

#include <sys/types.h>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "engine/model/ids.h"

namespace panal::desktop::lxc {

/// A new user namespace whose ids 0..count-1 are `ids` on the host, held by descriptor.
///
/// It is made by a child that has become user `ids.first` first: the kernel charges what is counted
/// per user (inotify instances and watches, keys, user namespaces, locked memory) to a namespace's
/// maker as well, and a maker that is host root would have all desktops share host root's limits
/// (kernel/ucount.c). Needs CAP_SETUID, CAP_SETGID and CAP_SYS_ADMIN. Call it single-threaded.
[[nodiscard]] Result<UniqueFd> make_user_namespace(IdRange ids);

/// For a child just forked by `parent`: from here on it ends when that does, or now if it has ended
/// already. A change of the ids afterwards undoes it (prctl PR_SET_PDEATHSIG).
void end_with_parent(pid_t parent);

}  // namespace panal::desktop::lxc
