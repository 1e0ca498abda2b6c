// What the kernel lists: links, bridges with their MACs, routes, classes, queues and filters.
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "netconfine/bridge/bridge_audit.h"
#include "netconfine/link/find_link.h"
#include "netconfine/qos/tc_parse.h"
#include "netconfine/uplink/uplink_messages.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  (void)panal::netconfine::parse_link(bytes);
  (void)panal::netconfine::parse_port_mac(bytes);
  if (auto link = panal::netconfine::parse_bridge_link(bytes)) {
    panal::netconfine::BridgeState state;
    state.links.push_back(std::move(*link));
    (void)panal::netconfine::bridge_differences({}, state);
  }
  (void)panal::netconfine::parse_route(bytes);
  (void)panal::netconfine::parse_class(bytes);
  (void)panal::netconfine::parse_qdisc(bytes);
  (void)panal::netconfine::parse_filter(bytes);
  return 0;
}
