#pragma once

#include <memory>
#include <string>
#include <thread>

#include "bench/density/bench_node.h"
#include "bench/density/display.h"
#include "engine/base/unique_fd.h"
#include "runtime/client/nxproxy.h"
#include "runtime/client/session.h"

namespace panal::bench {

/// The times of one connection, ms.
struct Times {
  double handshake = 0;  ///< TCP and TLS
  double accepted = 0;   ///< request to 101
  double painted = 0;    ///< request to the first painted frame; 0 when nobody looked
};

/// Carries a session until told to stop.
class Session {
 public:
  Session(client::Broker broker, client::NxProxy proxy, std::string early, UniqueFd stop_read,
          UniqueFd stop_write);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

 private:
  client::Broker broker_;
  client::NxProxy proxy_;
  UniqueFd stop_write_;
  std::thread thread_;
};

struct Opened {
  Times times;
  std::unique_ptr<Session> session;
};

/// One user's connection, with a real nxproxy where a screen is given; the picture is looked at
/// every 2 ms. Errors: EPROTO with the client's sentence; ETIMEDOUT without a picture in 30 s.
[[nodiscard]] Result<Opened> open_session(const BenchNode& node, const Account& account,
                                          const Display* screen);

}  // namespace panal::bench
