#pragma once

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal::netconfine {

/// A descriptor that becomes readable when somebody changes nftables' rules in the network
/// namespace of the calling thread. Non-blocking. Kernel: NFNLGRP_NFTABLES.
/// Errors: those of socket(2) and bind(2).
[[nodiscard]] Result<UniqueFd> open_nft_events();
/// Reads such a descriptor empty.
void forget_nft_events(int events);

}  // namespace panal::netconfine
