#pragma once

#include <memory>
#include <optional>

#include "engine/base/log.h"
#include "netconfine/address/address_pool.h"
#include "netconfine/log/packet_log.h"
#include "runtime/config/config.h"
#include "runtime/loop/loop.h"
#include "runtime/node/net_tally.h"

namespace panal::node {

/// Writes what policies with `log` have noted to panald's log, a line a packet: verdict, policy,
/// desktop, addresses. The rules themselves bound how much that is (5 a second and desktop).
/// On the loop's thread.
class PacketLogReader {
 public:
  /// Errors: EPROTONOSUPPORT, the kernel has no such log; EBUSY, somebody else reads it.
  [[nodiscard]] static Result<std::unique_ptr<PacketLogReader>> open(loop::Loop& loop,
                                                                     const config::Config& config,
                                                                     NetTally& tally,
                                                                     LoggerPtr log);

 private:
  PacketLogReader(loop::Loop& loop, netconfine::PacketLog packets, UniqueFd watched,
                  netconfine::AddressPool pool, NetTally& tally, LoggerPtr log)
      : packets_(std::move(packets)),
        ready_(loop, std::move(watched)),
        pool_(pool),
        tally_(tally),
        log_(std::move(log)) {}
  void wait();
  void read();
  void write(const netconfine::LoggedPacket& packet);

  netconfine::PacketLog packets_;
  loop::Descriptor ready_;  ///< a duplicate of its descriptor
  netconfine::AddressPool pool_;
  NetTally& tally_;
  LoggerPtr log_;
};

}  // namespace panal::node
