#include "runtime/node/packet_log_reader.h"

#include <utility>

#include "engine/kernel/namespaces.h"
#include "netconfine/netlink/enter.h"

namespace panal::node {
namespace {

/// "panal denied office" -> {"denied", "office"}; both may be empty.
std::pair<std::string, std::string> verdict_and_policy(const std::string& prefix) {
  const auto first = prefix.find(' ');
  if (first == std::string::npos) return {};
  const auto second = prefix.find(' ', first + 1);
  const std::string verdict = prefix.substr(first + 1, second - first - 1);
  return {verdict, second == std::string::npos ? std::string() : prefix.substr(second + 1)};
}

}  // namespace

Result<std::unique_ptr<PacketLogReader>> PacketLogReader::open(loop::Loop& loop,
                                                               const config::Config& config,
                                                               NetTally& tally, LoggerPtr log) {
  PANAL_ASSIGN(const auto pool, netconfine::AddressPool::parse(config.subnet4, config.subnet6));
  PANAL_ASSIGN(const UniqueFd panal, kernel::open_namespace(config.net_namespace_file()));
  std::optional<netconfine::PacketLog> packets;
  PANAL_TRY(netconfine::run_inside(panal, [&packets]() -> Result<void> {
    PANAL_ASSIGN(packets, netconfine::PacketLog::open());
    return {};
  }));
  PANAL_ASSIGN(UniqueFd watched, packets->duplicate());
  std::unique_ptr<PacketLogReader> reader(new PacketLogReader(
      loop, std::move(*packets), std::move(watched), pool, tally, std::move(log)));
  loop.post([self = reader.get()] { self->wait(); });
  return reader;
}

void PacketLogReader::wait() {
  ready_.wait(loop::Ready::kReadable, [this] { read(); });
}

void PacketLogReader::read() {
  const auto packets = packets_.read();
  if (!packets) {
    // Not asked again: a socket that fails once would do so without end.
    log_->error("network_log", {{"why", packets.error().message()}});
    return;
  }
  for (const netconfine::LoggedPacket& packet : *packets) write(packet);
  tally_.log_lost(packets_.lost());
  wait();
}

void PacketLogReader::write(const netconfine::LoggedPacket& packet) {
  const auto [verdict, policy] = verdict_and_policy(packet.prefix);
  tally_.logged(verdict == "allowed" ? "allowed" : "denied");
  const DesktopId from = pool_.id_of(packet.from), to = pool_.id_of(packet.to);
  log_->info("network_packet", {{"verdict", verdict},
                                {"policy", policy},
                                {"desktop", kernel_name(from != 0 ? from : to)},
                                {"from", packet.from},
                                {"from_port", std::to_string(packet.from_port)},
                                {"to", packet.to},
                                {"to_port", std::to_string(packet.to_port)},
                                {"protocol", std::to_string(packet.protocol)}});
}

}  // namespace panal::node
