// The greeting comes from the client's nxproxy or from whoever pretends to be one.
#include <cstdint>
#include <cstdlib>

#include "runtime/broker/greeting.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace panal::broker;
  static const std::string kCookie = "0123456789abcdef0123456789abcdef";
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Greeting greeting;
  const GreetingState state = parse_greeting(bytes, greeting);
  if (state == GreetingState::kMore && size >= kGreetingBytes) std::abort();
  if (state != GreetingState::kDone) return 0;
  if (greeting.bytes > size || greeting.bytes > kGreetingBytes) std::abort();
  const auto admitted = admit_greeting(bytes, greeting, kCookie);
  if (!admitted) return 0;
  // What the agent is told always carries exactly the cookie of this attach.
  Greeting again;
  const bool fits = admitted->size() <= kGreetingBytes;
  if (fits && parse_greeting(*admitted, again) != GreetingState::kDone) std::abort();
  if (fits && again.cookie != kCookie) std::abort();
  return 0;
}
