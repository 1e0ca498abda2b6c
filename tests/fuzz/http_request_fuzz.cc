// Requests come from anybody: whole or byte by byte the parser must say the same and keep its
// bounds.
#include <cstdint>
#include <cstdlib>

#include "runtime/broker/http/encoding.h"
#include "runtime/broker/http/request.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using panal::http::RequestParser;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  RequestParser whole;
  const std::size_t taken = whole.feed(bytes);
  if (taken > size) std::abort();
  RequestParser parts;
  for (std::size_t i = 0; i < size && parts.state() == RequestParser::State::kMore; ++i) {
    parts.feed(bytes.substr(i, 1));
  }
  if (whole.state() != parts.state()) std::abort();
  if (whole.state() == RequestParser::State::kDone) {
    if (whole.request().headers != parts.request().headers) std::abort();
    static_cast<void>(whole.request().keep_alive());
    static_cast<void>(panal::http::parse_query(whole.request().query));
  }
  static_cast<void>(panal::http::base64_decode(bytes));
  return 0;
}
