// The part of a request that names who and what: query of connect_to_vm, Authorization. What is let
// through reaches an agent's options and the audit log. The first byte says which it is.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "runtime/broker/connect_options.h"
#include "runtime/broker/credentials.h"

namespace {

void check_query(std::string_view text) {
  const auto query = panal::http::parse_query(text);
  if (!query) return;
  const auto request = panal::broker::read_connect_query(*query);
  if (!request) {
    if (request.error().status < 400 || request.error().sentence.empty()) std::abort();
    return;
  }
  if (request->desktop <= 0) std::abort();
  const auto only = [](const std::string& value, std::string_view allowed) {
    if (value.find_first_not_of(allowed) != std::string::npos) std::abort();
  };
  static constexpr std::string_view kWord =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_/+-";
  only(request->geometry, "0123456789x");
  only(request->keyboard, kWord);
  only(request->link, kWord);
  only(request->client, kWord);
}

void check_authorization(std::string_view text) {
  const auto credentials = panal::broker::parse_authorization(text);
  if (!credentials) return;
  for (const char c : credentials->name()) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) std::abort();
  }
  if (credentials->login.empty() || credentials->tenant.empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return -1;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'q': check_query(text); break;
    case 'a': check_authorization(text); break;
    default: return -1;
  }
  return 0;
}
