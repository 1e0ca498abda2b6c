#include <cstddef>
#include <cstdint>
#include <span>

#include "netconfine/netlink/ack.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  (void)panal::netconfine::parse_acks(std::as_bytes(std::span(data, size)));
  return 0;
}
