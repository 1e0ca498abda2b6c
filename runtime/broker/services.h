#pragma once

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/base/log.h"
#include "runtime/broker/archive_door.h"
#include "runtime/broker/authenticator.h"
#include "runtime/broker/desktop_watch.h"
#include "runtime/broker/directory.h"
#include "runtime/broker/flow_reports.h"
#include "runtime/broker/node.h"
#include "runtime/loop/loop.h"

namespace panal::broker {

/// Anything that holds a client's connection and can be told to end it.
class Connection {
 public:
  virtual ~Connection() = default;
  /// Ends it now; it takes itself out of the registry.
  virtual void close() = 0;
};

/// All connections of a worker; keeps them alive.
class Registry {
 public:
  void add(const std::shared_ptr<Connection>& connection) { all_.insert(connection); }
  void remove(const std::shared_ptr<Connection>& connection) { all_.erase(connection); }
  [[nodiscard]] std::size_t count() const { return all_.size(); }
  void close_all() {
    const auto all = all_;
    for (const auto& connection : all) connection->close();
  }

 private:
  std::set<std::shared_ptr<Connection>> all_;
};

struct Timing {
  std::chrono::milliseconds head{15000};        ///< TLS handshake and first head; each later head
  std::chrono::milliseconds idle{60000};        ///< between requests
  std::chrono::milliseconds logged_in{900000};  ///< the same, once logged in (the user chooses)
  std::chrono::milliseconds greeting{10000};
  std::chrono::milliseconds start{270000};       ///< until a desktop runs, or stands still
  std::chrono::milliseconds poll{2000};          ///< of a desktop's row, beside notifications
  std::chrono::milliseconds progress{4000};      ///< at most so long without a 102
  std::chrono::milliseconds attach{60000};       ///< without a word from the node
  std::chrono::milliseconds flush{60000};        ///< until an answer is taken
  std::chrono::milliseconds half_closed{60000};  ///< a half-closed tunnel without a byte
  std::chrono::milliseconds flow{10000};         ///< between two reports of what flows
};

/// What a worker's connections share. All of it outlives them.
struct Services {
  loop::Loop& loop;
  LoggerPtr log;
  Authenticator& authenticator;
  Directory& directory;
  DesktopWatch& watch;
  NodePort& node;
  Registry& registry;
  Timing timing{};
  /// Read into by everybody, kept by nobody: idle connections own no buffer.
  std::vector<char> scratch = std::vector<char>(std::size_t{32} << 10U);
  FlowReports flows{loop, node, timing.flow};
  const ArchiveDoor* archive = nullptr;  ///< images for nodes; null: none are published
};

}  // namespace panal::broker
