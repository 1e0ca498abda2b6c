// What a server may make the client parse: response heads, lengths, the desktop list.
#include <cstddef>
#include <cstdint>
#include <string>

#include "runtime/client/broker.h"
#include "runtime/client/http.h"
#include "runtime/client/session.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  std::string buffer = text;
  while (true) {
    const std::size_t before = buffer.size();
    auto head = panal::client::take_head(buffer);
    if (!head || !*head) break;
    if (buffer.size() >= before) __builtin_trap();
    (void)panal::client::body_length(**head);
  }
  (void)panal::client::parse_list(text);
  (void)panal::client::parse_server(text);
  (void)panal::client::keyboard_of_query(text);
  return 0;
}
