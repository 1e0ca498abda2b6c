#pragma once

#include "runtime/broker/http/request.h"
#include "runtime/broker/node.h"

namespace panal::broker {

/// What a connect_to_vm request asks for, in the order QVD checks it: id there (422), only id,
/// qvd.client.* and custom.* as keys (403), then our own bounds on the values that reach an agent
/// (422). Parameters that are for functions not built yet (printing, audio...) are accepted.
[[nodiscard]] Answer<AttachRequest> read_connect_query(const http::Query& query);

/// The desktop's number alone (stop_vm). 422 when it is absent or no number.
[[nodiscard]] Answer<DesktopId> read_id(const http::Query& query);

}  // namespace panal::broker
