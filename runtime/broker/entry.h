#pragma once

#include <memory>
#include <string>

#include "runtime/broker/node.h"
#include "runtime/broker/services.h"
#include "runtime/broker/stream.h"

namespace panal::broker {

/// What is known of a connect once its 101 is out.
struct Admission {
  store::Desktop desktop;
  std::string user;     ///< login@tenant
  std::string address;  ///< the client's
  std::string client;   ///< its User-Agent
  Attached attached;
};

/// Between 101 and the tunnel: reads the client's greeting, and only when it is one, and its cookie
/// right (or put in), asks the node for the agent's socket and starts the tunnel. Anything else
/// closes the connection without a byte having reached the agent. `bytes`: what the client had
/// already sent.
void enter(Services& services, std::unique_ptr<Stream> client, std::unique_ptr<NodeCall> node,
           Admission admission, std::string bytes);

}  // namespace panal::broker
