// What the kernel lists: links, routes, classes, queues and filters.
#include <cstddef>
#include <cstdint>
#include <span>

#include "netconfine/link/find_link.h"
#include "netconfine/qos/tc_parse.h"
#include "netconfine/uplink/uplink_messages.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  (void)panal::netconfine::parse_link(bytes);
  (void)panal::netconfine::parse_route(bytes);
  (void)panal::netconfine::parse_class(bytes);
  (void)panal::netconfine::parse_qdisc(bytes);
  (void)panal::netconfine::parse_filter(bytes);
  return 0;
}
