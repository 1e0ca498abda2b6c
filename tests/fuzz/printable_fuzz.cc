// Everything a desktop says goes through printable() before a person, a log or JSON sees it.
#include <cstdint>
#include <cstdlib>

#include "engine/base/log.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string out = panal::printable(bytes, 1U << 20U);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto byte = static_cast<unsigned char>(out[i]);
    if (byte < 0x20 || byte == 0x7f) std::abort();
    // C1 controls in UTF-8.
    if (byte == 0xc2 && i + 1 < out.size() && static_cast<unsigned char>(out[i + 1]) < 0xa0)
      std::abort();
  }
  // What is clean stays as it is; a cut one is a beginning of the whole.
  if (panal::printable(out, 1U << 20U) != out) std::abort();
  const std::string cut = panal::printable(bytes, 40);
  if (cut.size() > 43 || (cut != out && !out.starts_with(cut.substr(0, cut.size() - 3))))
    std::abort();
  return 0;
}
