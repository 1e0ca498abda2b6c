#include "storage/transfer/trust.h"

#include <nlohmann/json.hpp>

#include "engine/base/tree.h"
#include "storage/repo/manifest.h"
#include "storage/repo/metadata.h"
#include "storage/transfer/signed_list.h"
#include "storage/transfer/whole_file.h"

namespace panal::storage {

std::string print_trust(const Trust& trust) {
  const nlohmann::ordered_json document = {
      {"format", 1},
      {"key", print_key(trust.key)},
      {"serial", trust.serial},
      {"list_digest", trust.list_digest},
  };
  return document.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Result<Trust> parse_trust(std::string_view text, const std::string& file) {
  try {
    const auto document = nlohmann::json::parse(text);
    for (const char* key : {"format", "serial"})
      if (!document.at(key).is_number_unsigned())
        return fail(EPROTO, file + ": damaged trust file: " + key + " is no whole number from 0");
    if (const auto format = document.at("format").get<std::uint64_t>(); format != 1)
      return fail(EPROTO, file + ": made by a newer Panal (format " + std::to_string(format) + ")");
    Trust trust;
    auto key = parse_key(document.at("key").get<std::string>());
    if (!key) return fail(EPROTO, file + ": damaged trust file: " + key.error().context);
    trust.key = *key;
    trust.serial = document.at("serial").get<std::uint64_t>();
    trust.list_digest = document.at("list_digest").get<std::string>();
    if ((trust.serial == 0) != trust.list_digest.empty() ||
        !(trust.list_digest.empty() || is_checksum(trust.list_digest)))
      return fail(EPROTO, file + ": damaged trust file: list_digest does not fit its serial");
    return trust;
  } catch (const nlohmann::json::exception& problem) {
    return fail(EPROTO, file + ": damaged trust file: " + problem.what());
  }
}

Result<Trust> read_trust(const std::string& file) {
  const auto slash = file.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : file.substr(0, slash + 1);
  const std::string name = slash == std::string::npos ? file : file.substr(slash + 1);
  auto opened = Dir::open(directory);
  auto text = opened ? opened->read(name) : Result<std::string>(fail(opened.error().code, {}));
  if (!text && text.error().code == ENOENT)
    return fail(ENOENT,
                "no key is trusted for this archive (" + file + "); ask its publisher for the key");
  if (!text) return fail(text.error().code, "read " + file);
  return parse_trust(*text, file);
}

Result<void> write_trust(const std::string& file, const Trust& trust) {
  return replace_file(file, print_trust(trust), 0600);
}

Result<AcceptedList> accept_list(std::string_view text, const std::string& where,
                                 const Trust& trust, std::int64_t now_unix_s) {
  PANAL_ASSIGN(const SealedList sealed, parse_sealed(text, where));
  PANAL_TRY(check_sealed(sealed, trust.key, where));
  AcceptedList accepted;
  PANAL_ASSIGN(accepted.list, parse_list(sealed.body, where));
  const ImageList& list = accepted.list;
  if (list.expires_unix_s != 0 && now_unix_s >= list.expires_unix_s)
    return fail(EKEYEXPIRED, where + ": the list is past its end (unix time " +
                                 std::to_string(list.expires_unix_s) +
                                 "); its publisher must sign it again");
  accepted.trust.key = sealed.key;
  accepted.trust.serial = list.serial;
  accepted.trust.list_digest = sha256_hex(sealed.body);
  if (list.serial < trust.serial)
    return fail(ESTALE, where + ": list " + std::to_string(list.serial) + " is older than list " +
                            std::to_string(trust.serial) +
                            ", which was seen before; an old copy is being served");
  if (list.serial == trust.serial && accepted.trust.list_digest != trust.list_digest)
    return fail(ESTALE, where + ": another list " + std::to_string(list.serial) +
                            " was seen before; one of the two is not the publisher's last word");
  return accepted;
}

Result<AcceptedList> accept_list_by_key(std::string_view text, const std::string& where,
                                        const PublicKey& key, const std::optional<Trust>& former,
                                        std::int64_t now_unix_s) {
  if (former && former->key == key) return accept_list(text, where, *former, now_unix_s);
  Trust said;
  said.key = key;
  PANAL_ASSIGN(AcceptedList accepted, accept_list(text, where, said, now_unix_s));
  if (!former) return accepted;
  PANAL_ASSIGN(const SealedList sealed, parse_sealed(text, where));
  if (check_sealed(sealed, former->key, where))
    return accept_list(text, where, *former, now_unix_s);
  return accepted;
}

}  // namespace panal::storage
