// panal.toml and sizes in it: what is accepted must say the same when it is printed and read again.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "runtime/config/config.h"
#include "runtime/config/schema.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace panal::config;
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (const auto config = parse(text, "fuzz.toml")) {
    const std::string printed = print(*config);
    const auto again = parse(printed, "printed.toml");
    if (!again || print(*again) != printed) std::abort();
  }
  if (const auto bytes = parse_size(text)) {
    const auto again = parse_size(format_size(*bytes));
    if (!again || *again != *bytes) std::abort();
  }
  return 0;
}
