#pragma once

#include <memory>
#include <string>

#include "runtime/broker/services.h"
#include "runtime/broker/stream.h"

namespace panal::broker {

/// Serves HTTP/1.1 on one connection (docs/broker.md lists the requests) until it closes or becomes
/// a tunnel. `address`: the client's, for limits, logs and rows. It lives in the registry.
void serve_http(Services& services, std::unique_ptr<Stream> stream, std::string address);

}  // namespace panal::broker
