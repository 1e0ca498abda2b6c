// Frames come from hostile desktops: decode() must refuse or give a frame that encodes to itself.
#include <cstdlib>

#include "runtime/agent/protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto frame = panal::agent::decode(bytes);
  if (!frame) return 0;
  const auto again = panal::agent::encode(*frame);
  // Encoding never makes it longer: what decodes as plain is encoded plain.
  if (!again) std::abort();
  const auto back = panal::agent::decode(*again);
  if (!back || back->fields != frame->fields || back->verb != frame->verb) std::abort();
  return 0;
}
