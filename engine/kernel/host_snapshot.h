#pragma once

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/kernel/ksm.h"
#include "engine/model/snapshot.h"

namespace panal::kernel {

/// The host's part of a snapshot, at the present time; `groups` is left empty. `ksmd` may be null.
/// Some 25 reads. What the kernel lacks (KSM, pressure, swap, times of tasks) is absent or empty.
/// Errors: EPROTO; those of the files every kernel has.
[[nodiscard]] Result<Snapshot> read_host_snapshot(const Tree& tree, const Ksmd* ksmd);

}  // namespace panal::kernel
