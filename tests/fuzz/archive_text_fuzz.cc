/// What comes from an archive's web server, from the helper that talks to it, and from files a
/// puller or publisher keeps: any bytes give a value or an error, and only what the trusted key has
/// signed is accepted. The first byte says which it is (tests/fuzz/seeds).

#include <cstdint>
#include <cstdlib>
#include <string>

#include "storage/repo/metadata.h"
#include "storage/transfer/fetch_messages.h"
#include "storage/transfer/image_list.h"
#include "storage/transfer/remote_source.h"
#include "storage/transfer/signed_list.h"
#include "storage/transfer/source.h"
#include "storage/transfer/trust.h"

using namespace panal::storage;

namespace {

/// The key of RFC 8032, 7.1, test 2, which has signed corpus/archive_text/sealed (and nothing
/// else).
constexpr const char* kKey = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";

void check(bool holds) {
  if (!holds) std::abort();
}

void sealed(const std::string& text) {
  const auto taken_apart = parse_sealed(text, "fuzz");
  Trust trust;
  trust.key = *parse_key(kKey);
  const auto accepted = accept_list(text, "fuzz", trust, 0);
  if (!accepted) return;
  check(taken_apart.has_value());
  check(accepted->list.serial == 1'795'000'000 && accepted->list.versions.size() == 2);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return -1;
  const std::string text(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0]) {
    case 's': sealed(text); break;
    case 'l':
      if (const auto list = parse_list(text, "fuzz")) {
        const std::string printed = print_list(*list);
        const auto again = parse_list(printed, "again");
        check(again && print_list(*again) == printed);
      }
      break;
    case 't':
      if (const auto trust = parse_trust(text, "fuzz")) {
        const auto again = parse_trust(print_trust(*trust), "again");
        check(again && again->key == trust->key && again->serial == trust->serial);
      }
      break;
    case 'k':
      if (const auto key = parse_secret_key(text, "fuzz"))
        check(is_signed_by(key->public_key(), "text", *key->sign("text")));
      break;
    case 'q':
      if (const auto request = parse_request(text)) {
        check(is_archive_path(request->path) && request->path.front() != '/' &&
              request->path.find("..") == std::string::npos);
        const auto again = parse_request(print_request(*request));
        check(again && again->id == request->id && again->path == request->path);
      }
      break;
    case 'a':
      if (const auto answer = parse_answer(text))
        for (const char c : answer->words) check(static_cast<unsigned char>(c) >= 0x20);
      break;
    case 'u':
      if (const auto setup = parse_setup(text))
        check(setup->authorization.find_first_of("\r\n") == std::string::npos);
      break;
    case 'p':
      if (check_url(text)) {
        const std::string shown = shown_url(text);
        check(shown.substr(0, shown.find('/', shown.find("://") + 3)).find('@') ==
              std::string::npos);
      }
      break;
    default: return -1;
  }
  return 0;
}
