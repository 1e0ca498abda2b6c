#pragma once

#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/model/usage.h"

namespace panal::kernel {

/// Parses v2's io.stat (`8:0 rbytes=1 wbytes=2 rios=3 wios=4 ...`), the sum over all devices; what
/// goes through a loop device is counted there and below it again. Errors: EPROTO.
[[nodiscard]] Result<IoStatistics> parse_io_stat(std::string_view text);

/// Parses v1's blkio.throttle tables (`8:0 Read 1`), one of bytes and one of operations; the
/// `_recursive` ones count groups below too. Errors: EPROTO.
[[nodiscard]] Result<IoStatistics> parse_blkio(std::string_view service_bytes,
                                               std::string_view serviced);

/// `group`: its directory in the hierarchy of io (v2) or blkio (v1).
/// Errors: EPROTO; ENOENT where the controller is absent.
[[nodiscard]] Result<IoStatistics> read_group_io(const Dir& group, int version);

/// v1 kernels count a device's I/O only since a limit was first set on it by any group (6.18: the
/// tables stay empty before). Sets one in `group` that no device reaches and takes it away again.
/// `device`: "major:minor" of a whole disk. Errors: EINVAL, ENODEV for another.
[[nodiscard]] Result<void> start_counting_io_v1(const Dir& group, const std::string& device);

}  // namespace panal::kernel
